"""Opt-outs over HTTP: kept once, found by number, removed by their owner, each with its trace."""

import asyncio
from datetime import datetime, timedelta
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
from tests.conftest import Clock
from tests.factories import make_api_key, make_contact

ANNA, BEN = "+12025550142", "+447700900123"
OURS, OTHERS = "+12025550100", "+12025550101"


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
    unescaped = await client.get(f"/v1/opt-outs?msisdn={ANNA}")
    assert unescaped.json()["items"] == found
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
    assert lines[0] == "msisdn,sender_id,source,gateway_id,at"
    assert {line.split(",")[0] for line in lines[1:]} == {ANNA, BEN}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({"msisdns": []}, "/msisdns", id="nobody"),
        pytest.param({"msisdns": ["1"] * 10_001}, "/msisdns", id="too many"),
        pytest.param({"msisdns": [ANNA], "default_region": "XX"}, "/default_region", id="no such country"),
        pytest.param({"msisdns": [ANNA], "sender_ids": [OURS, "1"]}, "/sender_ids/1", id="no such sender"),
    ],
)
async def test_list_refused(client: httpx.AsyncClient, body: dict[str, Any], pointer: str) -> None:
    answer = await client.post("/v1/opt-outs/import", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


# --- to some senders only


async def add(client: httpx.AsyncClient, *sender_ids: str, msisdn: str = ANNA) -> httpx.Response:
    return await client.post("/v1/opt-outs", json={"msisdn": msisdn, "sender_ids": list(sender_ids) or None})


async def held_back(client: httpx.AsyncClient, msisdn: str = ANNA) -> Any:
    """Whose messages are held back; an error if nobody's are."""
    (one,) = (await client.get("/v1/opt-outs", params={"msisdn": msisdn})).json()["items"]
    return one["sender_ids"]


async def test_senders_add_up_to_one_no(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    answers = [await add(client, OTHERS), await add(client, OURS, "+1 202 555-0100"), await add(client, OTHERS)]
    assert [answer.status_code for answer in answers] == [201, 201, 200]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert answers[-1].json()["sender_ids"] == [OURS, OTHERS]
    assert (await add(client)).json()["sender_ids"] is None
    assert (await add(client, OURS)).status_code == 200  # a no to all says it already
    assert await held_back(client) is None
    async with begin(engine) as tx:
        entries = (await tx.execute(select(AuditEntry).order_by(AuditEntry.id))).all()
    assert [entry.detail["sender_ids"] for entry in entries] == [[OTHERS], [OURS, OTHERS], None]


async def test_what_was_said_last_is_told(client: httpx.AsyncClient, clock: Clock) -> None:
    first = (await add(client, OURS)).json()
    clock.advance(timedelta(hours=1))
    assert (await add(client, OURS)).json()["at"] == first["at"]
    later = (await add(client, OTHERS)).json()
    assert later["at"] == clock.now.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("senders", "pointers"),
    [
        pytest.param([], ["/sender_ids"], id="none"),
        pytest.param(["12"], ["/sender_ids/0"], id="too short"),
        pytest.param(
            [OURS, "0202 555 0100", "a name that is long"], ["/sender_ids/1", "/sender_ids/2"], id="two wrong"
        ),
        pytest.param([OURS] * 101, ["/sender_ids"], id="too many"),
    ],
)
async def test_senders_refused(client: httpx.AsyncClient, senders: list[str], pointers: list[str]) -> None:
    answer = await client.post("/v1/opt-outs", json={"msisdn": ANNA, "sender_ids": senders})
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == pointers


async def test_one_sender_is_let_through_again(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    path = f"/v1/opt-outs/{(await add(client, OURS, OTHERS, 'CAFE')).json()['id']}"
    assert (await client.delete(path, params={"sender_id": "+1 202 555 0100"})).status_code == 204
    assert await held_back(client) == [OTHERS, "CAFE"]
    refused = await client.delete(path, params={"sender_id": OURS})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/not-held-back")
    assert OTHERS in refused.json()["detail"]
    for sender_id in (OTHERS, "CAFE"):
        assert (await client.delete(path, params={"sender_id": sender_id})).status_code == 204
    assert await rows(engine) == []
    async with begin(engine) as tx:
        entries = (await tx.execute(select(AuditEntry).order_by(AuditEntry.id))).all()
    assert [entry.detail["sender_ids"] for entry in entries[1:]] == [[OURS], [OTHERS], ["CAFE"]]


async def test_a_no_to_all_is_removed_as_a_whole(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    path = f"/v1/opt-outs/{(await add(client)).json()['id']}"
    refused = await client.delete(path, params={"sender_id": OURS})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/not-held-back")
    assert len(await rows(engine)) == 1


async def test_list_for_one_sender(client: httpx.AsyncClient) -> None:
    await add(client, OTHERS)
    body = {"msisdns": [ANNA, BEN, BEN], "sender_ids": [OURS]}
    told = (await client.post("/v1/opt-outs/import", json=body)).json()
    assert (told["added"], told["already"]) == (2, 1)
    assert [await held_back(client, one) for one in (ANNA, BEN)] == [[OURS, OTHERS], [OURS]]
    lines = (await client.get("/v1/opt-outs/export.csv", params={"style": "machine"})).text.splitlines()
    assert sorted(line.split(",")[:2] for line in lines[1:]) == [[ANNA, OURS], [ANNA, OTHERS], [BEN, OURS]]


async def test_as_many_as_a_list_may_hold(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    numbers = [f"+1202{n:07}" for n in range(5_550_000, 5_560_000)]
    told = (await client.post("/v1/opt-outs/import", json={"msisdns": numbers})).json()
    assert (told["added"], told["already"], told["rejected"]) == (10_000, 0, [])
    assert len(await rows(engine)) == 10_000


async def test_several_senders_of_one_person_in_one_batch(engine: AsyncEngine, pepper: bytes, now: datetime) -> None:
    hashed = hash_msisdn(pepper, ANNA)

    def said(*senders: str) -> NewOptOut:
        return NewOptOut(ANNA, hashed, "import", sender_ids=senders or None)

    async with begin(engine) as tx:
        assert len(await insert_opt_outs(tx, [said("B"), said("A"), said("B")], now=now)) == 1
    assert (await rows(engine))[0].sender_ids == ["A", "B"]
    async with begin(engine) as tx:
        assert len(await insert_opt_outs(tx, [said("C"), said(), said("D")], now=now)) == 1
    assert (await rows(engine))[0].sender_ids is None


async def test_evidence_has_whose_messages(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        contact_id = await make_contact(tx, msisdn=ANNA)
    await add(client, OURS)
    told = (await client.get(f"/v1/contacts/{contact_id}/evidence")).json()
    assert (told["opted_out_at"] is not None, told["opted_out_of"]) == (True, [OURS])
