"""Field definitions over HTTP, and contacts that keep to them."""

from typing import Any

import pytest
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.models import AuditEntry, Contact, ContactField
from tests.factories import make_api_key, make_contact, make_msisdn, make_target_group

FIELDS = "/v1/contact-fields"


async def defined(client: AsyncClient, key: str = "visits", kind: str = "number", **more: Any) -> dict[str, Any]:
    answer = await client.post(FIELDS, json={"key": key, "type": kind, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def rows(engine: AsyncEngine, table: Any) -> list[Any]:
    async with begin(engine) as tx:
        return list((await tx.execute(select(table))).all())


async def test_defines_and_shows_a_field(client: AsyncClient, engine: AsyncEngine) -> None:
    made = await defined(client, "plan", "choice", choices=["basic", " family ", "basic"], description="Tariff")
    assert (made["key"], made["type"], made["choices"]) == ("plan", "choice", ["basic", "family"])
    assert (made["defined"], made["defined_by"], made["unfit"]) == (True, "admin", 0)
    shown = (await client.get(f"{FIELDS}/plan")).json()
    assert shown == {name: value for name, value in made.items() if name != "unfit"}
    (row,) = await rows(engine, ContactField)
    assert (row.key, row.choices, row.description) == ("plan", ["basic", "family"], "Tariff")
    (entry,) = await rows(engine, AuditEntry)
    assert (entry.action, entry.subject_id, entry.detail) == ("contact_field.defined", "plan", {"type": "choice"})


async def test_contacts_keep_to_it(client: AsyncClient, engine: AsyncEngine) -> None:
    await defined(client)
    await defined(client, "born", "date")
    body = {"msisdn": make_msisdn(1), "fields": {"visits": "3", "born": "", "city": 5}}
    made = (await client.post("/v1/contacts", json=body)).json()
    assert made["fields"] == {"visits": 3, "city": 5}
    url = f"/v1/contacts/{made['id']}"
    assert (await client.patch(url, json={"fields": {"born": "2001-01-01", "visits": None}})).json()["fields"] == {
        "born": "2001-01-01",
        "city": 5,
    }
    wrong = {"fields": {"visits": "many", "born": "yesterday", "city": "any"}}
    for answer in (
        await client.post("/v1/contacts", json={"msisdn": make_msisdn(2)} | wrong),
        await client.patch(url, json=wrong),
    ):
        assert answer.status_code == 422
        errors = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
        assert set(errors) == {"/fields/visits", "/fields/born"}
        assert "2026-03-02" in errors["/fields/born"]
    assert len(await rows(engine, Contact)) == 1


async def test_lists_what_is_defined_and_what_was_seen(client: AsyncClient) -> None:
    await client.post("/v1/contacts", json={"msisdn": make_msisdn(1), "fields": {"city": "Delft", "gone": None}})
    await defined(client)
    first = (await client.get(FIELDS, params={"limit": "1"})).json()
    second = (await client.get(FIELDS, params={"limit": "1", "cursor": first["next_cursor"]})).json()
    assert second["next_cursor"] is None
    told = [(one["key"], one["type"], one["defined"]) for one in first["items"] + second["items"]]
    assert told == [("city", "text", False), ("visits", "number", True)]


@pytest.mark.parametrize(
    ("kind", "more", "unfit"),
    [
        pytest.param("number", {}, 3, id="number"),
        pytest.param("text", {}, 2, id="text"),
        pytest.param("boolean", {}, 3, id="boolean"),
        pytest.param("date", {}, 3, id="date"),
        pytest.param("choice", {"choices": ["5", "x"]}, 3, id="choice"),
    ],
)
async def test_tells_what_does_not_fit(
    client: AsyncClient, engine: AsyncEngine, kind: str, more: Any, unfit: int
) -> None:
    async with begin(engine) as tx:
        for place, value in enumerate([5, "5", True, "2026-01-01"]):
            await make_contact(tx, msisdn=make_msisdn(place), fields={"x": value})
        await make_contact(tx, msisdn=make_msisdn(9), fields={"y": 1})
    assert (await defined(client, "x", kind, **more))["unfit"] == unfit


async def test_a_seen_field_is_defined_once(client: AsyncClient) -> None:
    await client.post("/v1/contacts", json={"msisdn": make_msisdn(1), "fields": {"visits": "3"}})
    made = await defined(client)
    assert (made["type"], made["unfit"]) == ("number", 1)
    again = await client.post(FIELDS, json={"key": "visits", "type": "text"})
    assert (again.status_code, again.json()["type"]) == (409, "/problems/contact-field-exists")


async def test_changes_and_goes(client: AsyncClient, engine: AsyncEngine) -> None:
    await defined(client, "plan", "choice", choices=["basic"])
    url = f"{FIELDS}/plan"
    changed = (await client.patch(url, json={"choices": ["basic", "gold"], "description": "Tariff"})).json()
    assert (changed["choices"], changed["description"]) == (["basic", "gold"], "Tariff")
    assert (await client.patch(url, json={"description": None})).json()["description"] is None
    assert (await client.patch(url, json={})).json()["choices"] == ["basic", "gold"]
    assert (await client.delete(url)).status_code == 204
    left = (await client.get(url)).json()
    assert (left["defined"], left["type"], left["choices"]) == (False, "text", [])
    assert (await client.delete(url)).status_code == 404
    entries = await rows(engine, AuditEntry)
    assert entries[1].detail["choices"] == {"from": ["basic"], "to": ["basic", "gold"]}
    assert entries[2].detail == {"description": {"from": "Tariff", "to": None}}
    assert [entry.action for entry in entries] == [
        "contact_field.defined",
        "contact_field.changed",
        "contact_field.changed",
        "contact_field.deleted",
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({"type": "text"}, "/key", id="no key"),
        pytest.param({"key": "a b", "type": "text"}, "/key", id="no name for a tag"),
        pytest.param({"key": "_a", "type": "text"}, "/key", id="an underscore first"),
        pytest.param({"key": "x" * 65, "type": "text"}, "/key", id="too long"),
        pytest.param({"key": "a"}, "/type", id="no type"),
        pytest.param({"key": "a", "type": "phone"}, "/type", id="no such type"),
        pytest.param({"key": "a", "type": "choice"}, "/choices", id="a choice without choices"),
        pytest.param({"key": "a", "type": "text", "choices": ["a"]}, "/choices", id="choices of a text"),
        pytest.param({"key": "a", "type": "choice", "choices": [" "]}, "/choices/0", id="a blank choice"),
        pytest.param({"key": "a", "type": "choice", "choices": ["a", "A"]}, "/choices/1", id="the same in capitals"),
        pytest.param({"key": "a", "type": "choice", "choices": ["x"] * 201}, "/choices", id="too many"),
    ],
)
async def test_refuses_by_name(client: AsyncClient, body: Any, pointer: str) -> None:
    answer = await client.post(FIELDS, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_refuses_a_change_by_name(client: AsyncClient) -> None:
    await defined(client)
    for body, pointer in (({"type": "text"}, "/type"), ({"choices": ["a"]}, "/choices"), ({"choices": []}, "/choices")):
        answer = await client.patch(f"{FIELDS}/visits", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await client.patch(f"{FIELDS}/none", json={})).status_code == 404
    assert (await client.get(f"{FIELDS}/none")).status_code == 404


async def test_stays_while_a_group_needs_it(client: AsyncClient, engine: AsyncEngine) -> None:
    await defined(client)
    condition = {"not": {"and": [{"field": "fields.visits", "op": "at_least", "value": 3}]}}
    other = {"field": "fields.city", "op": "equals", "value": "fields.visits"}
    async with begin(engine) as tx:
        await make_target_group(tx, name="Regulars", kind="dynamic", conditions=condition)
        await make_target_group(tx, kind="dynamic", conditions=other)
    answer = await client.delete(f"{FIELDS}/visits")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/contact-field-in-use")
    assert "'Regulars'" in answer.json()["detail"]
    typed = await client.post(FIELDS, json={"key": "city", "type": "number"})
    assert (typed.status_code, typed.json()["type"]) == (409, "/problems/contact-field-in-use")
    assert (await client.post(FIELDS, json={"key": "city", "type": "text"})).status_code == 201


async def test_reading_keys_read_only(client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine) -> None:
    await defined(client)
    async with begin(engine) as tx:
        key = await make_api_key(tx, "read")
    headers = {"Authorization": f"Bearer {key.text}"}
    assert (await anonymous.get(FIELDS, headers=headers)).status_code == 200
    for answer in (
        await anonymous.post(FIELDS, json={"key": "a", "type": "text"}, headers=headers),
        await anonymous.patch(f"{FIELDS}/visits", json={}, headers=headers),
        await anonymous.delete(f"{FIELDS}/visits", headers=headers),
    ):
        assert answer.status_code == 403


async def test_a_field_that_differs_in_its_case_only_is_the_same(client: AsyncClient) -> None:
    """A column of an import names a defined field in any case: of two it would have to guess."""
    await defined(client, "plan")
    answer = await client.post(FIELDS, json={"key": "Plan", "type": "text"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/contact-field-exists")
    assert answer.json()["errors"][0]["pointer"] == "/key"
    assert "The field plan is defined already" in answer.json()["detail"]
    assert (await client.delete(f"{FIELDS}/plan")).status_code == 204
    await defined(client, "Plan")
