"""A dispatcher that only imports, as a process to be killed: `python -m tests.dispatcher.csv_worker URL`."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dispatcher.imports.stage import run_imports
from shared.clock import utc_now
from shared.db import begin, build_engine


class ImportWorker:
    """What the stage needs; the clock can be set forward."""

    def __init__(self, engine: AsyncEngine, *, pepper: bytes = bytes(32), pause: float = 0.0) -> None:
        """`pause` is in seconds before each transaction, for whoever should come late."""
        self.engine = engine
        self.pepper = pepper
        self.stopping = asyncio.Event()
        self.at: datetime | None = None
        self._pause = pause

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        await asyncio.sleep(self._pause)
        async with begin(self.engine) as tx:
            yield tx

    def now(self) -> datetime:
        return self.at or utc_now()


async def main(url: str) -> None:
    engine = build_engine(url, application_name="csv-worker", pool_size=2)
    await run_imports(ImportWorker(engine))
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
