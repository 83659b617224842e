"""A gateway's test: a real message through the gateway named, whatever its state, and the exchange for its owner."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import respx
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.beside.quota import keep_quota
from dispatcher.door.transport import Transport
from dispatcher.path.receipts import receipts
from dispatcher.path.trials import Trials
from shared.db import begin
from shared.domain.message import Kind, Status
from shared.models import AuditEntry, Message
from shared.sealing import Sealer, new_key
from tests.dispatcher.answers import MESSAGE, at, in_turn, refused
from tests.factories import (
    GATEWAY_SECRET,
    TEXT,
    make_api_key,
    make_gateway,
    make_message,
    make_msisdn,
    make_opt_out,
    make_sender_id,
)
from tests.stages import attempts_of, message_of, pump_all
from tests.worlds import HandClock, HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]

MSISDN = make_msisdn(7)
BODY = {"msisdn": MSISDN, "text": TEXT}


@asynccontextmanager
async def dispatcher(worker: HandWorker) -> AsyncIterator[Trials]:
    """One that looks all the time; its trials are settled when it ends."""
    trials = Trials(worker)
    running = asyncio.create_task(trials.run())

    async def ring() -> None:
        while True:
            worker.ring("trials")
            await asyncio.sleep(0.01)

    ringing = asyncio.create_task(ring())
    try:
        yield trials
    finally:
        worker.stop()
        await running
        worker.stopping.clear()
        ringing.cancel()
        await asyncio.wait({ringing})


@pytest.fixture
async def gateway(engine: AsyncEngine, sealer: Sealer) -> UUID:
    async with begin(engine) as tx:
        return await make_gateway(tx, sealer)


def named(reference: str) -> httpx.Response:
    return httpx.Response(201, json={"sid": reference, "status": "queued", "num_segments": "1"})


async def count(engine: AsyncEngine) -> int:
    async with begin(engine) as tx:
        found: int = (await tx.execute(select(func.count()).select_from(Message))).scalar_one()
        return found


async def test_the_whole_exchange_is_shown(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter, gateway: UUID, engine: AsyncEngine
) -> None:
    route = at(router, answer=named("SM1"))
    async with dispatcher(worker):
        answer = await client.post(f"/v1/gateways/{gateway}/test", json=BODY)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert {name: told[name] for name in ("status", "outcome", "in_doubt", "fault", "code", "reference")} == {
        "status": "submitted",
        "outcome": "accepted",
        "in_doubt": False,
        "fault": None,
        "code": None,
        "reference": "SM1",
    }
    assert told["took_ms"] >= 0
    assert told["request"]["line"].startswith("POST https://first.example.com/2010-04-01/Accounts/")
    assert told["request"]["headers"]["Authorization"] == "[hidden]"
    assert "Your+table" in told["request"]["body"]
    assert told["answer"]["status"] == 201
    assert json.loads(told["answer"]["body"])["sid"] == "SM1"
    assert route.call_count == 1
    for private in (MSISDN[1:], GATEWAY_SECRET, "token-of-first"):
        assert private not in answer.text
        assert private in str(route.calls.last.request.content) + str(worker.book.accounts[gateway].secrets)
    message = await message_of(engine, UUID(told["message_id"]))
    assert (message.kind, message.status, message.attempt, message.gateway_id) == (
        Kind.TEST,
        Status.SUBMITTED,
        1,
        gateway,
    )
    (attempt,) = await attempts_of(engine, message.id)
    assert (attempt.outcome, attempt.gateway_id) == ("accepted", gateway)
    assert attempt.exchange["answer"]["status"] == 201
    async with begin(engine) as tx:
        entry = (await tx.execute(select(AuditEntry))).one()
    assert (entry.action, entry.subject_id, entry.detail) == (
        "gateway.tested",
        str(gateway),
        {"message_id": told["message_id"]},
    )
    shown = (await client.get(f"/v1/messages/{told['message_id']}")).json()
    assert shown["attempts"][0]["exchange"]["request"]["method"] == "POST"


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"enabled": False}, id="disabled"),
        pytest.param({"health": "withdrawn", "health_reason": "20003"}, id="withdrawn"),
        pytest.param({"location_ids": ["harbour"]}, id="of another location"),
        pytest.param({"balance": 1, "balance_check": {"enabled": True, "stop_below": "5"}}, id="empty"),
    ],
)
async def test_state_of_the_gateway_does_not_matter(
    client: httpx.AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    engine: AsyncEngine,
    sealer: Sealer,
    state: dict[str, Any],
) -> None:
    """And the one that stands before it gets nothing."""
    async with begin(engine) as tx:
        await make_gateway(tx, sealer)
        second = await make_gateway(tx, sealer, "second", priority=2, **state)
    first = at(router)
    at(router, "second", answer=named("SM2"))
    async with dispatcher(worker):
        told = (await client.post(f"/v1/gateways/{second}/test", json=BODY)).json()
    assert (told["status"], told["reference"]) == ("submitted", "SM2")
    assert not first.called
    words = {"enabled": "while it is disabled", "health": "for it is withdrawn"}.get(next(iter(state)))
    rest = f" Other messages do not go there{'' if words == 'while it is disabled' else ','} {words}" if words else ""
    mend = f": POST /v1/gateways/{second}/enable." if words else ""
    assert told["then"] == f"The gateway took it; receipts follow.{rest}{mend}"
    row = (await client.get(f"/v1/gateways/{second}")).json()
    assert row["enabled"] is state.get("enabled", True)


@pytest.mark.parametrize(
    ("answer", "outcome", "status", "fault", "code"),
    [
        pytest.param(refused(20003, status=401), "refused", "failed", "account", "20003", id="the account's fault"),
        pytest.param(refused(21211, status=400), "refused", "failed", "message", "21211", id="the message's"),
        pytest.param(refused(21606), "refused", "failed", "gateway", "21606", id="the gateway's"),
        pytest.param(refused(20429, status=429), "refused", "failed", "throttled", "20429", id="not now"),
        pytest.param(httpx.ConnectError("no"), "not_sent", "failed", None, None, id="nobody there"),
        pytest.param(httpx.Response(500), "lost", "unconfirmed", None, "http_5xx", id="in doubt"),
    ],
)
async def test_one_attempt_and_nobody_else_is_asked(
    client: httpx.AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    engine: AsyncEngine,
    sealer: Sealer,
    gateway: UUID,
    answer: Any,
    outcome: str,
    status: str,
    fault: str | None,
    code: str | None,
) -> None:
    async with begin(engine) as tx:
        await make_gateway(tx, sealer, "second", priority=2)
    asked, other = at(router, answer=answer), at(router, "second")
    async with dispatcher(worker):
        told = (await client.post(f"/v1/gateways/{gateway}/test", json=BODY)).json()
    await pump_all(worker, "urgent")
    assert (told["outcome"], told["status"], told["fault"]) == (outcome, status, fault)
    assert told["in_doubt"] is (status == "unconfirmed")
    assert told["code"] == code or code is None
    assert (asked.call_count, other.call_count) == (1, 0)
    assert told["request"]["line"].startswith("POST ")
    assert (told["answer"] is None) is (outcome == "not_sent")
    row = (await client.get(f"/v1/gateways/{gateway}")).json()
    # What the account is given in earnest will tell; but who asks for time gets it, here a second.
    assert row["health"]["state"] in ({"ok", "resting"} if fault == "throttled" else {"ok"})
    again = await client.post(f"/v1/messages/{told['message_id']}/resend")
    assert (again.status_code, again.json()["type"]) == (409, "/problems/message-not-resendable")


@asynccontextmanager
async def no_tls() -> AsyncIterator[int]:
    """The port of a server that does not speak TLS."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def nowhere(_name: str, _port: int) -> list[str]:
    raise socket.gaierror


