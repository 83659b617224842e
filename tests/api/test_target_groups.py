"""Target groups over HTTP: names are unique, members are counted, and nothing in use goes away."""

import csv
import io
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.exports import PAGE
from shared.db import begin
from shared.domain.campaign import Status
from shared.ids import uuid7
from shared.models import AuditEntry, Campaign, CampaignTarget, Contact, Import, TargetGroup, TargetGroupMember
from tests.factories import make_api_key

GROUPS = "/v1/target-groups"


async def created(client: httpx.AsyncClient, name: str = "Guests") -> str:
    answer = await client.post(GROUPS, json={"name": name})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def make_contacts(engine: AsyncEngine, count: int, now: datetime, **over: Any) -> list[str]:
    rows = [
        {
            "id": id_,
            "msisdn": f"+1202{5550000 + n}",
            "name": f"C{n}",
            "fields": {},
            "created_at": now,
            "updated_at": now,
            **over,
        }
        for n, id_ in enumerate(sorted(uuid7() for _ in range(count)))
    ]
    async with begin(engine) as tx:
        await tx.execute(insert(Contact), rows)
    return [str(row["id"]) for row in rows]


async def count(engine: AsyncEngine, table: type[Any]) -> int:
    async with begin(engine) as tx:
        return int((await tx.execute(select(func.count()).select_from(table))).scalar_one())


