"""Messages that wait for a pump: single ones, and those of campaigns that are expanded."""

from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.path.due import due
from shared.db import begin
from shared.domain.message import Status
from shared.models import Message
from tests.factories import make_campaign, make_message, make_msisdn
from tests.stages import expand_all
from tests.worlds import HandWorker

NUMBERS = [make_msisdn(number) for number in range(20)]


async def queue_one(worker: HandWorker, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        return await make_message(tx, worker.pepper, now=worker.now(), **over)


async def queue_campaign(worker: HandWorker, msisdns: list[str] = NUMBERS, **over: Any) -> UUID:
    """A campaign with its messages made, and none of them sent."""
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, msisdns, now=worker.now(), **over)
    await due(worker)
    await expand_all(worker)
    return campaign_id


async def statuses_of(engine: AsyncEngine, campaign_id: UUID) -> set[Status]:
    async with begin(engine) as tx:
        rows = await tx.execute(select(Message.status).where(Message.campaign_id == campaign_id))
        return set(rows.scalars())
