"""Beside the path, trials: the messages by which owners test one gateway, wherever it stands and whatever its state.

Before: the api queued a message that names its gateway. After: receipts.py hears its fate, like any other's.

A test has one attempt, and nobody else is asked in that gateway's place; neither its health nor its order depends on
what comes of it. The pumps never see one, so it costs them nothing. What was said is kept whatever the outcome: to see
it is what the test is for.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from typing import Any, Final
from uuid import UUID

from dispatcher.door.redaction import redact_panes, secrets_of
from dispatcher.path.conversation import LOGIN_ENDED, Said, converse
from dispatcher.path.handover import settled_by, sms_of
from dispatcher.path.settler import Settler
from dispatcher.queries import claims
from dispatcher.queries.claims import Claimed
from dispatcher.queries.settlements import Settled
from dispatcher.queries.tellings import tell_of
from dispatcher.worker import Worker
from shared.adapter import Account
from shared.db import is_outage
from shared.domain.message import Status
from shared.domain.outcome import Lost

log = logging.getLogger(__name__)

NAME: Final = "trials"
IDLE_SECONDS: Final = 1.0
OUTAGE_SECONDS: Final = 0.5
# Tests at once; whoever makes more of them waits for a gateway that thinks.
SLOTS: Final = 8
NO_ACCOUNT: Final = "no_account"
_LONGEST_REASON: Final = 255


class Trials:
    """The tests that one dispatcher has on the line, each by itself: a gateway that hangs holds up no other."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._tasks: set[asyncio.Task[None]] = set()
        self._settler = Settler(worker, "urgent", on_settled=_count_nothing)

    async def run(self) -> None:
        """Look for tests until the worker stops; then wait for those on the line and settle them."""
        worker = self._worker
        settling = asyncio.create_task(self._settler.run())
        bell = worker.bells[NAME]
        try:
            while not (worker.stopping.is_set() or settling.done()):
                bell.clear()
                pause = IDLE_SECONDS
                try:
                    await self.look()
                except Exception as error:
                    pause = OUTAGE_SECONDS
                    if not is_outage(error):
                        log.exception("tests could not be claimed")
                await worker.sleep(bell, pause)
        finally:
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=worker.limits.lease)
            await self._settler.close()
            await settling

    async def look(self) -> int:
        """Begin the tests that are due and that there are slots for; how many rows were taken."""
        slots = SLOTS - len(self._tasks)
        if slots <= 0:
            return 0
        worker = self._worker
        begun = monotonic()
        async with worker.by_key() as tx:
            taken = await claims.claim(tx, lane=NAME, slots=slots, lease=worker.limits.lease, dispatcher=worker.name)
            pinned = await claims.list_pinned(tx, taken.claimed) if taken.claimed else {}
            if pinned:  # as they are configured now: what is tested is what was saved a moment ago
                await worker.book.read(tx)
            intents = [(one, pinned[one.id]) for one in taken.claimed]
            await claims.insert_intents(tx, intents, dispatcher=worker.name)
            await tell_of(tx, taken.closed, wanted=worker.wanted)
        start_by = begun + worker.limits.lease * 5 / 6 - worker.limits.deadline
        for claimed, gateway_id in intents:
            task = asyncio.create_task(self._try(claimed, gateway_id, start_by))
            self._tasks.add(task)
            task.add_done_callback(self._done)
        return taken.rows

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._worker.ring(NAME)  # somebody may wait for its slot

    async def _try(self, claimed: Claimed, gateway_id: UUID, start_by: float) -> None:
        try:
            settled = await _tried(self._worker, claimed, gateway_id, start_by)
        except Exception:
            # Nothing should bring us here; if something does, the lease tells.
            log.exception("a test was not settled", extra={"message_id": str(claimed.id)})
            return
        self._settler.put(claimed, settled)


async def _tried(worker: Worker, claimed: Claimed, gateway_id: UUID, start_by: float) -> Settled:
    begun = monotonic()
    said = await _said(worker, claimed, gateway_id, start_by)
    took = timedelta(seconds=monotonic() - begun)
    (settled,) = settled_by(worker, [claimed], said)
    if settled.status is Status.QUEUED:
        settled = settled._replace(status=Status.FAILED, delay=0.0, tried=())
    why = said.why and said.why[:_LONGEST_REASON]
    return settled._replace(exchange=_exchange(said, took), detail=why or settled.detail)


async def _said(worker: Worker, claimed: Claimed, gateway_id: UUID, start_by: float) -> Said:
    account = worker.book.accounts.get(gateway_id)
    known = account or Account(gateway_id, {}, {})
    batch = [sms_of(worker, claimed, known, now_seconds=worker.now().timestamp())]
    if account is None:
        return Said.of_all(batch, Lost(may_have_arrived=False, cause=NO_ACCOUNT), known)
    said = await converse(worker, account, batch, start_by=start_by)
    if said.outcomes[0] == Lost(may_have_arrived=False, cause=LOGIN_ENDED):
        # Only its token was refused, which says nothing about the account: the login is renewed, and it is asked anew.
        return await converse(worker, account, batch, start_by=start_by)
    return said


def _exchange(said: Said, took: timedelta) -> dict[str, Any]:
    kept: dict[str, Any] = {"took_ms": round(took / timedelta(milliseconds=1))}
    if said.call is None:
        return kept
    private = [sms.msisdn for sms in said.batch]
    return kept | redact_panes(said.call, said.answer, private=private, secrets=secrets_of(said.account))


def _count_nothing(_settled: Sequence[Claimed]) -> None:
    """Slots are free when the tasks end."""
