"""API keys over HTTP: made, shown once, rotated, revoked, and every step in the audit trail."""

import asyncio
from datetime import datetime, timedelta

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import select, update
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
        ({"name": "x", "scopes": ["send"], "networks": "192.0.2.0/24"}, "/networks"),
        ({"name": "x", "scopes": ["send"], "networks": ["192.0.2.0/24", "192.0.2.7/24"]}, "/networks/1"),
        ({"name": "x", "scopes": ["send"], "networks": ["example.com"]}, "/networks/0"),
        ({"name": "x", "scopes": ["send"], "networks": ["192.0.2.1"] * 51}, "/networks"),
        ({"name": "x", "scopes": ["send"], "rate_limit": 0}, "/rate_limit"),
        ({"name": "x", "scopes": ["send"], "rate_limit": 1.5}, "/rate_limit"),
    ],
)
async def test_what_no_key_can_be(client: AsyncClient, engine: AsyncEngine, sent: object, pointer: str) -> None:
    response = await client.post("/v1/api-keys", json=sent)
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]
    async with begin(engine) as tx:
        assert (await tx.execute(select(ApiKey.id))).first() is None


async def test_where_and_how_often(client: AsyncClient) -> None:
    sent = {"name": "x", "scopes": ["send"], "networks": ["192.0.2.7", "2001:db8::/32", "192.0.2.7/32"]}
    made = (await client.post("/v1/api-keys", json=sent | {"rate_limit": 600})).json()
    assert made["networks"] == ["192.0.2.7/32", "2001:db8::/32"]
    assert made["rate_limit"] == 600


async def rotate(client: AsyncClient, key_id: str, **sent: object) -> Response:
    return await client.post(f"/v1/api-keys/{key_id}/rotate", json=sent or None)


async def test_a_rotation_leaves_two_keys_and_then_one(
    client: AsyncClient, anonymous: AsyncClient, clock: Clock, engine: AsyncEngine
) -> None:
    sent = {"name": "crm", "scopes": ["admin"], "networks": ["127.0.0.0/8"], "rate_limit": 500}
    old = (await client.post("/v1/api-keys", json=sent)).json()
    until = clock.now + timedelta(hours=1)
    response = await rotate(client, old["id"], old_until=until.isoformat())
    assert response.status_code == 201
    new = response.json()
    assert new["successor_of"] == old["id"]
    assert response.headers["location"] == f"/v1/api-keys/{new['id']}"
    assert {name: new[name] for name in sent} == sent
    assert new["expires_at"] is None
    for key in (old, new):
        assert (await anonymous.get("/v1/me", headers=bearer(key["key"]))).status_code == 200
    clock.advance(timedelta(hours=1))
    assert (await anonymous.get("/v1/me", headers=bearer(old["key"]))).json()["type"] == "/problems/key-expired"
    assert (await anonymous.get("/v1/me", headers=bearer(new["key"]))).status_code == 200
    async with begin(engine) as tx:
        (entry,) = await tx.execute(select(AuditEntry).where(AuditEntry.action == "api_key.rotated"))
    assert (entry.subject_id, entry.detail["successor"]) == (old["id"], new["id"])
    assert new["key"] not in str(tuple(entry))


@pytest.mark.parametrize(
    ("expires_in", "wanted_in", "ends_in"),
    [
        pytest.param(None, None, 24, id="a day unless told"),
        pytest.param(None, 2, 2, id="as told"),
        pytest.param(1, 2, 1, id="never longer than it would have"),
        pytest.param(1, None, 1, id="nor by itself"),
    ],
)
async def test_how_long_the_old_key_lives(
    client: AsyncClient, now: datetime, expires_in: int | None, wanted_in: int | None, ends_in: int
) -> None:
    def at(hours: int | None) -> str | None:
        return None if hours is None else (now + timedelta(hours=hours)).isoformat()

    sent = {"name": "crm", "scopes": ["send"], "expires_at": at(expires_in)}
    old = (await client.post("/v1/api-keys", json=sent)).json()
    assert (await rotate(client, old["id"], old_until=at(wanted_in))).status_code == 201
    shown = (await client.get(f"/v1/api-keys/{old['id']}")).json()
    assert datetime.fromisoformat(shown["expires_at"]) == now + timedelta(hours=ends_in)


