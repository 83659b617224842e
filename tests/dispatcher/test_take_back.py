"""A claim whose commit is not answered: whether it stands or not, each message leaves once and none is in doubt."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote
from uuid import UUID

import pytest
import respx
from sqlalchemy import event, update

from deploy.local.servers import Postgres
from dispatcher.path.pump import Pump
from dispatcher.path.take_back import take_back
from dispatcher.queries import claims
from shared.db import build_engine
from shared.models import Message
from tests.dispatcher.answers import at, numbers_of
from tests.dispatcher.queued import NUMBERS, queue_campaign
from tests.stages import attempts_of, check_tallies, message_of, statuses
from tests.worlds import HandWorker


class Line:
    """A socket before Postgres' own; it breaks once, at the commit of the first claim that writes attempts."""

    def __init__(self, server: Path, *, stands: bool) -> None:
        self._server = server
        self._stands = stands
        self._writes_attempts = False
        self.broken = False

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = await asyncio.open_unix_connection(str(self._server))
        answers = asyncio.create_task(self._answers(up, writer))
        try:
            while said := await reader.read(65_536):
                self._writes_attempts = self._writes_attempts or b"INSERT INTO attempts" in said
                if self._writes_attempts and not self.broken and b"COMMIT" in said:
                    self.broken = True
                    answers.cancel()
                    await asyncio.wait([answers])
                    if self._stands:
                        down.write(said)
                        assert await up.read(1)  # it is done, and nobody will hear of it
                    break
                down.write(said)
        finally:
            answers.cancel()
            down.close()
            writer.close()

    async def _answers(self, up: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while told := await up.read(65_536):
            writer.write(told)
        writer.close()


@pytest.fixture
async def line(request: pytest.FixtureRequest, postgres: Postgres, tmp_path: Path) -> AsyncIterator[Line]:
    (socket,) = (path for path in postgres.sockets.iterdir() if path.is_socket())
    line = Line(socket, stands=request.param)
    async with await asyncio.start_unix_server(line.relay, tmp_path / socket.name):
        yield line


@pytest.fixture
async def through(
    line: Line, worker: HandWorker, migrated_url: str, postgres: Postgres, tmp_path: Path
) -> AsyncIterator[HandWorker]:
    """The worker, whose claims and answers pass the line."""
    assert str(postgres.sockets) in unquote(migrated_url)
    url = migrated_url.replace(quote(str(postgres.sockets), safe="/"), quote(str(tmp_path), safe="/"))
    engine = build_engine(url, application_name="through", pool_size=3, by_key=True)

    def know_the_clock(connection: object, _record: object) -> None:
        connection.run_async(lambda driver: driver.execute("SET search_path = public, by_hand, pg_catalog"))  # type: ignore[attr-defined] # SQLAlchemy's adapter

    event.listen(engine.sync_engine, "connect", know_the_clock)
    yield replace(worker, key_engine=engine)
    await engine.dispose()


@pytest.mark.parametrize("line", [True, False], ids=["stands", "is lost"], indirect=True)
async def test_each_leaves_once_and_none_is_in_doubt(
    line: Line, through: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    route = at(router)
    await queue_campaign(through)
    pump = Pump(through, "bulk")
    running = asyncio.create_task(pump.run())
    try:
        async with asyncio.timeout(30):
            while await statuses(through.engine) != {"submitted": len(NUMBERS)}:
                await asyncio.sleep(0.05)
    finally:
        through.stop()
        await running
    assert line.broken
    assert sorted(numbers_of(route)) == sorted(NUMBERS)
    await check_tallies(through.engine)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"leased_by": "another"}, id="another made the same attempt"),
        pytest.param({"attempt": 2}, id="another attempt"),
        pytest.param({"status": "unconfirmed", "lease_until": None}, id="the lease ran out"),
    ],
)
async def test_what_is_no_more_on_our_lease_stays(worker: HandWorker, first: UUID, changed: dict[str, object]) -> None:
    await queue_campaign(worker, NUMBERS[:2])
    async with worker.transaction() as tx:
        await worker.book.read(tx)
        taken = await claims.claim(tx, lane="bulk", slots=2, lease=30.0, dispatcher=worker.name)
        intents = [(one, worker.book.accounts[first]) for one in taken.claimed]
        await claims.insert_intents(tx, [(one, first) for one, _ in intents], dispatcher=worker.name)
    lost, ours = intents
    async with worker.transaction() as tx:
        await tx.execute(update(Message).where(Message.id == lost[0].id).values(**changed))
    before = await message_of(worker.engine, lost[0].id)
    async with worker.transaction() as tx:
        await take_back(worker, tx, intents)
    assert await message_of(worker.engine, lost[0].id) == before
    assert [one.outcome for one in await attempts_of(worker.engine, lost[0].id)] == [None]
    assert (await message_of(worker.engine, ours[0].id)).status == "queued"
    assert [one.outcome for one in await attempts_of(worker.engine, ours[0].id)] == ["not_sent"]
    assert [one.code for one in await attempts_of(worker.engine, ours[0].id)] == ["lease_margin"]
