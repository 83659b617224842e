"""Target groups by conditions over HTTP: previewed, kept, counted, listed, exported; membership follows the data."""

import csv
import io
import json
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.models import AuditEntry, Contact, TargetGroup
from tests.factories import make_api_key, make_contact, make_msisdn

GROUPS = "/v1/target-groups"
REGULARS = {"field": "fields.visits", "op": "at_least", "value": 3}
DELFT = {"field": "fields.city", "op": "equals", "value": "Delft"}


@pytest.fixture
async def people(client: AsyncClient) -> dict[str, str]:
    """Three contacts whose fields are known; visits are numbers, cities are only seen."""
    assert (await client.post("/v1/contact-fields", json={"key": "visits", "type": "number"})).is_success
    ids = {}
    given = (
        ("ann", {"visits": 5, "city": "Delft"}),
        ("ben", {"visits": 3, "city": "Leiden"}),
        ("cas", {"city": "Delft"}),
    )
    for place, (name, fields) in enumerate(given):
        answer = await client.post("/v1/contacts", json={"msisdn": make_msisdn(place), "name": name, "fields": fields})
        ids[name] = answer.json()["id"]
    return ids


async def made(client: AsyncClient, conditions: Any, name: str = "Regulars") -> dict[str, Any]:
    answer = await client.post(GROUPS, json={"name": name, "kind": "dynamic", "conditions": conditions})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def members(client: AsyncClient, group: str) -> list[str]:
    page = (await client.get(f"{GROUPS}/{group}/members")).json()
    return [contact["name"] for contact in page["items"]]


async def test_previews_before_anything_is_kept(
    client: AsyncClient, engine: AsyncEngine, people: dict[str, str]
) -> None:
    answer = await client.post(f"{GROUPS}/preview", json={"conditions": DELFT, "sample": 1})
    told = answer.json()
    assert told["count"] == 2
    assert len(told["sample"]) == 1
    assert told["sample"][0]["id"] in {people["ann"], people["cas"]}
    nobody = (
        await client.post(f"{GROUPS}/preview", json={"conditions": {"and": [REGULARS, {"not": REGULARS}]}})
    ).json()
    assert nobody == {"count": 0, "sample": []}
    async with begin(engine) as tx:
        assert (await tx.execute(select(TargetGroup))).all() == []


async def test_names_the_field_that_was_meant(client: AsyncClient, people: dict[str, str]) -> None:
    await client.post("/v1/contacts", json={"msisdn": make_msisdn(9), "fields": {"Ort": "Bonn"}})
    for field, meant in (("fields.ort", "fields.Ort"), ("fields.vists", "fields.visits"), ("nmae", "name")):
        condition = {"field": field, "op": "is_set"}
        answer = await client.post(f"{GROUPS}/preview", json={"conditions": condition})
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["pointer"] == "/conditions/field"
        assert f"'{field}' (did you mean `{meant}`?)" in error["detail"]


async def test_membership_follows_the_data(client: AsyncClient, engine: AsyncEngine, people: dict[str, str]) -> None:
    group = await made(client, {"and": [REGULARS, {"not": DELFT}]})
    assert (group["kind"], group["members"]) == ("dynamic", 1)
    assert await members(client, group["id"]) == ["ben"]
    await client.patch(f"/v1/contacts/{people['ann']}", json={"fields": {"city": "Leiden"}})
    await client.patch(f"/v1/contacts/{people['ben']}", json={"fields": {"visits": 1}})
    assert await members(client, group["id"]) == ["ann"]
    listed = (await client.get("/v1/contacts", params={"target_group_id": group["id"]})).json()
    assert [contact["name"] for contact in listed["items"]] == ["ann"]


async def test_shows_conditions_as_they_were_given(client: AsyncClient, people: dict[str, str]) -> None:
    given = {"or": [{"field": "fields.visits", "op": "in", "value": ["3", 5]}, {"field": "name", "op": "is_set"}]}
    group = await made(client, given)
    kept = {
        "or": [
            {"field": "fields.visits", "op": "in", "value": [3, 5]},
            {"field": "name", "op": "is_set", "value": True},
        ]
    }
    assert group["conditions"] == kept
    url = f"{GROUPS}/{group['id']}"
    assert (await client.get(url)).json()["conditions"] == kept
    (row,) = (await client.get(GROUPS)).json()["items"]
    assert (row["conditions"], row["members"]) == (kept, None)
    changed = (await client.patch(url, json={"conditions": kept | {"or": [DELFT]}})).json()
    assert (changed["conditions"], changed["members"], changed["name"]) == ({"or": [DELFT]}, 2, "Regulars")
    renamed = (await client.patch(url, json={"name": "Delft"})).json()
    assert (renamed["conditions"], renamed["name"]) == ({"or": [DELFT]}, "Delft")


async def test_pages_and_exports(client: AsyncClient, people: dict[str, str]) -> None:
    group = (await made(client, DELFT))["id"]
    first = (await client.get(f"{GROUPS}/{group}/members", params={"limit": "1"})).json()
    second = (
        await client.get(f"{GROUPS}/{group}/members", params={"limit": "1", "cursor": first["next_cursor"]})
    ).json()
    assert second["next_cursor"] is None
    assert {first["items"][0]["name"], second["items"][0]["name"]} == {"ann", "cas"}
    answer = await client.get(f"{GROUPS}/{group}/export.csv", params={"style": "machine"})
    head, *lines = csv.reader(io.StringIO(answer.text))
    assert head[-2:] == ["fields.city", "fields.visits"]
    assert sorted(line[1:2] + line[-2:] for line in lines) == [["ann", "Delft", "5"], ["cas", "Delft", ""]]


