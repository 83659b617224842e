"""Pump: claim what may be sent, hand it over once, settle it; and nothing of it twice, whoever dies in between."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.messages.queries import forbid_return
from dispatcher.choice import Choice, choose
from dispatcher.due import due
from dispatcher.finish import empty_stopped, finish
from dispatcher.handover import parcels
from dispatcher.pump import Pump
from dispatcher.queries import claims, settlements
from dispatcher.queries.settlements import Settled
from dispatcher.queries.tallies import write_tallies
from dispatcher.rescue import rescue
from shared.db import begin
from shared.domain.campaign import Status as CampaignStatus
from shared.domain.message import Kind, SkipReason, Status
from shared.models import Campaign, Gateway, Message, OptOut
from tests.conftest import Clock
from tests.dispatcher.answers import (
    ACCOUNT,
    GATEWAY,
    MESSAGE,
    OPTED_OUT,
    THROTTLED,
    at,
    in_turn,
    numbers_of,
    refused,
    taken,
)
from tests.factories import make_campaign, make_gateway, make_message, make_msisdn, make_opt_out, make_sender_id
from tests.stages import attempts_of, check_tallies, expand_all, message_of, pump_all, pump_once, send_all, statuses
from tests.worlds import HandClock, HandWorker

NUMBERS = [make_msisdn(number) for number in range(20)]
FEW = 5  # attempts, where the law would have more of the same
DOWN = httpx.ConnectError("refused")
SILENT = httpx.ReadTimeout("nothing came")


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


# --- refusals, and who is asked next


@pytest.mark.parametrize(
    ("answer", "status", "failure"),
    [
        pytest.param(refused(MESSAGE), Status.FAILED, str(MESSAGE), id="the message's fault"),
        pytest.param(refused(OPTED_OUT), Status.FAILED, str(OPTED_OUT), id="opted out at the gateway"),
        pytest.param(httpx.Response(201, text="<html>"), Status.UNCONFIRMED, None, id="taken, unreadable"),
        pytest.param(httpx.Response(500), Status.UNCONFIRMED, None, id="5xx"),
        pytest.param(httpx.Response(302), Status.UNCONFIRMED, None, id="redirect"),
    ],
)
async def test_final_answers_are_not_asked_of_the_second_gateway(
    worker: HandWorker,
    router: respx.MockRouter,
    second: UUID,
    answer: httpx.Response,
    status: Status,
    failure: str | None,
) -> None:
    at(router, answer=answer)
    other = at(router, "second")
    await queue_campaign(worker, NUMBERS[:1])
    await pump_all(worker)
    async with begin(worker.engine) as tx:
        row = (await tx.execute(select(Message))).one()
    assert (row.status, row.failure, row.attempt) == (status, failure, 1)
    assert not other.called
    (attempt,) = await attempts_of(worker.engine, row.id)
    assert attempt.exchange["answer"]["status"] == answer.status_code
    assert (attempt.lookup_at is not None) == (status is Status.UNCONFIRMED)
    await check_tallies(worker.engine)


async def test_refused_by_both_gateways_is_final(
    worker: HandWorker, router: respx.MockRouter, second: UUID, by_hand: HandClock
) -> None:
    first_route = at(router, answer=refused(GATEWAY))
    second_route = at(router, "second", answer=refused(GATEWAY))
    message_id = await queue_one(worker)
    for _ in range(3):
        await pump_all(worker, "urgent")
        await by_hand.advance(hours=1)
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.failure, row.attempt) == (Status.FAILED, str(GATEWAY), 2)
    assert (first_route.call_count, second_route.call_count) == (1, 1)


async def test_who_refused_is_not_asked_again_while_the_other_is_busy(
    worker: HandWorker, router: respx.MockRouter, second: UUID, by_hand: HandClock
) -> None:
    first_route = at(router, answer=refused(GATEWAY))
    busy = httpx.Response(429, json={"code": 20429})
    answers = iter([busy, busy, None])
    second_route = at(router, "second", answer=lambda request: next(answers) or taken(request))
    message_id = await queue_one(worker)
    for _ in range(4):
        await pump_all(worker, "urgent")
        await by_hand.advance(hours=1)
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED
    assert (first_route.call_count, second_route.call_count) == (1, 3)


async def test_silence_is_unconfirmed_and_never_sent_again(
    worker: HandWorker, router: respx.MockRouter, second: UUID, by_hand: HandClock
) -> None:
    at(router, answer=SILENT)
    other = at(router, "second")
    await queue_campaign(worker, NUMBERS[:2])
    message_id = await queue_one(worker)
    await pump_all(worker)
    await pump_all(worker, "urgent")
    await by_hand.advance(days=1)
    assert await pump_all(worker) == await pump_all(worker, "urgent") == await rescue(worker) == 0
    assert await statuses(worker.engine) == {"unconfirmed": 3}
    assert not other.called
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.code) == ("lost", "read_timeout")
    await check_tallies(worker.engine)


async def test_opt_out_told_by_the_gateway_joins_ours(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    at(router, answer=refused(OPTED_OUT))
    await queue_one(worker, msisdn=NUMBERS[4])
    await pump_all(worker, "urgent")
    async with begin(worker.engine) as tx:
        opt_out = (await tx.execute(select(OptOut))).one()
    assert (opt_out.msisdn, opt_out.source, opt_out.gateway_id) == (NUMBERS[4], "gateway", first)
    later = await queue_one(worker, msisdn=NUMBERS[4])
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, later)).status is Status.SKIPPED


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refused(GATEWAY), id="this gateway will not"),
        pytest.param(refused(THROTTLED, status=429, Retry_After="60"), id="throttled for long"),
        pytest.param(DOWN, id="refused connection"),
        pytest.param(httpx.ConnectTimeout("no"), id="connect timeout"),
    ],
)
async def test_certain_no_goes_to_the_next_gateway_at_once(
    worker: HandWorker, router: respx.MockRouter, second: UUID, answer: Any
) -> None:
    at(router, answer=answer) if isinstance(answer, httpx.Response) else at(router, answer=in_turn(answer))
    other = at(router, "second")
    await queue_campaign(worker, NUMBERS[:3])
    await pump_all(worker)
    assert await statuses(worker.engine) == {"submitted": 3}
    assert sorted(numbers_of(other)) == NUMBERS[:3]
    async with begin(worker.engine) as tx:
        row = (await tx.execute(select(Message).limit(1))).one()
    assert (row.attempt, row.gateway_id) == (2, second)
    assert [one.outcome for one in await attempts_of(worker.engine, row.id)][1] == "accepted"
    await check_tallies(worker.engine)


async def test_only_sender_of_a_gateway_is_its_default(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    """Where its settings name none; with two of them nobody can say which."""
    route = at(router)
    async with begin(worker.engine) as tx:
        await make_sender_id(tx, first, "LAPWING")
    await queue_one(worker)
    await pump_all(worker, "urgent")
    assert b"From=%2B12025550100" in route.calls.last.request.content  # its own setting comes first
    kept = {"base_url": "https://first.example.com", "account_sid": "AC" + "0" * 32}
    async with begin(worker.engine) as tx:
        await tx.execute(update(Gateway).values(settings=kept))
    await queue_one(worker)
    await pump_all(worker, "urgent")
    assert b"From=LAPWING" in route.calls.last.request.content
    async with begin(worker.engine) as tx:
        await make_sender_id(tx, first, "OTHER")
        await worker.book.read(tx)
    assert worker.book.sender_for(first, None, NUMBERS[0]) is None
    assert worker.book.sender_for(first, "OTHER", NUMBERS[0]) == "OTHER"


async def test_no_name_where_carriers_take_none(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    """To the United States the gateway's own number stands for the name; elsewhere the name goes."""
    route = at(router)
    async with begin(worker.engine) as tx:
        await make_sender_id(tx, first, "LAPWING")
    await queue_one(worker, sender_id="LAPWING", msisdn="+12025550143")
    await pump_all(worker, "urgent")
    assert b"From=%2B12025550100" in route.calls.last.request.content
    await queue_one(worker, sender_id="LAPWING", msisdn=NUMBERS[0])
    await pump_all(worker, "urgent")
    assert b"From=LAPWING" in route.calls.last.request.content
    async with begin(worker.engine) as tx:
        await make_sender_id(tx, first, "+12025550155")
        await tx.execute(update(Gateway).values(settings={"account_sid": "AC" + "0" * 32}))
        await worker.book.read(tx)
    assert worker.book.sender_for(first, "LAPWING", "+12025550143") == "+12025550155"


