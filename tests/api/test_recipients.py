"""Who is reached and who is left out: every sort of target, each number once, exclusions, the phone field, consent."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.path.due import due
from dispatcher.path.expand import expand
from shared.clock import utc_now
from shared.db import begin
from shared.models import AuditEntry, CampaignRecipient, Message
from shared.queries.contact_fields import note_keys
from tests.conftest import Clock
from tests.factories import make_api_key, make_contact, make_msisdn, make_target_group
from tests.worlds import HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]  # fixtures

LOOSE = make_msisdn(90)
NAMES = ("Ann", "Ben", "Cas", "Dan")
ALT = {"Ann": "+44 7700 900 011", "Ben": "07700900012", "Cas": "+447700900011"}


@pytest.fixture
async def people(engine: AsyncEngine) -> dict[str, str]:
    """Four contacts: Ann and Ben in a group, Cas by a condition. Two have one other number, one has none of use."""
    ids: dict[str, UUID] = {}
    async with begin(engine) as tx:
        for place, name in enumerate(NAMES):
            fields = {"alt": ALT[name]} if name in ALT else {}
            ids[name] = await make_contact(tx, msisdn=make_msisdn(place), name=name, fields=fields)
        await note_keys(tx, ["alt"], now=utc_now())
        ids["static"] = await make_target_group(tx, ids["Ann"], ids["Ben"])
        cas = {"field": "name", "op": "equals", "value": "Cas", "type": "text"}
        ids["dynamic"] = await make_target_group(tx, kind="dynamic", conditions=cas)
    return {name: str(id_) for name, id_ in ids.items()}


async def made(client: AsyncClient, people: dict[str, str], **over: Any) -> str:
    body = {
        "name": "Spring",
        "messages": [{"text": "Hi"}],
        "target_group_ids": [people["static"], people["dynamic"]],
        "contact_ids": [people["Dan"], people["Ann"]],
        "msisdns": [LOOSE, make_msisdn(1)],
        "opt_in_acknowledged": True,
    }
    answer = await client.post("/v1/campaigns", json=body | over)
    assert answer.status_code == 201, answer.text
    return f"/v1/campaigns/{answer.json()['id']}"


async def listed(client: AsyncClient, url: str, **params: Any) -> list[tuple[Any, ...]]:
    """All pages of recipients, two a page: name or number, and why not. Contacts of one moment have no order."""
    found: list[tuple[Any, ...]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.get(f"{url}/recipients", params={"limit": "2"} | params | cursor)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        found += [(one["name"] or one["msisdn"], one["skip_reason"]) for one in page["items"]]
        if page["next_cursor"] is None:
            return sorted(found, key=str)
        cursor = {"cursor": page["next_cursor"]}


def reached(*names: str) -> list[tuple[Any, ...]]:
    return sorted(((name, None) for name in names), key=str)


async def freeze(client: AsyncClient, worker: HandWorker, url: str) -> None:
    answer = await client.post(f"{url}/start")
    assert answer.status_code == 200, answer.text
    await due(worker)


# --- before and after


async def test_every_sort_of_target_and_each_number_once(
    client: AsyncClient, people: dict[str, str], worker: HandWorker
) -> None:
    url = await made(client, people)
    before = await listed(client, url)
    assert before == reached("Ann", "Ben", "Cas", "Dan", LOOSE)
    assert await listed(client, url, skipped="true") == []
    await freeze(client, worker, url)
    assert await listed(client, url) == before
    page = (await client.get(f"{url}/recipients")).json()
    assert [one["position"] for one in page["items"]] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        pytest.param("an", ["Ann", "Dan"], id="a part of names, in any case"),
        pytest.param("zzz", [], id="nobody's"),
        pytest.param("900 002", ["Cas"], id="a part of a number, in any notation"),
        pytest.param("900090", [LOOSE], id="a loose number"),
        pytest.param("%", [], id="no pattern"),
    ],
)
async def test_searches_before_and_after(
    client: AsyncClient, people: dict[str, str], worker: HandWorker, q: str, found: list[str]
) -> None:
    url = await made(client, people)
    assert await listed(client, url, q=q) == reached(*found)
    await freeze(client, worker, url)
    assert await listed(client, url, q=q) == reached(*found)


@pytest.mark.parametrize(("q", "found"), [("an", ["Ann", "Dan"]), ("zzz", []), ("900090", [LOOSE])])
async def test_searches_piece_by_piece(
    client: AsyncClient,
    people: dict[str, str],
    worker: HandWorker,
    monkeypatch: pytest.MonkeyPatch,
    q: str,
    found: list[str],
) -> None:
    """No search goes through everybody at once: a page ends after so many people who were looked at."""
    monkeypatch.setattr("api.contacts.queries.MOST_LOOKED_AT", 2)
    monkeypatch.setattr("api.recipients.queries.MOST_LOOKED_UP", 2)
    url = await made(client, people)
    for frozen in (False, True):
        page = (await client.get(f"{url}/recipients", params={"q": q})).json()
        assert page["next_cursor"] is not None
        assert len(page["items"]) <= 2
        assert await listed(client, url, q=q) == reached(*found)
        if not frozen:
            await freeze(client, worker, url)


async def test_searches_those_left_out_piece_by_piece(
    client: AsyncClient, people: dict[str, str], worker: HandWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.recipients.queries.MOST_LOOKED_UP", 1)
    url = await made(client, people)
    body = {"contact_ids": [people["Ben"], people["Cas"], people["Dan"]]}
    assert (await client.post(f"{url}/exclusions", json=body)).status_code == 200
    assert await listed(client, url, skipped="true", q="an") == [("Dan", "excluded")]
    await freeze(client, worker, url)
    assert await listed(client, url, skipped="true", q="an") == [("Dan", "excluded")]


@pytest.mark.parametrize("cursor", ["x", "eyJzdGFnZSI6IDV9", "eyJzdGFnZSI6IDAsICJhZnRlciI6ICJ4In0"])
async def test_refuses_a_cursor_of_another_list(client: AsyncClient, people: dict[str, str], cursor: str) -> None:
    url = await made(client, people)
    answer = await client.get(f"{url}/recipients", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?cursor")


# --- exclusions


@pytest.mark.parametrize(
    ("body", "left"),
    [
        pytest.param({"contact_ids": ["Ben", "Dan"]}, ["Ann", "Cas", LOOSE], id="contacts"),
        pytest.param({"msisdns": [LOOSE, make_msisdn(0)]}, ["Ben", "Cas", "Dan"], id="numbers, one a contact's"),
        pytest.param({"msisdns": ["07700 900 090"], "default_region": "GB"}, list(NAMES), id="a number as written"),
        pytest.param({"q": "an"}, ["Ben", "Cas", LOOSE], id="whoever a search finds"),
        pytest.param({"q": "900 09"}, list(NAMES), id="a search for a number"),
        pytest.param({"q": "an", "contact_ids": ["Ben"], "msisdns": [LOOSE]}, ["Cas"], id="all three"),
    ],
)
async def test_leaves_out_and_takes_in_again(
    client: AsyncClient, people: dict[str, str], worker: HandWorker, body: dict[str, Any], left: list[str]
) -> None:
    url = await made(client, people)
    everybody = await listed(client, url)
    body = body | {"contact_ids": [people[name] for name in body.get("contact_ids", [])]}
    told = (await client.post(f"{url}/exclusions", json=body)).json()
    assert told == {"changed": 5 - len(left), "excluded": 5 - len(left)}
    assert (await client.post(f"{url}/exclusions", json=body)).json()["changed"] == 0
    assert await listed(client, url) == reached(*left)
    out = [(name, "excluded") for name, _ in everybody if name not in left]
    assert sorted(await listed(client, url, skipped="true")) == sorted(out)
    assert (await client.get(f"{url}/report")).json()["recipients"] == len(left)
    again = await client.request("DELETE", f"{url}/exclusions", json=body)
    assert again.json() == {"changed": 5 - len(left), "excluded": 0}
    assert await listed(client, url) == everybody
    await client.post(f"{url}/exclusions", json=body)
    await freeze(client, worker, url)
    assert await listed(client, url) == reached(*left)
    assert sorted(await listed(client, url, skipped="true")) == sorted(out)


async def test_who_joins_later_stays_excluded_and_keeps_the_arithmetic(
    client: AsyncClient, engine: AsyncEngine, people: dict[str, str], worker: HandWorker
) -> None:
    url = await made(client, people, contact_ids=[])
    stranger = {"contact_ids": [people["Dan"]]}
    assert (await client.post(f"{url}/exclusions", json=stranger)).json()["changed"] == 1
    await client.post(f"/v1/target-groups/{people['static']}/members", json=stranger)
    await freeze(client, worker, url)
    while await expand(worker):
        pass
    report = (await client.get(f"{url}/report")).json()
    assert report["recipients"] == sum(report["counts"].values()) == 4
    async with begin(engine) as tx:
        numbers = set((await tx.execute(select(Message.msisdn))).scalars())
        positions = sorted((await tx.execute(select(CampaignRecipient.position))).scalars())
    assert numbers == {make_msisdn(0), make_msisdn(1), make_msisdn(2), LOOSE}
    assert positions == [-1, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({}, "", id="nobody"),
        pytest.param({"contact_ids": [str(uuid4())]}, "/contact_ids/0", id="no such contact"),
        pytest.param({"msisdns": ["07700900001"]}, "/msisdns/0", id="a number without its country code"),
        pytest.param({"q": " "}, "/q", id="a blank search"),
        pytest.param({"all": True}, "/all", id="another word"),
    ],
)
async def test_refuses_an_exclusion_by_name(
    client: AsyncClient, people: dict[str, str], body: Any, pointer: str
) -> None:
    url = await made(client, people)
    for method in ("POST", "DELETE"):
        answer = await client.request(method, f"{url}/exclusions", json=body)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text


async def test_what_runs_is_settled(client: AsyncClient, people: dict[str, str], worker: HandWorker) -> None:
    url = await made(client, people)
    await freeze(client, worker, url)
    for method in ("POST", "DELETE"):
        answer = await client.request(method, f"{url}/exclusions", json={"q": "an"})
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/campaign-not-editable")


async def test_a_scheduled_campaign_keeps_somebody(client: AsyncClient, people: dict[str, str], clock: Clock) -> None:
    at = (clock.now + timedelta(hours=1)).isoformat()
    url = await made(client, people, messages=[{"text": "Hi", "send_at": at}], contact_ids=[], msisdns=[])
    await client.post(f"{url}/start")
    assert (await client.post(f"{url}/exclusions", json={"q": "Ann"})).status_code == 200
    answer = await client.post(f"{url}/exclusions", json={"contact_ids": [people["Ben"], people["Cas"]]})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/campaign-not-startable")
    assert await listed(client, url) == reached("Ben", "Cas")


async def test_is_told_in_the_audit_trail_and_goes_with_the_draft(
    client: AsyncClient, engine: AsyncEngine, people: dict[str, str]
) -> None:
    url = await made(client, people)
    await client.post(f"{url}/exclusions", json={"q": "an"})
    await client.request("DELETE", f"{url}/exclusions", json={"q": "ann"})
    async with begin(engine) as tx:
        entries = (await tx.execute(select(AuditEntry))).all()
        (row,) = (await tx.execute(select(CampaignRecipient))).all()
    told = [(entry.action, entry.detail) for entry in entries if "recipients" in entry.action]
    assert sorted(told, key=str) == [
        ("campaign.recipients_excluded", {"recipients": 2}),
        ("campaign.recipients_included", {"recipients": 1}),
    ]
    assert (row.excluded_by, row.skip_reason, str(row.contact_id)) == ("admin", "excluded", people["Dan"])
    assert (await client.delete(url)).status_code == 204
    async with begin(engine) as tx:
        assert (await tx.execute(select(CampaignRecipient))).all() == []


async def test_readers_look_and_change_nothing(
    client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine, people: dict[str, str]
) -> None:
    url = await made(client, people)
    async with begin(engine) as tx:
        key = await make_api_key(tx, "read")
    headers = {"Authorization": f"Bearer {key.text}"}
    assert (await anonymous.get(f"{url}/recipients", headers=headers)).status_code == 200
    for method in ("POST", "DELETE"):
        answer = await anonymous.request(method, f"{url}/exclusions", json={"q": "a"}, headers=headers)
        assert answer.status_code == 403
    gone = f"/v1/campaigns/{uuid4()}"
    assert (await client.get(f"{gone}/recipients")).status_code == 404
    assert (await client.post(f"{gone}/exclusions", json={"q": "a"})).status_code == 404


# --- the number's field


async def test_another_field_may_hold_the_number(
    client: AsyncClient, engine: AsyncEngine, people: dict[str, str], worker: HandWorker
) -> None:
    """Ann and Cas share one, which comes once; Ben's has no country code, Dan has none."""
    url = await made(client, people, phone_field="fields.alt", msisdns=[LOOSE])
    assert (await client.get(url)).json()["phone_field"] == "fields.alt"
    assert (await client.get(f"{url}/report")).json()["recipients"] == 2
    out = [("Ben", "invalid_msisdn"), ("Dan", "invalid_msisdn")]
    assert await listed(client, url, skipped="true") == out
    await freeze(client, worker, url)
    page = (await client.get(f"{url}/recipients")).json()["items"]
    assert [(one["msisdn"], one["name"]) for one in page] == [("+447700900011", "Ann"), (LOOSE, None)]
    assert sorted(await listed(client, url, skipped="true")) == out
    assert (await client.get(f"{url}/report")).json()["recipients"] == 2
    while await expand(worker):
        pass
    async with begin(engine) as tx:
        assert set((await tx.execute(select(Message.msisdn))).scalars()) == {"+447700900011", LOOSE}


