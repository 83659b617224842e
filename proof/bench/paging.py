"""Whether a far page of the log costs what the first one costs, with a million messages in it."""

import statistics
import time
from typing import Any, Final

from proof.bench import seeding
from proof.world import Shape, World

PAGE: Final = 50
FAR: Final = 10_000
LOOKS: Final = 40

# Ids a millisecond apart and in order, as a busy month would leave them.
_LOG = """
    INSERT INTO messages (id, kind, status, priority, msisdn, msisdn_hash, text, encoding, segments, not_before,
                          created_at, status_at)
    SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - {count} + g), 12, '0')
            || '7000' || '8000' || lpad(to_hex(g), 12, '0'))::uuid,
           'personal', 'delivered', 1, '+1555' || lpad((g % 1000000)::text, 7, '0'), '\\x00', 'Hello', 'gsm7', 1, now(),
           now(), now()
    FROM generate_series(1, {count}) g
"""


def measure(rows: int) -> dict[str, Any]:
    """deep_page_ratio: the median time of page 10,000 (or the last) over that of page 1."""
    with World(Shape(dispatchers=0)) as world:
        seeding.run_sql(world, _LOG.format(count=rows))
        seeding.run_sql(world, "VACUUM ANALYZE messages")
        page = min(FAR, rows // PAGE - 2)
        far = _cursor_at(world, page)
        near_seconds, far_seconds = [], []
        for _ in range(LOOKS):
            near_seconds.append(_timed(world, None))
            far_seconds.append(_timed(world, far))
    near, distant = statistics.median(near_seconds), statistics.median(far_seconds)
    return {
        "ratios": {"deep_page_ratio": distant / near},
        "raw": {"first_page_ms": round(near * 1000, 2), "far_page_ms": round(distant * 1000, 2), "far_page": page},
    }


def _timed(world: World, cursor: str | None) -> float:
    begun = time.perf_counter()
    _page(world, cursor)
    return time.perf_counter() - begun


def _page(world: World, cursor: str | None, *, limit: int = PAGE) -> dict[str, Any]:
    found: dict[str, Any] = world.api.get("/v1/messages", limit=limit, **({"cursor": cursor} if cursor else {}))
    return found


def _cursor_at(world: World, page: int) -> str:
    """The cursor that leads to a page, by walking there in the largest steps there are."""
    cursor: str | None = None
    left = page * PAGE
    while left:
        step = min(left, 200)
        cursor = _page(world, cursor, limit=step)["next_cursor"]
        left -= step
    assert cursor is not None
    return cursor
