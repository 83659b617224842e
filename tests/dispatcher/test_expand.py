"""Expand: a message for each recipient, in slices, once, however often it is killed."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.path.due import due
from dispatcher.path.expand import TOO_LONG, expand
from dispatcher.path.finish import empty_stopped
from shared.db import begin
from shared.domain.campaign import Status as CampaignStatus
from shared.domain.campaign import StepStatus
from shared.domain.message import Kind, Status
from shared.ids import time_of
from shared.models import Campaign, CampaignMessage, Message
from shared.sealing import hash_msisdn
from tests.conftest import Clock
from tests.factories import make_campaign, make_contact, make_msisdn
from tests.stages import check_tallies, expand_all, msisdn_counts, statuses, step_of
from tests.worlds import HandClock, HandWorker

NUMBERS = [make_msisdn(number) for number in range(25)]


async def messages(engine: AsyncEngine) -> list[Any]:
    async with begin(engine) as tx:
        return list((await tx.execute(select(Message).order_by(Message.id))).all())


async def begin_campaign(worker: HandWorker, msisdns: list[str] = NUMBERS, **over: Any) -> Any:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, msisdns, now=worker.now(), **over)
    await due(worker)
    return campaign_id


async def test_slices_move_the_cursor(worker: HandWorker) -> None:
    campaign_id = await begin_campaign(worker)
    made = []
    for cursor, status in ((10, StepStatus.EXPANDING), (20, StepStatus.EXPANDING), (25, StepStatus.SENDING)):
        made.append(await expand(worker))
        step = await step_of(worker.engine, campaign_id)
        assert (step.expanded, step.status) == (cursor, status)
        await check_tallies(worker.engine)
    assert made == [10, 10, 5]
    assert await expand(worker) == 0
    assert worker.bells["bulk"].is_set()


async def test_row_holds_what_the_claim_and_the_report_need(
    worker: HandWorker, clock: Clock, by_hand: HandClock
) -> None:
    async with worker.transaction() as tx:
        contact_id = await make_contact(tx, msisdn=NUMBERS[0], name="Anna", location_id="harbour", fields={"table": 7})
    send_by = clock.now + timedelta(hours=2)
    campaign_id = await begin_campaign(
        worker,
        [NUMBERS[0]],
        texts=["Hi {{ name }}, table {{ fields.table }}."],
        steps=[{"send_by": send_by}],
        sender_id="LAPWING",
        created_by="someone",
    )
    began = clock.now
    await by_hand.advance(seconds=5)
    await expand(worker)
    step = await step_of(worker.engine, campaign_id)
    (row,) = await messages(worker.engine)
    assert row.text == "Hi Anna, table 7."
    assert (row.kind, row.status, row.priority, row.attempt) == (Kind.CAMPAIGN, Status.QUEUED, 2, 0)
    assert (row.campaign_id, row.campaign_message_id) == (campaign_id, step.id)
    assert (row.contact_id, row.location_id, row.sender_id) == (contact_id, "harbour", "LAPWING")
    assert (row.not_before, row.expires_at, row.created_by) == (began, send_by, "someone")
    assert row.msisdn_hash == hash_msisdn(worker.pepper, NUMBERS[0])
    assert (row.encoding, row.segments) == ("gsm7", 1)
    assert time_of(row.id) == began  # and not when it was made: the id is derived


async def test_ids_sort_in_the_order_of_the_audience(worker: HandWorker) -> None:
    await begin_campaign(worker)
    await expand_all(worker)
    assert [row.msisdn for row in await messages(worker.engine)] == NUMBERS


class PowerCut(BaseException):
    """The process is gone; nothing after this line runs."""


@pytest.mark.parametrize("at", ["before_expand_commit", "after_expand_commit"])
@pytest.mark.parametrize("slice_", [1, 2, 3])
async def test_killed_and_resumed_without_doubles(
    worker: HandWorker, monkeypatch: pytest.MonkeyPatch, at: str, slice_: int
) -> None:
    campaign_id = await begin_campaign(worker)
    passed = 0

    def die(name: str) -> None:
        nonlocal passed
        passed += name == at
        if name == at and passed == slice_:
            raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr("dispatcher.failpoints.hit", die)
        await expand_all(worker)
    before = {row.id for row in await messages(worker.engine)}
    assert len(before) == min(25, 10 * (slice_ - (at == "before_expand_commit")))
    await check_tallies(worker.engine)
    await expand_all(worker)
    after = {row.id for row in await messages(worker.engine)}
    assert before <= after
    assert set((await msisdn_counts(worker.engine)).values()) == {1}
    assert len(after) == 25
    assert (await step_of(worker.engine, campaign_id)).status is StepStatus.SENDING
    await check_tallies(worker.engine)


async def test_slice_made_twice_meets_itself(worker: HandWorker) -> None:
    """Were the cursor lost, the ids would not be: the second slice is refused by the first one's rows."""
    campaign_id = await begin_campaign(worker)
    await expand(worker)
    async with begin(worker.engine) as tx:
        await tx.execute(update(CampaignMessage).where(CampaignMessage.campaign_id == campaign_id).values(expanded=0))
    with pytest.raises(Exception, match="duplicate key"):
        await expand(worker)
    assert await statuses(worker.engine) == {"queued": 10}
    await check_tallies(worker.engine)