async def test_sender_that_only_the_second_gateway_has(
    worker: HandWorker, router: respx.MockRouter, second: UUID
) -> None:
    mine, other = at(router), at(router, "second")
    async with begin(worker.engine) as tx:
        await make_sender_id(tx, second, "LAPWING")
    await queue_campaign(worker, NUMBERS[:2], sender_id="LAPWING")
    await pump_all(worker)
    assert not mine.called
    assert other.call_count == 2
    assert b"From=LAPWING" in other.calls.last.request.content


async def test_location_that_nobody_serves_waits_for_its_gateway(
    worker: HandWorker, router: respx.MockRouter, by_hand: HandClock
) -> None:
    route = at(router)
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer, location_ids=["harbour"])
    message_id = await queue_one(worker, location_id="airport")
    assert await pump_once(worker, "urgent") == 1
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt, row.not_before) == (Status.QUEUED, 0, worker.now() + timedelta(seconds=15))
    assert await attempts_of(worker.engine, message_id) == []
    async with begin(worker.engine) as tx:
        await tx.execute(update(Gateway).where(Gateway.id == gateway_id).values(location_ids=["airport"]))
    await by_hand.advance(seconds=15)
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED
    assert route.call_count == 1


async def test_homeless_campaign_adds_up(worker: HandWorker, first: UUID) -> None:
    await queue_campaign(worker, NUMBERS[:5], sender_id="NOBODY")
    assert await pump_once(worker) == 5
    assert await statuses(worker.engine) == {"queued": 5}
    await check_tallies(worker.engine)