LOOPBACK = ip_network("127.0.0.0/8")


@pytest.mark.parametrize(
    ("host", "make", "code", "named"),
    [
        pytest.param("127.0.0.1", Transport, "forbidden_address", "LAPWING_ALLOWED_NETWORKS", id="inside"),
        pytest.param(
            "127.0.0.1", partial(Transport, allowed_networks=[LOOPBACK]), "tls_failure", "verify_tls", id="no TLS"
        ),
        pytest.param("127.0.0.1:1", partial(Transport, allowed_networks=[LOOPBACK]), "refused_connection", "port",
                     id="a closed port"),
        pytest.param("gone.example.com", partial(Transport, resolver=nowhere), "dns_failure", "name server",
                     id="no name"),
    ],
)  # fmt: skip
async def test_what_left_nothing_is_told_with_its_remedy(
    client: httpx.AsyncClient,
    worker: HandWorker,
    engine: AsyncEngine,
    sealer: Sealer,
    host: str,
    make: Callable[[], Transport],
    code: str,
    named: str,
) -> None:
    async with no_tls() as port, aclosing(make()) as door:
        at_port = f"{host}:{port}" if host == "127.0.0.1" else host
        settings = {"base_url": f"https://{at_port}", "account_sid": "AC" + "0" * 32, "from": "+12025550100"}
        async with begin(engine) as tx:
            gateway = await make_gateway(tx, sealer, settings=settings)
        async with dispatcher(replace(worker, transport=door)):
            told = (await client.post(f"/v1/gateways/{gateway}/test", json=BODY)).json()
    assert (told["outcome"], told["code"], told["fault"]) == ("not_sent", code, None), told
    assert told["then"].startswith("It was certainly not sent. ")
    assert named in told["then"]


