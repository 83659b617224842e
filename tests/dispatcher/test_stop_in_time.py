"""STOP from a handset at every moment at which it may come: nothing begins to leave for that person any more."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from httpx import AsyncClient

from dispatcher.path.due import due
from dispatcher.path.finish import finish
from dispatcher.path.pump import Pump
from shared.domain.message import Kind, SkipReason, Status
from tests.conftest import Clock
from tests.dispatcher.answers import GATEWAY, THROTTLED, at, numbers_of, refused, taken
from tests.factories import GATEWAY_SECRET, make_campaign, make_gateway, make_message, make_msisdn
from tests.handsets import Handsets
from tests.stages import attempts_of, check_tallies, expand_all, message_of, pump_all, pump_once, statuses
from tests.worlds import HandClock, HandWorker

ANNA, BEN = make_msisdn(0), make_msisdn(1)
OPTED_OUT = (Status.SKIPPED, SkipReason.OPTED_OUT)


@pytest.fixture
async def gateways(worker: HandWorker) -> list[UUID]:
    """Two that would take anything."""
    async with worker.transaction() as tx:
        return [
            await make_gateway(tx, worker.sealer, name, priority=place)
            for place, name in enumerate(("first", "second"))
        ]


@pytest.fixture
def handsets(anonymous: AsyncClient, gateways: list[UUID]) -> Handsets:
    url = f"https://sms.example.com/callbacks/{gateways[0]}/token-of-first/inbound"
    return Handsets(anonymous, url, str(gateways[0]), GATEWAY_SECRET)


async def stop(handsets: Handsets, msisdn: str = ANNA) -> None:
    assert (await handsets.write(msisdn, "STOP")).status_code == 200


async def queue_one(worker: HandWorker, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        return await make_message(tx, worker.pepper, now=worker.now(), **{"msisdn": ANNA} | over)


def while_on_the_line(
    handsets: Handsets, then: Callable[[httpx.Request], httpx.Response] | httpx.Response | Exception
) -> Callable[[httpx.Request], Awaitable[httpx.Response]]:
    """The person says STOP while the gateway has the request; then the gateway answers, or does not."""

    async def answer(request: httpx.Request) -> httpx.Response:
        await stop(handsets)
        if isinstance(then, Exception):
            raise then
        return then(request) if callable(then) else then

    return answer


# --- between confirmation and send


async def confirmed(client: AsyncClient, **step: Any) -> str:
    body = {"name": "Spring offer", "msisdns": [ANNA, BEN], "messages": [{"text": "Hello."} | step]}
    campaign_id = (await client.post("/v1/campaigns", json=body | {"opt_in_acknowledged": True})).json()["id"]
    told = (await client.post(f"/v1/campaigns/{campaign_id}/estimate")).json()
    assert (told["recipients"], told["skipped"]) == (2, {})
    path = f"/v1/campaigns/{campaign_id}/start"
    answer = await client.post(path, json={"confirmation": told["confirmation"]})
    assert answer.status_code == 200, answer.text
    return str(campaign_id)


async def check_skipped(client: AsyncClient, worker: HandWorker, campaign_id: str, route: respx.Route) -> None:
    await pump_all(worker)
    await finish(worker)
    told = (await client.get(f"/v1/campaigns/{campaign_id}/report")).json()
    assert (told["status"], told["recipients"]) == ("completed", 2)
    assert {status: count for status, count in told["counts"].items() if count} == {"submitted": 1, "skipped": 1}
    assert numbers_of(route) == [BEN]
    await check_tallies(worker.engine)


async def test_stop_between_confirmation_and_start(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, handsets: Handsets, by_hand: HandClock
) -> None:
    route = at(router)
    later = (worker.now() + timedelta(hours=1)).isoformat()
    campaign_id = await confirmed(client, send_at=later)
    await stop(handsets)
    await by_hand.advance(hours=1)
    await due(worker)
    await expand_all(worker)
    await check_skipped(client, worker, campaign_id, route)


async def test_stop_between_the_making_of_a_message_and_its_claim(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, handsets: Handsets
) -> None:
    route = at(router)
    campaign_id = await confirmed(client)
    await due(worker)
    await expand_all(worker)
    assert await statuses(worker.engine) == {"queued": 2}
    await stop(handsets)
    await check_skipped(client, worker, campaign_id, route)


async def test_stop_between_two_messages_of_a_sequence(
    worker: HandWorker, router: respx.MockRouter, handsets: Handsets
) -> None:
    route = at(router)
    async with worker.transaction() as tx:
        await make_campaign(tx, [ANNA, BEN], texts=("One.", "Two."), now=worker.now())
    await due(worker)
    await expand_all(worker)
    assert await pump_once(worker, slots=2) == 2
    await stop(handsets)
    await pump_all(worker)
    assert await statuses(worker.engine) == {"submitted": 3, "skipped": 1}
    assert sorted(numbers_of(route)) == [ANNA, BEN, BEN]
    await check_tallies(worker.engine)


# --- between claim and send


async def test_stop_between_claim_and_send(
    worker: HandWorker, another: Any, router: respx.MockRouter, handsets: Handsets
) -> None:
    """A dispatcher that was held up after its claim looks again before anything leaves, and finds the no."""
    route = at(router)
    message_id = await queue_one(worker)
    held_up = another(fresh=-1.0)  # by the time it would hand over, what the claim saw is too old
    pump = Pump(held_up, "urgent")
    assert await pump_once(held_up, "urgent", pump=pump) == 1
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.attempt) == (Status.QUEUED, 1)
    await stop(handsets)
    assert await pump_once(worker, "urgent") == 1
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.skip_reason, row.attempt) == (*OPTED_OUT, 1)
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.code) == ("not_sent", "lease_margin")
    assert not route.called


async def test_what_a_claim_saw_is_good_for_less_than_a_second(worker: HandWorker) -> None:
    """A STOP after the claim has committed cannot be seen by it; this is for how long at most something may leave."""
    assert type(worker.limits)().fresh < 1.0


async def test_stop_that_a_claim_waits_for(worker: HandWorker, router: respx.MockRouter, handsets: Handsets) -> None:
    """Both at once: whichever commits first, a message that left did so before the no was kept."""
    route = at(router)
    messages = [await queue_one(worker) for _ in range(8)]
    await asyncio.gather(stop(handsets), pump_all(worker, "urgent"))
    await pump_all(worker, "urgent")
    rows = [await message_of(worker.engine, one) for one in messages]
    assert {row.status for row in rows} <= {Status.SUBMITTED, Status.SKIPPED}
    assert route.call_count == sum(row.status is Status.SUBMITTED for row in rows)
    later = await queue_one(worker)
    await pump_all(worker, "urgent")
    row = await message_of(worker.engine, later)
    assert (row.status, row.skip_reason) == OPTED_OUT


# --- while a gateway is on the line


@pytest.mark.parametrize(
    "then",
    [
        pytest.param(httpx.ConnectTimeout("nobody there"), id="it could not be reached"),
        pytest.param(httpx.ConnectError("refused"), id="it took no connection"),
        pytest.param(refused(GATEWAY), id="it would not"),
        pytest.param(refused(THROTTLED, status=429), id="it wants time"),
    ],
)
@pytest.mark.parametrize("kind", [Kind.PERSONAL, Kind.CAMPAIGN])
async def test_stop_while_a_gateway_lets_us_down(
    worker: HandWorker,
    router: respx.MockRouter,
    handsets: Handsets,
    by_hand: HandClock,
    then: Exception | httpx.Response,
    kind: Kind,
) -> None:
    """What certainly did not arrive would go to the next gateway. It does not: the claim asks again."""
    route = at(router, answer=while_on_the_line(handsets, then))
    other = at(router, "second")
    if kind is Kind.CAMPAIGN:
        async with worker.transaction() as tx:
            await make_campaign(tx, [ANNA], now=worker.now())
        await due(worker)
        await expand_all(worker)
    else:
        await queue_one(worker, kind=kind)
    for _ in range(3):
        await pump_all(worker, "bulk" if kind is Kind.CAMPAIGN else "urgent")
        await by_hand.advance(seconds=90)
    assert await statuses(worker.engine) == {"skipped": 1}
    assert (route.call_count, other.called) == (1, False)
    await check_tallies(worker.engine)


async def test_stop_during_a_gateways_timeout(
    client: AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    handsets: Handsets,
    by_hand: HandClock,
    clock: Clock,
) -> None:
    """It may have the message, so it is unconfirmed as ever; and a person who has it sent once more reaches nobody."""
    route = at(router, answer=while_on_the_line(handsets, httpx.ReadTimeout("nothing came")))
    other = at(router, "second")
    message_id = await queue_one(worker)
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED
    again = (await client.post(f"/v1/messages/{message_id}/resend")).json()
    await by_hand.advance(seconds=30)
    await pump_all(worker, "urgent")
    row = await message_of(worker.engine, UUID(again["id"]))
    assert (row.status, row.skip_reason) == OPTED_OUT
    assert (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED
    assert (route.call_count, other.called) == (1, False)


async def test_stop_while_a_gateway_takes_it(worker: HandWorker, router: respx.MockRouter, handsets: Handsets) -> None:
    """What has left has left, and is told as such; it was the last."""
    route = at(router, answer=while_on_the_line(handsets, taken))
    first = await queue_one(worker)
    await pump_all(worker, "urgent")
    second = await queue_one(worker)
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, first)).status is Status.SUBMITTED
    assert (await message_of(worker.engine, second)).status is Status.SKIPPED
    assert route.call_count == 1


async def test_password_goes_on_whatever_is_said_meanwhile(
    worker: HandWorker, router: respx.MockRouter, handsets: Handsets
) -> None:
    at(router, answer=while_on_the_line(handsets, httpx.ConnectError("refused")))
    other = at(router, "second")
    message_id = await queue_one(worker, kind=Kind.OTP)
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED
    assert other.call_count == 1
