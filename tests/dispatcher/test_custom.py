"""The custom gateway on the dispatcher's path: what an answer means is its owner's word, from the moment it changes."""

from datetime import timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import select, update

from dispatcher.path.handover import hand_over
from dispatcher.queries.claims import Claimed
from dispatcher.queries.settlements import Settled
from shared.db import begin
from shared.domain.breaker import IN_A_ROW
from shared.domain.message import Kind, Status
from shared.ids import uuid7
from shared.models import Gateway
from tests.dispatcher.answers import at
from tests.factories import GATEWAY_SECRET, TEXT, make_gateway, make_message, make_msisdn
from tests.stages import pump_all, pump_once
from tests.worlds import HandWorker

URL = "https://own.example/send"
SETTINGS: dict[str, Any] = {
    "url": URL,
    "method": "POST",
    "content_type": "application/json",
    "payload": '{"to": "%TO%", "text": "%MESSAGE%"}',
    "headers": [{"name": "Authorization", "value": "App %SECRET:api_secret%"}],
    "success_text": "OK",
    "reference_path": "id",
    "code_path": "code",
    "faults": [{"codes": [7], "fault": "opted_out"}],
}


@pytest.fixture
async def gateway(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer, kind="custom", settings=SETTINGS)
    await read(worker)
    return gateway_id


async def read(worker: HandWorker) -> None:
    async with begin(worker.engine) as tx:
        await worker.book.read(tx)


async def hand(worker: HandWorker, gateway_id: UUID, *, location_id: str | None = None) -> Settled:
    claimed = Claimed(
        id=uuid7(),
        attempt=1,
        kind="personal",
        msisdn=make_msisdn(7),
        msisdn_hash=b"hash",
        text=TEXT,
        sender_id=None,
        location_id=location_id,
        segments=1,
        campaign_message_id=None,
        tried=None,
        refused=None,
        had=None,
        not_before=worker.now(),
        expires_at=None,
    )
    account = worker.book.accounts[gateway_id]
    (settled,) = await hand_over(worker, "urgent", [claimed], account, monotonic() + 10)
    return settled


async def test_a_message_is_handed_over_as_its_owner_says(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    route = router.post(URL).respond(200, json={"id": "R1", "status": "OK"})
    found = await hand(worker, gateway)
    assert (found.status, found.reference) == (Status.SUBMITTED, "R1")
    request = route.calls.last.request
    assert request.headers["authorization"] == f"App {GATEWAY_SECRET}"
    assert make_msisdn(7).encode() in request.content


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        pytest.param(
            httpx.Response(200, json={"status": "FAIL"}), Status.UNCONFIRMED, "no_success_in_answer", id="2xx"
        ),
        pytest.param(httpx.Response(500, text="OK"), Status.UNCONFIRMED, "http_5xx", id="5xx"),
        pytest.param(httpx.Response(200, json={"code": 7}), Status.FAILED, "7", id="mapped"),
        pytest.param(httpx.Response(429), Status.QUEUED, "http_429", id="429"),
    ],
)
async def test_nothing_is_handed_over_again_but_a_refusal(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID, answer: httpx.Response, status: Status, code: str
) -> None:
    router.post(URL).mock(return_value=answer)
    found = await hand(worker, gateway)
    assert (found.status, found.code) == (status, code)
    assert GATEWAY_SECRET not in str(found.exchange)
    assert TEXT not in str(found.exchange)


async def test_the_adapter_is_kept_until_its_settings_change(
    worker: HandWorker, router: respx.MockRouter, gateway: UUID
) -> None:
    account = worker.book.accounts[gateway]
    adapter = worker.book.adapter_of(account)
    await read(worker)
    assert worker.book.adapter_of(worker.book.accounts[gateway]) is adapter
    async with worker.transaction() as tx:
        await tx.execute(
            update(Gateway).where(Gateway.id == gateway).values(settings={**SETTINGS, "success_text": "SENT"})
        )
    await read(worker)
    router.post(URL).respond(200, text="SENT")
    assert (await hand(worker, gateway)).status is Status.SUBMITTED
    # A hand-over that began before the change goes by what it began with.
    assert worker.book.adapter_of(account) == adapter
    assert worker.book.adapter_of(worker.book.accounts[gateway]) != adapter


async def test_a_broken_one_stops_no_other(worker: HandWorker, router: respx.MockRouter, gateway: UUID) -> None:
    async with worker.transaction() as tx:
        broken = await make_gateway(
            tx, worker.sealer, "broken", kind="custom", settings={"url": "%NOBODY%"}, priority=2
        )
    await read(worker)
    router.post(URL).respond(200, text="OK")
    assert (await hand(worker, broken)).code == "build_failed"
    assert (await hand(worker, gateway)).status is Status.SUBMITTED


