"""Whether a far page of a million campaigns costs what the first one costs, in every order there is."""

import base64
import json
import statistics
import time
from typing import Any, Final

from proof.bench import seeding
from proof.world import Shape, World

PAGE: Final = 50
FAR: Final = 10_000
LOOKS: Final = 25

# The column's value as the list sorts by it.
ORDERS: Final = {
    "created_at": "created_at",
    "created_by": "coalesce(created_by, '')",
    "messages": "message_count",
    "name": "name",
    "start_at": "coalesce(starts_at, created_at)",
    "status": "status",
    "target": "target",
}

_CAMPAIGNS = """
    INSERT INTO campaigns (id, name, status, sender_id, created_by, message_count, target, starts_at, recipients,
                           created_at, updated_at)
    SELECT gen_random_uuid(), 'Campaign ' || g, (ARRAY['draft', 'completed', 'completed', 'stopped'])[1 + g % 4],
           'LAPWING', 'key ' || g * 7919 % 40, 1 + g * 31 % 5, 'Group ' || g * 104729 % 5000,
           now() - g * 15485863 % 500000 * interval '1 minute', g % 9000,
           now() - g * interval '1 second', now()
    FROM generate_series(1, {count}::bigint) g
"""


def measure(rows: int) -> dict[str, Any]:
    """campaigns_page_ratio: the worst order's median time of page 10,000 (or the last) over that of page 1."""
    with World(Shape(dispatchers=0)) as world:
        seeding.run_sql(world, _CAMPAIGNS.format(count=rows))
        seeding.run_sql(world, "VACUUM ANALYZE campaigns")
        found = {name: _measure(world, name, min(FAR, rows // PAGE - 2)) for name in ORDERS}
    return {
        "ratios": {"campaigns_page_ratio": max(far / near for near, far in found.values())},
        "raw": {f"by_{name}_ms": [round(ms, 2) for ms in pair] for name, pair in found.items()},
    }


def _measure(world: World, sort: str, page: int) -> tuple[float, float]:
    """The first page and the far one, in turns; milliseconds."""
    far = _cursor_at(world, sort, page)
    near_ms, far_ms = [], []
    for _ in range(LOOKS):
        near_ms.append(_timed(world, sort=sort))
        far_ms.append(_timed(world, sort=sort, cursor=far))
    return statistics.median(near_ms), statistics.median(far_ms)


def _timed(world: World, **asked: Any) -> float:
    begun = time.perf_counter()
    world.api.get("/v1/campaigns", limit=PAGE, **asked)
    return (time.perf_counter() - begun) * 1000


def _cursor_at(world: World, sort: str, page: int) -> str:
    """The first page's cursor, moved to where a walk of so many pages would have led."""
    cursor = world.api.get("/v1/campaigns", limit=PAGE, sort=sort)["next_cursor"]
    place = json.loads(base64.urlsafe_b64decode(cursor + "=="))
    key = ORDERS[sort]
    offset = f"ORDER BY {key}, id LIMIT 1 OFFSET {page * PAGE}"
    ((value, campaign),) = world.ask(f"SELECT {key}, id FROM campaigns WHERE status <> 'archived' {offset}")
    if sort.endswith("_at"):
        value = value.replace(" ", "T")
    place |= {"value": int(value) if sort == "messages" else value, "id": campaign}
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")