async def test_without_any_gateway_everything_waits(worker: HandWorker, by_hand: HandClock) -> None:
    message_id = await queue_one(worker)
    assert await pump_once(worker, "urgent") == 0
    assert (await message_of(worker.engine, message_id)).status is Status.QUEUED


async def test_without_any_gateway_what_is_over_expires(worker: HandWorker, by_hand: HandClock) -> None:
    """Nothing is claimed then, and a message that nobody may send any more is not `queued` for ever."""
    until = worker.now() + timedelta(minutes=1)
    await queue_campaign(worker, NUMBERS[:3], steps=[{"send_by": until}])
    over, waits = await queue_one(worker, expires_at=until), await queue_one(worker)
    await by_hand.advance(minutes=1)
    for lane in ("urgent", "bulk"):
        assert await pump_once(worker, lane) == 0
    assert (await message_of(worker.engine, over)).status is Status.EXPIRED
    assert (await message_of(worker.engine, waits)).status is Status.QUEUED
    assert await statuses(worker.engine) == {"expired": 4, "queued": 1}
    await check_tallies(worker.engine)


async def test_refused_account_withdraws_the_gateway_and_the_message_waits(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    route = at(router, answer=in_turn(refused(ACCOUNT, status=401), taken))
    message_id = await queue_one(worker)
    await pump_once(worker, "urgent")
    async with begin(worker.engine) as tx:
        gateway = (await tx.execute(select(Gateway))).one()
    assert (gateway.health, gateway.health_reason, gateway.health_at) == ("withdrawn", str(ACCOUNT), worker.now())
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.QUEUED, 1)
    await by_hand.advance(hours=1)
    assert await pump_all(worker, "urgent") == 0
    assert route.call_count == 1
    async with begin(worker.engine) as tx:
        await tx.execute(update(Gateway).values(health="ok"))
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


