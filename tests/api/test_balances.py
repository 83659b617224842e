"""A gateway's credit over HTTP: asked for through the dispatcher, shown with its state, and as it was."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import respx
from fastapi import FastAPI
from redis.asyncio import Redis
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.main import equip
from api.resources import Resources
from deploy.local.servers import Valkey
from dispatcher.beside.balances import balances
from shared.db import begin
from shared.doorbell import bell_of
from shared.ids import uuid7
from shared.models import AuditEntry, BalanceReading, Gateway
from shared.sealing import Sealer
from tests.factories import make_api_key, make_gateway
from tests.worlds import HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]

CHECK = {"enabled": True, "every_minutes": 60, "warn_below": "25", "stop_below": "5"}


@asynccontextmanager
async def dispatcher(worker: HandWorker) -> AsyncIterator[None]:
    """One that looks all the time."""

    async def look() -> None:
        while True:
            await balances(worker)
            await asyncio.sleep(0.01)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait({looking})


def credit(router: respx.MockRouter, answer: httpx.Response) -> respx.Route:
    return router.get(host="first.example.com", path__regex=r".*/Balance\.json").mock(return_value=answer)


def told(amount: str) -> httpx.Response:
    return httpx.Response(200, json={"balance": amount, "currency": "USD"})


@pytest.fixture
async def gateway(engine: AsyncEngine, sealer: Sealer) -> UUID:
    async with begin(engine) as tx:
        return await make_gateway(tx, sealer, balance_check=CHECK)


async def change(engine: AsyncEngine, **values: Any) -> None:
    async with begin(engine) as tx:
        await tx.execute(update(Gateway).values(**values))


async def test_fresh_reading(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter, gateway: UUID, engine: AsyncEngine
) -> None:
    credit(router, told("40.1234"))
    async with dispatcher(worker):
        answer = await client.post(f"/v1/gateways/{gateway}/balance")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert {name: body[name] for name in ("status", "amount", "unit", "state", "failures", "failure")} == {
        "status": "read",
        "amount": "40.1234",
        "unit": "USD",
        "state": "ok",
        "failures": 0,
        "failure": None,
    }
    assert datetime.fromisoformat(body["at"]) == worker.now()
    assert datetime.fromisoformat(body["next_at"]) == worker.now() + timedelta(hours=1)
    shown = (await client.get(f"/v1/gateways/{gateway}")).json()
    assert shown["balance"] == {name: value for name, value in body.items() if name != "status"}
    async with begin(engine) as tx:
        actions = (await tx.execute(select(AuditEntry.action, AuditEntry.subject_id))).all()
    assert actions == [("gateway.balance_asked", str(gateway))]


@pytest.mark.parametrize("amount", ["1000000", "1e5", "-1E+6", "20000000.5", "0"])
async def test_large_amounts_are_told_in_full(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter, gateway: UUID, amount: str
) -> None:
    credit(router, told(amount))
    path, full = f"/v1/gateways/{gateway}", f"{Decimal(amount):f}"
    limits = {"warn_below": "2e7", "stop_below": "1E+3"}
    changed = await client.patch(path, json={"balance_check": {**CHECK, **limits}})
    async with dispatcher(worker):
        answer = await client.post(f"{path}/balance")
    (read,) = (await client.get(f"{path}/balances")).json()["items"]
    gateway_now = (await client.get(path)).json()
    assert [answer.json()["amount"], read["amount"], gateway_now["balance"]["amount"]] == [full, full, full]
    for shown in (changed.json(), gateway_now):
        assert {name: shown["balance_check"][name] for name in limits} == {
            "warn_below": "20000000",
            "stop_below": "1000",
        }
    for notice in (await client.get("/v1/notices")).json()["items"]:
        assert "E+" not in str(notice)


async def test_gateway_that_does_not_tell(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter, gateway: UUID, engine: AsyncEngine
) -> None:
    """What it said before is shown with why it is not fresh."""
    await change(engine, balance=7, balance_unit="USD", balance_at=worker.now())
    credit(router, httpx.Response(401))
    async with dispatcher(worker):
        answer = await client.post(f"/v1/gateways/{gateway}/balance")
    body = answer.json()
    assert (answer.status_code, body["status"], body["amount"], body["state"]) == (200, "failed", "7", "low")
    assert body["failures"] == 1
    assert "401" in body["failure"]


async def test_without_an_answer_in_time(
    client: httpx.AsyncClient, gateway: UUID, engine: AsyncEngine, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.gateways.balances.WAIT_SECONDS", 0.3)
    answer = await client.post(f"/v1/gateways/{gateway}/balance")
    body = answer.json()
    assert (answer.status_code, body["status"], body["amount"], body["state"]) == (202, "asked", None, "unknown")
    async with begin(engine) as tx:
        row = (await tx.execute(select(Gateway))).one()
    assert row.balance_requested_at is not None
    assert row.balance_due_at == row.balance_requested_at
    async with Redis.from_url(valkey.url) as redis:
        assert await redis.llen(bell_of("bulk")) == 1


async def test_waiting_holds_no_connection(
    client: httpx.AsyncClient, gateway: UUID, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gateways that are slow to answer must not take the connections of everybody else."""
    monkeypatch.setattr("api.gateways.balances.LOOK_SECONDS", 0.3)
    asking = [asyncio.create_task(client.post(f"/v1/gateways/{gateway}/balance")) for _ in range(5)]
    async with asyncio.timeout(9):
        while await _asked(engine) < len(asking) or engine.pool.checkedout():  # type: ignore[attr-defined]  # a queue's
            await asyncio.sleep(0.01)
    assert not any(task.done() for task in asking)
    await change(engine, balance_requested_at=None)
    assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}


