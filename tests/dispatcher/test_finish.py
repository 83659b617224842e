"""Finish: completed when nothing is open and never otherwise; stopped ones are emptied; call-backs are honoured."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import respx
from sqlalchemy import select, text, update

from dispatcher.path.due import due
from dispatcher.path.expand import expand
from dispatcher.path.finish import cancel_requested, empty_stopped, finish
from dispatcher.queries import campaigns
from shared.db import begin
from shared.domain.campaign import Status, StepStatus
from shared.domain.message import OPEN
from shared.domain.message import Status as MessageStatus
from shared.models import Campaign, CampaignMessage, Message
from tests.conftest import Clock
from tests.dispatcher.answers import at
from tests.factories import make_campaign, make_gateway, make_message, make_msisdn
from tests.stages import check_tallies, execute, expand_all, message_of, pump_all, pump_once, statuses
from tests.worlds import HandClock, HandWorker

NUMBERS = [make_msisdn(number) for number in range(5)]


@pytest.fixture(autouse=True)
async def gateway(worker: HandWorker, router: respx.MockRouter) -> UUID:
    at(router)
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer)


async def begin_campaign(worker: HandWorker, msisdns: list[str] = NUMBERS, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, msisdns, now=worker.now(), **over)
    await due(worker)
    await expand_all(worker)
    return campaign_id


async def campaign_of(worker: HandWorker, campaign_id: UUID) -> Any:
    async with begin(worker.engine) as tx:
        return (await tx.execute(select(Campaign).where(Campaign.id == campaign_id))).one()


async def steps_of(worker: HandWorker) -> list[StepStatus]:
    async with begin(worker.engine) as tx:
        return list((await tx.execute(select(CampaignMessage.status).order_by(CampaignMessage.position))).scalars())


async def stop(worker: HandWorker, campaign_id: UUID) -> None:
    """As its owner does."""
    async with begin(worker.engine) as tx:
        await tx.execute(
            update(Campaign).where(Campaign.id == campaign_id).values(status=Status.STOPPED, stopped_at=worker.now())
        )


async def test_completed_when_the_last_one_is_settled(worker: HandWorker, clock: Clock, by_hand: HandClock) -> None:
    campaign_id = await begin_campaign(worker)
    for _ in NUMBERS:
        assert await finish(worker) == 0
        assert (await campaign_of(worker, campaign_id)).status is Status.RUNNING
        await pump_once(worker, slots=1)
    await by_hand.advance(seconds=3)
    assert await finish(worker) == 1
    campaign = await campaign_of(worker, campaign_id)
    assert (campaign.status, campaign.finished_at) == (Status.COMPLETED, clock.now)
    assert await steps_of(worker) == [StepStatus.COMPLETED]
    assert await finish(worker) == 0


@pytest.mark.parametrize("status", MessageStatus)
async def test_only_open_messages_keep_a_campaign_running(worker: HandWorker, status: MessageStatus) -> None:
    campaign_id = await begin_campaign(worker)
    await pump_all(worker)
    await execute(
        worker.engine,
        "UPDATE messages SET status = :status WHERE id = (SELECT max(id::text)::uuid FROM messages)",
        status=status.value,
    )
    assert await finish(worker) == (0 if status in OPEN else 1)
    assert ((await campaign_of(worker, campaign_id)).status is Status.RUNNING) is (status in OPEN)


async def test_not_while_recipients_have_no_message_yet(worker: HandWorker, another: Any) -> None:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, NUMBERS, now=worker.now())
    slow = another(expand_slice=2)
    assert await finish(worker) == 0
    await due(slow)
    assert await finish(worker) == 0
    await expand(slow)
    await pump_all(worker)
    assert await finish(worker) == 0
    await expand_all(slow)
    await pump_all(worker)
    assert await finish(worker) == 1
    assert (await campaign_of(worker, campaign_id)).status is Status.COMPLETED


async def test_not_while_another_message_of_the_sequence_is_ahead(
    worker: HandWorker, clock: Clock, by_hand: HandClock
) -> None:
    later = clock.now + timedelta(days=1)
    await begin_campaign(worker, texts=["one", "two"], steps=[{}, {"send_at": later}])
    await pump_all(worker)
    assert await finish(worker) == 0
    assert await steps_of(worker) == [StepStatus.COMPLETED, StepStatus.PENDING]
    await by_hand.advance(days=1)
    await due(worker)
    await expand_all(worker)
    await pump_all(worker)
    assert await finish(worker) == 1
    assert await statuses(worker.engine) == {"submitted": 10}
    await check_tallies(worker.engine)


async def test_audience_of_nobody_is_done_at_once(worker: HandWorker) -> None:
    campaign_id = await begin_campaign(worker, [])
    assert await finish(worker) == 1
    assert (await campaign_of(worker, campaign_id)).status is Status.COMPLETED


async def test_stopped_ones_are_found_by_their_index(worker: HandWorker) -> None:
    """Asked every second: it costs what is left to do, however many campaigns were stopped and archived before."""
    async with worker.transaction() as tx:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))  # which a table this small would invite
        plan = "\n".join((await tx.execute(text("EXPLAIN " + campaigns._STOPPED.text))).scalars())
    assert "Index Scan using ix_campaigns_unemptied" in plan
    assert "Sort" not in plan


@pytest.mark.parametrize("status", [Status.STOPPED, Status.HELD])
async def test_no_other_status_is_completed(worker: HandWorker, status: Status) -> None:
    campaign_id = await begin_campaign(worker)
    await pump_all(worker)
    await execute(worker.engine, "UPDATE campaigns SET status = :status", status=status.value)
    assert await finish(worker) == 0
    assert (await campaign_of(worker, campaign_id)).status is status


async def test_stopped_campaign_is_emptied_in_batches(
    worker: HandWorker, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.path.finish.CANCEL_BATCH", 2)
    other = await begin_campaign(worker)
    campaign_id = await begin_campaign(worker, texts=["one", "two"], steps=[{}, {"send_at": clock.now + timedelta(1)}])
    await pump_once(worker, slots=2)  # one of each
    await stop(worker, campaign_id)
    assert [await empty_stopped(worker) for _ in range(4)] == [2, 2, 0, 0]
    campaign = await campaign_of(worker, campaign_id)
    assert (campaign.status, campaign.emptied_at, campaign.finished_at) == (Status.STOPPED, clock.now, clock.now)
    async with begin(worker.engine) as tx:
        rows = await tx.execute(select(CampaignMessage.status).where(CampaignMessage.campaign_id == campaign_id))
        assert set(rows.scalars()) == {StepStatus.CANCELLED}
    assert await statuses(worker.engine) == {"submitted": 2, "cancelled": 4, "queued": 4}
    assert (await campaign_of(worker, other)).status is Status.RUNNING
    await check_tallies(worker.engine)


async def test_not_emptied_while_one_is_on_the_line(worker: HandWorker) -> None:
    campaign_id = await begin_campaign(worker)
    await execute(
        worker.engine, "UPDATE messages SET status = 'sending' WHERE id = (SELECT max(id::text)::uuid FROM messages)"
    )
    await stop(worker, campaign_id)
    assert await empty_stopped(worker) == 4
    assert (await campaign_of(worker, campaign_id)).emptied_at is None
    await execute(worker.engine, "UPDATE messages SET status = 'queued' WHERE status = 'sending'")
    assert await empty_stopped(worker) == 1  # it came back: cancelled, and not forgotten
    assert (await campaign_of(worker, campaign_id)).emptied_at == worker.now()


async def test_one_on_the_line_holds_up_no_other_campaign(worker: HandWorker, by_hand: HandClock) -> None:
    waiting = await begin_campaign(worker)
    await execute(
        worker.engine, "UPDATE messages SET status = 'sending' WHERE id = (SELECT max(id::text)::uuid FROM messages)"
    )
    later = await begin_campaign(worker)
    await stop(worker, waiting)
    await by_hand.advance(seconds=1)
    await stop(worker, later)
    assert [await empty_stopped(worker) for _ in range(3)] == [4, 5, 0]
    assert (await campaign_of(worker, waiting)).emptied_at is None
    assert (await campaign_of(worker, later)).emptied_at == worker.now()


async def test_stopped_before_it_was_frozen(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, NUMBERS, now=worker.now())
    await stop(worker, campaign_id)
    assert await due(worker) == 0
    assert await empty_stopped(worker) == 0
    assert (await campaign_of(worker, campaign_id)).emptied_at is not None
    assert await steps_of(worker) == [StepStatus.CANCELLED]


async def test_single_message_called_back(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        gone = await make_message(tx, worker.pepper, now=worker.now(), cancel_requested_at=worker.now())
        kept = await make_message(tx, worker.pepper, now=worker.now())
        on_its_way = await make_message(
            tx, worker.pepper, now=worker.now(), cancel_requested_at=worker.now(), status=MessageStatus.SENDING
        )
    await cancel_requested(worker)
    found = [(await message_of(worker.engine, one)).status for one in (gone, kept, on_its_way)]
    assert found == [MessageStatus.CANCELLED, MessageStatus.QUEUED, MessageStatus.SENDING]


async def test_campaigns_message_called_back(worker: HandWorker) -> None:
    await begin_campaign(worker)
    async with begin(worker.engine) as tx:
        first = (await tx.execute(select(Message.id).limit(1))).scalar_one()
        await tx.execute(update(Message).where(Message.id == first).values(cancel_requested_at=worker.now()))
    await cancel_requested(worker)
    assert await statuses(worker.engine) == {"queued": 4, "cancelled": 1}
    await check_tallies(worker.engine)
