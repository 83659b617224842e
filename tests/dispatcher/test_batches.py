"""Batches: what goes together, what each message of one comes to, and logins on the way."""

import json
from time import monotonic
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import func, update

from dispatcher.path.due import due
from dispatcher.path.handover import hand_over, parcels
from dispatcher.queries.claims import Claimed
from dispatcher.queries.settlements import Settled
from shared.db import begin
from shared.domain.breaker import IN_A_ROW
from shared.domain.message import Status
from shared.models import Gateway, Message
from tests.dispatcher.test_handover import claimed
from tests.factories import make_campaign, make_gateway, make_msisdn, make_sender_id
from tests.stages import check_tallies, expand_all, pump_once, statuses
from tests.worlds import HandWorker

BASE = "https://smsportal.test"
SEND, LOGIN = f"{BASE}/v3/BulkMessages", f"{BASE}/v3/Authentication"
STEP = UUID("0199d4c2-0000-7000-8000-00000000000c")
SECRETS = {"client_id": "the-client", "api_secret": "the-secret-of-the-client"}


async def make(worker: HandWorker, name: str = "portal", **settings: Any) -> UUID:
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(
            tx,
            worker.sealer,
            name,
            kind="smsportal",
            settings={"base_url": BASE, "sender_id": "LAPWING", "authentication": "basic", **settings},
            secrets=SECRETS,
        )
    async with begin(worker.engine) as tx:
        await worker.book.read(tx)
    return gateway_id


def people(worker: HandWorker, count: int, **over: Any) -> list[Claimed]:
    return [claimed(worker, msisdn=make_msisdn(number), **over) for number in range(count)]


def taken(request: httpx.Request) -> httpx.Response:
    count = len(json.loads(request.content)["messages"])
    return httpx.Response(200, json={"statusCode": 200, "sendResponse": {"eventId": 7, "messages": count}})


async def hand(worker: HandWorker, gateway_id: UUID, batch: list[Claimed]) -> list[Settled]:
    return await hand_over(worker, "bulk", batch, worker.book.accounts[gateway_id], monotonic() + 10)


async def test_as_many_as_the_gateway_takes_go_together(worker: HandWorker) -> None:
    gateway_id = await make(worker)
    account = worker.book.accounts[gateway_id]
    batches = parcels(worker, [(one, account) for one in people(worker, 250)])
    assert sorted(len(batch) for _, batch in batches) == [50, 100, 100]


async def test_what_differs_in_sender_or_was_refused_among_others_goes_apart(worker: HandWorker) -> None:
    gateway_id = await make(worker)
    account = worker.book.accounts[gateway_id]
    some = [*people(worker, 3), *people(worker, 2, sender_id="OTHER"), *people(worker, 2, attempt=2, alone=True)]
    batches = parcels(worker, [(one, account) for one in some])
    assert sorted(len(batch) for _, batch in batches) == [1, 1, 2, 3]


async def test_after_somebody_was_counted_and_not_named_fewer_share_a_request(
    worker: HandWorker, router: respx.MockRouter
) -> None:
    """Alone, the count names its message: it is settled, and joins our opt-outs."""
    gateway_id = await make(worker)
    account = worker.book.accounts[gateway_id]

    def one_opted_out(request: httpx.Request) -> httpx.Response:
        count = len(json.loads(request.content)["messages"])
        report = {"eventId": 7, "messages": count - 1, "errorReport": {"optedOuts": 1}}
        return httpx.Response(200, json={"statusCode": 200, "sendResponse": report})

    router.post(SEND).mock(side_effect=one_opted_out)
    sizes = []
    for _ in range(4):
        batches = parcels(worker, [(one, account) for one in people(worker, 100)])
        sizes.append(max(len(batch) for _, batch in batches))
        settled = await hand(worker, gateway_id, batches[0][1])
        assert {one.status for one in settled} == {Status.FAILED if len(settled) == 1 else Status.UNCONFIRMED}
    assert sizes == [100, 25, 6, 1]
    assert settled[0].fault == "opted_out"


async def test_a_batch_that_is_explained_changes_nothing(worker: HandWorker, router: respx.MockRouter) -> None:
    gateway_id = await make(worker)
    router.post(SEND).mock(side_effect=taken)
    await hand(worker, gateway_id, people(worker, 100))
    assert not worker.healths.batches