async def test_a_preview_shows_what_a_number_would_get(
    client: AsyncClient, people: dict[str, str], worker: HandWorker
) -> None:
    """Contacts come first, and a loose number may read otherwise: each can be looked at, also after the freeze."""
    words = 'Hi {{ name | default("guest") }}'
    url = await made(client, people, phone_field="fields.alt", msisdns=[LOOSE], messages=[{"text": words}])
    for settled in (False, True):
        if settled:
            await freeze(client, worker, url)
        for number, text in ((LOOSE, "Hi guest"), (" 44 7700 900 011", "Hi Ann")):
            shown = (await client.get(f"{url}/preview", params={"msisdn": number})).json()
            assert shown["messages"][0]["text"] == text
        nobody = await client.get(f"{url}/preview", params={"msisdn": "+447700900999"})
        assert (nobody.status_code, nobody.json()["errors"][0]["pointer"]) == (404, "?msisdn")


async def test_a_preview_shows_the_number_that_is_written_to(client: AsyncClient, people: dict[str, str]) -> None:
    url = await made(client, people, phone_field="fields.alt", messages=[{"text": "To {{ msisdn }}"}])
    shown = (await client.get(f"{url}/preview", params={"contact_id": people["Cas"]})).json()
    assert (shown["msisdn"], shown["messages"][0]["text"]) == ("+447700900011", "To +447700900011")
    refused = await client.get(f"{url}/preview", params={"contact_id": people["Ben"]})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/campaign-not-startable")
    assert "fields.alt" in refused.json()["detail"]


