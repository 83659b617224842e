"""Beside the path, watch: campaigns that need their owner's word are held.

Late: their time passed while nobody was there. A beat in the database says when a dispatcher last looked; the claim
takes nothing of a campaign when that is too long ago, so whoever wakes up looks first and sends afterwards.
Restored: Redis remembers a later beat than the database does, or the database is another one. Error rate and no
gateway: what this dispatcher saw of its own hand-overs (`dispatcher/streaks.py`).
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries import watch as queries
from dispatcher.queries.watch import Beat
from dispatcher.worker import Worker, keep_book
from shared.db import is_busy, is_outage
from shared.domain.campaign import HeldReason
from shared.domain.notice import database_restored
from shared.ids import uuid7
from shared.queries.holds import hold_campaigns
from shared.queries.notices import insert_notice
from shared.queries.policy import get_policy

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 0.5


async def keep_watch(worker: Worker) -> int:
    """Hold what is late or may have been sent already, and beat; how many campaigns were held."""
    async with worker.transaction() as tx:
        late_after = 60.0 * max(1, (await get_policy(tx)).late_after_minutes)
        beat = await queries.find_beat(tx, every=BEAT_SECONDS)
        held = await _hold_late(worker, tx, late_after) if beat is not None and not beat.absent else 0
    if beat is not None and not (beat.stale or beat.absent):
        return held
    # Redis before the database: a beat that another dispatcher makes in between is then no reason for alarm.
    seen = await worker.witness.recall() if worker.witness is not None else {}
    async with worker.transaction() as tx:
        held += await _look(worker, tx, seen, late_after)
        last = await queries.find_beat(tx, every=BEAT_SECONDS)
    if worker.witness is not None and last is not None:
        await worker.witness.remember(last.epoch, last.beat_at)
    return held


async def _look(worker: Worker, tx: AsyncConnection, seen: Mapping[UUID, datetime], late_after: float) -> int:
    beat = await queries.lock_beat(tx, every=BEAT_SECONDS)
    system = await queries.find_system(tx)
    epoch = uuid7(worker.now()) if beat is None else beat.epoch
    held = 0
    if beat is not None and _was_set_back(beat, system, seen):
        epoch = uuid7(worker.now())
        held = await _doubt_everything(worker, tx, epoch)
    elif beat is not None and beat.absent:
        ids = await queries.list_under_way(tx)
        held = await hold_campaigns(tx, ids, HeldReason.LATE, now=worker.now())
    held += await _hold_late(worker, tx, late_after)
    await queries.write_beat(tx, epoch=epoch, system=system, late_after=late_after)
    return held


def _was_set_back(beat: Beat, system: str, seen: Mapping[UUID, datetime]) -> bool:
    latest = seen.get(beat.epoch)
    return beat.system != system or (latest is not None and latest > beat.beat_at)


async def _hold_late(worker: Worker, tx: AsyncConnection, late_after: float) -> int:
    ids = await queries.list_late(tx, late_after=late_after)
    return await hold_campaigns(tx, ids, HeldReason.LATE, now=worker.now())


async def _doubt_everything(worker: Worker, tx: AsyncConnection, epoch: UUID) -> int:
    """Nothing goes out that a database remembers as unsent and that a later one may have sent."""
    held = await hold_campaigns(tx, await queries.list_let_go(tx), HeldReason.RESTORED, now=worker.now())
    await worker.subscriptions.read(tx)  # this is the first look: nobody has asked yet what webhooks want
    messages = await queries.doubt_due_messages(tx, wanted=worker.wanted)
    await insert_notice(tx, database_restored(epoch, campaigns=held, messages=messages), now=worker.now())
    log.warning("the database was set back or moved", extra={"held": held, "unconfirmed": messages})
    return held


async def look_first(worker: Worker) -> None:
    """Watch once before anything is claimed, and know who sends and who wants to be told, however long that takes.

    Known twice: a new webhook waits for the dispatchers that it sees, and this one is seen from the first time on.
    """
    while not worker.stopping.is_set():
        try:
            await keep_watch(worker)
            await keep_book(worker)
            await keep_book(worker)
        except Exception as error:
            if not (is_outage(error) or is_busy(error)):
                raise
            log.warning("waiting for the database", extra={"cause": type(error).__name__})
            await worker.sleep(worker.stopping, AGAIN_SECONDS)
        else:
            return


async def watch(worker: Worker) -> int:
    """Hold campaigns whose hand-overs fail one after the other, and those that no gateway takes; how many."""
    failing = worker.streaks.failing(
        failures=worker.limits.failures_in_a_row,
        losses=max(worker.limits.failures_in_a_row, 2 * worker.limits.bulk_slots),
    )
    unserved = worker.streaks.unserved(seconds=worker.limits.no_gateway)
    if not (failing or unserved or worker.streaks.is_shut(seconds=worker.limits.no_gateway)):
        return 0
    async with worker.transaction() as tx:
        ids = await queries.list_campaigns_of(tx, failing)
        held = await hold_campaigns(tx, ids, HeldReason.ERROR_RATE, now=worker.now())
        ids = await queries.list_campaigns_of(tx, unserved)
        if worker.streaks.is_shut(seconds=worker.limits.no_gateway):
            ids = sorted({*ids, *await queries.list_under_way(tx)})
        held += await hold_campaigns(tx, ids, HeldReason.NO_GATEWAY, now=worker.now())
    worker.streaks.forget([*failing, *unserved])
    return held
