"""Expansion against a bare COPY of the same rows into the same table, in one process, nothing else running."""

import time
from typing import Any, Final

import uvloop
from sqlalchemy import text

from dispatcher.main import collect_seldom, open_worker
from dispatcher.path.due import due
from dispatcher.path.expand import expand
from dispatcher.queries.campaigns import COLUMNS, copy_messages
from dispatcher.worker import Worker
from proof.bench import seeding
from proof.world import Shape, World
from shared.settings import Settings

SLICE: Final = 2_000


def measure(messages: int) -> dict[str, Any]:
    """expand_ratio: rows expanded a second, over rows copied a second."""
    with World(Shape(dispatchers=0)) as world:
        group = seeding.add_people(world, messages, group="everyone")
        seeding.start_campaign(world, group, name="expanded")
        settings = Settings.model_validate(
            {name.removeprefix("LAPWING_").lower(): value for name, value in world.environment.items()}
        )
        expanded, copied = uvloop.run(_both(settings, messages))
    return {
        "ratios": {"expand_ratio": expanded / copied},
        "raw": {"expanded_per_second": round(expanded), "copied_per_second": round(copied)},
    }


async def _both(settings: Settings, messages: int) -> tuple[float, float]:
    collect_seldom()  # as a dispatcher does
    async with open_worker(settings) as worker:
        await due(worker)
        begun = time.perf_counter()
        made = 0
        while made < messages:
            made += await expand(worker)
        expanded = made / (time.perf_counter() - begun)
        return expanded, await _copy_again(worker)


async def _copy_again(worker: Worker) -> float:
    async with worker.transaction() as tx:
        rows = await tx.execute(text(f"SELECT {', '.join(COLUMNS)} FROM messages ORDER BY id"))
        records = [tuple(row) for row in rows]
        await tx.execute(text("TRUNCATE messages"))
    begun = time.perf_counter()
    for first in range(0, len(records), SLICE):
        async with worker.transaction() as tx:
            await copy_messages(tx, records[first : first + SLICE])
    return len(records) / (time.perf_counter() - begun)