async def test_exclusions_hold_for_the_other_number_too(
    client: AsyncClient, people: dict[str, str], worker: HandWorker
) -> None:
    url = await made(client, people, phone_field="fields.alt", msisdns=[LOOSE])
    await client.post(f"{url}/exclusions", json={"contact_ids": [people["Ann"]]})
    assert await listed(client, url) == reached("Cas", LOOSE)
    await client.post(f"{url}/exclusions", json={"msisdns": ["+447700900011"]})
    assert await listed(client, url) == reached(LOOSE)
    await freeze(client, worker, url)
    assert await listed(client, url) == reached(LOOSE)


async def test_the_phone_field_has_to_be_there(client: AsyncClient, people: dict[str, str]) -> None:
    await client.post("/v1/contact-fields", json={"key": "visits", "type": "number"})
    url = await made(client, people)
    for wanted, words in (("fields.gone", "no field 'gone'"), ("fields.visits", "is a number"), ("phone", "")):
        answers = [
            await client.patch(url, json={"phone_field": wanted}),
            await client.post("/v1/campaigns", json={"name": "a", "messages": [{"text": "Hi"}], "phone_field": wanted}),
        ]
        for answer in answers:
            (error,) = answer.json()["errors"]
            assert (answer.status_code, error["pointer"]) == (422, "/phone_field")
            assert words in error["detail"]
    assert (await client.patch(url, json={"phone_field": "fields.alt"})).json()["phone_field"] == "fields.alt"
    assert (await client.patch(url, json={"owner": "crm"})).json()["phone_field"] == "fields.alt"
    assert (await client.patch(url, json={"phone_field": "msisdn"})).json()["phone_field"] == "msisdn"


