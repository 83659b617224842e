"""The last beat of the pump: outcomes are written in micro-batches, and kept until they are written.

While Postgres is away the answers wait here and no new message is claimed; nothing is sent from memory.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import monotonic
from uuid import UUID

from dispatcher import failpoints
from dispatcher.path.opt_outs import told_by_gateway
from dispatcher.queries import settlements
from dispatcher.queries.claims import Claimed
from dispatcher.queries.gateways import withdraw_gateway
from dispatcher.queries.health import let_rest
from dispatcher.queries.receipts import insert_news
from dispatcher.queries.settlements import Settled
from dispatcher.queries.tallies import write_tallies
from dispatcher.worker import Worker
from shared.db import is_busy, is_outage
from shared.domain.message import Kind, Status
from shared.domain.outcome import Fault
from shared.queries.opt_outs import insert_opt_outs

log = logging.getLogger(__name__)

BATCH = 500
# After a stop, how long answers may wait for a database that is away before they are given up to the lease.
GIVE_UP_SECONDS = 20.0
# So often a batch is refused before its halves are tried: a refusal may be a plan that a migration made stale.
REFUSALS = 2


class Settler:
    """Collects outcomes for at most `settle_wait` seconds or 500 rows, then writes them in one transaction."""

    def __init__(self, worker: Worker, lane: str, *, on_settled: Callable[[Sequence[Claimed]], None]) -> None:
        self._worker = worker
        self._lane = lane
        self._on_settled = on_settled
        self._waiting: list[tuple[Claimed, Settled]] = []
        self._arrived = asyncio.Event()
        self._closing = False

    def put(self, claimed: Claimed, settled: Settled) -> None:
        self._waiting.append((claimed, settled))
        self._arrived.set()

    async def close(self) -> None:
        self._closing = True
        self._arrived.set()

    async def run(self) -> None:
        while not (self._closing and not self._waiting):
            if not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            if len(self._waiting) < BATCH and not self._closing and self._lane != "urgent":
                await asyncio.sleep(self._worker.limits.settle_wait)
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            await self._write_until_written(batch)
            self._on_settled([claimed for claimed, _ in batch])
            self._count(batch)

    def _count(self, batch: Sequence[tuple[Claimed, Settled]]) -> None:
        worker = self._worker
        counts = Counter((one.outcome, one.gateway_id, claimed.kind) for claimed, one in batch)
        for claimed, one in batch:
            worker.streaks.note(claimed.campaign_message_id, one.status, blameless=one.blameless)
        for (outcome, gateway_id, kind), count in counts.items():
            worker.gauges.messages(outcome, worker.book.name_of(gateway_id), kind).inc(count)

    async def _write_until_written(self, batch: Sequence[tuple[Claimed, Settled]]) -> None:
        """Write a batch; what the database will not take is found by halves, and does not hold up the rest."""
        give_up: float | None = None
        refused = 0
        pause = 0.05
        while True:
            try:
                await self._write(batch)
            except Exception as error:
                if not (is_outage(error) or is_busy(error)):
                    log.exception("settle failed", extra={"lane": self._lane, "count": len(batch)})
                    refused += 1
                if refused == REFUSALS:
                    await self._write_halves(batch)
                    return
                if self._closing:
                    give_up = give_up or monotonic() + GIVE_UP_SECONDS
                    if monotonic() > give_up:
                        log.exception("answers given up to the lease", extra={"count": len(batch)})
                        return
                # A commit whose answer was lost is written again: the guard finds it done.
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
            else:
                return

    def _note_put_off(self, settled: Sequence[Settled]) -> None:
        """What waits for the rest that its own answer asked for, or for the next round."""
        now = self._worker.now()
        for one in settled:
            if one.rest and one.delay:
                until = now + timedelta(seconds=one.rest)
                self._worker.put_off.note(one.gateway_id, one.id, until=until, now=now)
            elif one.status is Status.QUEUED and one.delay:
                until = now + timedelta(seconds=one.delay)
                self._worker.newcomers.note(one.gateway_id, one.id, until=until, now=now)

    async def _write_halves(self, batch: Sequence[tuple[Claimed, Settled]]) -> None:
        if len(batch) == 1:
            log.error("an answer given up to the lease", extra={"message_id": str(batch[0][0].id)})
            return
        middle = len(batch) // 2
        await self._write_until_written(batch[:middle])
        await self._write_until_written(batch[middle:])

    async def _write(self, batch: Sequence[tuple[Claimed, Settled]]) -> None:
        worker = self._worker
        settled = [one for _, one in batch]
        refused_accounts = {
            one.gateway_id: one
            for claimed, one in sorted(batch, key=_by_version)
            # A test asks how a gateway would answer; what it was given may be no fault of the account's.
            if one.fault == Fault.ACCOUNT and claimed.kind != Kind.TEST
        }
        async with worker.by_key() as tx:
            moves = await settlements.settle(tx, settled, wanted=worker.wanted)
            await insert_opt_outs(
                tx,
                [
                    told_by_gateway(worker, claimed, one.gateway_id)
                    for claimed, one in batch
                    if one.fault == Fault.OPTED_OUT
                ],
                now=worker.now(),
            )
            for one in settled:
                if one.news:
                    await insert_news(tx, one.gateway_id, one.news, source="sandbox")
            for gateway_id, one in sorted(refused_accounts.items()):
                reason = one.code or "refused"
                await withdraw_gateway(tx, gateway_id, reason=reason, by=worker.name, version=one.version)
            for gateway_id, seconds in sorted(_rests(settled).items()):
                await let_rest(tx, gateway_id, seconds=seconds)
            await write_tallies(tx, moves, writer=worker.writer * 8 + 2 + (self._lane == "urgent"))
            failpoints.hit("before_settle_commit")
        failpoints.hit("after_settle_commit")
        self._note_put_off(settled)
        if any(one.news for one in settled):
            worker.ring("receipts")
        if any(one.status is Status.QUEUED and not one.delay for one in settled):
            worker.ring(self._lane)  # another gateway may take it now
        if refused_accounts:
            worker.book.forget()


def _by_version(one: tuple[Claimed, Settled]) -> float:
    """The answer to the latest configuration of a gateway comes last, and counts."""
    version = one[1].version
    return version.timestamp() if version is not None else 0.0


def _rests(settled: Sequence[Settled]) -> dict[UUID, float]:
    """The gateways that asked to be given time, and how many seconds at most."""
    rests: dict[UUID, float] = {}
    for one in settled:
        if one.rest:
            rests[one.gateway_id] = max(one.rest, rests.get(one.gateway_id, 0.0))
    return rests