async def _asked(engine: AsyncEngine) -> int:
    async with begin(engine) as tx:
        return len((await tx.execute(select(AuditEntry.id))).all())


async def test_refusals(client: httpx.AsyncClient, engine: AsyncEngine, sealer: Sealer) -> None:
    async with begin(engine) as tx:
        sandbox = await make_gateway(tx, sealer, kind="sandbox")
    missing = await client.post(f"/v1/gateways/{uuid4()}/balance")
    cannot = await client.post(f"/v1/gateways/{sandbox}/balance")
    assert (missing.status_code, cannot.status_code) == (404, 409)
    assert cannot.json()["type"] == "/problems/no-balance-to-ask-for"
    assert "sandbox" in cannot.json()["detail"]
    assert (await client.get(f"/v1/gateways/{uuid4()}/balances")).status_code == 404
    async with begin(engine) as tx:
        assert (await tx.execute(select(AuditEntry))).all() == []


async def test_scopes_decide(
    anonymous: httpx.AsyncClient, gateway: UUID, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.gateways.balances.WAIT_SECONDS", 0.0)
    async with begin(engine) as tx:
        read, manage = [
            {"Authorization": f"Bearer {(await make_api_key(tx, scope)).text}"} for scope in ("read", "manage")
        ]
    path = f"/v1/gateways/{gateway}/balance"
    asked = [(await anonymous.post(path, headers=headers)).status_code for headers in ({}, read, manage)]
    listed = [(await anonymous.get(f"{path}s", headers=headers)).status_code for headers in ({}, read)]
    assert (asked, listed) == ([401, 403, 202], [401, 200])


async def test_history_is_paged(
    client: httpx.AsyncClient, gateway: UUID, engine: AsyncEngine, sealer: Sealer, now: datetime
) -> None:
    async with begin(engine) as tx:
        other = await make_gateway(tx, sealer, "second", priority=2)
        for hours in range(5):
            at = now - timedelta(hours=hours)
            for gateway_id in (gateway, other):
                row = {"id": uuid7(at), "gateway_id": gateway_id, "at": at, "unit": "USD"}
                amount = Decimal(f"{hours}.1234") if gateway_id == gateway else Decimal(99)
                await tx.execute(insert(BalanceReading).values(**row, amount=amount))
    path = f"/v1/gateways/{gateway}/balances"
    found: list[str] = []
    cursor: str | None = None
    for size in (2, 2, 1):
        page = (await client.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        assert len(page["items"]) == size
        found += [one["amount"] for one in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert found == [f"{hours}.1234" for hours in range(5)]
    assert (await client.get(path, params={"cursor": "nonsense"})).status_code == 422


@pytest.mark.parametrize(
    ("over", "state", "reason"),
    [
        pytest.param({"balance": Decimal("4.99")}, "empty", "4.99 USD, is below stop_below, 5", id="below the floor"),
        pytest.param({"balance": Decimal(-1), "balance_check": {"stop_below": "0"}}, "empty", "-1 USD", id="in debt"),
        pytest.param({"balance": Decimal("24.99")}, "ok", None, id="low is no reason to stop"),
        pytest.param({"balance": None}, "ok", None, id="never read"),
        pytest.param(
            {"balance": Decimal(1), "health": "withdrawn", "health_reason": "20003"},
            "withdrawn",
            "20003",
            id="withdrawn",
        ),
    ],
)
async def test_health(
    client: httpx.AsyncClient, gateway: UUID, engine: AsyncEngine, over: dict[str, Any], state: str, reason: str | None
) -> None:
    await change(engine, balance_unit="USD", **over)
    health = (await client.get(f"/v1/gateways/{gateway}")).json()["health"]
    assert health["state"] == state
    assert health["reason"] is None if reason is None else reason in health["reason"]


async def test_failures_are_shown_though_nothing_was_ever_read(
    client: httpx.AsyncClient, gateway: UUID, engine: AsyncEngine
) -> None:
    await change(engine, balance_failures=2, balance_failure="It gave no answer (read_timeout).")
    shown = (await client.get(f"/v1/gateways/{gateway}")).json()["balance"]
    assert (shown["amount"], shown["failures"], shown["failure"]) == (None, 2, "It gave no answer (read_timeout).")


@pytest.mark.parametrize(
    ("body", "asked_at_once"),
    [
        pytest.param({"balance_check": {"warn_below": "50"}}, True, id="new limits"),
        pytest.param({"secrets": {"api_secret": "another-secret-of-ours"}}, True, id="a mended secret"),
        pytest.param({"name": "Another"}, False, id="a new name"),
    ],
)
async def test_what_was_changed_is_asked_about(
    client: httpx.AsyncClient, gateway: UUID, engine: AsyncEngine, now: datetime, body: Any, asked_at_once: bool
) -> None:
    due_at = now + timedelta(hours=1)
    await change(engine, balance_due_at=due_at)
    assert (await client.patch(f"/v1/gateways/{gateway}", json=body)).status_code == 200
    async with begin(engine) as tx:
        assert await tx.scalar(select(Gateway.balance_due_at)) == (None if asked_at_once else due_at)


async def test_check_is_taken_back(client: httpx.AsyncClient, gateway: UUID) -> None:
    changed = await client.patch(f"/v1/gateways/{gateway}", json={"balance_check": None})
    assert (changed.status_code, changed.json()["balance_check"]) == (200, None)


async def test_check_of_a_kind_without_a_balance(
    client: httpx.AsyncClient, engine: AsyncEngine, sealer: Sealer
) -> None:
    async with begin(engine) as tx:
        sandbox = await make_gateway(tx, sealer, kind="sandbox")
    path = f"/v1/gateways/{sandbox}"
    body = {"name": "Sandbox", "kind": "sandbox", "balance_check": {"warn_below": "5"}}
    refusals = [
        await client.patch(path, json={"balance_check": {"warn_below": "5"}}),
        await client.post("/v1/gateways", json=body),
    ]
    for refused in refusals:
        assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/balance_check")
    assert (await client.patch(path, json={"balance_check": {"enabled": False}})).status_code == 200


async def test_letters_that_nobody_carries_are_warned_of(
    client: httpx.AsyncClient, app: FastAPI, resources: Resources, gateway: UUID
) -> None:
    path, check = f"/v1/gateways/{gateway}", {"warn_below": "5", "email": ["ops@example.com"]}
    assert (await client.patch(path, json={"balance_check": check})).json()["warnings"] == []
    equip(app, replace(resources, sends_mail=False))
    (warning,) = (await client.get(path)).json()["warnings"]
    assert warning.startswith("balance_check.email gets no letters")
    without = await client.patch(path, json={"balance_check": {"warn_below": "5"}})
    assert without.json()["warnings"] == []


async def test_check_of_settings_without_a_balance(client: httpx.AsyncClient) -> None:
    """A custom gateway can be asked where its settings say how; a check without that would fail for ever."""
    plain = {"url": "https://gateway.example/send", "payload": "t=%TO%&m=%MESSAGE%", "success_text": "OK: "}
    body = {"name": "Own", "kind": "custom", "settings": plain, "balance_check": {"warn_below": "5"}}
    refused = await client.post("/v1/gateways", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/balance_check")
    made = await client.post("/v1/gateways", json={**body, "settings": {**plain, "balance": {"url": "/b"}}})
    assert made.status_code == 201
    path = f"/v1/gateways/{made.json()['id']}"
    taken_out = {"settings": {"balance": None}}
    refused = await client.patch(path, json=taken_out)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/settings/balance")
    assert (await client.patch(path, json={**taken_out, "balance_check": None})).status_code == 200
    asked = await client.post(f"{path}/balance")
    assert (asked.status_code, asked.json()["type"]) == (409, "/problems/no-balance-to-ask-for")
    again = await client.patch(path, json={"balance_check": {"warn_below": "5"}})
    assert (again.status_code, again.json()["errors"][0]["pointer"]) == (422, "/balance_check")
    both = {"settings": {"balance": {"url": "/b"}}, "balance_check": {"warn_below": "5"}}
    assert (await client.patch(path, json=both)).status_code == 200
