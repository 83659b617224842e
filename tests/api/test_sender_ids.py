"""Sender IDs over HTTP: what a gateway can show, once each, and kept while a campaign needs them."""

from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.resources import Resources
from shared.adapter import Capabilities
from shared.db import begin
from shared.domain import campaign
from shared.gateways import sandbox
from shared.ids import uuid7
from shared.models import AuditEntry, Campaign, SenderIdRow
from shared.queries.gateways import list_configured
from tests.factories import make_api_key


async def gateway(client: httpx.AsyncClient, name: str = "Null") -> str:
    answer = await client.post("/v1/gateways", json={"name": name, "kind": "sandbox"})
    assert answer.status_code == 201, answer.text
    id_: str = answer.json()["id"]
    return id_


async def create(client: httpx.AsyncClient, gateway_id: str, value: str) -> dict[str, Any]:
    answer = await client.post("/v1/sender-ids", json={"gateway_id": gateway_id, "value": value})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def insert_campaign(engine: AsyncEngine, sender_id: str, *, now: datetime) -> None:
    async with begin(engine) as tx:
        await tx.execute(
            insert(Campaign).values(
                id=uuid7(now),
                name="Autumn",
                status=campaign.Status.DRAFT,
                sender_id=sender_id,
                created_at=now,
                updated_at=now,
            )
        )


@pytest.mark.parametrize(
    ("given", "kept", "kind"),
    [
        pytest.param(" LAPWING ", "LAPWING", "alphanumeric", id="name"),
        pytest.param("+1 (202) 555-0142", "+12025550142", "numeric", id="number"),
        pytest.param("30 123", "30123", "short_code", id="short code"),
    ],
)
async def test_kept_in_one_form(
    client: httpx.AsyncClient, engine: AsyncEngine, given: str, kept: str, kind: str
) -> None:
    created = await create(client, await gateway(client), given)
    assert (created["value"], created["kind"]) == (kept, kind)
    assert (await client.get(f"/v1/sender-ids/{created['id']}")).json() == created
    async with begin(engine) as tx:
        row = (await tx.execute(select(SenderIdRow))).one()
        actions = (await tx.execute(select(AuditEntry.action))).scalars().all()
    assert (row.value, row.kind) == (kept, kind)
    assert "sender_id.created" in actions


async def test_a_name_that_cannot_be_sent_with_yet_says_so(client: httpx.AsyncClient) -> None:
    """It may be registered before names are switched on, and not without a word."""
    gateway_id = await gateway(client)
    named, numbered = await create(client, gateway_id, "LAPWING"), await create(client, gateway_id, "+12025550142")
    (told,) = named["warnings"]
    assert ("'LAPWING'" in told, "alphanumeric_senders" in told, numbered["warnings"]) == (True, True, [])
    renamed = await client.patch(f"/v1/sender-ids/{numbered['id']}", json={"value": "PEEWIT"})
    assert "'PEEWIT'" in renamed.json()["warnings"][0]
    assert (await client.get(f"/v1/sender-ids/{named['id']}")).json()["warnings"] == [told]
    await client.patch("/v1/policy", json={"alphanumeric_senders": True})
    assert [one["warnings"] for one in (await client.get("/v1/sender-ids")).json()["items"]] == [[], []]


