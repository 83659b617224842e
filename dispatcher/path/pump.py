"""Stage 3 of 5, pump: claim what there are free slots for, hand it over, settle it. A stream, not a batch.

Before: expand.py and the api queued the messages. After: receipts.py hears their fate.

Two short transactions, and none open while a gateway is on the line. If the process dies in between, the lease runs
out, and rescue.py makes the message unconfirmed. One pump a lane; it lives as long as its worker.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from time import monotonic
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher import failpoints
from dispatcher.beside.health import take_trials
from dispatcher.codes import with_codes
from dispatcher.pacing.meter import Meter
from dispatcher.path.choice import Choice, choose, room, triable
from dispatcher.path.handover import Parcel, hand_over, parcels
from dispatcher.path.quiet import find_resting
from dispatcher.path.repeats import LOOK_SECONDS, claim_repeats
from dispatcher.path.second_tries import claim_second_tries
from dispatcher.path.settler import Settler
from dispatcher.path.slots import Slots
from dispatcher.path.take_back import take_back
from dispatcher.queries import claims
from dispatcher.queries.claims import Claimed
from dispatcher.queries.tallies import Moves, write_tallies
from dispatcher.queries.tellings import tell_of
from dispatcher.worker import Worker
from shared.adapter import Account
from shared.db import is_busy, is_outage
from shared.domain.routing import UNSERVED_SECONDS

log = logging.getLogger(__name__)

# Without a bell a pump looks this often; arq's clock makes it look every second anyway.
IDLE_SECONDS = 1.0
OUTAGE_SECONDS = 0.5
# What was claimed had to wait for its gateway, all of it: others may stand behind it.
WAITED_SECONDS = 0.1
# Without a gateway nothing is claimed, and so nothing expires in the claim: it is looked for, this often.
EXPIRE_SECONDS = 5.0
EXPIRE_BATCH = 5_000


class _Claim(Protocol):
    """Takes messages in doubt, for up to so many slots."""

    async def __call__(self, worker: Worker, tx: AsyncConnection, *, slots: int) -> tuple[Choice, list[Parcel]]: ...


class Pump:
    """The life of a lane in one dispatcher. `in_flight` counts what is claimed and not settled yet."""

    def __init__(self, worker: Worker, lane: str) -> None:
        self.worker = worker
        self.lane = lane
        self._slots = Slots(lane, worker.limits.slots(lane))
        self._freed = asyncio.Event()
        self._short = False
        self._others_wait = False  # there was no slot for more of them, beside those that are kept for passwords
        self._waited = False  # all that was claimed last had to wait
        self._most = self.slots  # rows in one claim: fewer while the database is slow, lest they be stale at once
        self._expire_at = 0.0
        self._doubted_at = 0.0
        self._unheard: list[tuple[Claimed, Account]] = []  # intents of claims whose commit was not answered
        self._tasks: set[asyncio.Task[None]] = set()
        self._settler = Settler(worker, lane, on_settled=self._free)
        worker.metrics.in_flight.labels(lane).set(0)  # told from the start: an alert calls for a lane nobody tells of

    @property
    def slots(self) -> int:
        return self._slots.total

    @property
    def in_flight(self) -> int:
        return self._slots.taken

    async def run(self) -> None:
        """Pump until the worker stops; then wait for what is in flight and settle it."""
        settling = asyncio.create_task(self._settler.run())
        try:
            while not (self.worker.stopping.is_set() or settling.done()):
                await self._beat()
        finally:
            await self._drain()
            await self._settler.close()
            await settling

    async def _beat(self) -> None:
        if self._slots.free < self._slots.least:
            self._freed.clear()
            await self.worker.sleep(self._freed, IDLE_SECONDS)
            return
        bell = self.worker.bells[self.lane]
        bell.clear()
        self._short = False
        wanted = min(self._slots.free, self._most)
        spare = room(self.worker, self.lane)
        if spare is not None:
            wanted = min(wanted, spare)
        others = min(wanted, self._slots.for_others)
        try:
            await self._take_back()
            taken = await self._claim(wanted, others=others)
            await self._claim_doubted()
        except Exception as error:
            if not (is_outage(error) or is_busy(error)):
                log.exception("claim failed", extra={"lane": self.lane})
            await self.worker.sleep(self.worker.stopping, OUTAGE_SECONDS)
            return
        finally:
            self.worker.paces.looked(self.lane)
        self._others_wait = others < wanted and taken >= others
        is_more = taken == wanted or not self.in_flight or (self._others_wait and self._slots.for_others > 0)
        if not self._waited and taken and is_more:
            return
        # A campaign may have left some of its share to others, or a gateway's pace all of them: what comes free next
        # is worth a look.
        self._short = (taken > 0 and not self._others_wait) or spare is not None
        await self.worker.sleep(bell, WAITED_SECONDS if self._waited else IDLE_SECONDS)

    async def _claim(self, slots: int, *, others: int | None = None) -> int:
        """Claim and start handing over; how many rows were taken, whatever became of them.

        At most `others` of the slots go to anything but passwords; None: all of them may.
        """
        worker = self.worker
        if not (worker.book.is_fresh and worker.rules.is_fresh):
            async with worker.by_key() as tx:
                await worker.book.read(tx)
                await worker.rules.read(tx)
                await worker.subscriptions.read(tx)
        self._waited = False
        if self._is_shut() or not slots:
            await self._expire()
            return 0
        # The lease is counted from before the statement began, so ours always ends before the database's.
        begun = monotonic()
        choice = Choice()
        try:
            async with worker.by_key() as tx:
                taken = await claims.claim(
                    tx, lane=self.lane, slots=slots, others=others, lease=worker.limits.lease, dispatcher=worker.name
                )
                await tell_of(tx, taken.closed, wanted=worker.wanted)
                if self.lane == "bulk":
                    await worker.media.read(tx, taken.claimed)
                awake, resting = await find_resting(worker, tx, taken.claimed)
                ready, unfilled = await with_codes(worker, tx, awake, lane=self.lane)
                await take_trials(worker, tx, triable(worker, self.lane, ready))
                choice = choose(worker, self.lane, ready)
                choice.homeless += unfilled
                # By the same book: it may be read anew before this is committed, and a gateway be gone from it.
                batches = parcels(worker, choice.intents)
                await self._intend(tx, choice, resting, taken.moves)
        except BaseException:
            choice.undo(worker, self.lane)
            self._unheard += choice.intents
            raise
        self._pace_claims(slots, choice, seconds=monotonic() - begun)
        self._launch(choice, batches, begun=begun)
        return taken.rows

    async def _take_back(self) -> None:
        """Settle what an earlier claim may have written whose commit was not answered: nothing of it has left."""
        if not self._unheard:
            return
        worker = self.worker
        try:
            async with worker.by_key() as tx:
                moves = await take_back(worker, tx, self._unheard)
                await write_tallies(tx, moves, writer=worker.writer * 8 + (self.lane == "urgent"))
        except Exception as error:
            if not (is_outage(error) or is_busy(error)):
                self._unheard.clear()  # given up to the lease, lest nothing be claimed any more
            raise
        self._unheard.clear()

    async def _claim_doubted(self) -> None:
        """What is in doubt and may be handed over once more, looked for once a second."""
        if monotonic() < self._doubted_at:
            return
        self._doubted_at = monotonic() + LOOK_SECONDS
        if self.lane == "urgent":
            await self._claim_second_tries()
        if any(route.repeats for route in self.worker.book.routes):
            await self._claim_repeats()

    async def _claim_second_tries(self) -> None:
        """Passwords, through another gateway."""
        await self._claim_again(claim_second_tries, slots=self._slots.free)

    async def _claim_repeats(self) -> None:
        """Whatever is at a gateway that takes nothing twice, through that one."""
        await self._claim_again(partial(claim_repeats, lane=self.lane), slots=self._slots.for_others)

    async def _claim_again(self, claim: _Claim, *, slots: int) -> None:
        begun = monotonic()
        choice = Choice()
        try:
            async with self.worker.by_key() as tx:
                choice, batches = await claim(self.worker, tx, slots=slots)
                if choice.intents:
                    failpoints.hit("before_claim_commit")
        except BaseException:
            choice.undo(self.worker, self.lane)
            raise
        self._launch(choice, batches, begun=begun)

    def _launch(self, choice: Choice, batches: Sequence[Parcel], *, begun: float) -> None:
        """Let go what was claimed by a statement that began then."""
        if not choice.intents:
            return
        failpoints.hit("after_claim_commit")
        limits = self.worker.limits
        start_by = min(
            begun + limits.lease - limits.deadline - limits.lease / 6,
            # A stop, a STOP or an expiry may have been committed since the statement looked, which was after `begun`.
            # Whoever was paused since, or waited for a slow database, claims again.
            begun + limits.fresh,
        )
        for account, batch in batches:
            self._start(batch, account, start_by=start_by, meter=choice.meters.get(account.gateway_id))

    def _is_shut(self) -> bool:
        """Whether there is no gateway at all; for how long that is so is remembered."""
        if any(not route.shut for route in self.worker.book.routes):
            return False
        self.worker.streaks.shut()
        return True

    async def _intend(
        self, tx: AsyncConnection, choice: Choice, resting: Sequence[tuple[Claimed, float]], moves: Moves
    ) -> None:
        """Write down who is handed to whom, and put the others back: no attempt of them was made."""
        worker = self.worker
        worker.streaks.routed(served=(one for one, _ in choice.intents), homeless=choice.homeless)
        intents = [(one, account.gateway_id) for one, account in choice.intents]
        await claims.insert_intents(tx, intents, dispatcher=worker.name)
        back = [*choice.waiting, *resting, *((one, UNSERVED_SECONDS) for one in choice.homeless)]
        await claims.put_back(tx, back, dispatcher=worker.name)
        for one, _ in back:
            moves.add(one.campaign_message_id, was="sending", now="queued", messages=1, segments=one.segments)
        await write_tallies(tx, moves, writer=worker.writer * 8 + (self.lane == "urgent"))
        if intents:
            failpoints.hit("before_claim_commit")

    def _pace_claims(self, slots: int, choice: Choice, *, seconds: float) -> None:
        """Claim less at a time where that takes so long that what was looked at is stale before anything has left.

        Or where most of what was claimed had to be put back, for its gateway has no room.
        """
        self._waited = bool(choice.waiting) and not choice.intents
        if seconds > self.worker.limits.fresh / 2:
            self._most = max(1, slots // 2)
        elif len(choice.waiting) > len(choice.intents):
            # No fewer than a handful: behind those of one gateway that has no room may be many of one that has.
            self._most = max(self._slots.handful, 2 * len(choice.intents))
        elif slots == self._most:
            self._most = min(self.slots, 2 * self._most)

    async def _expire(self) -> None:
        """Close what nobody can be handed to before its time is over."""
        if monotonic() < self._expire_at:
            return
        self._expire_at = monotonic() + EXPIRE_SECONDS
        worker = self.worker
        async with worker.by_key() as tx:
            moves = await claims.expire(tx, lane=self.lane, limit=EXPIRE_BATCH, wanted=worker.wanted)
            await write_tallies(tx, moves, writer=worker.writer * 8 + (self.lane == "urgent"))

    def _start(self, batch: Sequence[Claimed], account: Account, *, start_by: float, meter: Meter | None) -> None:
        self._slots.take(batch)
        turn = None
        if meter is not None:
            turn = meter.request(self.lane, [one.segments for one in batch], start_by=start_by)
        task = asyncio.create_task(self._hand_over(batch, account, start_by, turn))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hand_over(
        self,
        batch: Sequence[Claimed],
        account: Account,
        start_by: float,
        turn: AbstractAsyncContextManager[bool] | None,
    ) -> None:
        try:
            if turn is None:
                settled = await hand_over(self.worker, self.lane, batch, account, start_by)
            else:
                async with turn as free:
                    settled = await hand_over(self.worker, self.lane, batch, account, start_by if free else 0.0)
        except Exception:
            # Nothing should bring us here; if something does, the lease tells, and the slots are not lost.
            log.exception("a hand-over was not settled", extra={"message_id": str(batch[0].id)})
            self.worker.healths.end_probe(account.gateway_id, [one.id for one in batch])
            self._free(batch)
            return
        failpoints.hit("after_answer")
        for claimed, one in zip(batch, settled, strict=True):
            self._settler.put(claimed, one)

    def _free(self, settled: Sequence[Claimed]) -> None:
        self._slots.give_back(settled)
        self.worker.metrics.in_flight.labels(self.lane).set(self.in_flight)
        self._freed.set()
        if self._short or (self._others_wait and self._slots.for_others):
            self.worker.ring(self.lane)

    async def _drain(self) -> None:
        try:
            await self._take_back()
        except Exception:
            log.exception("claims given up to the lease", extra={"count": len(self._unheard)})
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self.worker.limits.deadline + 5)