async def test_a_message_that_does_not_fit_is_no_fault_of_the_gateway(
    worker: HandWorker, router: respx.MockRouter
) -> None:
    """However many there are of them: it is not asked, and others go on."""
    settings = {**SETTINGS, "headers": [{"name": "X-Place", "value": "%LOCATION%"}]}
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer, kind="custom", settings=settings, secrets={})
    await read(worker)
    route = router.post(URL).respond(200, json={"id": "R1", "status": "OK"})
    for _ in range(2 * IN_A_ROW):
        found = await hand(worker, gateway_id, location_id="Caf\u00e9")
        assert (found.outcome, found.code) == ("not_sent", "build_failed")
    assert not worker.healths.verdicts
    assert not worker.healths.windows  # nor for its good: a trial is not passed by what was never asked
    assert (await hand(worker, gateway_id, location_id="Harbour")).status is Status.SUBMITTED
    assert route.call_count == 1


LOGGING_IN: dict[str, Any] = {
    **SETTINGS,
    "headers": [{"name": "Authorization", "value": "Bearer %TOKEN%"}],
    "login": {"url": "/token", "payload": "grant_type=client_credentials&key=%SECRET:api_secret%"},
    "balance": {"url": "/balance", "path": "credit"},
}


@pytest.fixture
async def logging_in(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer, kind="custom", settings=LOGGING_IN)
    await read(worker)
    return gateway_id


async def test_a_login_that_is_asked_to_wait_rests_its_gateway(
    worker: HandWorker, router: respx.MockRouter, logging_in: UUID
) -> None:
    """Passwords take the next one at once, nothing is tried meanwhile, and nothing speaks against the gateway."""
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "second", priority=2)
        for kind in [Kind.OTP, Kind.PERSONAL] * IN_A_ROW:
            await make_message(tx, worker.pepper, now=worker.now(), kind=kind)
    login = router.post("https://own.example/token").respond(429, headers={"Retry-After": "120"})
    send, second = router.post(URL).respond(200), at(router, "second")
    await pump_once(worker, "urgent", slots=1)
    await pump_all(worker, "urgent")
    assert (login.call_count, send.call_count, second.call_count) == (1, 0, 2 * IN_A_ROW)
    async with begin(worker.engine) as tx:
        row = (await tx.execute(select(Gateway).where(Gateway.id == logging_in))).one()
    assert (row.health, worker.healths.verdicts) == ("ok", {})
    assert row.resting_until - worker.now() == pytest.approx(timedelta(seconds=120), abs=timedelta(seconds=5))


async def test_a_token_is_got_once_and_anew_when_it_is_refused(
    worker: HandWorker, router: respx.MockRouter, logging_in: UUID
) -> None:
    given: list[str] = []

    def token(request: httpx.Request) -> httpx.Response:
        assert f"key={GATEWAY_SECRET}".encode() in request.content
        given.append(f"t0ken-{len(given)}")
        return httpx.Response(200, json={"access_token": given[-1], "expires_in": 3600})

    def send(request: httpx.Request) -> httpx.Response:
        good = request.headers["authorization"] == f"Bearer {given[-1]}" and good_from <= len(given)
        return httpx.Response(200, json={"id": "R1", "status": "OK"}) if good else httpx.Response(401)

    login = router.post("https://own.example/token").mock(side_effect=token)
    router.post(URL).mock(side_effect=send)
    good_from = 0
    assert [(await hand(worker, logging_in)).status for _ in range(3)] == [Status.SUBMITTED] * 3
    assert login.call_count == 1
    good_from = 2  # the first token has ended
    ended = await hand(worker, logging_in)
    assert (ended.status, ended.outcome, ended.code) == (Status.QUEUED, "not_sent", "login_ended")
    assert "t0ken-0" not in str(ended.exchange)
    assert (await hand(worker, logging_in)).status is Status.SUBMITTED
    good_from = 9  # no token is any good: the account is at fault
    assert (await hand(worker, logging_in)).code == "login_ended"
    refused = await hand(worker, logging_in)
    assert (refused.fault, refused.code) == ("account", "http_401")


@pytest.mark.parametrize(
    ("answer", "outcome", "code", "words"),
    [
        (httpx.Response(400, json={"error": "invalid_client"}), "refused", "login_refused", "HTTP 400 to the login"),
        (httpx.Response(200, json={"token": "x"}), "not_sent", "login_failed", "without a token where login says"),
        (httpx.Response(503), "not_sent", "login_failed", "HTTP 503 without a token"),
    ],
)
async def test_a_login_that_fails_sends_nothing(
    worker: HandWorker,
    router: respx.MockRouter,
    logging_in: UUID,
    answer: httpx.Response,
    outcome: str,
    code: str,
    words: str,
) -> None:
    router.post("https://own.example/token").mock(return_value=answer)
    send = router.post(URL)
    found = await hand(worker, logging_in)
    assert (found.outcome, found.code, send.call_count) == (outcome, code, 0)
    assert words in (worker.logins.why_not(worker.book.accounts[logging_in]) or "")