async def test_two_dispatchers_share_the_work(worker: HandWorker, another: Any) -> None:
    for _ in range(3):
        await begin_campaign(worker)
    await asyncio.gather(expand_all(worker), expand_all(another()), expand_all(another()))
    await expand_all(worker)
    counts = await msisdn_counts(worker.engine)
    assert len(counts) == 75
    assert set(counts.values()) == {1}
    await check_tallies(worker.engine)


async def test_text_that_grew_too_long_fails_one_message_only(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        await make_contact(tx, msisdn=NUMBERS[3], name="N" * 1700)
    await begin_campaign(worker, texts=['Hi {{ name | default("you") }}!'])
    await expand_all(worker)
    failed = [row for row in await messages(worker.engine) if row.status is Status.FAILED]
    assert [(row.msisdn, row.failure) for row in failed] == [(NUMBERS[3], TOO_LONG)]
    assert await statuses(worker.engine) == {"failed": 1, "queued": 24}
    await check_tallies(worker.engine)


async def test_text_with_nothing_in_it_is_not_sent(worker: HandWorker) -> None:
    """A tag alone whose default is nothing: no gateway takes an empty text."""
    async with worker.transaction() as tx:
        await make_contact(tx, msisdn=NUMBERS[0], name="Anna")
    text = '{{ name | default("") }}'
    await begin_campaign(worker, NUMBERS[:2], texts=[text])
    await expand_all(worker)
    assert [(row.text, row.status, row.failure) for row in await messages(worker.engine)] == [
        ("Anna", Status.QUEUED, None),
        (text, Status.FAILED, "text_empty"),
    ]
    await check_tallies(worker.engine)


async def test_text_with_a_hole_is_not_sent(worker: HandWorker) -> None:
    """Nobody lacked a value when the campaign was started; somebody who does by now is not written to."""
    async with worker.transaction() as tx:
        await make_contact(tx, msisdn=NUMBERS[0], name="Anna")
    await begin_campaign(worker, NUMBERS[:2], texts=["Hi {{ name }}!"])
    await expand_all(worker)
    assert [(row.text, row.status, row.failure) for row in await messages(worker.engine)] == [
        ("Hi Anna!", Status.QUEUED, None),
        ("Hi {{ name }}!", Status.FAILED, "tag_missing"),
    ]
    await check_tallies(worker.engine)


async def test_pauses_while_the_queue_is_deep(worker: HandWorker, another: Any) -> None:
    await begin_campaign(worker)
    shallow = another(backlog=10)
    assert await expand(shallow) == 10
    assert await expand(shallow) == 0  # ten wait already
    assert await expand(worker) == 10  # whose backlog may be deeper


async def test_small_campaign_does_not_wait_for_a_large_one(worker: HandWorker) -> None:
    await begin_campaign(worker)
    await expand(worker)
    small = await begin_campaign(worker, NUMBERS[:3])
    await expand(worker)
    assert (await step_of(worker.engine, small)).status is StepStatus.SENDING


@pytest.mark.parametrize("status", [CampaignStatus.STOPPED, CampaignStatus.HELD])
async def test_rests_while_its_campaign_does(worker: HandWorker, status: CampaignStatus) -> None:
    campaign_id = await begin_campaign(worker)
    await expand(worker)
    async with begin(worker.engine) as tx:
        await tx.execute(update(Campaign).where(Campaign.id == campaign_id).values(status=status))
    assert await expand(worker) == 0
    assert (await step_of(worker.engine, campaign_id)).expanded == 10


async def test_stop_in_the_middle_cancels_what_was_made_and_the_rest(worker: HandWorker, clock: Clock) -> None:
    campaign_id = await begin_campaign(worker)
    await expand(worker)
    async with begin(worker.engine) as tx:
        await tx.execute(
            update(Campaign)
            .where(Campaign.id == campaign_id)
            .values(status=CampaignStatus.STOPPED, stopped_at=clock.now)
        )
    assert await empty_stopped(worker) == 10
    assert await expand(worker) == 0
    assert await statuses(worker.engine) == {"cancelled": 10}
    await check_tallies(worker.engine)


async def test_empty_audience_is_expanded_at_once(worker: HandWorker) -> None:
    campaign_id = await begin_campaign(worker, [])
    assert await expand(worker) == 0
    assert (await step_of(worker.engine, campaign_id)).status is StepStatus.SENDING