async def test_each_of_a_batch_has_its_own_outcome(worker: HandWorker, router: respx.MockRouter) -> None:
    gateway_id = await make(worker)
    batch = people(worker, 3)
    fault = {"customerId": f"{batch[1].id}.1", "status": "InvalidDestination", "errorMessage": "no such number"}
    answer = {"sendResponse": {"eventId": 7, "messages": 2, "errorReport": {"faults": [fault]}}}
    router.post(SEND).respond(200, json=answer)
    settled = await hand(worker, gateway_id, batch)
    assert [one.status for one in settled] == [Status.SUBMITTED, Status.FAILED, Status.SUBMITTED]
    assert [one.id for one in settled] == [one.id for one in batch]
    kept = json.dumps(settled[1].exchange)
    for one in batch:
        assert one.msisdn[1:] not in kept


async def test_silence_leaves_the_whole_batch_in_doubt(worker: HandWorker, router: respx.MockRouter) -> None:
    gateway_id = await make(worker)
    router.post(SEND).mock(side_effect=httpx.ReadTimeout("silence"))
    settled = await hand(worker, gateway_id, people(worker, 5))
    assert {(one.status, one.outcome) for one in settled} == {(Status.UNCONFIRMED, "lost")}


async def test_campaign_goes_in_batches_and_adds_up(worker: HandWorker, router: respx.MockRouter) -> None:
    await make(worker)
    route = router.post(SEND).mock(side_effect=taken)
    async with worker.transaction() as tx:
        await make_campaign(tx, [make_msisdn(number) for number in range(20)], now=worker.now())
    await due(worker)
    await expand_all(worker)
    while await pump_once(worker):
        pass
    assert await statuses(worker.engine) == {"submitted": 20}
    assert 3 <= route.call_count <= 6  # eight slots, so eight at a time
    numbers = [one["destination"] for call in route.calls for one in json.loads(call.request.content)["messages"]]
    assert len(numbers) == len(set(numbers)) == 20
    await check_tallies(worker.engine)


NOT_THERE = httpx.ConnectError("connection refused")
WRONG = httpx.Response(400, json={"statusCode": 400, "errors": [{"errorCode": "InvalidParameter.Format"}]})


@pytest.mark.parametrize(
    ("first", "sizes"),
    [
        pytest.param(NOT_THERE, [6, 6], id="nobody is to blame: together again"),
        pytest.param(WRONG, [6, 1, 1, 1, 1, 1, 1], id="one of them is: each by itself"),
    ],
)
async def test_what_comes_back_goes_together_unless_one_of_it_is_to_blame(
    worker: HandWorker, router: respx.MockRouter, first: httpx.Response | Exception, sizes: list[int]
) -> None:
    await make(worker)
    route = router.post(SEND)
    asked: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(len(json.loads(request.content)["messages"]))
        if len(asked) > 1:
            return taken(request)
        if isinstance(first, Exception):
            raise first
        return first

    route.mock(side_effect=answer)
    async with worker.transaction() as tx:
        await make_campaign(tx, [make_msisdn(number) for number in range(6)], now=worker.now())
    await due(worker)
    await expand_all(worker)
    await pump_once(worker)
    async with worker.transaction() as tx:
        await tx.execute(update(Message).values(not_before=func.now()))
    await pump_once(worker)
    assert asked == sizes
    assert await statuses(worker.engine) == {"submitted": 6}


async def test_people_who_are_counted_and_not_named_stop_no_campaign(
    worker: HandWorker, router: respx.MockRouter
) -> None:
    """One in each request said no to the vendor: it does its work, and its answer says so to whoever adds up."""

    def counted(request: httpx.Request) -> httpx.Response:
        count = len(json.loads(request.content)["messages"])
        said = {"eventId": 7, "messages": count - 1, "errorReport": {"optedOuts": 1, "faults": []}}
        return httpx.Response(200, json={"statusCode": 200, "sendResponse": said})

    gateway_id = await make(worker)
    router.post(SEND).mock(side_effect=counted)
    for _ in range(2 * IN_A_ROW):
        settled = await hand(worker, gateway_id, people(worker, 2, campaign_message_id=STEP))
        assert {(one.status, one.code) for one in settled} == {(Status.UNCONFIRMED, "unexplained_count")}
        for one in settled:
            worker.streaks.note(STEP, one.status, blameless=one.blameless)
    assert not worker.healths.verdicts
    assert worker.streaks.failing(failures=IN_A_ROW, losses=IN_A_ROW) == []