async def test_refusal_of_an_old_secret_does_not_withdraw_a_mended_gateway(
    worker: HandWorker, router: respx.MockRouter, first: UUID, clock: Clock
) -> None:
    """Its owner gave it a new one while the call was on the line."""

    async def mend(_request: httpx.Request) -> httpx.Response:
        async with begin(worker.engine) as tx:
            await tx.execute(update(Gateway).values(updated_at=Gateway.updated_at + timedelta(seconds=1)))
        return refused(ACCOUNT, status=401)

    route = at(router, answer=mend)
    message_id = await queue_one(worker)
    await pump_once(worker, "urgent")
    async with begin(worker.engine) as tx:
        assert (await tx.execute(select(Gateway.health))).scalar_one() == "ok"
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt, route.call_count) == (Status.QUEUED, 1, 1)
    at(router)
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


async def test_gateway_that_is_gone_when_the_claim_is_committed(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    """Its messages go back into the queue at once, and no lease has to run out for them."""
    at(router)
    message_id = await queue_one(worker)
    pump = Pump(worker, "urgent")
    settling = asyncio.create_task(pump._settler.run())
    async with worker.transaction() as tx:
        await worker.book.read(tx)
        taken = await claims.claim(tx, lane="urgent", slots=1, lease=30, dispatcher=worker.name)
        choice = choose(worker, "urgent", taken.claimed)
        batches = parcels(worker, choice.intents)
        await pump._intend(tx, choice, [], taken.moves)
    worker.book.take([], now=worker.now())
    pump._launch(choice, batches, begun=time.monotonic())
    await pump._drain()
    await pump._settler.close()
    await settling
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.lease_until, pump.in_flight) == (Status.QUEUED, None, 0)
    assert not router.calls


async def test_refused_account_hands_its_messages_to_the_second_gateway(
    worker: HandWorker, router: respx.MockRouter, second: UUID
) -> None:
    at(router, answer=refused(ACCOUNT, status=401))
    other = at(router, "second")
    await queue_campaign(worker, NUMBERS[:3])
    await pump_all(worker)
    assert other.call_count == 3
    assert await statuses(worker.engine) == {"submitted": 3}
    await check_tallies(worker.engine)