async def test_receipts_follow_where_they_are_read_alone(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter
) -> None:
    router.route(host="mine.example.com").mock(return_value=httpx.Response(200, text="OK 17"))
    script = "function build(sms) return {query = {to = sms.to, text = sms.message, hook = sms.callback_url}} end"
    settings: dict[str, Any] = {"url": "https://mine.example.com/send", "success_text": "OK 1", "script": script}
    made = await client.post("/v1/gateways", json={"name": "Mine", "kind": "custom", "settings": settings})
    assert made.status_code == 201, made.text
    path, said = f"/v1/gateways/{made.json()['id']}", []
    for receipt in (None, {"status": "s", "statuses": {"x": "sent"}}):
        if receipt:
            changed = await client.patch(path, json={"settings": {**settings, "receipt": receipt}})
            assert changed.status_code == 200, changed.text
            async with begin(worker.engine) as tx:
                await worker.book.read(tx)
        async with dispatcher(worker):
            said.append((await client.post(f"{path}/test", json=BODY)).json()["then"])
    assert "no receipts of it are read" in said[0]
    assert said[1].startswith("The gateway took it; receipts follow.")


async def test_pumps_leave_tests_alone(
    client: httpx.AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    gateway: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.gateways.trials.MARGIN_SECONDS", -9.9)
    route = at(router)
    answer = await client.post(f"/v1/gateways/{gateway}/test", json=BODY)
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert await pump_all(worker, "urgent") == 0
    assert not route.called


async def test_without_a_dispatcher_it_is_not_sent_later(
    client: httpx.AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    gateway: UUID,
    engine: AsyncEngine,
    by_hand: HandClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.gateways.trials.MARGIN_SECONDS", -9.9)
    route = at(router)
    message_id = (await client.post(f"/v1/gateways/{gateway}/test", json=BODY)).json()["message_id"]
    await by_hand.advance(minutes=2)
    async with dispatcher(worker):
        while (await message_of(engine, UUID(message_id))).status is Status.QUEUED:
            await asyncio.sleep(0.01)
    assert (await message_of(engine, UUID(message_id))).status is Status.EXPIRED
    assert not route.called


async def test_opted_out_is_not_written_to(
    client: httpx.AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    gateway: UUID,
    engine: AsyncEngine,
    pepper: bytes,
) -> None:
    async with begin(engine) as tx:
        await make_opt_out(tx, pepper, MSISDN)
    route = at(router)
    async with dispatcher(worker):
        told = (await client.post(f"/v1/gateways/{gateway}/test", json=BODY)).json()
    assert (told["status"], told["skip_reason"], told["outcome"], told["request"]) == (
        "skipped",
        "opted_out",
        None,
        None,
    )
    assert "opted out" in told["then"]
    assert not route.called


async def test_repeated_with_its_key_it_is_the_same_test(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter, gateway: UUID, engine: AsyncEngine
) -> None:
    route = at(router, answer=named("SM1"))
    key = {"Idempotency-Key": "try-1"}
    async with dispatcher(worker):
        first, again = [await client.post(f"/v1/gateways/{gateway}/test", json=BODY, headers=key) for _ in range(2)]
        other = await client.post(f"/v1/gateways/{gateway}/test", json={**BODY, "text": "x"}, headers=key)
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")
    assert route.call_count == await count(engine) == 1


async def test_several_at_once_do_not_wait_for_each_other(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter, engine: AsyncEngine, sealer: Sealer
) -> None:
    async with begin(engine) as tx:
        slow = await make_gateway(tx, sealer)
        quick = await make_gateway(tx, sealer, "second", priority=2)
    released = asyncio.Event()

    async def think(_request: httpx.Request) -> httpx.Response:
        await released.wait()
        return named("SM1")

    at(router, answer=think)
    at(router, "second", answer=named("SM2"))
    async with dispatcher(worker):
        waiting = asyncio.create_task(client.post(f"/v1/gateways/{slow}/test", json=BODY))
        told = (await client.post(f"/v1/gateways/{quick}/test", json=BODY)).json()
        assert (told["reference"], waiting.done()) == ("SM2", False)
        released.set()
        assert (await waiting).json()["reference"] == "SM1"


async def test_receipts_find_it(
    client: httpx.AsyncClient, worker: HandWorker, engine: AsyncEngine, sealer: Sealer
) -> None:
    async with begin(engine) as tx:
        sandbox = await make_gateway(tx, sealer, kind="sandbox")
    async with dispatcher(worker):
        told = (await client.post(f"/v1/gateways/{sandbox}/test", json={"msisdn": make_msisdn(0)})).json()
    await receipts(worker)
    message = await message_of(engine, UUID(told["message_id"]))
    assert (told["outcome"], message.status) == ("accepted", Status.DELIVERED)
    assert message.text == "A test of the gateway first."


async def test_gateway_deleted_meanwhile(
    worker: HandWorker, engine: AsyncEngine, pepper: bytes, by_hand: HandClock
) -> None:
    async with begin(engine) as tx:
        message_id = await make_message(tx, pepper, now=worker.now(), kind=Kind.TEST, gateway_id=uuid4())
    async with dispatcher(worker) as trials:
        while (await message_of(engine, message_id)).status in {Status.QUEUED, Status.SENDING}:
            await asyncio.sleep(0.01)
        assert await trials.look() == 0
    message = await message_of(engine, message_id)
    assert (message.status, message.failure) == (Status.FAILED, "no_account")


async def test_sender_has_to_be_this_gateway_s(
    client: httpx.AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    gateway: UUID,
    engine: AsyncEngine,
    sealer: Sealer,
) -> None:
    async with begin(engine) as tx:
        other = await make_gateway(tx, sealer, "second", priority=2)
        await make_sender_id(tx, other, "Harbour")
        await make_sender_id(tx, gateway, "+12025550111")
    route = at(router)
    refusal = await client.post(f"/v1/gateways/{gateway}/test", json={**BODY, "sender_id": "Harbour"})
    assert (refusal.status_code, refusal.json()["errors"][0]["pointer"]) == (422, "/sender_id")
    async with dispatcher(worker):
        told = await client.post(f"/v1/gateways/{gateway}/test", json={**BODY, "sender_id": "+12025550111"})
    assert told.status_code == 200
    assert b"From=%2B12025550111" in route.calls.last.request.content


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({"msisdn": "12"}, "/msisdn", id="no number"),
        pytest.param({}, "/msisdn", id="nobody"),
        pytest.param({**BODY, "text": " "}, "/text", id="no text"),
        pytest.param({**BODY, "text": "ё" * 1500}, "/text", id="too long"),
        pytest.param({**BODY, "sender_id": "Nobody"}, "/sender_id", id="no sender"),
        pytest.param({**BODY, "kind": "otp"}, "/kind", id="unknown field"),
    ],
)
async def test_refusals_of_the_body(
    client: httpx.AsyncClient, gateway: UUID, engine: AsyncEngine, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post(f"/v1/gateways/{gateway}/test", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert await count(engine) == 0


async def test_other_refusals(client: httpx.AsyncClient, gateway: UUID, engine: AsyncEngine, sealer: Sealer) -> None:
    missing = await client.post(f"/v1/gateways/{uuid4()}/test", json=BODY)
    assert missing.status_code == 404
    async with begin(engine) as tx:
        key = await make_api_key(tx, "send", "read")
        other = Sealer.from_texts([new_key()])
        sealed = await make_gateway(tx, other, "sealed by others", priority=2)
        strange = await make_gateway(tx, sealer, "strange", priority=3, kind="pigeon")
    reach = await client.post(
        f"/v1/gateways/{gateway}/test", json=BODY, headers={"Authorization": f"Bearer {key.text}"}
    )
    assert reach.status_code == 403
    for gateway_id, words in ((sealed, "enter them again"), (strange, "pigeon")):
        answer = await client.post(f"/v1/gateways/{gateway_id}/test", json=BODY)
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/gateway-not-testable")
        assert words in answer.json()["detail"]
    assert await count(engine) == 0


@pytest.mark.parametrize(
    ("rule", "body", "slug"),
    [
        pytest.param({"allowed_countries": ["ZA"]}, BODY, "country-not-allowed", id="country"),
        pytest.param({"max_chars": 5}, BODY, "text-too-many-segments", id="length"),
        pytest.param({}, {**BODY, "sender_id": "Cafe Ada"}, "sender-not-allowed", id="sender"),
    ],
)
async def test_operator_s_rules_hold_for_tests_too(
    client: httpx.AsyncClient, gateway: UUID, engine: AsyncEngine, rule: dict[str, Any], body: dict[str, Any], slug: str
) -> None:
    async with begin(engine) as tx:
        await make_sender_id(tx, gateway, "Cafe Ada")
    assert (await client.put("/v1/policy", json=rule)).status_code == 200
    answer = await client.post(f"/v1/gateways/{gateway}/test", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, f"/problems/{slug}"), answer.text
    assert await count(engine) == 0


async def test_it_takes_quota_like_every_message(
    client: httpx.AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    gateway: UUID,
    engine: AsyncEngine,
    by_hand: HandClock,
) -> None:
    """What the gateway took is consumed, what it refused goes back; without quota nothing is sent."""
    route = at(router, answer=in_turn(refused(MESSAGE), named("SM1")))
    assert (await client.post("/v1/quota/grants", json={"units": 1})).status_code == 201
    for left in (1, 0):
        async with dispatcher(worker):
            assert (await client.post(f"/v1/gateways/{gateway}/test", json=BODY)).status_code == 200
        await by_hand.advance(seconds=10)
        while await keep_quota(worker):
            pass
        told = (await client.get("/v1/quota")).json()
        assert (told["available"], told["consumed"]) == (left, 1 - left)
    answer = await client.post(f"/v1/gateways/{gateway}/test", json=BODY)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/quota-exceeded")
    assert (route.call_count, await count(engine)) == (2, 2)
