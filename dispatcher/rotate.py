"""The command that seals every secret anew: `python -m dispatcher.rotate`.

It opens with any of `LAPWING_SECRET_KEYS` and seals with the first, a handful of rows in each transaction, while api
and dispatchers go on. What is done is seen in the rows themselves, so after a kill it is simply run again. It ends with
0 when the other keys are not needed any more, and names the rows (never a value) that none of the keys opens.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin, build_engine, is_busy, is_outage, reading
from shared.queries.sealed import SEALED, Place, Sealed, count_outdated, reseal
from shared.sealing import Sealer
from shared.settings import Settings

BATCH: Final = 100
# A process that was not restarted yet may seal with another key while we are at it.
ROUNDS: Final = 3
DONE: Final = 0
NOT_DONE: Final = 1
NAMED_AT_MOST: Final = 20


async def rotate(engine: AsyncEngine, sealer: Sealer, *, tell: Callable[[str], None]) -> int:
    """Seal all that is sealed with the first key; the exit code."""
    left = 0
    for sealed in SEALED:
        left += await _rotate(engine, sealed, sealer, tell=tell)
    if left:
        tell(f"{left} values are not sealed by the first key; keep the other keys in LAPWING_SECRET_KEYS.")
        return NOT_DONE
    tell("Everything is sealed by the first key.")
    return DONE


async def _rotate(engine: AsyncEngine, sealed: Sealed, sealer: Sealer, *, tell: Callable[[str], None]) -> int:
    """One column; how many values another key still seals."""
    unopened: set[Place] = set()
    for _ in range(ROUNDS):
        async with reading(engine) as tx:
            outdated = await count_outdated(tx, sealed, sealer)
        if outdated <= len(unopened):
            break
        tell(f"{sealed}: {outdated} to seal anew")
        unopened = await _pass(engine, sealed, sealer, tell=tell)
    async with reading(engine) as tx:
        left = await count_outdated(tx, sealed, sealer)
    for place in sorted(unopened, key=str)[:NAMED_AT_MOST]:
        tell(f"{sealed.name_of(place)}: cannot be opened with the keys given")
    if len(unopened) > NAMED_AT_MOST:
        tell(f"{sealed}: {len(unopened) - NAMED_AT_MOST} more cannot be opened")
    if left > len(unopened):
        tell(f"{sealed}: a process still seals with another key; restart all with these keys, then run this again")
    tell(f"{sealed}: done, {left} left")
    return left


async def _pass(engine: AsyncEngine, sealed: Sealed, sealer: Sealer, *, tell: Callable[[str], None]) -> set[Place]:
    """All rows once, in the order of their keys; those that cannot be opened."""
    changed, after = 0, None
    unopened: set[Place] = set()
    while True:
        async with begin(engine) as tx:
            batch = await reseal(tx, sealed, sealer, after=after, limit=BATCH)
        if batch.last is None:
            return unopened
        after = batch.last
        changed += batch.changed
        unopened.update(batch.unopened)
        tell(f"{sealed}: {changed} sealed anew")


async def run(settings: Settings) -> int:
    sealer = Sealer.from_texts([key.get_secret_value() for key in settings.secret_keys])
    engine = build_engine(settings.database_url, application_name="lapwing-rotate", pool_size=1)
    try:
        return await rotate(engine, sealer, tell=_tell)
    except (DBAPIError, OSError, TimeoutError) as error:
        if not (is_outage(error) or is_busy(error)):
            raise
        _tell(f"The database is away or busy ({type(error).__name__}); run this again, and it goes on where it was.")
        return NOT_DONE
    finally:
        await engine.dispose()


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    sys.exit(asyncio.run(run(Settings.from_environment())))


if __name__ == "__main__":
    main()
