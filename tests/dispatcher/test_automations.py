"""Messages of automations on the path: quiet hours by the automation's own word, whatever the policy has for others."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import respx
from httpx import AsyncClient
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.beside.automate import automate
from shared.db import begin
from shared.domain import policy as law
from shared.domain.message import SkipReason, Status
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


# --- the end of a voucher


def near(worker: HandWorker, **ahead: float) -> dict[str, Any]:
    """An event about a voucher that ends so far ahead."""
    ends = (worker.now() + timedelta(**ahead)).isoformat().replace("+00:00", "Z")
    return {"name": "voucher_nearly_used", "data": {"reason": "validity", "valid_until": ends}}


async def test_reminder_expires_with_what_it_reminds_of(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: UUID
) -> None:
    await make(client, "Ends {{ variables.valid_until }}.", event="voucher_nearly_used", delay_seconds=60)
    ends = worker.now() + timedelta(hours=2)
    message_id = UUID((await tell(client, worker, **near(worker, hours=2)))["message_id"])
    made = await message_of(worker.engine, message_id)
    assert (made.expires_at, made.valid_until) == (ends, ends)
    await by_hand.advance(hours=2)
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.EXPIRED
    answer = await client.post(f"/v1/messages/{message_id}/resend")
    assert answer.json()["type"] == "/problems/voucher-ended"


@pytest.mark.parametrize(
    ("over", "hour"),
    [
        pytest.param({"delay_seconds": 7200}, 12, id="the delay reaches beyond it"),
        pytest.param({}, 22, id="quiet hours reach beyond it"),
    ],
)
async def test_reminder_that_would_come_too_late_is_not_made(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, over: dict[str, Any], hour: int
) -> None:
    await set_rules(worker, quiet_hours=[NIGHT])
    rule = await make(client, event="voucher_nearly_used", **over)
    await at(by_hand, hour)
    event = near(worker, hours=2)
    tried = await dry(client, rule, data=event["data"])
    run = await tell(client, worker, **event)
    assert (run["outcome"], tried["outcome"], run["message_id"]) == ("too_late", "too_late", None)
    assert event["data"]["valid_until"][:16] in run["detail"]
    assert await messages(worker.engine) == []


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"percent": 85}, id="none is told"),
        pytest.param({"valid_until": "2020-01-01"}, id="a day is no moment"),
        pytest.param({"valid_until": "2020-01-01T00:00:00"}, id="without a zone"),
        pytest.param({"valid_until": "9999-12-31T23:59:59-12:00"}, id="beyond all vouchers"),
        pytest.param({"valid_until": 7}, id="a number"),
    ],
)
async def test_what_tells_no_end_bounds_nothing(client: AsyncClient, worker: HandWorker, data: dict[str, Any]) -> None:
    await make(client, event="voucher_nearly_used")
    await tell(client, worker, name="voucher_nearly_used", data=data)
    (made,) = await messages(worker.engine)
    assert (made.expires_at, made.valid_until) == (made.not_before + timedelta(days=1), None)


async def test_other_events_may_mean_something_else_by_it(client: AsyncClient, worker: HandWorker) -> None:
    await make(client)
    await tell(client, worker, data={"valid_until": worker.now().isoformat()})
    (made,) = await messages(worker.engine)
    assert made.expires_at == made.not_before + timedelta(days=1)


# --- the cap


@pytest.mark.parametrize(
    ("status", "counted"),
    [
        (Status.CANCELLED, False),
        (Status.EXPIRED, False),
        (Status.SKIPPED, False),
        (Status.FAILED, False),
        (Status.QUEUED, True),
        (Status.UNCONFIRMED, True),
        (Status.UNDELIVERED, True),
        (Status.DELIVERED, True),
    ],
)
async def test_what_reached_nobody_leaves_room_for_another(
    client: AsyncClient, worker: HandWorker, status: Status, counted: bool
) -> None:
    rule = await make(client, cap={"messages": 1, "hours": 24})
    first = await tell(client, worker)
    async with worker.transaction() as tx:
        await tx.execute(update(Message).where(Message.id == UUID(first["message_id"])).values(status=status))
    expected = "capped" if counted else "message"
    assert (await dry(client, rule))["outcome"] == expected
    assert (await tell(client, worker, "e-2"))["outcome"] == expected
    assert (await tell(client, worker, "e-3"))["outcome"] == "capped"


async def test_what_a_stop_called_back_does_not_count(client: AsyncClient, worker: HandWorker) -> None:
    """Also a moment later, when no dispatcher has looked at it."""
    rule = await make(client, cap={"messages": 1, "hours": 24}, delay_seconds=3600)
    await tell(client, worker)
    assert (await client.post(f"/v1/automations/{rule['id']}/stop")).json()["cancelled"] == 1
    await client.patch(f"/v1/automations/{rule['id']}", json={"enabled": True, "delay_seconds": 0})
    assert (await tell(client, worker, "e-2"))["outcome"] == "message"
    assert (await tell(client, worker, "e-3"))["outcome"] == "capped"


async def test_what_is_no_longer_kept_counts(client: AsyncClient, worker: HandWorker) -> None:
    await make(client, cap={"messages": 1, "hours": 24})
    await tell(client, worker)
    async with worker.transaction() as tx:
        await tx.execute(delete(Message))
    assert (await tell(client, worker, "e-2"))["outcome"] == "capped"


# --- consent


async def consent(client: AsyncClient, status: str) -> dict[str, Any]:
    answer = await client.post("/v1/contacts", json={"msisdn": CAPE, "consent_status": status})
    assert answer.status_code == 201, answer.text
    contact: dict[str, Any] = answer.json()
    return contact


async def test_who_took_consent_back_gets_no_message(client: AsyncClient, worker: HandWorker) -> None:
    rule = await make(client, event="contact_added")
    contact = await consent(client, "withdrawn")
    assert await automate(worker) == 1
    (event,) = (await client.get("/v1/events")).json()["items"]
    assert [run["outcome"] for run in event["led_to"]] == ["no_consent"]
    assert (await dry(client, rule, msisdn=None, contact_id=contact["id"]))["outcome"] == "no_consent"
    assert await messages(worker.engine) == []


@pytest.mark.parametrize("status", ["unknown", "granted"])
async def test_who_did_not_gets_one(client: AsyncClient, worker: HandWorker, status: str) -> None:
    await make(client, event="contact_added")
    await consent(client, status)
    await automate(worker)
    assert len(await messages(worker.engine)) == 1


@pytest.mark.parametrize("known", [True, False], ids=["a contact", "a number that becomes one"])
async def test_consent_that_is_taken_back_while_it_waits(
    client: AsyncClient, worker: HandWorker, gateway: UUID, known: bool
) -> None:
    """What is sent to one person by hand goes out all the same."""
    contact = await consent(client, "granted") if known else None
    await make(client)
    message_id = UUID((await tell(client, worker))["message_id"])
    by_hand = (await client.post("/v1/messages", json={"msisdn": CAPE, "text": "Hello."})).json()["id"]
    if contact is None:
        await consent(client, "withdrawn")
    else:
        await client.patch(f"/v1/contacts/{contact['id']}", json={"consent_status": "withdrawn"})
    await pump_all(worker, "urgent")
    held = await message_of(worker.engine, message_id)
    assert (held.status, held.skip_reason, held.attempt) == (Status.SKIPPED, SkipReason.NO_CONSENT, 0)
    assert (await message_of(worker.engine, UUID(by_hand))).status is Status.SUBMITTED


@pytest.mark.parametrize(("status", "expected"), [("withdrawn", 409), ("unknown", 202)])
async def test_sent_again_by_hand_it_keeps_to_that(
    client: AsyncClient, worker: HandWorker, status: str, expected: int
) -> None:
    await set_rules(worker, require_consent=True)
    await make(client)
    message_id = (await tell(client, worker))["message_id"]
    async with worker.transaction() as tx:
        await tx.execute(update(Message).values(status=Status.FAILED))
    await consent(client, status)
    answer = await client.post(f"/v1/messages/{message_id}/resend")
    assert answer.status_code == expected, answer.text
    if expected == 409:
        assert "automation" in answer.json()["detail"]


# --- a dry run


async def test_dry_run_says_that_the_automation_is_off(client: AsyncClient) -> None:
    rule = await make(client)
    assert (await dry(client, rule))["warnings"] == []
    await client.post(f"/v1/automations/{rule['id']}/stop")
    tried = await dry(client, rule)
    assert (tried["outcome"], len(tried["warnings"])) == ("message", 1)
    assert "off" in tried["warnings"][0]
    assert "enabled" in tried["warnings"][0]