async def test_two_keys_live_and_not_three(client: AsyncClient) -> None:
    old = (await client.post("/v1/api-keys", json={"name": "crm", "scopes": ["send"]})).json()
    new = (await rotate(client, old["id"])).json()
    again = await rotate(client, old["id"])
    assert (again.status_code, again.json()["type"]) == (409, "/problems/key-rotated")
    assert new["id"] in again.json()["detail"]
    early = await rotate(client, new["id"])
    assert (early.status_code, early.json()["type"]) == (409, "/problems/predecessor-lives")
    assert f"DELETE /v1/api-keys/{old['id']}" in early.json()["detail"]
    assert (await client.delete(f"/v1/api-keys/{old['id']}")).status_code == 204
    assert (await rotate(client, new["id"])).status_code == 201


async def test_a_successor_is_rotated_once_the_old_key_has_ended(client: AsyncClient, clock: Clock) -> None:
    old = (await client.post("/v1/api-keys", json={"name": "crm", "scopes": ["send"]})).json()
    new = (await rotate(client, old["id"])).json()
    clock.advance(timedelta(days=1))
    assert (await rotate(client, new["id"])).status_code == 201


@pytest.mark.parametrize("how", ["revoked", "expired"])
async def test_a_key_whose_successor_was_lost_has_another(
    client: AsyncClient, anonymous: AsyncClient, clock: Clock, how: str
) -> None:
    old = (await client.post("/v1/api-keys", json={"name": "crm", "scopes": ["send"]})).json()
    lost = (await rotate(client, old["id"], expires_at=(clock.now + timedelta(hours=1)).isoformat())).json()
    if how == "revoked":
        await client.delete(f"/v1/api-keys/{lost['id']}")
    else:
        clock.advance(timedelta(hours=1))
    again = await rotate(client, old["id"])
    assert again.status_code == 201
    assert again.json()["successor_of"] == old["id"]
    told = [await anonymous.get("/v1/me", headers=bearer(key["key"])) for key in (old, lost, again.json())]
    assert [answer.status_code for answer in told] == [200, 401, 200]
    third = await rotate(client, old["id"])
    assert (third.json()["type"], again.json()["id"] in third.json()["detail"]) == ("/problems/key-rotated", True)


@pytest.mark.parametrize("end", [None, 5], ids=["for ever", "for hours"])
async def test_a_key_that_has_ended_gets_no_later_end_beside_two_that_live(
    client: AsyncClient, clock: Clock, end: int | None
) -> None:
    old = (await client.post("/v1/api-keys", json={"name": "crm", "scopes": ["send"]})).json()
    soon = (clock.now + timedelta(hours=1)).isoformat()
    lost = (await rotate(client, old["id"], expires_at=soon)).json()
    clock.advance(timedelta(hours=1))
    taken = (await rotate(client, old["id"])).json()
    wanted = {"expires_at": end and (clock.now + timedelta(hours=end)).isoformat()}
    refused = await client.patch(f"/v1/api-keys/{lost['id']}", json=wanted)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/predecessor-lives")
    assert refused.json()["errors"][0]["pointer"] == "/expires_at"
    assert all(each["id"] in refused.json()["detail"] for each in (old, taken))
    assert (await client.patch(f"/v1/api-keys/{lost['id']}", json={"name": "lost"})).status_code == 200
    await client.delete(f"/v1/api-keys/{old['id']}")
    assert (await client.patch(f"/v1/api-keys/{lost['id']}", json=wanted)).status_code == 200


async def test_three_that_live_already_become_fewer_before_there_is_a_fourth(
    client: AsyncClient, engine: AsyncEngine, now: datetime
) -> None:
    """The version before let a successor be rotated beside the old key."""
    ids = [(await client.post("/v1/api-keys", json={"name": "crm", "scopes": ["send"]})).json()["id"]]
    for _ in range(2):
        await set_revoked(engine, ids[:-1], now)
        ids.append((await rotate(client, ids[-1])).json()["id"])
    await set_revoked(engine, ids, None)
    told = [(await rotate(client, each)).json() for each in ids]
    assert [one["type"].rpartition("/")[2] for one in told] == ["key-rotated", "key-rotated", "predecessor-lives"]
    assert ids[0] in told[2]["detail"]


