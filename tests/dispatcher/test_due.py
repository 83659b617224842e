"""Due: what has come runs, the audience is frozen once and for all, and its messages begin."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.path.due import due
from shared.db import begin
from shared.domain.campaign import Status, StepStatus
from shared.ids import uuid7
from shared.models import Campaign, CampaignMessage, CampaignRecipient, CampaignTarget
from tests.conftest import Clock
from tests.factories import make_campaign, make_contact, make_msisdn, make_target_group
from tests.stages import execute, step_of
from tests.worlds import HandClock, HandWorker

NUMBERS = [make_msisdn(number) for number in range(5)]


async def rows_of(engine: AsyncEngine, campaign_id: Any) -> tuple[Any, list[Any]]:
    async with begin(engine) as tx:
        campaign = (await tx.execute(select(Campaign).where(Campaign.id == campaign_id))).one()
        question = select(CampaignRecipient).where(CampaignRecipient.campaign_id == campaign_id)
        recipients = (await tx.execute(question.order_by(CampaignRecipient.position))).all()
    return campaign, list(recipients)


async def test_running_campaign_is_frozen_and_begins(worker: HandWorker, clock: Clock) -> None:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, NUMBERS, now=clock.now)
    assert await due(worker) == 1
    campaign, recipients = await rows_of(worker.engine, campaign_id)
    assert campaign.recipients == 5
    assert campaign.frozen_at == campaign.started_at == clock.now
    assert [(one.position, one.msisdn) for one in recipients] == list(enumerate(NUMBERS, start=1))
    step = await step_of(worker.engine, campaign_id)
    assert step.status is StepStatus.EXPANDING
    assert step.expanding_at == clock.now
    assert worker.bells["expand"].is_set()


async def test_second_turn_changes_nothing(worker: HandWorker, clock: Clock) -> None:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, NUMBERS, now=clock.now)
    await due(worker)
    before = await rows_of(worker.engine, campaign_id)
    assert await due(worker) == 0
    assert await rows_of(worker.engine, campaign_id) == before


async def test_scheduled_campaign_runs_when_its_time_has_come(
    worker: HandWorker, clock: Clock, by_hand: HandClock
) -> None:
    at = clock.now + timedelta(minutes=10)
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(
            tx, NUMBERS, now=clock.now, status=Status.SCHEDULED, starts_at=at, steps=[{"send_at": at}]
        )
    await by_hand.advance(minutes=9, seconds=59)
    assert await due(worker) == 0
    assert (await rows_of(worker.engine, campaign_id))[0].status is Status.SCHEDULED
    await by_hand.advance(seconds=1)
    assert await due(worker) == 1
    campaign, recipients = await rows_of(worker.engine, campaign_id)
    assert (campaign.status, campaign.started_at) == (Status.RUNNING, at)
    assert len(recipients) == 5


async def test_nobody_vouches_so_nothing_runs(worker: HandWorker, clock: Clock) -> None:
    async with worker.transaction() as tx:
        over: dict[str, Any] = {"status": Status.SCHEDULED, "starts_at": clock.now, "opt_in_acknowledged_at": None}
        campaign_id = await make_campaign(tx, NUMBERS, now=clock.now, **over)
    assert await due(worker) == 0
    assert (await rows_of(worker.engine, campaign_id))[0].status is Status.SCHEDULED


async def test_later_message_waits_for_its_own_time(worker: HandWorker, clock: Clock, by_hand: HandClock) -> None:
    later = clock.now + timedelta(days=1)
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(
            tx, NUMBERS, now=clock.now, texts=["one", "two"], steps=[{}, {"send_at": later}]
        )
    assert await due(worker) == 1
    await by_hand.advance(days=1)
    assert await due(worker) == 1
    async with begin(worker.engine) as tx:
        rows = await tx.execute(select(CampaignMessage.status).where(CampaignMessage.campaign_id == campaign_id))
        assert set(rows.scalars()) == {StepStatus.EXPANDING}


@pytest.mark.parametrize("status", [Status.DRAFT, Status.STOPPED, Status.HELD, Status.COMPLETED, Status.ARCHIVED])
async def test_nothing_else_begins(worker: HandWorker, clock: Clock, status: Status) -> None:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(
            tx, NUMBERS, now=clock.now, status=status, starts_at=clock.now - timedelta(hours=1)
        )
    assert await due(worker) == 0
    campaign, recipients = await rows_of(worker.engine, campaign_id)
    assert (campaign.status, campaign.frozen_at, recipients) == (status, None, [])


async def test_each_number_once_however_often_it_is_named(worker: HandWorker, clock: Clock) -> None:
    """In a group, named alone and as a loose number: one recipient, known by its contact."""
    async with worker.transaction() as tx:
        anna = await make_contact(tx, msisdn=NUMBERS[0], name="Anna")
        bob = await make_contact(tx, msisdn=NUMBERS[1], name="Bob")
        groups = [await make_target_group(tx, anna, bob), await make_target_group(tx, anna)]
        campaign_id = await make_campaign(tx, [NUMBERS[0], NUMBERS[2], NUMBERS[2]], now=clock.now)
    for group_id in groups:
        await execute(
            worker.engine,
            "INSERT INTO campaign_targets (id, campaign_id, target_group_id)"
            " VALUES (gen_random_uuid(), :campaign_id, :group_id)",
            campaign_id=campaign_id,
            group_id=group_id,
        )
    await execute(
        worker.engine,
        "INSERT INTO campaign_targets (id, campaign_id, contact_id)"
        " VALUES (gen_random_uuid(), :campaign_id, :contact_id)",
        campaign_id=campaign_id,
        contact_id=anna,
    )
    await due(worker)
    _, recipients = await rows_of(worker.engine, campaign_id)
    assert {(one.msisdn, one.contact_id) for one in recipients} == {
        (NUMBERS[0], anna),
        (NUMBERS[1], bob),
        (NUMBERS[2], None),
    }
    assert [one.position for one in recipients] == [1, 2, 3]


async def test_audience_stays_as_it_was_frozen(worker: HandWorker, clock: Clock) -> None:
    async with worker.transaction() as tx:
        group_id = await make_target_group(tx, await make_contact(tx, msisdn=NUMBERS[0]))
        campaign_id = await make_campaign(tx, [], now=clock.now)
    await execute(
        worker.engine,
        "INSERT INTO campaign_targets (id, campaign_id, target_group_id)"
        " VALUES (gen_random_uuid(), :campaign_id, :group_id)",
        campaign_id=campaign_id,
        group_id=group_id,
    )
    await due(worker)
    async with worker.transaction() as tx:
        newcomer = await make_contact(tx, msisdn=NUMBERS[1])
    await execute(
        worker.engine,
        "INSERT INTO target_group_members (target_group_id, contact_id, added_at) VALUES (:group_id, :newcomer, now())",
        group_id=group_id,
        newcomer=newcomer,
    )
    await due(worker)
    campaign, recipients = await rows_of(worker.engine, campaign_id)
    assert campaign.recipients == len(recipients) == 1


async def test_conditions_are_asked_when_the_audience_is_frozen(
    worker: HandWorker, clock: Clock, by_hand: HandClock
) -> None:
    """By whom they hold then, relative dates counted from then; a number of several sorts of target comes once."""
    at = clock.now + timedelta(days=2)
    recent = {"field": "created_at", "op": "after", "value": "-30d", "type": "moment"}
    delft = {"field": "fields.city", "op": "equals", "value": "Delft", "type": "text"}
    async with worker.transaction() as tx:
        conditions = {"and": [recent, {"not": {"not": delft}}]}
        group = await make_target_group(tx, kind="dynamic", conditions=conditions)
        ages = {0: 0, 1: 29, 2: 10, 3: 40}
        contacts = {
            number: await make_contact(
                tx,
                msisdn=NUMBERS[number],
                fields={"city": "Leiden" if number == 2 else "Delft"},
                created_at=clock.now - timedelta(days=days),
            )
            for number, days in ages.items()
        }
        over: dict[str, Any] = {"status": Status.SCHEDULED, "starts_at": at, "steps": [{"send_at": at}]}
        campaign_id = await make_campaign(tx, [NUMBERS[0], NUMBERS[4]], now=clock.now, **over)
        for target in ({"target_group_id": group}, {"contact_id": contacts[0]}):
            await tx.execute(insert(CampaignTarget).values(id=uuid7(), campaign_id=campaign_id, **target))
    await by_hand.advance(days=2)
    await execute(worker.engine, 'UPDATE contacts SET fields = \'{"city": "Delft"}\' WHERE msisdn = :n', n=NUMBERS[2])
    await due(worker)
    campaign, recipients = await rows_of(worker.engine, campaign_id)
    assert campaign.recipients == 3  # the contact 1 is of 31 days ago by now
    assert {(one.msisdn, one.contact_id) for one in recipients} == {
        (NUMBERS[0], contacts[0]),
        (NUMBERS[2], contacts[2]),
        (NUMBERS[4], None),
    }
    assert [one.position for one in recipients] == [1, 2, 3]
    await execute(worker.engine, "UPDATE contacts SET fields = '{}'")
    await due(worker)
    assert (await rows_of(worker.engine, campaign_id))[1] == recipients


async def test_nobody_left_to_reach_is_an_audience_too(worker: HandWorker, clock: Clock) -> None:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, [], now=clock.now)
    assert await due(worker) == 1
    assert (await rows_of(worker.engine, campaign_id))[0].recipients == 0


async def test_two_dispatchers_at_once_freeze_once(worker: HandWorker, another: Any, clock: Clock) -> None:
    async with worker.transaction() as tx:
        campaigns = [await make_campaign(tx, NUMBERS, now=clock.now) for _ in range(4)]
    begun = await asyncio.gather(due(worker), due(another()), due(another()))
    assert sum(begun) + await due(worker) == 4
    for campaign_id in campaigns:
        campaign, recipients = await rows_of(worker.engine, campaign_id)
        assert campaign.recipients == len(recipients) == 5


async def test_campaign_that_nobody_vouches_for_does_not_start(worker: HandWorker) -> None:
    """The api refuses such a change; were it made all the same, nothing would go out."""
    async with worker.transaction() as tx:
        await make_campaign(
            tx, [make_msisdn(1)], now=worker.now(), status=Status.SCHEDULED, opt_in_acknowledged_at=None
        )
    assert await due(worker) == 0
    async with begin(worker.engine) as tx:
        assert (await tx.execute(select(Campaign.status))).scalar_one() is Status.SCHEDULED
