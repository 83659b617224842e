"""What the pump claims: in which order, of whom, and what is not sent any more when its turn comes."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import select, text, update

from dispatcher.path.finish import empty_stopped
from dispatcher.queries import claims
from dispatcher.queries.tallies import write_tallies
from shared.db import begin
from shared.domain.campaign import Status as CampaignStatus
from shared.domain.message import Kind, SkipReason, Status
from shared.models import Campaign, Message
from tests.conftest import Clock
from tests.dispatcher.answers import at, numbers_of, taken
from tests.dispatcher.queued import NUMBERS, queue_campaign, queue_one, statuses_of
from tests.factories import make_opt_out
from tests.stages import attempts_of, check_tallies, message_of, pump_all, pump_once, statuses
from tests.worlds import HandClock, HandWorker

# --- what is taken


async def test_accepted_message(worker: HandWorker, router: respx.MockRouter, first: UUID, clock: Clock) -> None:
    route = at(router)
    message_id = await queue_one(worker)
    assert await pump_once(worker, "urgent") == 1
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt, row.gateway_id) == (Status.SUBMITTED, 1, first)
    assert (row.lease_until, row.leased_by, row.status_at) == (None, None, clock.now)
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.http_status, attempt.segments) == ("accepted", 201, 1)
    assert attempt.reference.startswith("SM")
    assert (attempt.dispatcher, attempt.started_at, attempt.finished_at) == (worker.name, clock.now, clock.now)
    assert attempt.exchange is None  # nothing to explain
    assert route.call_count == 1


async def test_every_recipient_once(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    route = at(router)
    await queue_campaign(worker)
    assert await pump_all(worker) == 20
    assert sorted(numbers_of(route)) == NUMBERS
    assert await statuses(worker.engine) == {"submitted": 20}
    await check_tallies(worker.engine)


async def test_lanes_keep_to_themselves(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    at(router)
    await queue_campaign(worker, NUMBERS[:1])
    message_id = await queue_one(worker, msisdn=NUMBERS[1])
    assert await pump_all(worker, "urgent") == 1
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED
    assert await pump_all(worker, "bulk") == 1


async def test_not_before_its_time(
    worker: HandWorker, router: respx.MockRouter, first: UUID, clock: Clock, by_hand: HandClock
) -> None:
    at(router)
    await queue_one(worker, not_before=clock.now + timedelta(seconds=10))
    assert await pump_once(worker, "urgent") == 0
    await by_hand.advance(seconds=10)
    assert await pump_once(worker, "urgent") == 1


async def test_passwords_before_persons_before_those_who_came_earlier(
    worker: HandWorker, router: respx.MockRouter, first: UUID, clock: Clock
) -> None:
    route = at(router)
    old, new = clock.now - timedelta(minutes=5), clock.now - timedelta(minutes=1)
    wanted = [
        await queue_one(worker, msisdn=NUMBERS[0], kind=Kind.OTP, not_before=new),
        await queue_one(worker, msisdn=NUMBERS[1], kind=Kind.PERSONAL, not_before=old),
        await queue_one(worker, msisdn=NUMBERS[2], kind=Kind.VOUCHER, not_before=new),
    ]
    for _ in wanted:
        assert await pump_once(worker, "urgent", slots=1) == 1
    assert numbers_of(route) == NUMBERS[:3]


async def test_campaign_goes_out_in_the_order_of_its_times(
    worker: HandWorker, router: respx.MockRouter, first: UUID, clock: Clock
) -> None:
    """What waits longest goes first, and of the same moment what was made first, wherever the rows lie."""
    route = at(router)
    campaign_id = await queue_campaign(worker, NUMBERS[:6])
    last, *pair, second, fourth, oldest = NUMBERS[:6]
    minutes = {oldest: 5, second: 4, fourth: 2, last: 1} | dict.fromkeys(pair, 3)
    async with begin(worker.engine) as tx:
        for msisdn in sorted(minutes, key=minutes.__getitem__):
            moved = update(Message).where(Message.campaign_id == campaign_id, Message.msisdn == msisdn)
            await tx.execute(moved.values(not_before=clock.now - timedelta(minutes=minutes[msisdn])))
        made = (await tx.execute(select(Message.msisdn).where(Message.msisdn.in_(pair)).order_by(Message.id))).scalars()
    wanted = [oldest, second, *made, fourth, last]
    for _ in wanted:
        assert await pump_once(worker, slots=1) == 1
    assert numbers_of(route) == wanted


async def test_two_pumps_at_once_take_no_message_twice(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID
) -> None:
    route = at(router)
    await queue_campaign(worker)
    for number in NUMBERS:
        await queue_one(worker, msisdn=number)
    workers = [worker, another(), another()]
    await asyncio.gather(*(pump_all(one, lane) for one in workers for lane in ("urgent", "bulk")))
    assert sorted(numbers_of(route)) == sorted(NUMBERS * 2)
    assert await statuses(worker.engine) == {"submitted": 40}
    await check_tallies(worker.engine)


async def test_equal_shares_for_unequal_campaigns(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    route = at(router)
    large = await queue_campaign(worker, NUMBERS[:15])
    small = await queue_campaign(worker, NUMBERS[15:])
    assert await pump_once(worker, slots=8) == 8
    assert len(set(numbers_of(route)) & set(NUMBERS[15:])) == 4
    assert await pump_once(worker, slots=8) in {5, 8}  # the small one has a single message left
    await pump_all(worker)
    assert await statuses_of(worker.engine, large) == {Status.SUBMITTED}
    assert await statuses_of(worker.engine, small) == {Status.SUBMITTED}


async def test_campaign_with_nothing_due_takes_no_share(
    worker: HandWorker, router: respx.MockRouter, first: UUID, clock: Clock
) -> None:
    at(router)
    waiting = await queue_campaign(worker, NUMBERS[:2])
    async with begin(worker.engine) as tx:
        later = clock.now + timedelta(minutes=1)
        await tx.execute(update(Message).where(Message.campaign_id == waiting).values(not_before=later))
    await queue_campaign(worker, NUMBERS[2:])
    assert await pump_once(worker, slots=8) == 8


async def test_more_campaigns_than_slots_all_have_their_turn(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    at(router)
    campaigns = [await queue_campaign(worker, NUMBERS[:10]) for _ in range(4)]
    for _ in range(20):
        await pump_once(worker, slots=1)
    reached = [await statuses_of(worker.engine, one) for one in campaigns]
    # one of four left out in twenty draws: once in eighty times; the same one always first: never
    assert sum(Status.SUBMITTED in found for found in reached) >= 3


# --- what is not sent any more


async def test_opted_out_since_it_was_made(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    route = at(router)
    await queue_campaign(worker, NUMBERS[:3])
    message_id = await queue_one(worker, msisdn=NUMBERS[1])
    password_id = await queue_one(worker, msisdn=NUMBERS[1], kind=Kind.OTP)
    async with begin(worker.engine) as tx:
        await make_opt_out(tx, worker.pepper, NUMBERS[1])
    await pump_all(worker)
    await pump_all(worker, "urgent")
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.skip_reason, row.attempt) == (Status.SKIPPED, SkipReason.OPTED_OUT, 0)
    assert await attempts_of(worker.engine, message_id) == []
    # who asked for a password gets it
    assert (await message_of(worker.engine, password_id)).status is Status.SUBMITTED
    assert sorted(numbers_of(route)) == [NUMBERS[0], NUMBERS[1], NUMBERS[2]]
    assert await statuses(worker.engine) == {"submitted": 3, "skipped": 2}
    await check_tallies(worker.engine)


async def test_expired(worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock) -> None:
    route = at(router)
    until = worker.now() + timedelta(minutes=1)
    await queue_campaign(worker, NUMBERS[:3], steps=[{"send_by": until}])
    message_id = await queue_one(worker, expires_at=until)
    await by_hand.advance(minutes=1)
    await pump_all(worker)
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.EXPIRED
    assert await statuses(worker.engine) == {"expired": 4}
    assert not route.called
    await check_tallies(worker.engine)


async def test_gateway_is_told_how_long_it_has(
    worker: HandWorker, router: respx.MockRouter, first: UUID, clock: Clock
) -> None:
    route = at(router)
    await queue_one(worker, expires_at=clock.now + timedelta(seconds=90))
    await pump_once(worker, "urgent")
    assert b"ValidityPeriod=90" in route.calls.last.request.content


async def test_call_back_before_the_claim(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    route = at(router)
    message_id = await queue_one(worker, cancel_requested_at=worker.now())
    assert await pump_once(worker, "urgent") == 1
    assert (await message_of(worker.engine, message_id)).status is Status.CANCELLED
    assert not route.called


@pytest.mark.parametrize("status", [CampaignStatus.STOPPED, CampaignStatus.HELD])
async def test_nothing_is_claimed_of_a_campaign_that_does_not_run(
    worker: HandWorker, router: respx.MockRouter, first: UUID, status: CampaignStatus
) -> None:
    route = at(router)
    campaign_id = await queue_campaign(worker)
    await pump_once(worker, slots=5)
    async with begin(worker.engine) as tx:
        await tx.execute(
            update(Campaign).where(Campaign.id == campaign_id).values(status=status, stopped_at=worker.now())
        )
    assert await pump_all(worker) == 0
    assert route.call_count == 5
    await check_tallies(worker.engine)


async def test_stop_while_messages_are_on_the_line(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    """What is on the line is not called back; what is not, is. The end adds up."""
    campaign_id = await queue_campaign(worker)

    async def stop_meanwhile(request: httpx.Request) -> httpx.Response:
        async with begin(worker.engine) as tx:
            await tx.execute(
                update(Campaign)
                .where(Campaign.id == campaign_id)
                .values(status=CampaignStatus.STOPPED, stopped_at=worker.now())
            )
        await empty_stopped(worker)
        return taken(request)

    at(router, answer=stop_meanwhile)
    assert await pump_once(worker, slots=5) == 5
    assert await statuses(worker.engine) == {"submitted": 5, "cancelled": 15}
    await empty_stopped(worker)
    async with begin(worker.engine) as tx:
        campaign = (await tx.execute(select(Campaign))).one()
    assert campaign.emptied_at == worker.now()
    await check_tallies(worker.engine)


# --- the row as it is locked


async def test_call_back_while_the_claim_is_under_way(worker: HandWorker, first: UUID) -> None:
    """A call-back that commits between the claim's snapshot and its lock is honoured, not overlooked."""
    message_id = await queue_one(worker)
    async with worker.engine.connect() as tx:
        await tx.execution_options(isolation_level="READ COMMITTED")
        statement = claims._URGENT.text.replace(
            "ORDER BY m.not_before", "AND pg_sleep(0.4) IS NOT NULL ORDER BY m.not_before"
        )
        claim = asyncio.create_task(
            _rows(tx, text(statement), {"slots": 1, "others": 1, "lease": 30.0, "dispatcher": worker.name})
        )
        await asyncio.sleep(0.1)
        async with begin(worker.engine) as owner:
            await owner.execute(
                update(Message).where(Message.id == message_id).values(cancel_requested_at=worker.now())
            )
        rows = await claim
        await tx.commit()
    assert [row[0] for row in rows] == ["cancelled"]
    assert (await message_of(worker.engine, message_id)).status is Status.CANCELLED


async def _rows(tx: Any, statement: Any, values: dict[str, Any]) -> list[Any]:
    return list((await tx.execute(statement, values)).all())


async def test_claim_and_its_tallies_are_one(worker: HandWorker, first: UUID) -> None:
    await queue_campaign(worker)
    async with worker.transaction() as tx:
        found = await claims.claim(tx, lane="bulk", slots=5, lease=30.0, dispatcher=worker.name)
        await write_tallies(tx, found.moves, writer=1)
    assert found.rows == len(found.claimed) == 5
    await check_tallies(worker.engine)
    assert NUMBERS[0] not in repr(found.claimed)