async def test_nobody_is_put_in_by_hand(client: AsyncClient, engine: AsyncEngine, people: dict[str, str]) -> None:
    url = f"{GROUPS}/{(await made(client, DELFT))['id']}/members"
    body = {"contact_ids": [people["ben"]]}
    for answer in (
        await client.post(url, json=body),
        await client.request("DELETE", url, json=body),
        await client.delete(f"{url}/{people['ann']}"),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/target-group-is-dynamic")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({"kind": "dynamic"}, "/conditions", id="none"),
        pytest.param({"conditions": DELFT}, "/conditions", id="of a static group"),
        pytest.param({"kind": "dynamic", "conditions": []}, "/conditions", id="a list"),
        pytest.param(
            {"kind": "dynamic", "conditions": {"and": [DELFT, {"or": []}]}}, "/conditions/and/1/or", id="empty"
        ),
        pytest.param(
            {"kind": "dynamic", "conditions": {"not": DELFT | {"field": "fields.ctiy"}}},
            "/conditions/not/field",
            id="an unknown field",
        ),
        pytest.param(
            {"kind": "dynamic", "conditions": REGULARS | {"value": "many"}}, "/conditions/value", id="a wrong type"
        ),
        pytest.param({"kind": "dynamic", "conditions": DELFT | {"value": "a\0b"}}, "/conditions/value", id="a NUL"),
        pytest.param({"kind": "dynamic", "conditions": {"and": [DELFT] * 10_000}}, "/conditions", id="10,000 nodes"),
    ],
)
async def test_refuses_by_place(client: AsyncClient, people: dict[str, str], body: Any, pointer: str) -> None:
    answers = [await client.post(GROUPS, json={"name": "a"} | body)]
    if "conditions" in body and "kind" in body:
        answers.append(await client.post(f"{GROUPS}/preview", json={"conditions": body["conditions"]}))
    for answer in answers:
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"][0]["pointer"] == pointer


async def test_a_bottomless_tree_is_refused(client: AsyncClient) -> None:
    """Whatever refuses it first: the reader of JSON, or the limit of depth."""
    deep = '{"conditions": ' + '{"not": ' * 20_000 + json.dumps(DELFT) + "}" * 20_001
    answer = await client.post(f"{GROUPS}/preview", content=deep, headers={"content-type": "application/json"})
    assert answer.status_code in {400, 422}


async def test_a_change_is_checked_and_told(client: AsyncClient, engine: AsyncEngine, people: dict[str, str]) -> None:
    url = f"{GROUPS}/{(await made(client, DELFT))['id']}"
    answer = await client.patch(url, json={"conditions": DELFT | {"op": "like"}})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/conditions/op")
    assert (await client.patch(url, json={"conditions": REGULARS})).status_code == 200
    static = (await client.post(GROUPS, json={"name": "By hand"})).json()
    answer = await client.patch(f"{GROUPS}/{static['id']}", json={"conditions": DELFT})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/conditions")
    async with begin(engine) as tx:
        entries = (await tx.execute(select(AuditEntry).where(AuditEntry.action == "target_group.changed"))).all()
    assert [entry.detail for entry in entries] == [{"conditions": "given"}]


async def test_a_type_stays_while_conditions_are_built_on_it(client: AsyncClient, people: dict[str, str]) -> None:
    group = await made(client, REGULARS)
    answer = await client.delete("/v1/contact-fields/visits")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/contact-field-in-use")
    await client.delete(f"{GROUPS}/{group['id']}")
    assert (await client.delete("/v1/contact-fields/visits")).status_code == 204


async def test_readers_preview_and_change_nothing(
    client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine, people: dict[str, str]
) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "read")
    headers = {"Authorization": f"Bearer {key.text}"}
    answer = await anonymous.post(f"{GROUPS}/preview", json={"conditions": DELFT}, headers=headers)
    assert answer.status_code == 200
    body = {"name": "a", "kind": "dynamic", "conditions": DELFT}
    assert (await anonymous.post(GROUPS, json=body, headers=headers)).status_code == 403
    assert (await anonymous.post(f"{GROUPS}/preview", json={"conditions": DELFT})).status_code == 401


# --- in campaigns


async def test_a_campaign_reaches_whoever_meets_them_now(
    client: AsyncClient, engine: AsyncEngine, people: dict[str, str]
) -> None:
    group = (await made(client, DELFT))["id"]
    async with begin(engine) as tx:
        await make_contact(tx, msisdn=make_msisdn(50), name=None, fields={"city": "Delft"})
    campaign = {
        "name": "Spring",
        "messages": [{"text": "Hi {{ name }}"}],
        "target_group_ids": [group],
        "contact_ids": [people["ann"], people["ben"]],
        "msisdns": [make_msisdn(2)],
        "opt_in_acknowledged": True,
    }
    url = f"/v1/campaigns/{(await client.post('/v1/campaigns', json=campaign)).json()['id']}"
    assert (await client.get(f"{url}/report")).json()["recipients"] == 4
    told = (await client.get(f"{url}/preview")).json()
    assert [(one["tag"], one["recipients"]) for one in told["missing"]] == [("name", 1)]
    assert (await client.post(f"{url}/start")).status_code == 409
    async with begin(engine) as tx:
        nameless = (await tx.execute(select(Contact.id).where(Contact.name.is_(None)))).scalar_one()
    await client.patch(f"/v1/contacts/{nameless}", json={"fields": {"city": "Gouda"}})
    assert (await client.get(f"{url}/report")).json()["recipients"] == 3
    assert (await client.post(f"{url}/start")).json()["status"] == "running"
    assert UUID(group)