@pytest.mark.parametrize("value", ["TwelveLetters", "Grüße", "+1", "12", "123456789"])
async def test_what_no_handset_shows_is_refused(client: httpx.AsyncClient, value: str) -> None:
    body = {"gateway_id": await gateway(client), "value": value}
    answer = await client.post("/v1/sender-ids", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/value"]


async def test_a_name_needs_a_gateway_that_shows_names(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway_id = await gateway(client)
    monkeypatch.setattr(sandbox, "CAPABILITIES", Capabilities())
    body = {"gateway_id": gateway_id, "value": "LAPWING"}
    answer = await client.post("/v1/sender-ids", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/value")
    await create(client, gateway_id, "+12025550142")


async def test_a_gateway_that_is_not_there(client: httpx.AsyncClient) -> None:
    body = {"gateway_id": str(uuid4()), "value": "LAPWING"}
    answer = await client.post("/v1/sender-ids", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/gateway_id")


async def test_once_for_each_gateway(client: httpx.AsyncClient) -> None:
    one, other = await gateway(client), await gateway(client, "Other")
    await create(client, one, "LAPWING")
    await create(client, other, "LAPWING")
    second = await create(client, one, "SECOND")
    twice = await client.post("/v1/sender-ids", json={"gateway_id": one, "value": " LAPWING"})
    changed = await client.patch(f"/v1/sender-ids/{second['id']}", json={"value": "LAPWING"})
    assert (twice.status_code, changed.status_code) == (409, 409)
    assert twice.json()["type"].endswith("/sender-id-taken")


async def test_listed_in_pages_and_by_gateway(client: httpx.AsyncClient) -> None:
    one, other = await gateway(client), await gateway(client, "Other")
    made = [(await create(client, one, f"NAME{n}"))["id"] for n in range(3)]
    await create(client, other, "ELSE")
    first = await client.get("/v1/sender-ids", params={"gateway_id": one, "limit": 2})
    cursor = first.json()["next_cursor"]
    rest = await client.get("/v1/sender-ids", params={"gateway_id": one, "limit": 2, "cursor": cursor})
    assert [s["id"] for s in first.json()["items"] + rest.json()["items"]] == sorted(made)
    assert rest.json()["next_cursor"] is None
    bad = await client.get("/v1/sender-ids", params={"cursor": "e30"})
    assert (bad.status_code, bad.json()["errors"][0]["pointer"]) == (422, "?cursor")


async def test_routing_knows_them(client: httpx.AsyncClient, engine: AsyncEngine, resources: Resources) -> None:
    await create(client, await gateway(client), "LAPWING")
    async with begin(engine) as tx:
        (told,) = await list_configured(tx, sealer=resources.sealer, public_url=resources.public_url)
    assert told.sender_ids == {"LAPWING"}


async def test_changed_and_deleted(client: httpx.AsyncClient) -> None:
    created = await create(client, await gateway(client), "LAPWING")
    path = f"/v1/sender-ids/{created['id']}"
    changed = (await client.patch(path, json={"value": "30123"})).json()
    assert (changed["value"], changed["kind"]) == ("30123", "short_code")
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404
    assert (await client.patch(path, json={"value": "X"})).status_code == 404


async def test_kept_while_a_campaign_needs_it(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    created = await create(client, await gateway(client), "LAPWING")
    path = f"/v1/sender-ids/{created['id']}"
    await insert_campaign(engine, "LAPWING", now=now)
    refused = await client.delete(path)
    assert (refused.status_code, "Autumn" in refused.json()["detail"]) == (409, True)
    assert (await client.patch(path, json={"value": "NEW"})).status_code == 409

    twin = await create(client, await gateway(client, "Other"), "LAPWING")
    assert (await client.delete(f"/v1/sender-ids/{twin['id']}")).status_code == 204
    async with begin(engine) as tx:
        await tx.execute(update(Campaign).values(status=campaign.Status.ARCHIVED))
    assert (await client.delete(path)).status_code == 204


async def test_scopes_decide(client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine) -> None:
    body = {"gateway_id": await gateway(client), "value": "LAPWING"}
    async with begin(engine) as tx:
        key = await make_api_key(tx, "read")
    reader = {"Authorization": f"Bearer {key.text}"}
    assert (await anonymous.get("/v1/sender-ids")).status_code == 401
    assert (await anonymous.get("/v1/sender-ids", headers=reader)).status_code == 200
    refused = await anonymous.post("/v1/sender-ids", json=body, headers=reader)
    assert refused.status_code == 403