async def test_makes_and_shows_a_group(client: httpx.AsyncClient) -> None:
    answer = await client.post(GROUPS, json={"name": "  Guests ", "kind": "static"})
    group = answer.json()
    assert (group["name"], group["kind"], group["members"]) == ("Guests", "static", 0)
    assert (await client.get(f"{GROUPS}/{group['id']}")).json() == group


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/name"),
        ({"name": " "}, "/name"),
        ({"name": "x" * 201}, "/name"),
        ({"name": "a", "kind": "dynamic"}, "/conditions"),
        ({"name": "a", "kind": "other"}, "/kind"),
        ({"name": "a", "conditions": {}}, "/conditions"),
    ],
)
async def test_refuses_by_name(client: httpx.AsyncClient, body: Any, pointer: str) -> None:
    answer = await client.post(GROUPS, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_names_are_unique(client: httpx.AsyncClient) -> None:
    await created(client)
    other = await created(client, "Others")
    again = await client.post(GROUPS, json={"name": "Guests"})
    renamed = await client.patch(f"{GROUPS}/{other}", json={"name": "Guests"})
    assert (again.status_code, renamed.status_code) == (409, 409)
    assert again.json()["type"] == renamed.json()["type"] == "/problems/target-group-name-taken"
    assert again.json()["errors"][0]["pointer"] == renamed.json()["errors"][0]["pointer"] == "/name"
    assert (await client.patch(f"{GROUPS}/{other}", json={"name": "Others"})).status_code == 200
    assert (await client.patch(f"{GROUPS}/{other}", json={"name": "New"})).json()["name"] == "New"


async def test_lists_by_name_with_counts(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    ids = [await created(client, name) for name in ("Cafe guests", "Hotel guests", "Staff")]
    contacts = await make_contacts(engine, 2, now)
    await client.post(f"{GROUPS}/{ids[1]}/members", json={"contact_ids": contacts})
    page = (await client.get(GROUPS, params={"q": "GUESTS"})).json()
    assert sorted((group["name"], group["members"]) for group in page["items"]) == [
        ("Cafe guests", 0),
        ("Hotel guests", 2),
    ]
    first = (await client.get(GROUPS, params={"limit": "2"})).json()
    second = (await client.get(GROUPS, params={"limit": "2", "cursor": first["next_cursor"]})).json()
    assert second["next_cursor"] is None
    assert {group["id"] for group in first["items"] + second["items"]} == set(ids)


async def test_members_come_and_go(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    group = await created(client)
    a, b, c = await make_contacts(engine, 3, now)
    stranger = str(uuid4())
    url = f"{GROUPS}/{group}/members"
    first = await client.post(url, json={"contact_ids": [a, b, a]})
    assert first.json() == {"added": 2, "already": 0, "unknown": []}
    second = await client.post(url, json={"contact_ids": [b, c, stranger]})
    assert second.json() == {"added": 1, "already": 1, "unknown": [stranger]}
    assert (await client.get(f"{GROUPS}/{group}")).json()["members"] == 3
    removed = await client.request("DELETE", url, json={"contact_ids": [a, stranger]})
    assert removed.json() == {"removed": 1, "absent": 1}
    assert (await client.delete(f"{url}/{b}")).status_code == 204
    assert (await client.delete(f"{url}/{b}")).status_code == 204
    assert [contact["id"] for contact in (await client.get(url)).json()["items"]] == [c]
    assert await count(engine, Contact) == 3


async def test_takes_ten_thousand_members_at_once_and_no_more(
    client: httpx.AsyncClient, engine: AsyncEngine, now: datetime
) -> None:
    group = await created(client)
    contacts = await make_contacts(engine, 10_000, now)
    url = f"{GROUPS}/{group}/members"
    assert (await client.post(url, json={"contact_ids": contacts})).json()["added"] == 10_000
    for ids in ([], [*contacts, str(uuid4())]):
        answer = await client.post(url, json={"contact_ids": ids})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/contact_ids"


async def test_lists_members_page_by_page(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    group = await created(client)
    contacts = await make_contacts(engine, 5, now)
    url = f"{GROUPS}/{group}/members"
    await client.post(url, json={"contact_ids": contacts})
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(3):
        page = (await client.get(url, params={"limit": "2", **({"cursor": cursor} if cursor else {})})).json()
        seen += [contact["id"] for contact in page["items"]]
        cursor = page["next_cursor"]
    assert cursor is None
    assert seen == contacts


async def export(client: httpx.AsyncClient, group: str, style: str | None) -> list[list[str]]:
    answer = await client.get(f"{GROUPS}/{group}/export.csv", params={"style": style} if style else None)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.text, newline="")))


async def test_exports_for_machines_as_it_is(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    group = await created(client)
    contacts = await make_contacts(
        engine, 1, now, name='=1+1, "x"\n', fields={"city": "@Delft", "vip": True, "debt": -3}
    )
    await client.post(f"{GROUPS}/{group}/members", json={"contact_ids": contacts})
    head, line = await export(client, group, "machine")
    assert head == [
        "msisdn",
        "name",
        "external_id",
        "location_id",
        "time_zone",
        "consent_status",
        "consent_source",
        "consent_at",
        "fields.city",
        "fields.debt",
        "fields.vip",
    ]
    assert line == ["+12025550000", '=1+1, "x"\n', "", "", "", "unknown", "", "", "@Delft", "-3", "true"]


@pytest.mark.parametrize("evil", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
async def test_exports_for_spreadsheets_hold_no_formula(
    client: httpx.AsyncClient, engine: AsyncEngine, now: datetime, evil: str
) -> None:
    group = await created(client)
    contacts = await make_contacts(engine, 1, now, name=evil, fields={"city": evil, "debt": -3})
    await client.post(f"{GROUPS}/{group}/members", json={"contact_ids": contacts})
    _, line = await export(client, group, None)
    assert line == ["'+12025550000", f"'{evil}", "", "", "", "unknown", "", "", f"'{evil}", "-3"]


async def test_exports_all_pages(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    group = await created(client, "Gäste; rm -rf /")
    contacts = await make_contacts(engine, 2 * PAGE + 3, now)
    for start in range(0, len(contacts), 10_000):
        await client.post(f"{GROUPS}/{group}/members", json={"contact_ids": contacts[start : start + 10_000]})
    lines = await export(client, group, "machine")
    assert [line[1] for line in lines[1:]] == [f"C{n}" for n in range(2 * PAGE + 3)]
    answer = await client.get(f"{GROUPS}/{group}/export.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="G-ste-rm--rf.csv"'
    assert answer.content.startswith(b"\xef\xbb\xbfmsisdn")


async def test_an_empty_group_exports_its_head(client: httpx.AsyncClient) -> None:
    assert len(await export(client, await created(client), "machine")) == 1


async def make_campaign(engine: AsyncEngine, group: str, status: Status, now: datetime, **over: Any) -> None:
    campaign = {"id": uuid7(), "name": "Spring", "status": status, "created_at": now, "updated_at": now}
    async with begin(engine) as tx:
        await tx.execute(insert(Campaign).values(**(campaign | over)))
        target = {"id": uuid7(), "campaign_id": campaign["id"], "target_group_id": UUID(group)}
        await tx.execute(insert(CampaignTarget).values(**target))


@pytest.mark.parametrize("status", [Status.DRAFT, Status.SCHEDULED, Status.HELD])
async def test_a_group_that_a_campaign_waits_for_stays(
    client: httpx.AsyncClient, engine: AsyncEngine, now: datetime, status: Status
) -> None:
    group = await created(client)
    await make_campaign(engine, group, status, now)
    answer = await client.delete(f"{GROUPS}/{group}")
    assert answer.status_code == 409
    assert answer.json()["type"] == "/problems/target-group-in-use"
    assert "'Spring'" in answer.json()["detail"]
    assert await count(engine, TargetGroup) == 1


@pytest.mark.parametrize("status", [Status.RUNNING, Status.COMPLETED])
async def test_a_group_whose_recipients_are_frozen_may_go(
    client: httpx.AsyncClient, engine: AsyncEngine, now: datetime, status: Status
) -> None:
    group = await created(client)
    await make_campaign(engine, group, status, now, frozen_at=now)
    assert (await client.delete(f"{GROUPS}/{group}")).status_code == 204


async def test_a_group_that_an_import_fills_stays(
    client: httpx.AsyncClient, engine: AsyncEngine, now: datetime
) -> None:
    group = await created(client)
    import_id = uuid7()
    async with begin(engine) as tx:
        values = {"id": import_id, "status": "running", "target_group_id": UUID(group), "created_at": now}
        await tx.execute(insert(Import).values(**values))
    answer = await client.delete(f"{GROUPS}/{group}")
    assert answer.status_code == 409
    assert str(import_id) in answer.json()["detail"]


async def test_a_deleted_group_leaves_its_contacts_and_a_trace(
    client: httpx.AsyncClient, engine: AsyncEngine, now: datetime
) -> None:
    group = await created(client)
    contacts = await make_contacts(engine, 2, now)
    await client.post(f"{GROUPS}/{group}/members", json={"contact_ids": contacts})
    assert (await client.delete(f"{GROUPS}/{group}")).status_code == 204
    assert await count(engine, Contact) == 2
    assert await count(engine, TargetGroupMember) == 0
    async with begin(engine) as tx:
        (entry,) = (await tx.execute(select(AuditEntry).where(AuditEntry.action == "target_group.delete"))).all()
    assert (entry.action, entry.subject_id, entry.detail) == ("target_group.delete", group, {"name": "Guests"})


UNKNOWN = [
    ("GET", "", None),
    ("PATCH", "", {"name": "x"}),
    ("DELETE", "", None),
    ("GET", "/members", None),
    ("POST", "/members", {"contact_ids": [str(uuid4())]}),
    ("DELETE", "/members", {"contact_ids": [str(uuid4())]}),
    ("DELETE", f"/members/{uuid4()}", None),
    ("GET", "/export.csv", None),
]


@pytest.mark.parametrize(("method", "path", "body"), UNKNOWN)
async def test_an_unknown_group_is_not_there(client: httpx.AsyncClient, method: str, path: str, body: Any) -> None:
    answer = await client.request(method, f"{GROUPS}/{uuid4()}{path}", json=body)
    assert answer.status_code == 404


@pytest.mark.parametrize(("method", "path", "body"), [entry for entry in UNKNOWN if entry[0] != "GET"])
async def test_readers_change_nothing(
    anonymous: httpx.AsyncClient, engine: AsyncEngine, method: str, path: str, body: Any
) -> None:
    async with begin(engine) as tx:
        reader = {"Authorization": f"Bearer {(await make_api_key(tx, 'read')).text}"}
    url = f"{GROUPS}/{uuid4()}{path}"
    assert (await anonymous.request(method, url, json=body, headers=reader)).status_code == 403
    assert (await anonymous.request(method, url, json=body)).status_code == 401
