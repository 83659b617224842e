"""Opt-outs over HTTP: kept once, found by number, removed by their owner, each with its trace."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.models import AuditEntry, OptOut
from shared.queries.opt_outs import NewOptOut, insert_opt_outs
from shared.sealing import hash_msisdn
from tests.factories import make_api_key

ANNA, BEN = "+12025550142", "+447700900123"


async def rows(engine: AsyncEngine) -> list[Any]:
    async with begin(engine) as tx:
        return list((await tx.execute(select(OptOut).order_by(OptOut.id))).all())


async def test_added_once(client: httpx.AsyncClient, engine: AsyncEngine, pepper: bytes) -> None:
    first = await client.post("/v1/opt-outs", json={"msisdn": "+1 202 555-0142"})
    again = await client.post("/v1/opt-outs", json={"msisdn": ANNA})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    (row,) = await rows(engine)
    assert (row.msisdn, row.source) == (ANNA, "api")
    assert row.msisdn_hash == hash_msisdn(pepper, ANNA)
    async with begin(engine) as tx:
        (entry,) = (await tx.execute(select(AuditEntry))).all()
    assert (entry.action, entry.subject_id) == ("opt_out.added", str(row.id))
    assert ANNA not in str(entry)


async def test_a_local_number_needs_its_country(client: httpx.AsyncClient) -> None:
    local = {"msisdn": "07700 900123"}
    refused = await client.post("/v1/opt-outs", json=local)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/msisdn")
    unknown = await client.post("/v1/opt-outs", json={**local, "default_region": "XX"})
    assert unknown.json()["errors"][0]["pointer"] == "/default_region"
    added = await client.post("/v1/opt-outs", json={**local, "default_region": "GB"})
    assert added.json()["msisdn"] == BEN


async def test_listed_latest_first(client: httpx.AsyncClient) -> None:
    numbers = [f"+1202555014{n}" for n in range(3)]
    for number in numbers:
        await client.post("/v1/opt-outs", json={"msisdn": number})
    first = (await client.get("/v1/opt-outs", params={"limit": 2})).json()
    rest = (await client.get("/v1/opt-outs", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert sorted(one["msisdn"] for one in first["items"] + rest["items"]) == numbers
    assert rest["next_cursor"] is None
    ids = [one["id"] for one in first["items"] + rest["items"]]
    assert ids == sorted(ids, reverse=True)


async def test_found_by_number_even_when_erased(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    for number in (ANNA, BEN):
        await client.post("/v1/opt-outs", json={"msisdn": number})
    async with begin(engine) as tx:
        await tx.execute(update(OptOut).where(OptOut.msisdn == ANNA).values(msisdn=None))
    found = (await client.get("/v1/opt-outs", params={"msisdn": ANNA})).json()["items"]
    assert [one["msisdn"] for one in found] == [None]
    none = await client.get("/v1/opt-outs", params={"msisdn": "+12025550199"})
    assert none.json() == {"items": [], "next_cursor": None}
    bad = await client.get("/v1/opt-outs", params={"msisdn": "hello"})
    assert (bad.status_code, bad.json()["errors"][0]["pointer"]) == (422, "?msisdn")


async def test_removed_with_a_trace(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    added = (await client.post("/v1/opt-outs", json={"msisdn": ANNA})).json()
    assert (await client.delete(f"/v1/opt-outs/{added['id']}")).status_code == 204
    assert await rows(engine) == []
    async with begin(engine) as tx:
        actions = (await tx.execute(select(AuditEntry.action))).scalars().all()
    assert sorted(actions) == ["opt_out.added", "opt_out.removed"]
    assert (await client.delete(f"/v1/opt-outs/{added['id']}")).status_code == 404
    assert (await client.delete(f"/v1/opt-outs/{uuid4()}")).status_code == 404


async def test_scopes_decide(client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine) -> None:
    added = (await client.post("/v1/opt-outs", json={"msisdn": ANNA})).json()
    async with begin(engine) as tx:
        key = await make_api_key(tx, "read")
    reader = {"Authorization": f"Bearer {key.text}"}
    assert (await anonymous.get("/v1/opt-outs")).status_code == 401
    assert (await anonymous.get("/v1/opt-outs", headers=reader)).status_code == 200
    body = {"msisdn": BEN}
    post = await anonymous.post("/v1/opt-outs", json=body, headers=reader)
    delete = await anonymous.delete(f"/v1/opt-outs/{added['id']}", headers=reader)
    assert (post.status_code, delete.status_code) == (403, 403)


@pytest.mark.timeout(30)
async def test_many_at_once_never_wait_in_a_ring(engine: AsyncEngine, pepper: bytes, now: datetime) -> None:
    people = [f"+120255501{n:02}" for n in range(100)]
    news = [NewOptOut(person, hash_msisdn(pepper, person), "gateway") for person in people]

    async def insert_them(order: list[NewOptOut]) -> int:
        async with begin(engine) as tx:
            return len(await insert_opt_outs(tx, order, now=now))

    added = await asyncio.gather(*(insert_them(news[:: 1 - n % 2 * 2]) for n in range(8)))
    assert sum(added) == 100
    assert len(await rows(engine)) == 100


async def test_list_is_taken_in_and_given_out(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await client.post("/v1/opt-outs", json={"msisdn": ANNA})
    body = {"msisdns": [ANNA, "07700 900123", "12", "+44 7700 900123"], "default_region": "GB"}
    told = (await client.post("/v1/opt-outs/import", json=body)).json()
    assert (told["added"], told["already"]) == (1, 2)
    assert [one["place"] for one in told["rejected"]] == [2]
    assert {(row.msisdn, row.source) for row in await rows(engine)} == {(ANNA, "api"), (BEN, "import")}
    answer = await client.get("/v1/opt-outs/export.csv", params={"style": "machine"})
    lines = answer.text.splitlines()
    assert lines[0] == "msisdn,source,gateway_id,at"
    assert {line.split(",")[0] for line in lines[1:]} == {ANNA, BEN}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({"msisdns": []}, "/msisdns", id="nobody"),
        pytest.param({"msisdns": ["1"] * 10_001}, "/msisdns", id="too many"),
        pytest.param({"msisdns": [ANNA], "default_region": "XX"}, "/default_region", id="no such country"),
    ],
)
async def test_list_refused(client: httpx.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    answer = await client.post("/v1/opt-outs/import", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