async def test_retry_after_is_honoured(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    at(router, answer=in_turn(refused(THROTTLED, status=429, Retry_After="40"), taken))
    message_id = await queue_one(worker)
    await pump_all(worker, "urgent")
    row = await message_of(worker.engine, message_id)
    assert timedelta(seconds=40) <= row.not_before - worker.now() <= timedelta(seconds=41)
    await by_hand.advance(seconds=39)
    assert await pump_all(worker, "urgent") == 0
    await by_hand.advance(seconds=2)
    assert await pump_all(worker, "urgent") == 1
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


async def test_one_gateway_out_of_reach_is_tried_later_and_later_and_then_no_more(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.domain.routing.MAX_ATTEMPTS", FEW)
    route = at(router, answer=in_turn(DOWN))
    campaign_id = await queue_campaign(worker, NUMBERS[:1])
    for _ in range(FEW - 1):
        assert await pump_once(worker) == 1
        await check_tallies(worker.engine)
        async with begin(worker.engine) as tx:
            row = (await tx.execute(select(Message))).one()
        assert row.status is Status.QUEUED
        assert worker.now() <= row.not_before <= worker.now() + timedelta(minutes=5)
        await by_hand.advance(minutes=5)
    assert await pump_once(worker) == 1
    row = await message_of(worker.engine, row.id)
    assert (row.status, row.attempt, row.failure) == (Status.FAILED, FEW, "refused_connection")
    assert route.call_count == len(await attempts_of(worker.engine, row.id)) == FEW
    assert await finish(worker) == 1
    assert await statuses_of(worker.engine, campaign_id) == {Status.FAILED}
    await check_tallies(worker.engine)


async def test_what_was_claimed_too_long_ago_is_claimed_again(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID
) -> None:
    """A stop may have been committed while the process was paused: nothing leaves on what it saw before."""
    route = at(router)
    await queue_campaign(worker, NUMBERS[:3])
    assert await pump_once(another(fresh=-1.0)) == 3
    assert not route.called
    assert await statuses(worker.engine) == {"queued": 3}
    await check_tallies(worker.engine)
    assert await pump_all(another()) == 3
    assert route.call_count == 3


async def test_stop_during_a_slow_claim_is_honoured(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the statement saw is stale by the time of its commit: nothing leaves, and the next claim is smaller."""
    route = at(router)
    await queue_campaign(worker, NUMBERS[:8])
    hurried = another(fresh=0.2)
    pump = Pump(hurried, "bulk")

    def slow(name: str) -> None:
        if name == "before_claim_commit":
            time.sleep(0.3)  # the database takes its time

    with monkeypatch.context() as patch:
        patch.setattr("dispatcher.failpoints.hit", slow)
        assert await pump_once(hurried, pump=pump) == 8
    assert not route.called
    assert await statuses(worker.engine) == {"queued": 8}
    assert pump._most == 4
    pump._pace_claims(4, Choice(), seconds=0.01)
    assert pump._most == 8


# --- who dies in between


class PowerCut(BaseException):
    """The process is gone; nothing after this line runs."""


@pytest.mark.parametrize("lane", ["urgent", "bulk"])
async def test_dies_between_claim_and_send(
    worker: HandWorker,
    another: Any,
    router: respx.MockRouter,
    first: UUID,
    by_hand: HandClock,
    monkeypatch: pytest.MonkeyPatch,
    lane: str,
) -> None:
    """The intent is committed, so nobody knows: unconfirmed by the rescue, and never queued again."""
    route = at(router)
    if lane == "bulk":
        await queue_campaign(worker, NUMBERS[:3])
    else:
        await queue_one(worker)

    def die(name: str) -> None:
        if name == "after_claim_commit":
            raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr("dispatcher.failpoints.hit", die)
        await Pump(worker, lane)._claim(8)
    assert set(await statuses(worker.engine)) == {"sending"}
    survivor = another()
    assert await rescue(survivor) == 0  # the lease lasts
    await by_hand.advance(seconds=31)
    assert await rescue(survivor) == (3 if lane == "bulk" else 1)
    assert set(await statuses(worker.engine)) == {"unconfirmed"}
    await by_hand.advance(days=2)
    assert await pump_all(survivor, lane) == 0
    assert not route.called
    await check_tallies(worker.engine)


async def test_dies_before_the_claim_is_committed(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(router)
    await queue_campaign(worker, NUMBERS[:3])

    def die(name: str) -> None:
        if name == "before_claim_commit":
            raise PowerCut

    with monkeypatch.context() as patch, pytest.raises(PowerCut):
        patch.setattr("dispatcher.failpoints.hit", die)
        await Pump(worker, "bulk")._claim(8)
    assert await statuses(worker.engine) == {"queued": 3}
    assert await pump_all(another()) == 3
    await check_tallies(worker.engine)


async def test_cancelled_between_answer_and_settlement(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    """Killed while the gateway is on the line: its message is unconfirmed, whatever the gateway did with it."""
    on_the_line = asyncio.Event()

    async def hang(_request: httpx.Request) -> httpx.Response:
        on_the_line.set()
        await asyncio.sleep(60)
        return taken()

    at(router, answer=hang)
    message_id = await queue_one(worker)
    pump = Pump(worker, "urgent")
    worker.book.forget()
    await pump._claim(4)
    await on_the_line.wait()
    (task,) = pump._tasks
    task.cancel()
    await asyncio.wait([task])
    await by_hand.advance(seconds=31)
    assert await rescue(another()) == 1
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.lease_until) == (Status.UNCONFIRMED, None)


async def test_sent_again_and_then_proved_not_to_have_left(
    worker: HandWorker, router: respx.MockRouter, first: UUID, by_hand: HandClock
) -> None:
    """A dispatcher sleeps past its lease, the owner sends the message again, it wakes up: one goes out, not two."""
    route = at(router)
    message_id = await queue_one(worker)
    async with worker.transaction() as tx:
        (one,) = (await claims.claim(tx, lane="urgent", slots=1, lease=30.0, dispatcher="asleep")).claimed
        await claims.insert_intents(tx, [(one, first)], dispatcher="asleep")
    await by_hand.advance(seconds=31)
    await rescue(worker)
    async with worker.transaction() as tx:
        await forbid_return(tx, message_id, worker.now())
        await make_message(tx, worker.pepper, now=worker.now(), resend_of=message_id)
    late = Settled(message_id, one.attempt, first, Status.QUEUED, "not_sent", code="lease_margin")
    async with worker.transaction() as tx:
        await settlements.settle(tx, [late])
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.CANCELLED
    assert route.call_count == 1


async def test_lease_too_short_for_a_hand_over_sends_nothing(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID
) -> None:
    """Paused between claim and send for longer than the lease allows: certain, because no byte left."""
    route = at(router)
    message_id = await queue_one(worker)
    await pump_once(another(lease=2.0, deadline=2.0), "urgent")
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.QUEUED, 1)
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.code) == ("not_sent", "lease_margin")
    assert not route.called
    await pump_once(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


# --- the stream


async def test_stream_sends_everything_and_drains(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    in_flight = most = 0

    async def slowly(request: httpx.Request) -> httpx.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0.01)
        in_flight -= 1
        return taken(request)

    route = at(router, answer=slowly)
    await queue_campaign(worker)
    pump = Pump(worker, "bulk")
    running = asyncio.create_task(pump.run())
    async with asyncio.timeout(10):
        while route.call_count < 20:
            await asyncio.sleep(0.01)
    worker.stop()
    await running
    assert pump.in_flight == 0
    assert 1 < most <= pump.slots
    assert await statuses(worker.engine) == {"submitted": 20}
    await check_tallies(worker.engine)


async def test_stop_waits_for_what_is_on_the_line(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    on_the_line = asyncio.Event()
    answer_now = asyncio.Event()

    async def wait(request: httpx.Request) -> httpx.Response:
        on_the_line.set()
        await answer_now.wait()
        return taken(request)

    route = at(router, answer=wait)
    first_id = await queue_one(worker)
    running = asyncio.create_task(Pump(worker, "urgent").run())
    await on_the_line.wait()
    worker.stop()
    second_id = await queue_one(worker)
    await asyncio.sleep(0.05)
    assert not running.done()
    answer_now.set()
    await running
    assert (await message_of(worker.engine, first_id)).status is Status.SUBMITTED
    assert (await message_of(worker.engine, second_id)).status is Status.QUEUED
    assert route.call_count == 1


async def test_bell_is_heard_at_once(worker: HandWorker, router: respx.MockRouter, first: UUID) -> None:
    heard = asyncio.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        heard.set()
        return taken(request)

    at(router, answer=answer)
    running = asyncio.create_task(Pump(worker, "urgent").run())
    await asyncio.sleep(0.1)  # it looked, and found nothing
    await queue_one(worker)
    begun = asyncio.get_running_loop().time()
    worker.ring("urgent")
    await heard.wait()
    took = asyncio.get_running_loop().time() - begun
    worker.stop()
    await running
    assert took < 0.5  # and not at its next turn, after a second


async def test_many_that_may_not_be_sent_hold_up_nobody(
    worker: HandWorker, router: respx.MockRouter, first: UUID
) -> None:
    """Nineteen opted out before the one who did not, and another campaign takes its share of the slots for nothing.

    It does not take a second for each handful.
    """
    heard = asyncio.Event()

    def answer(request: httpx.Request) -> httpx.Response:
        heard.set()
        return taken(request)

    at(router, answer=answer)
    await queue_campaign(worker)
    await queue_campaign(worker, NUMBERS[:1])
    async with begin(worker.engine) as tx:
        for number in NUMBERS[:19]:
            await make_opt_out(tx, worker.pepper, number)
    running = asyncio.create_task(Pump(worker, "bulk").run())
    async with asyncio.timeout(0.9):
        await heard.wait()
    worker.stop()
    await running
    assert await statuses(worker.engine) == {"skipped": 20, "submitted": 1}
    await check_tallies(worker.engine)


async def test_share_that_is_not_used_goes_to_the_others_soon(
    worker: HandWorker, another: Any, router: respx.MockRouter, first: UUID
) -> None:
    """Beside a small campaign a large one gets half of the slots; it must not wait a second for the rest."""
    route = at(router)
    await queue_campaign(worker, NUMBERS[:1])
    await queue_campaign(worker, NUMBERS[1:])
    running = asyncio.create_task(Pump(another(bulk_slots=16), "bulk").run())
    async with asyncio.timeout(0.9):
        while route.call_count < 20:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.wait([running])


async def test_bug_in_the_settlement_is_not_hidden(
    worker: HandWorker, router: respx.MockRouter, first: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a settler no slot would ever come free again: the pump ends, and with it the process."""
    at(router)
    await queue_one(worker)

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("dispatcher.settler.Settler._count", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        async with asyncio.timeout(5):
            await Pump(worker, "urgent").run()


async def test_scheduled_ones_are_not_read_to_find_the_due(worker: HandWorker) -> None:
    """A claim costs what is due, however much is scheduled for later: the index is asked for both, in one search."""
    async with worker.transaction() as tx:
        for way in ("enable_seqscan", "enable_bitmapscan"):  # which a table this small would invite
            await tx.execute(text(f"SET LOCAL {way} = off"))
        rows = await tx.execute(
            text("EXPLAIN " + claims._URGENT.text), {"slots": 100, "lease": 30.0, "dispatcher": worker.name}
        )
        plan = [line.strip() for line in rows.scalars()]
    searches = [line for line in plan if line.startswith("Index Cond: ") and "not_before" in line]
    assert searches
    assert all("priority = " in line and "not_before <= " in line for line in searches)


# --- the row as it is locked


async def test_call_back_while_the_claim_is_under_way(worker: HandWorker, first: UUID) -> None:
    """A call-back that commits between the claim's snapshot and its lock is honoured, not overlooked."""
    message_id = await queue_one(worker)
    async with worker.engine.connect() as tx:
        await tx.execution_options(isolation_level="READ COMMITTED")
        statement = claims._URGENT.text.replace(
            "ORDER BY m.not_before", "AND pg_sleep(0.4) IS NOT NULL ORDER BY m.not_before"
        )
        claim = asyncio.create_task(_rows(tx, text(statement), {"slots": 1, "lease": 30.0, "dispatcher": worker.name}))
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


async def test_sandbox_sends_without_a_network(worker: HandWorker, router: respx.MockRouter) -> None:
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, kind="sandbox")
    await queue_campaign(worker, NUMBERS[:10])
    await send_all(worker)
    assert not router.calls
    assert await statuses(worker.engine) == {
        "submitted": 7,  # 0 to 6
        "unconfirmed": 1,  # 7
        "queued": 1,  # 8: busy on the first attempt
        "failed": 1,  # 9
    }
    await check_tallies(worker.engine)
