"""Contacts over HTTP: one for each number, whatever its notation; fields that tags can carry; refusals by name."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.ids import uuid7
from shared.models import AuditEntry, Contact, OptOut
from tests.factories import make_api_key, make_contact, make_target_group

JOE, ANN = "+12025550142", "+447700900123"


async def created(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/v1/contacts", json={"msisdn": JOE, **body})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def rows(engine: AsyncEngine) -> list[Any]:
    async with begin(engine) as tx:
        return list((await tx.execute(select(Contact).order_by(Contact.id))).all())


async def test_stores_what_is_told(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    contact = await created(
        client,
        msisdn="(202) 555-0142",
        default_region="us",
        name="  Joe \t Bloggs ",
        external_id="x1",
        fields={"city": "Delft", "visits": 3, "score": 1.5, "vip": True, "gone": None},
        location_id="cafe",
        time_zone="Africa/Johannesburg",
        consent_status="granted",
        consent_source="splash page",
    )
    (row,) = await rows(engine)
    assert contact["id"] == str(row.id)
    assert contact["msisdn"] == row.msisdn == JOE
    assert contact["name"] == row.name == "Joe Bloggs"
    assert contact["fields"] == row.fields == {"city": "Delft", "visits": 3, "score": 1.5, "vip": True}
    assert (row.external_id, row.location_id, row.time_zone) == ("x1", "cafe", "Africa/Johannesburg")
    assert (row.consent_status, row.consent_source, row.consent_at) == ("granted", "splash page", now)
    assert (await client.get(f"/v1/contacts/{row.id}")).json() == contact


async def test_a_number_alone_is_a_contact(client: httpx.AsyncClient) -> None:
    contact = await created(client)
    assert (contact["name"], contact["fields"], contact["consent_status"]) == (None, {}, "unknown")
    assert contact["consent_at"] is None


async def test_a_number_has_one_contact(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    first = await created(client)
    second = await client.post("/v1/contacts", json={"msisdn": "+1 202-555-0142", "name": "Other"})
    assert second.status_code == 409
    assert second.json()["type"] == "/problems/contact-exists"
    assert first["id"] in second.json()["detail"]
    assert second.json()["errors"][0]["pointer"] == "/msisdn"
    assert [row.name for row in await rows(engine)] == [None]


async def test_two_at_once_make_one(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    answers = await asyncio.gather(*(client.post("/v1/contacts", json={"msisdn": JOE}) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]
    assert len(await rows(engine)) == 1


async def test_a_repeated_post_creates_nothing(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await client.post("/v1/contacts", json={"msisdn": JOE}, headers=headers)
    again = await client.post("/v1/contacts", json={"msisdn": JOE}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert len(await rows(engine)) == 1


REFUSED = [
    pytest.param({}, "/msisdn", id="no number"),
    pytest.param({"msisdn": "banana"}, "/msisdn", id="no digits"),
    pytest.param({"msisdn": "0831234567"}, "/msisdn", id="no country"),
    pytest.param({"msisdn": JOE, "default_region": "ZZ"}, "/default_region", id="no such country"),
    pytest.param({"msisdn": JOE, "phone": "1"}, "/phone", id="unknown field"),
    pytest.param({"msisdn": JOE, "time_zone": "Mars/Olympus"}, "/time_zone", id="no such zone"),
    pytest.param({"msisdn": JOE, "time_zone": "../../etc/passwd"}, "/time_zone", id="a path"),
    pytest.param({"msisdn": JOE, "time_zone": "africa/johannesburg"}, "/time_zone", id="zone's case"),
    pytest.param({"msisdn": JOE, "name": "x" * 201}, "/name", id="long name"),
    pytest.param({"msisdn": JOE, "name": "a\x00b"}, "/name", id="NUL in the name"),
    pytest.param({"msisdn": JOE, "consent_status": "maybe"}, "/consent_status", id="consent"),
    pytest.param({"msisdn": JOE, "consent_at": "2026-01-01T10:00:00"}, "/consent_at", id="no offset"),
    pytest.param({"msisdn": JOE, "fields": {"first name": "x"}}, "/fields/first name", id="key with a space"),
    pytest.param({"msisdn": JOE, "fields": {"1st": "x"}}, "/fields/1st", id="key with a digit first"),
    pytest.param({"msisdn": JOE, "fields": {"a/b": "x"}}, "/fields/a~1b", id="key with a slash"),
    pytest.param({"msisdn": JOE, "fields": {"k" * 65: "x"}}, f"/fields/{'k' * 64}", id="long key"),
    pytest.param({"msisdn": JOE, "fields": {"a": ["x"]}}, "/fields/a", id="a list"),
    pytest.param({"msisdn": JOE, "fields": {"a": {"b": 1}}}, "/fields/a", id="an object"),
    pytest.param({"msisdn": JOE, "fields": {"a": "x" * 4001}}, "/fields/a", id="long value"),
    pytest.param({"msisdn": JOE, "fields": {"a": "\x00"}}, "/fields/a", id="NUL in a value"),
    pytest.param({"msisdn": JOE, "fields": {f"k{n}": 1 for n in range(101)}}, "/fields", id="many fields"),
    pytest.param({"msisdn": JOE, "fields": {f"k{n}": "x" * 3500 for n in range(10)}}, "/fields", id="large fields"),
]


@pytest.mark.parametrize(("body", "pointer"), REFUSED)
async def test_refuses_by_name(
    client: httpx.AsyncClient, engine: AsyncEngine, body: dict[str, Any], pointer: str
) -> None:
    answer = await client.post("/v1/contacts", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert await rows(engine) == []


@pytest.mark.parametrize("text", ["\\ud800", "NaN", "Infinity"])
async def test_refuses_what_json_alone_allows(client: httpx.AsyncClient, text: str) -> None:
    value = text if text[0] != "\\" else f'"{text}"'
    body = f'{{"msisdn": "{JOE}", "fields": {{"a": {value}}}}}'
    answer = await client.post("/v1/contacts", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in {400, 422}


async def test_refuses_all_that_is_wrong_at_once(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/contacts", json={"msisdn": "x", "time_zone": "x", "fields": {"a b": 1}})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/msisdn", "/time_zone", "/fields/a b"]


async def test_a_change_leaves_the_rest(client: httpx.AsyncClient, clock: Any) -> None:
    before = await created(client, name="Joe", external_id="x1", fields={"city": "Delft", "age": 40})
    clock.advance(timedelta(minutes=1))
    answer = await client.patch(
        f"/v1/contacts/{before['id']}", json={"external_id": None, "fields": {"age": None, "vip": True}}
    )
    assert answer.status_code == 200
    after = answer.json()
    assert after["fields"] == {"city": "Delft", "vip": True}
    assert (after["name"], after["external_id"]) == ("Joe", None)
    assert after["updated_at"] > before["updated_at"]
    assert after["created_at"] == before["created_at"]


async def test_changes_merge_also_when_they_come_at_once(client: httpx.AsyncClient) -> None:
    contact = await created(client)
    url = f"/v1/contacts/{contact['id']}"
    await asyncio.gather(*(client.patch(url, json={"fields": {f"k{n}": n}}) for n in range(8)))
    assert (await client.get(url)).json()["fields"] == {f"k{n}": n for n in range(8)}


async def test_a_number_can_be_changed_but_not_to_anothers(client: httpx.AsyncClient) -> None:
    joe, ann = await created(client), await created(client, msisdn=ANN)
    taken = await client.patch(f"/v1/contacts/{joe['id']}", json={"msisdn": ANN})
    assert taken.status_code == 409
    assert ann["id"] in taken.json()["detail"]
    changed = await client.patch(f"/v1/contacts/{joe['id']}", json={"msisdn": "+1 202 555 0143"})
    assert changed.json()["msisdn"] == "+12025550143"
    same = await client.patch(f"/v1/contacts/{ann['id']}", json={"msisdn": ANN})
    assert same.status_code == 200


@pytest.mark.parametrize("body", [{"msisdn": None}, {"fields": None}, {"consent_status": None}, {"msisdn": ""}])
async def test_what_a_contact_must_have_cannot_be_emptied(client: httpx.AsyncClient, body: Any) -> None:
    contact = await created(client)
    assert (await client.patch(f"/v1/contacts/{contact['id']}", json=body)).status_code == 422


async def test_a_deleted_contact_leaves_its_opt_out_and_a_trace(
    client: httpx.AsyncClient, engine: AsyncEngine, now: datetime
) -> None:
    contact = await created(client)
    async with begin(engine) as tx:
        await tx.execute(insert(OptOut).values(id=uuid7(), msisdn=JOE, msisdn_hash=b"h", source="api", at=now))
    assert (await client.delete(f"/v1/contacts/{contact['id']}")).status_code == 204
    assert (await client.get(f"/v1/contacts/{contact['id']}")).status_code == 404
    assert await rows(engine) == []
    async with begin(engine) as tx:
        assert await tx.scalar(select(func.count()).select_from(OptOut)) == 1
        (entry,) = (await tx.execute(select(AuditEntry).where(AuditEntry.action == "contact.delete"))).all()
    assert (entry.action, entry.subject_id, entry.caller) == ("contact.delete", contact["id"], "admin")
    assert JOE not in str(entry)


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_unknown_contact_is_not_there(client: httpx.AsyncClient, method: str) -> None:
    answer = await client.request(method, f"/v1/contacts/{uuid4()}", json={} if method == "PATCH" else None)
    assert answer.status_code == 404


async def test_says_whether_the_number_has_opted_out(client: httpx.AsyncClient) -> None:
    joe = (await client.post("/v1/contacts", json={"msisdn": "+12025550142"})).json()
    ann = (await client.post("/v1/contacts", json={"msisdn": "+12025550143"})).json()
    group = (await client.post("/v1/target-groups", json={"name": "Guests"})).json()["id"]
    await client.post(f"/v1/target-groups/{group}/members", json={"contact_ids": [joe["id"], ann["id"]]})
    assert joe["opt_out"] is None
    said = {"msisdn": joe["msisdn"], "sender_ids": ["+12025550100"]}
    no = (await client.post("/v1/opt-outs", json=said)).json()
    standing = {name: no[name] for name in ("id", "sender_ids", "source", "at")}

    one = (await client.get(f"/v1/contacts/{joe['id']}")).json()
    changed = (await client.patch(f"/v1/contacts/{joe['id']}", json={"name": "Joe"})).json()
    assert one["opt_out"] == changed["opt_out"] == standing
    expected = {joe["id"]: standing, ann["id"]: None}
    preview = {"conditions": {"field": "msisdn", "op": "is_set"}}
    for people in (
        (await client.get("/v1/contacts")).json()["items"],
        (await client.get(f"/v1/target-groups/{group}/members")).json()["items"],
        (await client.post("/v1/target-groups/preview", json=preview)).json()["sample"],
    ):
        assert {each["id"]: each["opt_out"] for each in people} == expected

    await client.delete(f"/v1/opt-outs/{no['id']}")
    assert (await client.get(f"/v1/contacts/{joe['id']}")).json()["opt_out"] is None


async def test_lists_page_by_page(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    async with begin(engine) as tx:
        for n, id_ in enumerate(sorted(uuid7() for _ in range(7))):
            await make_contact(tx, id=id_, msisdn=f"+1202555010{n}", name=f"C{n}")
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(4):
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/v1/contacts", params=query)).json()
        seen += [contact["name"] for contact in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert seen == ["C6", "C5", "C4", "C3", "C2", "C1", "C0"]


FILTERS = [
    pytest.param({"msisdn": "+1 202 555 0142"}, ["Joe 100%"], id="number in any notation"),
    pytest.param({"msisdn": "+12025550199"}, [], id="number of nobody"),
    pytest.param({"external_id": "x2"}, ["Ann"], id="external id"),
    pytest.param({"q": "JO"}, ["Joe 100%"], id="beginning of the name"),
    pytest.param({"q": "n"}, ["Ann"], id="middle of the name"),
    pytest.param({"q": "0%"}, ["Joe 100%"], id="a percent sign is one"),
    pytest.param({"q": "_"}, [], id="an underscore is one"),
    pytest.param({"q": f"{ANN[-6:-3]}-{ANN[-3:]}"}, ["Ann"], id="end of the number"),
    pytest.param({"q": "Ann 1"}, [], id="a digit among letters"),
]


@pytest.mark.parametrize(("query", "names"), FILTERS)
async def test_filters(
    client: httpx.AsyncClient, engine: AsyncEngine, now: datetime, query: dict[str, str], names: list[str]
) -> None:
    async with begin(engine) as tx:
        await make_contact(tx, name="Joe 100%", external_id="x1")
        await make_contact(tx, name="Ann", external_id="x2", msisdn=ANN)
    page = (await client.get("/v1/contacts", params=query)).json()
    assert [contact["name"] for contact in page["items"]] == names


@pytest.mark.parametrize("limit", [1, 2, 50])
@pytest.mark.parametrize(("q", "names"), [("jo", ["Joe", "Joan"]), ("Ann", ["Ann"]), ("nobody", [])])
async def test_searches_piece_by_piece(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    monkeypatch: pytest.MonkeyPatch,
    q: str,
    names: list[str],
    limit: int,
) -> None:
    """No search goes through all people at once: a page ends after so many of them that were looked at."""
    monkeypatch.setattr("api.contacts.queries.MOST_LOOKED_AT", 2)
    async with begin(engine) as tx:
        for place, name in enumerate(("Joan", "Ann", "Ben", "Cas", "Joe", "Dan")):
            id_ = UUID(f"0197c0de-0000-7000-8000-{place:012}")
            await make_contact(tx, id=id_, msisdn=f"+1202555010{place}", name=name)
    seen: list[str] = []
    asked, pages = {"q": q, "limit": str(limit)}, 0
    while True:
        page = (await client.get("/v1/contacts", params=asked)).json()
        assert len(page["items"]) <= min(limit, 2)
        seen += [contact["name"] for contact in page["items"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]
    assert seen == names
    assert 2 < pages < 7


async def test_filters_by_target_group(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    async with begin(engine) as tx:
        await make_contact(tx, name="Joe")
        ann = await make_contact(tx, name="Ann", msisdn=ANN)
        group = await make_target_group(tx, ann)
    page = (await client.get("/v1/contacts", params={"target_group_id": str(group)})).json()
    assert [contact["name"] for contact in page["items"]] == ["Ann"]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"msisdn": "banana"}, "?msisdn"),
        ({"limit": "0"}, "?limit"),
        ({"cursor": "nonsense"}, "?cursor"),
        ({"cursor": "eyJpZCI6MX0"}, "?cursor"),
        ({"target_group_id": "x"}, "?target_group_id"),
    ],
)
async def test_refuses_questions_by_name(client: httpx.AsyncClient, query: dict[str, str], pointer: str) -> None:
    answer = await client.get("/v1/contacts", params=query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_keys_reach_as_far_as_their_scope(
    anonymous: httpx.AsyncClient, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    contact = await created(client)
    async with begin(engine) as tx:
        reader = {"Authorization": f"Bearer {(await make_api_key(tx, 'read')).text}"}
        sender = {"Authorization": f"Bearer {(await make_api_key(tx, 'send')).text}"}
    url = f"/v1/contacts/{contact['id']}"
    assert (await anonymous.get(url)).status_code == 401
    assert (await anonymous.get(url, headers=reader)).status_code == 200
    assert (await anonymous.delete(url, headers=sender)).status_code == 403
    assert (await anonymous.patch(url, json={}, headers=reader)).status_code == 403
    assert (await anonymous.post("/v1/contacts", json={"msisdn": ANN}, headers=reader)).status_code == 403