async def set_revoked(engine: AsyncEngine, ids: list[str], at: datetime | None) -> None:
    async with begin(engine) as tx:
        await tx.execute(update(ApiKey).where(ApiKey.public_id.in_(ids)).values(revoked_at=at))


async def test_rotating_twice_at_once_makes_one_successor(client: AsyncClient) -> None:
    old = (await client.post("/v1/api-keys", json={"name": "crm", "scopes": ["send"]})).json()
    answers = await asyncio.gather(*(rotate(client, old["id"]) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_what_cannot_be_rotated(client: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    async with begin(engine) as tx:
        revoked = await make_api_key(tx, revoked_at=now)
        expired = await make_api_key(tx, expires_at=now)
        live = await make_api_key(tx)
    for key in (revoked, expired):
        response = await rotate(client, key.public_id)
        assert (response.status_code, response.json()["type"]) == (409, "/problems/key-not-live")
    assert (await rotate(client, "AAAAAAAAAAAA")).status_code == 404
    for name, moment in (
        ("old_until", now),
        ("old_until", now + timedelta(days=91)),
        ("expires_at", now - timedelta(seconds=1)),
    ):
        response = await rotate(client, live.public_id, **{name: moment.isoformat()})
        assert response.status_code == 422
        assert [error["pointer"] for error in response.json()["errors"]] == [f"/{name}"]


async def test_a_change_is_written_down_with_what_was_before(
    client: AsyncClient, engine: AsyncEngine, anonymous: AsyncClient
) -> None:
    made = (await client.post("/v1/api-keys", json={"name": "x", "scopes": ["read"], "rate_limit": 5})).json()
    sent = {"scopes": ["admin"], "networks": ["127.0.0.1"], "rate_limit": None, "name": None}
    response = await client.patch(f"/v1/api-keys/{made['id']}", json=sent)
    assert response.status_code == 200
    assert (response.json()["scopes"], response.json()["rate_limit"], response.json()["name"]) == (["admin"], None, "x")
    assert (await anonymous.get("/v1/audit", headers=bearer(made["key"]))).status_code == 200
    async with begin(engine) as tx:
        (entry,) = await tx.execute(select(AuditEntry).where(AuditEntry.action == "api_key.changed"))
    assert entry.detail == {
        "scopes": {"from": ["read"], "to": ["admin"]},
        "networks": {"from": [], "to": ["127.0.0.1/32"]},
        "rate_limit": {"from": 5, "to": None},
    }
    assert (entry.caller, entry.request_id) == ("admin", response.headers["x-request-id"])


async def test_what_changes_nothing_is_no_deed(client: AsyncClient, engine: AsyncEngine) -> None:
    made = (await client.post("/v1/api-keys", json={"name": "x", "scopes": ["read"]})).json()
    for sent in ({}, {"name": "x"}):
        assert (await client.patch(f"/v1/api-keys/{made['id']}", json=sent)).status_code == 200
    async with begin(engine) as tx:
        assert not (await tx.execute(select(AuditEntry).where(AuditEntry.action == "api_key.changed"))).all()


async def test_a_revoked_key_does_not_change(client: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, revoked_at=now)
    response = await client.patch(f"/v1/api-keys/{key.public_id}", json={"name": "y"})
    assert (response.status_code, response.json()["type"]) == (409, "/problems/key-not-live")


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
        ("PATCH", "/v1/api-keys/AAAAAAAAAAAA"),
        ("POST", "/v1/api-keys/AAAAAAAAAAAA/rotate"),
    ],
)
async def test_keys_are_the_admins_alone(anonymous: AsyncClient, engine: AsyncEngine, method: str, path: str) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "manage")
    sent = {"name": "x", "scopes": ["admin"]} if method in ("POST", "PATCH") else None
    assert (await anonymous.request(method, path, json=sent)).status_code == 401
    assert (await anonymous.request(method, path, json=sent, headers=bearer(key.text))).status_code == 403