class TestLogin:
    async def test_once_for_all(self, worker: HandWorker, router: respx.MockRouter) -> None:
        gateway_id = await make(worker, authentication="token")
        login = router.route(url__startswith=f"{BASE}").mock(side_effect=_portal)
        for _ in range(3):
            settled = await hand(worker, gateway_id, people(worker, 2))
            assert {one.status for one in settled} == {Status.SUBMITTED}
        paths = [call.request.url.path for call in login.calls]
        assert sum(path.endswith("Authentication") for path in paths) == 1

    async def test_refused_withdraws_nothing_was_sent(self, worker: HandWorker, router: respx.MockRouter) -> None:
        gateway_id = await make(worker, authentication="token")
        route = router.route(url__startswith=BASE).respond(401, json={"errorCode": "InvalidCredentials"})
        (settled,) = await hand(worker, gateway_id, people(worker, 1))
        assert (settled.outcome, settled.fault, settled.code) == ("refused", "account", "login_refused")
        assert all(not call.request.url.path.endswith("BulkMessages") for call in route.calls)

    async def test_token_that_has_ended_is_got_anew(self, worker: HandWorker, router: respx.MockRouter) -> None:
        gateway_id = await make(worker, authentication="token")
        router.route(url__startswith=BASE).mock(side_effect=_expiring)
        (first,) = await hand(worker, gateway_id, people(worker, 1))
        assert (first.status, first.outcome, first.code) == (Status.QUEUED, "not_sent", "login_ended")
        (second,) = await hand(worker, gateway_id, people(worker, 1))
        assert second.status is Status.SUBMITTED

    async def test_token_after_token_refused_withdraws(self, worker: HandWorker, router: respx.MockRouter) -> None:
        """Logins that are given, and taken for nothing: the account is at fault, and others get its messages."""
        gateway_id = await make(worker, authentication="token")
        router.route(url__startswith=BASE).mock(side_effect=_never)
        (first,) = await hand(worker, gateway_id, people(worker, 1))
        assert (first.status, first.code, first.http_status) == (Status.QUEUED, "login_ended", 401)
        (second,) = await hand(worker, gateway_id, people(worker, 1))
        assert (second.status, second.fault, second.code) == (Status.QUEUED, "account", "http_401")

    async def test_owner_who_mended_it_is_asked_anew(self, worker: HandWorker, router: respx.MockRouter) -> None:
        gateway_id = await make(worker, authentication="token")
        router.route(url__startswith=BASE).mock(side_effect=_never)
        for _ in range(2):
            await hand(worker, gateway_id, people(worker, 1))
        async with worker.transaction() as tx:
            await tx.execute(update(Gateway).values(updated_at=worker.now()))
        async with begin(worker.engine) as tx:
            await worker.book.read(tx)
        (anew,) = await hand(worker, gateway_id, people(worker, 1))
        assert anew.code == "login_ended"


def _never(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("Authentication"):
        return _portal(request)
    return httpx.Response(401, text="Unauthorized")


def _portal(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("Authentication"):
        return httpx.Response(200, json={"token": "fresh", "schema": "JWT", "expiresInMinutes": 1440})
    assert request.headers["authorization"] == "Bearer fresh"
    return taken(request)


_LOGINS: list[str] = []


def _expiring(request: httpx.Request) -> httpx.Response:
    """The first token is refused as expired; the second is good."""
    if request.url.path.endswith("Authentication"):
        _LOGINS.append(f"token-{len(_LOGINS)}")
        return httpx.Response(200, json={"token": _LOGINS[-1], "schema": "JWT", "expiresInMinutes": 1440})
    if request.headers["authorization"] == "Bearer token-0":
        return httpx.Response(401, json={"errorCode": "AuthenticationToken.Expired"})
    return taken(request)


@pytest.fixture(autouse=True)
def _no_logins() -> None:
    _LOGINS.clear()


async def test_sender_of_a_campaign_rides_once_in_a_request(worker: HandWorker, router: respx.MockRouter) -> None:
    gateway_id = await make(worker)
    async with worker.transaction() as tx:
        await make_sender_id(tx, gateway_id, "SHOP")
    async with begin(worker.engine) as tx:
        await worker.book.read(tx)
    route = router.post(SEND).mock(side_effect=taken)
    await hand(worker, gateway_id, people(worker, 3, sender_id="SHOP"))
    assert json.loads(route.calls[0].request.content)["sendOptions"]["senderId"] == "SHOP"
