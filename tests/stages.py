"""The stages of the path called by hand, one turn at a time, and the recount that the tallies must equal."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from dispatcher.path.due import due
from dispatcher.path.expand import expand
from dispatcher.path.finish import finish
from dispatcher.path.pump import Pump
from dispatcher.path.receipts import receipts
from dispatcher.worker import Worker
from shared.db import begin
from shared.models import Attempt, CampaignMessage, Message, Tally


async def expand_all(worker: Worker) -> int:
    """Expand until nothing is left to expand; how many messages were made."""
    made = 0
    while count := await expand(worker):
        made += count
    return made


async def pump_once(worker: Worker, lane: str = "bulk", *, slots: int | None = None, pump: Pump | None = None) -> int:
    """One claim, its hand-overs and their settlement; how many rows were taken."""
    pump = pump or Pump(worker, lane)
    worker.book.forget()
    settling = asyncio.create_task(pump._settler.run())
    try:
        taken = await pump._claim(slots or pump.slots)
    finally:
        await pump._drain()
        await pump._settler.close()
        await settling
    assert pump.in_flight == 0
    return taken


async def pump_all(worker: Worker, lane: str = "bulk") -> int:
    """Pump until nothing is due; how many rows were taken."""
    total = 0
    while taken := await pump_once(worker, lane):
        total += taken
    return total


async def send_all(worker: Worker) -> None:
    """From a started campaign to settled hand-overs."""
    await due(worker)
    await expand_all(worker)
    await pump_all(worker)


async def run_to_the_end(worker: Worker) -> None:
    await send_all(worker)
    await receipts(worker)
    await finish(worker)


async def message_of(engine: AsyncEngine, message_id: UUID) -> Any:
    async with begin(engine) as tx:
        return (await tx.execute(select(Message).where(Message.id == message_id))).one()


async def attempts_of(engine: AsyncEngine, message_id: UUID) -> list[Any]:
    async with begin(engine) as tx:
        question = select(Attempt).where(Attempt.message_id == message_id).order_by(Attempt.attempt)
        return list((await tx.execute(question)).all())


async def statuses(engine: AsyncEngine) -> dict[str, int]:
    """How many messages there are in each status."""
    async with begin(engine) as tx:
        rows = await tx.execute(select(Message.status, func.count()).group_by(Message.status))
        return {str(status): count for status, count in rows}


async def check_tallies(engine: AsyncEngine) -> None:
    """Tallies equal a recount: messages and segments, for every campaign message and status."""
    async with begin(engine) as tx:
        assert await _tallied(tx) == await _recounted(tx)


async def _tallied(tx: AsyncConnection) -> dict[tuple[UUID, str], tuple[int, int]]:
    rows = await tx.execute(
        select(Tally.campaign_message_id, Tally.status, func.sum(Tally.messages), func.sum(Tally.segments)).group_by(
            Tally.campaign_message_id, Tally.status
        )
    )
    return {(row[0], str(row[1])): (int(row[2]), int(row[3])) for row in rows if row[2] or row[3]}


async def _recounted(tx: AsyncConnection) -> dict[tuple[UUID, str], tuple[int, int]]:
    rows = await tx.execute(
        select(Message.campaign_message_id, Message.status, func.count(), func.sum(Message.segments))
        .where(Message.campaign_message_id.is_not(None))
        .group_by(Message.campaign_message_id, Message.status)
    )
    return {(row[0], str(row[1])): (int(row[2]), int(row[3])) for row in rows if row[0] is not None}


async def msisdn_counts(engine: AsyncEngine) -> Counter[tuple[UUID | None, str]]:
    """How often each campaign message is written to each number: once, or it was doubled."""
    async with begin(engine) as tx:
        rows = await tx.execute(select(Message.campaign_message_id, Message.msisdn))
        return Counter((row[0], row[1]) for row in rows)


async def execute(engine: AsyncEngine, statement: str, **values: Any) -> None:
    """Something happened that no stage does: a lease was long ago, a process died."""
    async with begin(engine) as tx:
        await tx.execute(text(statement), values)


async def step_of(engine: AsyncEngine, campaign_id: UUID) -> Any:
    async with begin(engine) as tx:
        question = select(CampaignMessage).where(CampaignMessage.campaign_id == campaign_id)
        return (await tx.execute(question.order_by(CampaignMessage.position).limit(1))).one()
