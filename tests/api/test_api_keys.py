"""API keys over HTTP: made, shown once, rotated, revoked, and every step in the audit trail."""

from datetime import datetime, timedelta

import pytest
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.api_keys import digest_of, parse
from shared.db import begin
from shared.models import ApiKey, AuditEntry
from tests.conftest import Clock
from tests.factories import make_api_key


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


async def test_a_key_is_shown_once(client: AsyncClient, engine: AsyncEngine) -> None:
    response = await client.post("/v1/api-keys", json={"name": " splash ", "scopes": ["send", "read", "send"]})
    assert response.status_code == 201
    made = response.json()
    assert made["name"] == "splash"
    assert made["scopes"] == ["read", "send"]
    assert made["created_by"] == "admin"
    assert response.headers["location"] == f"/v1/api-keys/{made['id']}"
    assert parse(made["key"]) == (made["id"], digest_of(made["key"]))
    shown = await client.get(response.headers["location"])
    assert shown.json() == {name: value for name, value in made.items() if name != "key"}
    async with begin(engine) as tx:
        row = (await tx.execute(select(ApiKey))).one()
    assert row.digest == digest_of(made["key"])
    assert made["key"] not in str(tuple(row))


async def test_a_new_key_works_at_once_and_signs_its_deeds(client: AsyncClient, anonymous: AsyncClient) -> None:
    made = (await client.post("/v1/api-keys", json={"name": "one", "scopes": ["admin"]})).json()
    second = await anonymous.post("/v1/api-keys", json={"name": "two", "scopes": ["read"]}, headers=bearer(made["key"]))
    assert second.json()["created_by"] == made["id"]


async def test_two_live_keys_for_rotation(client: AsyncClient, anonymous: AsyncClient) -> None:
    sent = {"name": "crm", "scopes": ["admin"]}
    old, new = [(await client.post("/v1/api-keys", json=sent)).json() for _ in range(2)]
    for key in (old, new):
        assert (await anonymous.get("/v1/api-keys", headers=bearer(key["key"]))).status_code == 200
    assert (await client.delete(f"/v1/api-keys/{old['id']}")).status_code == 204
    assert (await anonymous.get("/v1/api-keys", headers=bearer(old["key"]))).status_code == 401
    assert (await anonymous.get("/v1/api-keys", headers=bearer(new["key"]))).status_code == 200


async def test_a_revoked_key_stays_in_the_list(client: AsyncClient, clock: Clock) -> None:
    made = (await client.post("/v1/api-keys", json={"name": "x", "scopes": ["send"]})).json()
    at = clock.advance(timedelta(minutes=1))
    await client.delete(f"/v1/api-keys/{made['id']}")
    clock.advance(timedelta(minutes=1))
    assert (await client.delete(f"/v1/api-keys/{made['id']}")).status_code == 204
    (item,) = (await client.get("/v1/api-keys")).json()["items"]
    assert datetime.fromisoformat(item["revoked_at"]) == at
    assert "key" not in item


async def test_making_and_revoking_are_in_the_audit_trail(client: AsyncClient, engine: AsyncEngine) -> None:
    response = await client.post("/v1/api-keys", json={"name": "x", "scopes": ["send"]})
    made = response.json()
    await client.delete(f"/v1/api-keys/{made['id']}")
    await client.delete(f"/v1/api-keys/{made['id']}")
    async with begin(engine) as tx:
        entries = (await tx.execute(select(AuditEntry).order_by(AuditEntry.action))).all()
    assert [(entry.action, entry.subject_id, entry.caller) for entry in entries] == [
        ("api_key.created", made["id"], "admin"),
        ("api_key.revoked", made["id"], "admin"),
    ]
    assert entries[0].request_id == response.headers["x-request-id"]
    assert made["key"] not in str([tuple(entry) for entry in entries])


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"scopes": ["send"]}, "/name"),
        ({"name": "  ", "scopes": ["send"]}, "/name"),
        ({"name": "x" * 101, "scopes": ["send"]}, "/name"),
        ({"name": "x"}, "/scopes"),
        ({"name": "x", "scopes": []}, "/scopes"),
        ({"name": "x", "scopes": ["everything"]}, "/scopes/0"),
        ({"name": "x", "scopes": ["send"], "expires_at": "tomorrow"}, "/expires_at"),
        ({"name": "x", "scopes": ["send"], "expires_at": "2099-01-01T00:00:00"}, "/expires_at"),
        ({"name": "x", "scopes": ["send"], "expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"name": "x", "scopes": ["send"], "expires": "2099-01-01T00:00:00Z"}, "/expires"),
    ],
)
async def test_what_no_key_can_be(client: AsyncClient, engine: AsyncEngine, sent: object, pointer: str) -> None:
    response = await client.post("/v1/api-keys", json=sent)
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    async with begin(engine) as tx:
        assert (await tx.execute(select(ApiKey.id))).first() is None


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_a_key_that_is_not_there(client: AsyncClient, method: str) -> None:
    response = await client.request(method, "/v1/api-keys/AAAAAAAAAAAA")
    assert response.status_code == 404
    assert response.json()["type"] == "/problems/not-found"
    assert (await client.request(method, "/v1/api-keys/nonsense")).status_code == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/api-keys"),
        ("GET", "/v1/api-keys"),
        ("GET", "/v1/api-keys/AAAAAAAAAAAA"),
        ("DELETE", "/v1/api-keys/AAAAAAAAAAAA"),
    ],
)
async def test_keys_are_the_admins_alone(anonymous: AsyncClient, engine: AsyncEngine, method: str, path: str) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "manage")
    sent = {"name": "x", "scopes": ["admin"]} if method == "POST" else None
    assert (await anonymous.request(method, path, json=sent)).status_code == 401
    assert (await anonymous.request(method, path, json=sent, headers=bearer(key.text))).status_code == 403
