"""Messages of automations on the path: quiet hours by the automation's own word, whatever the policy has for others."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import respx
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.beside.automate import automate
from shared.db import begin
from shared.domain import policy as law
from shared.domain.message import Status
from shared.models import Message
from shared.queries.policy import write_policy
from tests.factories import make_gateway
from tests.stages import message_of, pump_all
from tests.worlds import HandClock, HandWorker

NIGHT = {"start": "20:00", "end": "08:00"}
CAPE = "+27600000000"  # two hours ahead of UTC all year


@pytest.fixture
async def gateway(worker: HandWorker, router: respx.MockRouter) -> UUID:
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer)
    router.post(url__startswith="https://first.example.com").respond(201, json={"sid": "SM1", "status": "queued"})
    return gateway_id


async def set_rules(worker: HandWorker, **rules: Any) -> None:
    async with worker.transaction() as tx:
        await write_policy(tx, law.read(rules), caller="admin", now=worker.now())
    worker.rules.forget()


async def at(by_hand: HandClock, hour: int, minute: int = 0) -> datetime:
    """Tomorrow at this hour, UTC."""
    day = (by_hand.clock.now + timedelta(days=1)).replace(hour=hour, minute=minute, second=0, microsecond=0)
    await by_hand.advance(seconds=(day - by_hand.clock.now).total_seconds())
    return by_hand.clock.now


async def make(client: AsyncClient, text: str = "Hello.", **over: Any) -> dict[str, Any]:
    template = await client.post("/v1/templates", json={"name": f"of {over.get('name', 'x')}", "text": text})
    body = {"name": "x", "event": "order_paid", "template_id": template.json()["id"]}
    answer = await client.post("/v1/automations", json=body | over)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def tell(client: AsyncClient, worker: HandWorker, key: str = "e-1", **over: Any) -> dict[str, Any]:
    """What an event leads to by the one automation there is."""
    answer = await client.post("/v1/events", json={"id": key, "name": "order_paid", "msisdn": CAPE} | over)
    assert answer.status_code == 202, answer.text
    while await automate(worker):
        pass
    event = (await client.get(f"/v1/events/{answer.json()['event_id']}")).json()
    (run,) = event["led_to"]
    found: dict[str, Any] = run
    return found


async def messages(engine: AsyncEngine) -> list[Any]:
    async with begin(engine) as tx:
        return list((await tx.execute(select(Message).order_by(Message.id))).all())


async def dry(client: AsyncClient, rule: dict[str, Any], **over: Any) -> dict[str, Any]:
    answer = await client.post(f"/v1/automations/{rule['id']}/dry-run", json={"msisdn": CAPE} | over)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


# --- quiet hours


@pytest.mark.parametrize("kinds", [["campaign"], ["campaign", "personal"]])
async def test_one_that_had_to_wait_does_not_leave_in_quiet_hours(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: UUID, kinds: list[str]
) -> None:
    """Planned for now, it meets the window on its way; a dry run at that moment says the same."""
    await set_rules(worker, quiet_hours=[NIGHT], quiet_hours_kinds=kinds)
    rule = await make(client)
    evening = await at(by_hand, 17, 59)
    message_id = UUID((await tell(client, worker))["message_id"])
    assert (await message_of(worker.engine, message_id)).not_before == evening
    await by_hand.advance(minutes=2)
    assert await pump_all(worker, "urgent") == 1  # taken, and put back
    waiting = await message_of(worker.engine, message_id)
    morning = evening.replace(hour=6, minute=0) + timedelta(days=1)
    assert (waiting.status, waiting.attempt, waiting.not_before) == (Status.QUEUED, 0, morning)
    assert datetime.fromisoformat((await dry(client, rule))["not_before"]) == morning
    await by_hand.advance(hours=12)
    assert await pump_all(worker, "urgent") == 1
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


@pytest.mark.parametrize("kinds", [["campaign"], ["campaign", "personal"]])
async def test_one_that_need_not_mind_them_does_not(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: UUID, kinds: list[str]
) -> None:
    await set_rules(worker, quiet_hours=[NIGHT], quiet_hours_kinds=kinds)
    rule = await make(client, respect_quiet_hours=False)
    night = await at(by_hand, 22)
    assert datetime.fromisoformat((await dry(client, rule))["not_before"]) == night
    message_id = UUID((await tell(client, worker))["message_id"])
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED


async def test_messages_of_others_keep_to_the_policy_s_kinds(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: UUID
) -> None:
    await set_rules(worker, quiet_hours=[NIGHT], quiet_hours_kinds=["voucher"])
    await at(by_hand, 22)
    for kind in ("personal", "voucher"):
        await client.post("/v1/messages", json={"msisdn": CAPE, "text": "Hello.", "kind": kind})
    await pump_all(worker, "urgent")
    assert [(row.kind, row.status) for row in await messages(worker.engine)] == [
        ("personal", Status.SUBMITTED),
        ("voucher", Status.QUEUED),
    ]
