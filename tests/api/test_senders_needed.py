"""A sender, or the gateway that alone has it, stays while passwords, automations or waiting messages need it."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import utc_now
from shared.db import begin
from shared.domain.message import Status
from shared.models import Message
from shared.queries import sender_ids
from tests.factories import make_message

SENDER = "+12025550100"
OTHER = "+12025550199"


async def create(client: httpx.AsyncClient, path: str, **given: Any) -> dict[str, Any]:
    answer = await client.post(f"/v1/{path}", json=given)
    assert answer.status_code < 300, answer.text
    made: dict[str, Any] = answer.json()
    return made


@pytest.fixture
async def gateway(client: httpx.AsyncClient) -> str:
    made = await create(client, "gateways", name="Main", kind="sandbox")
    return str(made["id"])


@pytest.fixture
async def sender(client: httpx.AsyncClient, gateway: str) -> str:
    made = await create(client, "sender-ids", gateway_id=gateway, value=SENDER)
    return f"/v1/sender-ids/{made['id']}"


async def by_profile(client: httpx.AsyncClient) -> tuple[str, str]:
    made = await create(client, "otp-profiles", name="splash", sender_id=SENDER)
    return "splash", f"otp-profiles/{made['id']}"


async def by_automation(client: httpx.AsyncClient) -> tuple[str, str]:
    template = await create(client, "templates", name="Welcome", text="Hello")
    made = await create(
        client, "automations", name="greet", event="opt_in", template_id=template["id"], sender_id=SENDER
    )
    return "greet", f"automations/{made['id']}"


async def by_message(client: httpx.AsyncClient) -> tuple[str, str]:
    later = (utc_now() + timedelta(hours=2)).isoformat()
    made = await create(
        client, "messages", msisdn="+12025550142", text="Hi", kind="personal", sender_id=SENDER, send_at=later
    )
    return f"{later[:16]}Z", f"messages/{made['id']}"


NEEDS = pytest.mark.parametrize("need", [by_profile, by_automation, by_message])
Need = Callable[[httpx.AsyncClient], Awaitable[tuple[str, str]]]


async def release(client: httpx.AsyncClient, path: str) -> None:
    if path.startswith("messages/"):
        answer = await client.post(f"/v1/{path}/cancel")
    else:
        answer = await client.patch(f"/v1/{path}", json={"sender_id": None})
    assert answer.status_code < 300, answer.text


@NEEDS
async def test_a_sender_stays_while_it_is_needed(client: httpx.AsyncClient, sender: str, need: Need) -> None:
    name, path = await need(client)
    for refused in (await client.delete(sender), await client.patch(sender, json={"value": OTHER})):
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/sender-id-in-use"), refused.text
        assert name in refused.json()["detail"]
        assert "first" in refused.json()["detail"]
    await release(client, path)
    assert (await client.delete(sender)).status_code == 204


@NEEDS
async def test_a_gateway_stays_while_it_alone_has_a_sender_that_is_needed(
    client: httpx.AsyncClient, gateway: str, sender: str, need: Need
) -> None:
    name, _ = await need(client)
    await client.post(f"/v1/gateways/{gateway}/disable")
    refused = await client.delete(f"/v1/gateways/{gateway}")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/gateway-in-use"), refused.text
    assert name in refused.json()["detail"]
    second = await create(client, "gateways", name="Second", kind="sandbox")
    await create(client, "sender-ids", gateway_id=second["id"], value=SENDER)
    assert (await client.delete(sender)).status_code == 204
    assert (await client.delete(f"/v1/gateways/{gateway}")).status_code == 204


async def test_what_waits_under_another_sender_or_no_more_needs_it_not(
    client: httpx.AsyncClient, engine: AsyncEngine, pepper: bytes, now: datetime, sender: str
) -> None:
    async with begin(engine) as tx:
        await make_message(tx, pepper, now=now, sender_id=OTHER)
        await make_message(tx, pepper, now=now, sender_id=None)
        await make_message(tx, pepper, now=now, sender_id=SENDER, expires_at=now - timedelta(minutes=1))
        mine = await make_message(tx, pepper, now=now, sender_id=SENDER)
    assert (await client.delete(sender)).status_code == 409
    async with begin(engine) as tx:
        await tx.execute(update(Message).where(Message.id == mine).values(status=Status.SUBMITTED))
    assert (await client.delete(sender)).status_code == 204


async def test_waiting_messages_are_found_by_their_index(engine: AsyncEngine) -> None:
    words = str(sender_ids._QUEUED).replace(":values", "'{x}'").replace(":most", "10")
    async with begin(engine) as tx:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(row[0] for row in await tx.execute(text(f"EXPLAIN {words}")))
    assert "Index Cond: (priority = " in plan, plan
    assert "Seq Scan on messages" not in plan, plan


async def test_a_profile_says_that_nobody_has_its_sender(client: httpx.AsyncClient, gateway: str, sender: str) -> None:
    made = await create(client, "otp-profiles", name="splash", sender_id=SENDER, region="US")
    path = f"/v1/otp-profiles/{made['id']}"
    assert made["warnings"] == []
    await client.post(f"/v1/gateways/{gateway}/disable")
    listed = (await client.get("/v1/otp-profiles")).json()["items"]
    for shown in ((await client.get(path)).json(), next(one for one in listed if one["id"] == made["id"])):
        (told,) = shown["warnings"]
        assert (SENDER in told, "/v1/sender-ids" in told) == (True, True)
    assert (await client.patch(path, json={"enabled": False})).json()["warnings"] == []
    assert (await client.patch(path, json={"enabled": True})).json()["warnings"] == [told]
    assert (await client.patch(path, json={"sender_id": None})).json()["warnings"] == []