# --- consent


async def withdraw(client: AsyncClient, contact_id: str, status: str = "withdrawn") -> None:
    answer = await client.patch(f"/v1/contacts/{contact_id}", json={"consent_status": status})
    assert answer.status_code == 200, answer.text


async def test_nobody_is_written_to_who_took_their_consent_back(
    client: AsyncClient, people: dict[str, str], worker: HandWorker
) -> None:
    url = await made(client, people)
    await withdraw(client, people["Ann"])
    assert await listed(client, url, skipped="true") == [("Ann", "no_consent")]
    assert await listed(client, url) == reached("Ben", "Cas", "Dan", LOOSE)
    await freeze(client, worker, url)
    assert await listed(client, url, skipped="true") == [("Ann", "no_consent")]
    assert await listed(client, url) == reached("Ben", "Cas", "Dan", LOOSE)


async def test_a_policy_may_require_consent(client: AsyncClient, people: dict[str, str], worker: HandWorker) -> None:
    policy = await client.put("/v1/policy", json={"require_consent": True})
    assert policy.status_code == 200, policy.text
    url = await made(client, people)
    await withdraw(client, people["Ann"], "granted")
    assert await listed(client, url) == reached("Ann")
    out = [("Ben", "no_consent"), ("Cas", "no_consent"), ("Dan", "no_consent"), (LOOSE, "no_consent")]
    assert sorted(await listed(client, url, skipped="true")) == sorted(out)
    await freeze(client, worker, url)
    assert await listed(client, url) == reached("Ann")
    assert sorted(await listed(client, url, skipped="true")) == sorted(out)


async def test_a_withdrawal_after_the_freeze_skips_what_is_not_made_yet(
    client: AsyncClient, engine: AsyncEngine, people: dict[str, str], worker: HandWorker
) -> None:
    url = await made(client, people)
    await freeze(client, worker, url)
    await withdraw(client, people["Ben"])
    while await expand(worker):
        pass
    report = (await client.get(f"{url}/report")).json()
    assert (report["counts"]["queued"], report["counts"]["skipped"], report["recipients"]) == (4, 1, 5)
    async with begin(engine) as tx:
        (row,) = (await tx.execute(select(Message).where(Message.status == "skipped"))).all()
    assert (row.msisdn, row.skip_reason) == (make_msisdn(1), "no_consent")
