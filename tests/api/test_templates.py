"""Templates over HTTP: kept, versioned, rendered, copied into campaigns; tags listed; texts measured."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.models import AuditEntry, CampaignMessage, TemplateRow, TemplateVersion
from shared.queries.templates import StoredText, find_text
from tests.conftest import Clock
from tests.factories import make_api_key, make_contact, make_msisdn

TEMPLATES = "/v1/templates"
HELLO = 'Hi {{ name | default("there") }}'


async def created(client: AsyncClient, name: str = "Hello", text: str = HELLO) -> dict[str, Any]:
    answer = await client.post(TEMPLATES, json={"name": name, "text": text})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def rows(engine: AsyncEngine, table: Any) -> list[Any]:
    async with begin(engine) as tx:
        return list((await tx.execute(select(table))).all())


# --- kept


async def test_keeps_a_text(client: AsyncClient, engine: AsyncEngine) -> None:
    shown = await created(client, text="{{ name }}, {{ voucher.code }}: {{ name }}")
    assert (shown["name"], shown["version"], shown["created_by"]) == ("Hello", 1, "admin")
    assert shown["tags"] == ["name", "voucher.code"]
    assert (await client.get(f"{TEMPLATES}/{shown['id']}")).json() == shown
    (row,) = await rows(engine, TemplateRow)
    (version,) = await rows(engine, TemplateVersion)
    assert (str(row.id), row.text, row.version) == (shown["id"], shown["text"], 1)
    assert (version.template_id, version.version, version.text) == (row.id, 1, row.text)
    (entry,) = await rows(engine, AuditEntry)
    assert (entry.action, entry.subject_id, entry.detail) == ("template.created", shown["id"], {"name": "Hello"})


async def test_another_text_is_another_version(client: AsyncClient, engine: AsyncEngine) -> None:
    shown = await created(client)
    url = f"{TEMPLATES}/{shown['id']}"
    assert (await client.patch(url, json={"text": HELLO})).json()["version"] == 1
    assert (await client.patch(url, json={"name": "Bye"})).json()["version"] == 1
    changed = (await client.patch(url, json={"text": "Bye {{ name }}"})).json()
    assert (changed["version"], changed["text"], changed["name"]) == (2, "Bye {{ name }}", "Bye")
    first = (await client.get(f"{url}/versions", params={"limit": "1"})).json()
    second = (await client.get(f"{url}/versions", params={"limit": "1", "cursor": first["next_cursor"]})).json()
    assert second["next_cursor"] is None
    told = [(one["version"], one["text"], one["created_by"]) for one in first["items"] + second["items"]]
    assert told == [(2, "Bye {{ name }}", "admin"), (1, HELLO, "admin")]
    entries = [(entry.action, entry.detail) for entry in await rows(engine, AuditEntry)]
    assert entries[1:] == [("template.changed", {"name": "Bye"}), ("template.changed", {"version": 2})]


async def test_others_find_the_newest_wording(client: AsyncClient, engine: AsyncEngine) -> None:
    template_id = UUID((await created(client))["id"])
    await client.patch(f"{TEMPLATES}/{template_id}", json={"text": "New"})
    async with begin(engine) as tx:
        assert await find_text(tx, template_id) == StoredText(template_id, 2, "New")
        assert await find_text(tx, uuid4()) is None


async def test_lists_by_name_page_by_page(client: AsyncClient, clock: Clock) -> None:
    ids = []
    for name in ("Welcome", "Voucher", "welcome back"):
        ids.append((await created(client, name))["id"])
        clock.advance(timedelta(seconds=1))
    assert [one["id"] for one in (await client.get(TEMPLATES, params={"q": "WELCOME"})).json()["items"]] == [
        ids[2],
        ids[0],
    ]
    first = (await client.get(TEMPLATES, params={"limit": "2"})).json()
    second = (await client.get(TEMPLATES, params={"limit": "2", "cursor": first["next_cursor"]})).json()
    assert [one["id"] for one in first["items"] + second["items"]] == ids[::-1]


async def test_goes_with_its_versions(client: AsyncClient, engine: AsyncEngine) -> None:
    url = f"{TEMPLATES}/{(await created(client))['id']}"
    assert (await client.delete(url)).status_code == 204
    assert (await client.delete(url)).status_code == 404
    assert (await rows(engine, TemplateRow), await rows(engine, TemplateVersion)) == ([], [])
    assert (await rows(engine, AuditEntry))[-1].action == "template.deleted"


@pytest.mark.parametrize(
    ("body", "pointer", "words"),
    [
        pytest.param({"text": "a"}, "/name", "required", id="no name"),
        pytest.param({"name": " ", "text": "a"}, "/name", "at least 1", id="a blank name"),
        pytest.param({"name": "x" * 201, "text": "a"}, "/name", "200", id="a long name"),
        pytest.param({"name": "a"}, "/text", "required", id="no text"),
        pytest.param({"name": "a", "text": " \n"}, "/text", "empty", id="a blank text"),
        pytest.param({"name": "a", "text": "x" * 1601}, "/text", "1600", id="too long"),
        pytest.param({"name": "a", "text": "Ж" * 700}, "/text", "11 segments", id="too many segments"),
        pytest.param({"name": "a", "text": "{{ nmae }}"}, "/text", "did you mean `name`", id="nobody's tag"),
        pytest.param({"name": "a", "text": "{{ name"}, "/text", "never closed", id="an open tag"),
        pytest.param({"name": "a", "text": "{% if name %}"}, "/text", "statements", id="a statement"),
        pytest.param({"name": "a", "text": "b", "version": 3}, "/version", "", id="a version of one's own"),
    ],
)
async def test_refuses_by_name(client: AsyncClient, body: Any, pointer: str, words: str) -> None:
    made = await created(client)
    answers = [await client.post(TEMPLATES, json=body)]
    if "name" in body and "text" in body:
        answers.append(await client.patch(f"{TEMPLATES}/{made['id']}", json=body))
    for answer in answers:
        assert answer.status_code == 422
        (error,) = answer.json()["errors"]
        assert error["pointer"] == pointer
        assert words in error["detail"]


async def test_names_are_unique(client: AsyncClient) -> None:
    await created(client)
    other = await created(client, "Other")
    again = await client.post(TEMPLATES, json={"name": "Hello", "text": "a"})
    renamed = await client.patch(f"{TEMPLATES}/{other['id']}", json={"name": "Hello"})
    for answer in (again, renamed):
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/template-name-taken")
        assert answer.json()["errors"][0]["pointer"] == "/name"


async def test_what_is_not_there_is_told(client: AsyncClient) -> None:
    url = f"{TEMPLATES}/{uuid4()}"
    answers = [
        await client.get(url),
        await client.patch(url, json={"name": "a"}),
        await client.delete(url),
        await client.get(f"{url}/versions"),
        await client.post(f"{url}/render", json={}),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5


async def test_reading_keys_read_only(client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "read")
    url = f"{TEMPLATES}/{(await created(client))['id']}"
    as_reader = {"Authorization": f"Bearer {key.text}"}
    assert (await anonymous.get(url, headers=as_reader)).status_code == 200
    assert (await anonymous.post(f"{url}/render", json={}, headers=as_reader)).status_code == 200
    for answer in (
        await anonymous.post(TEMPLATES, json={"name": "b", "text": "b"}, headers=as_reader),
        await anonymous.patch(url, json={"name": "b"}, headers=as_reader),
        await anonymous.delete(url, headers=as_reader),
    ):
        assert answer.status_code == 403
    assert (await anonymous.get(url)).status_code == 401


# --- rendered


async def test_renders_for_a_contact_with_variables(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        contact_id = await make_contact(tx, name="Zoë", fields={"city": "Delft"})
    shown = await created(client, text="{{ name }} of {{ fields.city }}: {{ voucher.code }}{{ fields.gone }}")
    url = f"{TEMPLATES}/{shown['id']}/render"
    told = (
        await client.post(url, json={"contact_id": str(contact_id), "variables": {"voucher": {"code": "X"}}})
    ).json()
    assert (told["text"], told["missing"], told["version"]) == ("Zoë of Delft: X", ["fields.gone"], 1)
    assert (told["encoding"], told["characters"], told["segments"]) == ("ucs2", 15, 1)
    assert [one["code_point"] for one in told["unreplaceable"]] == ["U+00EB"]
    alone = (await client.post(url, json={})).json()
    assert alone["missing"] == ["name", "fields.city", "voucher.code", "fields.gone"]


async def test_renders_an_older_version(client: AsyncClient) -> None:
    url = f"{TEMPLATES}/{(await created(client, text='Old'))['id']}"
    await client.patch(url, json={"text": "New"})
    assert (await client.post(f"{url}/render", json={"version": 1})).json()["text"] == "Old"
    assert (await client.post(f"{url}/render", json={})).json()["text"] == "New"
    assert (await client.post(f"{url}/render", json={"version": 3})).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        pytest.param({"contact_id": "x"}, 422, "/contact_id", id="no id"),
        pytest.param({"contact_id": str(uuid4())}, 404, None, id="no such contact"),
        pytest.param({"variables": {"a b": 1}}, 422, "/variables", id="no name for a tag"),
        pytest.param({"variables": {"a": [1]}}, 422, "/variables/a", id="a list"),
        pytest.param({"variables": {"a": {"b": {"c": 1}}}}, 422, "/variables/a", id="too deep"),
        pytest.param({"variables": {"name": "x" * 400}}, 422, None, id="a value too long for a tag"),
        pytest.param({"version": 0}, 422, "/version", id="a version that cannot be"),
    ],
)
async def test_refuses_to_render(client: AsyncClient, body: Any, status: int, pointer: str | None) -> None:
    url = f"{TEMPLATES}/{(await created(client))['id']}/render"
    answer = await client.post(url, json=body)
    assert answer.status_code == status, answer.text
    if pointer:
        assert answer.json()["errors"][0]["pointer"].startswith(pointer)


# --- measured


@pytest.mark.parametrize(
    ("text", "size"),
    [
        pytest.param("", ("gsm7", 0, 0, 0), id="nothing"),
        pytest.param("a" * 480, ("gsm7", 480, 480, 4), id="480 characters"),
        pytest.param("a" * 152 + "[" + "a" * 152, ("gsm7", 305, 306, 3), id="an escape at the boundary"),
        pytest.param("\U0001f600" * 36, ("ucs2", 36, 72, 2), id="36 smiles"),
        pytest.param("x" * 66 + "\U0001f600" + "x" * 66, ("ucs2", 133, 134, 3), id="a smile at a segment's boundary"),
    ],
)
async def test_measures(client: AsyncClient, text: str, size: tuple[str, int, int, int]) -> None:
    told = (await client.post("/v1/texts/measure", json={"text": text})).json()
    assert (told["encoding"], told["characters"], told["units"], told["segments"]) == size


async def test_names_look_alikes_and_what_they_cost(client: AsyncClient) -> None:
    text = "It\u2019s \u2026 P\u0430yPal" + "a" * 60
    told = (await client.post("/v1/texts/measure", json={"text": text})).json()
    assert [(one["position"], one["code_point"], one["replacement"]) for one in told["suggestions"]] == [
        (2, "U+2019", "'"),
        (5, "U+2026", "..."),
        (8, "U+0430", "a"),
    ]
    assert told["suggestions"][0]["name"] == "RIGHT SINGLE QUOTATION MARK"
    assert (told["encoding"], told["segments"]) == ("ucs2", 2)
    assert told["replaced"]["text"] == "It's ... PayPal" + "a" * 60
    assert (told["replaced"]["encoding"], told["replaced"]["segments_saved"]) == ("gsm7", 1)


async def test_says_what_cannot_be_replaced(client: AsyncClient) -> None:
    told = (await client.post("/v1/texts/measure", json={"text": "Ж\u2019Ж"})).json()
    assert [one["character"] for one in told["unreplaceable"]] == ["Ж"]
    assert told["replaced"]["segments_saved"] == 0
    plain = (await client.post("/v1/texts/measure", json={"text": "plain"})).json()
    assert (plain["suggestions"], plain["unreplaceable"], plain["replaced"]) == ([], [], None)


@pytest.mark.parametrize("body", [{}, {"text": None}, {"text": "x" * 5001}, {"text": "a\0b"}])
async def test_refuses_to_measure(client: AsyncClient, body: Any) -> None:
    answer = await client.post("/v1/texts/measure", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/text")


# --- tags


async def test_lists_tags_with_the_fields_in_use(client: AsyncClient, engine: AsyncEngine) -> None:
    for number, fields in ((1, {"city": "Delft", "visits": 3}), (2, {"city": "Leiden", "gone": None})):
        assert (await client.post("/v1/contacts", json={"msisdn": make_msisdn(number), "fields": fields})).is_success
    plan = {"key": "plan", "type": "choice", "choices": ["basic"], "description": "What they pay for."}
    assert (await client.post("/v1/contact-fields", json=plan)).is_success
    told = (await client.get("/v1/tags")).json()
    tags = {one["tag"]: one for one in told["items"]}
    assert {"name", "msisdn", "campaign.name", "voucher.code", "variables.<key>"} <= set(tags)
    assert (tags["fields.city"]["source"], tags["fields.city"]["example"]) == ("field", "Delft")
    assert tags["fields.visits"]["example"] == "3"
    assert (tags["fields.plan"]["description"], tags["fields.plan"]["example"]) == ("What they pay for.", "basic")
    assert "fields.gone" not in tags
    assert tags["voucher.code"]["uses"] == ["template"]
    assert all(one["description"] and one["example"] for one in told["items"])
    assert "default" in told["filters"]


# --- copied into campaigns


CAMPAIGN: dict[str, Any] = {"name": "Spring", "msisdns": [make_msisdn(1)], "opt_in_acknowledged": True}


async def test_a_campaign_copies_the_text(client: AsyncClient, engine: AsyncEngine) -> None:
    template = await created(client)
    steps = [{"template_id": template["id"]}, {"text": "By hand"}]
    shown = (await client.post("/v1/campaigns", json=CAMPAIGN | {"messages": steps})).json()
    told = [(one["text"], one["template_id"], one["template_version"]) for one in shown["messages"]]
    assert told == [(HELLO, template["id"], 1), ("By hand", None, None)]
    await client.patch(f"{TEMPLATES}/{template['id']}", json={"text": "Changed"})
    url = f"/v1/campaigns/{shown['id']}"
    assert (await client.get(url)).json()["messages"] == shown["messages"]
    again = (await client.patch(url, json={"messages": [{"template_id": template["id"]}]})).json()
    assert [(one["text"], one["template_version"]) for one in again["messages"]] == [("Changed", 2)]
    await client.delete(f"{TEMPLATES}/{template['id']}")
    (row,) = await rows(engine, CampaignMessage)
    assert (row.text, str(row.template_id), row.template_version) == ("Changed", template["id"], 2)


@pytest.mark.parametrize(
    ("step", "pointer", "words"),
    [
        pytest.param({}, "/messages/1/text", "required", id="neither"),
        pytest.param({"text": "a", "template_id": "OURS"}, "/messages/1/template_id", "either", id="both"),
        pytest.param({"template_id": str(uuid4())}, "/messages/1/template_id", "no template", id="no such template"),
        pytest.param({"template_id": "x"}, "/messages/1/template_id", "", id="no id"),
        pytest.param(
            {"template_id": "OURS"}, "/messages/1/template_id", "`voucher.code` has a value in single", id="voucher"
        ),
    ],
)
async def test_a_campaign_refuses_by_name(client: AsyncClient, step: Any, pointer: str, words: str) -> None:
    ours = (await created(client, text="{{ voucher.code }}"))["id"]
    filled = {key: ours if value == "OURS" else value for key, value in step.items()}
    steps = [{"text": "One"}, filled, {"text": "{{ nmae }}"}]
    answer = await client.post("/v1/campaigns", json=CAMPAIGN | {"messages": steps})
    assert answer.status_code == 422, answer.text
    errors = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert words in errors[pointer]
    assert step == {"template_id": "x"} or "/messages/2/text" in errors


async def test_tags_in_another_manner_are_told(client: AsyncClient) -> None:
    shown = await created(client, text="{{ name }}, your code is %CODE%")
    (told,) = shown["warnings"]
    assert ("`%CODE%`" in told, "{{ voucher.code }}" in told) == (True, True)
    assert (await client.get(TEMPLATES)).json()["items"][0]["warnings"] == [told]
    body = {"name": "x", "event": "order_paid", "template_id": shown["id"]}
    made = (await client.post("/v1/automations", json=body)).json()
    assert made["warnings"] == [told]
    assert (await client.get("/v1/automations")).json()["items"][0]["warnings"] == [told]
    mended = await client.patch(f"{TEMPLATES}/{shown['id']}", json={"text": "{{ voucher.code }}"})
    assert mended.json()["warnings"] == []
    assert (await client.get(f"/v1/automations/{made['id']}")).json()["warnings"] == []
