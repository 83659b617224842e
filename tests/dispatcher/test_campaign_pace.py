"""A campaign's own pace: its messages are made by it, and never gather to go out at once."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.path.due import due
from dispatcher.path.expand import expand
from shared.db import begin
from shared.domain.campaign import StepStatus
from shared.domain.message import Status
from shared.models import Campaign, CampaignMessage, Message
from tests.factories import make_campaign, make_msisdn
from tests.stages import check_tallies, statuses, step_of
from tests.worlds import HandWorker

NUMBERS = [make_msisdn(number) for number in range(200)]
PER_MINUTE = 24  # two at a time, five seconds apart


async def campaign(worker: HandWorker, msisdns: list[str] = NUMBERS, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        made = await make_campaign(tx, msisdns, now=worker.now(), **({"max_per_minute": PER_MINUTE} | over))
    await due(worker)
    return made


async def pass_time(engine: AsyncEngine, seconds: float) -> None:
    """The database's own clock decides when more may be made; here the moment moves instead."""
    async with begin(engine) as tx:
        earlier = CampaignMessage.next_slice_at - timedelta(seconds=seconds)
        await tx.execute(update(CampaignMessage).values(next_slice_at=earlier))


async def count(engine: AsyncEngine, campaign_id: UUID) -> int:
    async with begin(engine) as tx:
        question = select(func.count()).where(Message.campaign_id == campaign_id)
        return (await tx.execute(question)).scalar_one()


async def test_so_many_at_once_and_the_next_in_their_time(worker: HandWorker, engine: AsyncEngine) -> None:
    campaign_id = await campaign(worker)
    for made in range(1, 6):
        assert [await expand(worker), await expand(worker)] == [2, 0]
        await pass_time(engine, 4)
        assert await expand(worker) == 0
        await pass_time(engine, 1)
        assert await count(engine, campaign_id) == 2 * made
    await check_tallies(engine)


async def test_a_look_that_comes_late_is_made_up_for_but_no_night(worker: HandWorker, engine: AsyncEngine) -> None:
    await campaign(worker)
    await expand(worker)
    await pass_time(engine, 8)  # three too late: the next ones are due two seconds from now
    assert await expand(worker) == 2
    await pass_time(engine, 2.1)
    assert [await expand(worker), await expand(worker)] == [2, 0]
    await pass_time(engine, 3_600)
    assert [await expand(worker), await expand(worker), await expand(worker)] == [2, 2, 0]


async def test_what_is_not_sent_keeps_more_from_being_made(worker: HandWorker, engine: AsyncEngine) -> None:
    """Held, in quiet hours or without a gateway: a minute's worth waits, and no more of it."""
    campaign_id = await campaign(worker)
    for _ in range(40):
        await expand(worker)
        await pass_time(engine, 5)
    assert await count(engine, campaign_id) == PER_MINUTE
    assert await statuses(engine) == {Status.QUEUED: PER_MINUTE}


async def test_others_do_not_wait_for_it(worker: HandWorker, engine: AsyncEngine) -> None:
    slow = await campaign(worker)
    assert await expand(worker) == 2
    quick = await campaign(worker, NUMBERS[:30], max_per_minute=None)
    while await expand(worker):
        pass
    assert (await count(engine, slow), await count(engine, quick)) == (2, 30)


async def test_a_minute_without_a_pace_is_as_it_was(worker: HandWorker, engine: AsyncEngine) -> None:
    """Taken off while it runs, the rest is made at once."""
    campaign_id = await campaign(worker, NUMBERS[:30])
    await expand(worker)
    async with begin(engine) as tx:
        await tx.execute(update(Campaign).values(max_per_minute=None))
    while await expand(worker):
        pass
    step = await step_of(engine, campaign_id)
    assert (step.expanded, step.status, step.next_slice_at) == (30, StepStatus.SENDING, None)


@pytest.mark.parametrize("expired", [True, False])
async def test_what_expires_anyhow_is_not_spread(worker: HandWorker, engine: AsyncEngine, expired: bool) -> None:
    campaign_id = await campaign(worker, NUMBERS[:30])
    await expand(worker)
    async with begin(engine) as tx:
        now: datetime = (await tx.execute(select(func.now()))).scalar_one()
        send_by = now + timedelta(hours=-1 if expired else 1)
        await tx.execute(update(CampaignMessage).values(send_by=send_by))
    while await expand(worker):
        pass
    assert await count(engine, campaign_id) == (30 if expired else 2)
