"""Campaigns over HTTP: made, changed, started, stopped, and every reason why not."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from httpx import AsyncClient
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.paging import encode_cursor
from shared.db import begin
from shared.domain.campaign import Status, StepStatus
from shared.models import AuditEntry, Campaign, CampaignMessage, CampaignTarget
from shared.sealing import Sealer
from tests.conftest import Clock
from tests.factories import (
    make_api_key,
    make_campaign,
    make_contact,
    make_gateway,
    make_msisdn,
    make_sender_id,
    make_target_group,
)

NUMBER = make_msisdn(1)
PLAIN: dict[str, Any] = {
    "name": "Spring offer",
    "msisdns": [NUMBER],
    "messages": [{"text": "Your table waits."}],
    "opt_in_acknowledged": True,
}
MADE = ("campaign.created", "campaign.changed")  # what comes before the command that is looked at


async def create(client: AsyncClient, **over: Any) -> dict[str, Any]:
    answer = await client.post("/v1/campaigns", json=PLAIN | over)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told: dict[str, Any] = answer.json()
    return told


def pointers(answer: httpx.Response) -> list[str]:
    return [error["pointer"] for error in problem(answer, 422)["errors"]]


async def rows(engine: AsyncEngine, table: Any, campaign_id: str) -> list[Any]:
    column = table.id if table is Campaign else table.campaign_id
    async with begin(engine) as tx:
        return list((await tx.execute(select(table).where(column == UUID(campaign_id)))).all())


async def set_status(engine: AsyncEngine, campaign_id: str, status: Status) -> None:
    async with begin(engine) as tx:
        await tx.execute(update(Campaign).where(Campaign.id == UUID(campaign_id)).values(status=status))


# --- made


@pytest.mark.parametrize("named", [pytest.param(True, id="by null"), pytest.param(False, id="not at all")])
async def test_a_scheduled_campaign_does_not_go_at_once_because_nobody_named_a_time(
    client: AsyncClient, clock: Clock, named: bool
) -> None:
    """New words for it replace the whole message, with its time: that must not be forgotten in silence."""
    later = (clock.now + timedelta(hours=5)).isoformat()
    path = f"/v1/campaigns/{(await create(client))['id']}"
    words: dict[str, Any] = {"text": "Two"} | ({"send_at": None} if named else {})
    assert (await client.patch(path, json={"messages": [words]})).status_code == 200  # of a draft it is no matter
    await client.patch(path, json={"messages": [{"text": "One", "send_at": later}]})
    assert (await client.post(f"{path}/start")).json()["status"] == "scheduled"
    answer = await client.patch(path, json={"messages": [words]})
    if named:
        assert (answer.status_code, answer.json()["starts_at"]) == (200, None)
        return
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/messages/0/send_at")
    told = (await client.get(path)).json()
    assert (told["messages"][0]["text"], told["starts_at"] is None) == ("One", False)


async def test_created_campaign_is_stored_and_shown(client: AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    async with begin(engine) as tx:
        contact_id = str(await make_contact(tx, msisdn=make_msisdn(2)))
        group_id = str(await make_target_group(tx))
    send_at = clock.now + timedelta(hours=1)
    shown = await create(
        client,
        contact_ids=[contact_id],
        target_group_ids=[group_id],
        owner="crm",
        messages=[
            {"text": "One", "send_at": send_at.isoformat()},
            {"text": "Two {{ name }}", "send_at": (send_at + timedelta(days=1)).isoformat()},
        ],
    )
    assert (shown["status"], shown["name"], shown["owner"], shown["created_by"]) == (
        "draft",
        "Spring offer",
        "crm",
        "admin",
    )
    assert (shown["msisdns"], shown["contact_ids"], shown["target_group_ids"]) == ([NUMBER], [contact_id], [group_id])
    assert [(one["position"], one["text"], one["status"]) for one in shown["messages"]] == [
        (1, "One", "pending"),
        (2, "Two {{ name }}", "pending"),
    ]
    assert (shown["recipients"], shown["started_at"]) == (None, None)
    (row,) = await rows(engine, Campaign, shown["id"])
    assert (row.status, row.starts_at, row.opt_in_acknowledged_at) == (Status.DRAFT, send_at, clock.now)
    assert row.opt_in_acknowledged_by == "admin"
    assert len(await rows(engine, CampaignTarget, shown["id"])) == 3
    steps = await rows(engine, CampaignMessage, shown["id"])
    assert {step.status for step in steps} == {StepStatus.PENDING}
    assert (await client.get(f"/v1/campaigns/{shown['id']}")).json() == shown


async def test_numbers_are_stored_in_one_form_and_once(client: AsyncClient) -> None:
    shown = await create(client, msisdns=["+44 7700 900 001", "07700900001", "07700 900002"], default_region="GB")
    assert sorted(shown["msisdns"]) == [make_msisdn(1), make_msisdn(2)]


@pytest.mark.parametrize(
    ("over", "pointer", "words"),
    [
        pytest.param({"messages": []}, "/messages", "at least 1", id="no message"),
        pytest.param({"messages": [{"text": ""}]}, "/messages/0/text", "at least 1", id="no text"),
        pytest.param({"messages": [{"text": " \n "}]}, "/messages/0/text", "empty", id="nothing but space"),
        pytest.param({"messages": [{}]}, "/messages/0/text", "required", id="text left out"),
        pytest.param({"messages": [{"text": "x" * 1601}]}, "/messages/0/text", "1600", id="too long"),
        pytest.param(
            {"messages": [{"text": "Hi"}, {"text": "Hi {{ naem }}"}]}, "/messages/1/text", "column 7", id="unknown tag"
        ),
        pytest.param({"messages": [{"text": "Hi {{ name"}]}, "/messages/0/text", "column", id="tag not closed"),
        pytest.param({"messages": [{"text": "half \ud83d"}]}, "/messages/0/text", "", id="half a character"),
        pytest.param({"messages": [{"text": "nul \x00"}]}, "/messages/0/text", "NUL", id="NUL"),
        pytest.param({"owner": "half \ud83d"}, "/owner", "", id="half a character in the owner"),
        pytest.param({"name": "  "}, "/name", "at least 1", id="no name"),
        pytest.param({"name": "x" * 201}, "/name", "200", id="name too long"),
        pytest.param({"sender_id": "NOBODY"}, "/sender_id", "/v1/sender-ids", id="unknown sender"),
        pytest.param({"msisdns": [NUMBER, "12"]}, "/msisdns/1", "", id="not a number"),
        pytest.param({"default_region": "ZZ"}, "/default_region", "not a known country", id="no such country"),
        pytest.param({"contact_ids": [str(uuid4())]}, "/contact_ids/0", "no contact", id="unknown contact"),
        pytest.param(
            {"target_group_ids": [str(uuid4())]}, "/target_group_ids/0", "no target group", id="unknown target group"
        ),
        pytest.param({"nmae": "x"}, "/nmae", "no such field", id="unknown field"),
        pytest.param({"msisdns": NUMBER}, "/msisdns", "list", id="no list"),
    ],
)
async def test_what_cannot_be_used_is_named(
    client: AsyncClient, engine: AsyncEngine, over: dict[str, Any], pointer: str, words: str
) -> None:
    # escaped, as clients in other languages send half a character
    body = json.dumps(PLAIN | over)
    answer = await client.post("/v1/campaigns", content=body, headers={"Content-Type": "application/json"})
    told = problem(answer, 422)
    (found,) = [error for error in told["errors"] if error["pointer"] == pointer]
    assert words in found["detail"]
    async with begin(engine) as tx:
        assert (await tx.execute(select(Campaign.id))).all() == []


@pytest.mark.parametrize("over", [{"name": "nul \x00"}, {"owner": "nul \x00"}], ids=["name", "owner"])
async def test_nul_cannot_be_stored(client: AsyncClient, over: dict[str, str]) -> None:
    told = problem(await client.post("/v1/campaigns", json=PLAIN | over), 422)
    assert "NUL" in told["detail"]
    assert [f"/{field}" for field in over] == [error["pointer"] for error in told["errors"]]


@pytest.mark.parametrize(
    ("step", "pointer"),
    [
        pytest.param({"send_at": timedelta(minutes=-2)}, "/messages/0/send_at", id="send_at in the past"),
        pytest.param({"send_by": timedelta(minutes=-1)}, "/messages/0/send_by", id="send_by in the past"),
        pytest.param(
            {"send_at": timedelta(hours=2), "send_by": timedelta(hours=1)}, "/messages/0/send_by", id="by before at"
        ),
    ],
)
async def test_times_that_make_no_sense(
    client: AsyncClient, clock: Clock, step: dict[str, timedelta], pointer: str
) -> None:
    times = {name: (clock.now + by).isoformat() for name, by in step.items()}
    answer = await client.post("/v1/campaigns", json=PLAIN | {"messages": [{"text": "Hi"} | times]})
    assert pointers(answer) == [pointer]


@pytest.mark.parametrize(
    "send_at", ["2026-01-01T10:00:00", "tomorrow", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"]
)
async def test_times_that_cannot_be_kept(client: AsyncClient, send_at: str) -> None:
    answer = await client.post("/v1/campaigns", json=PLAIN | {"messages": [{"text": "Hi", "send_at": send_at}]})
    assert pointers(answer) == ["/messages/0/send_at"]


async def test_everything_that_is_wrong_is_told_at_once(client: AsyncClient, clock: Clock) -> None:
    past = (clock.now - timedelta(hours=1)).isoformat()
    answer = await client.post(
        "/v1/campaigns",
        json=PLAIN
        | {
            "messages": [{"text": "{{ naem }}", "send_at": past}],
            "msisdns": ["12", NUMBER, "13"],
            "contact_ids": [str(uuid4())],
            "sender_id": "NOBODY",
        },
    )
    assert pointers(answer) == [
        "/messages/0/text",
        "/messages/0/send_at",
        "/contact_ids/0",
        "/msisdns/0",
        "/msisdns/2",
        "/sender_id",
    ]


@pytest.mark.parametrize("by", ["value", "id"])
async def test_sender_by_its_value_or_its_id(client: AsyncClient, engine: AsyncEngine, sealer: Sealer, by: str) -> None:
    async with begin(engine) as tx:
        sender = await make_sender_id(tx, await make_gateway(tx, sealer), "LAPWING")
    await client.put("/v1/policy", json={"alphanumeric_senders": True})
    shown = await create(client, sender_id="LAPWING" if by == "value" else str(sender))
    assert shown["sender_id"] == "LAPWING"


async def test_name_that_is_taken(client: AsyncClient) -> None:
    first = await create(client)
    told = problem(await client.post("/v1/campaigns", json=PLAIN), 409)
    assert told["type"] == "/problems/campaign-name-taken"
    assert first["id"] in told["detail"]
    assert told["errors"] == [{"pointer": "/name", "detail": told["detail"]}]


async def test_name_that_two_want_at_once(client: AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/v1/campaigns", json=PLAIN) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_idempotency_key(client: AsyncClient, engine: AsyncEngine) -> None:
    key = {"Idempotency-Key": "one-request"}
    first = await client.post("/v1/campaigns", json=PLAIN, headers=key)
    again = await client.post("/v1/campaigns", json=PLAIN, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await client.post("/v1/campaigns", json=PLAIN | {"name": "Another"}, headers=key)
    assert problem(other, 422)["type"] == "/problems/idempotency-key-reused"
    async with begin(engine) as tx:
        assert len((await tx.execute(select(Campaign.id))).all()) == 1


# --- whose key may


ROUTES = [
    ("POST", "/v1/campaigns", "manage"),
    ("GET", "/v1/campaigns", "read"),
    ("GET", "/v1/campaigns/{id}", "read"),
    ("PATCH", "/v1/campaigns/{id}", "manage"),
    ("DELETE", "/v1/campaigns/{id}", "manage"),
    ("POST", "/v1/campaigns/{id}/start", "manage"),
    ("POST", "/v1/campaigns/{id}/unschedule", "manage"),
    ("POST", "/v1/campaigns/{id}/stop", "manage"),
    ("POST", "/v1/campaigns/{id}/archive", "manage"),
    ("GET", "/v1/campaigns/{id}/preview", "read"),
    ("GET", "/v1/campaigns/{id}/report", "read"),
    ("GET", "/v1/campaigns/{id}/timeline", "read"),
    ("GET", "/v1/campaigns/{id}/recipients", "read"),
    ("GET", "/v1/campaigns/{id}/messages", "read"),
]
BELOW = {"manage": ("read", "send"), "read": ()}


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES, ids=[f"{m} {p}" for m, p, _ in ROUTES])
async def test_scope(anonymous: AsyncClient, engine: AsyncEngine, method: str, path: str, scope: str) -> None:
    path = path.format(id=uuid4())
    assert problem(await anonymous.request(method, path, json={}), 401)
    for below in BELOW[scope]:
        async with begin(engine) as tx:
            key = await make_api_key(tx, below)
        answer = await anonymous.request(method, path, json={}, headers={"Authorization": f"Bearer {key.text}"})
        assert problem(answer, 403)
    async with begin(engine) as tx:
        key = await make_api_key(tx, scope)
    answer = await anonymous.request(method, path, json={}, headers={"Authorization": f"Bearer {key.text}"})
    assert answer.status_code not in {401, 403}


@pytest.mark.parametrize(
    ("method", "path"),
    [(m, p) for m, p, _ in ROUTES if "{id}" in p],
    ids=[f"{m} {p}" for m, p, _ in ROUTES if "{id}" in p],
)
async def test_unknown_campaign(client: AsyncClient, method: str, path: str) -> None:
    unknown = uuid4()
    told = problem(await client.request(method, path.format(id=unknown), json={}), 404)
    assert str(unknown) in told["detail"]


# --- changed


async def test_change_what_is_named_and_nothing_else(client: AsyncClient, clock: Clock) -> None:
    before = await create(client, owner="crm")
    clock.advance(timedelta(minutes=1))
    answer = await client.patch(f"/v1/campaigns/{before['id']}", json={"name": "Summer offer"})
    assert answer.status_code == 200, answer.text
    after = answer.json()
    changed = {field for field in after if after[field] != before[field]}
    assert changed == {"name", "updated_at"}
    assert (await client.patch(f"/v1/campaigns/{before['id']}", json={"owner": None})).json()["owner"] is None


async def test_lists_replace_what_was_there(client: AsyncClient, engine: AsyncEngine) -> None:
    before = await create(client)
    answer = await client.patch(
        f"/v1/campaigns/{before['id']}",
        json={"msisdns": [make_msisdn(5)], "messages": [{"text": "One"}, {"text": "Two"}]},
    )
    after = answer.json()
    assert after["msisdns"] == [make_msisdn(5)]
    assert [one["text"] for one in after["messages"]] == ["One", "Two"]
    assert len(await rows(engine, CampaignMessage, before["id"])) == 2


async def test_own_name_is_not_taken(client: AsyncClient) -> None:
    first, second = await create(client), await create(client, name="Another")
    assert (await client.patch(f"/v1/campaigns/{first['id']}", json={"name": first["name"]})).status_code == 200
    answer = await client.patch(f"/v1/campaigns/{second['id']}", json={"name": first["name"]})
    assert problem(answer, 409)["type"] == "/problems/campaign-name-taken"


async def test_change_is_checked_like_a_new_one(client: AsyncClient, clock: Clock) -> None:
    campaign = await create(client)
    past = (clock.now - timedelta(hours=1)).isoformat()
    answer = await client.patch(
        f"/v1/campaigns/{campaign['id']}",
        json={"messages": [{"text": "{{ naem }}", "send_at": past}], "sender_id": "NOBODY"},
    )
    assert pointers(answer) == ["/messages/0/text", "/messages/0/send_at", "/sender_id"]


@pytest.mark.parametrize("status", Status)
async def test_only_before_it_starts(client: AsyncClient, engine: AsyncEngine, status: Status) -> None:
    campaign = await create(client)
    await set_status(engine, campaign["id"], status)
    answer = await client.patch(f"/v1/campaigns/{campaign['id']}", json={"name": "Late"})
    if status in {Status.DRAFT, Status.SCHEDULED}:
        assert answer.status_code == 200
        return
    told = problem(answer, 409)
    assert told["type"] == "/problems/campaign-not-editable"
    assert status in told["detail"]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        pytest.param({"opt_in_acknowledged": False}, "opt-in-not-acknowledged", id="nobody vouches"),
        pytest.param({"msisdns": []}, "campaign-not-startable", id="nobody to reach"),
    ],
)
async def test_scheduled_one_stays_startable(
    client: AsyncClient, clock: Clock, change: dict[str, Any], kind: str
) -> None:
    send_at = (clock.now + timedelta(hours=1)).isoformat()
    path = f"/v1/campaigns/{(await create(client, messages=[{'text': 'Hi', 'send_at': send_at}]))['id']}"
    before = (await client.post(f"{path}/start")).json()
    told = problem(await client.patch(path, json=change), 409)
    assert told["type"] == f"/problems/{kind}"
    assert "unschedule" in told["detail"]
    assert (await client.get(path)).json() == before
    await client.post(f"{path}/unschedule")
    assert (await client.patch(path, json=change)).status_code == 200


@pytest.mark.parametrize("status", Status)
async def test_only_a_draft_is_deleted(client: AsyncClient, engine: AsyncEngine, status: Status) -> None:
    campaign = await create(client)
    await set_status(engine, campaign["id"], status)
    answer = await client.delete(f"/v1/campaigns/{campaign['id']}")
    if status is not Status.DRAFT:
        assert problem(answer, 409)["type"] == "/problems/campaign-not-deletable"
        return
    assert answer.status_code == 204
    for table in (Campaign, CampaignMessage, CampaignTarget):
        assert await rows(engine, table, campaign["id"]) == []
    async with begin(engine) as tx:
        entry = (await tx.execute(select(AuditEntry).where(AuditEntry.action.not_in(MADE)))).one()
    assert (entry.action, entry.subject_id, entry.caller) == ("campaign.deleted", campaign["id"], "admin")


# --- started


async def test_start_at_once(client: AsyncClient, engine: AsyncEngine) -> None:
    campaign = await create(client)
    answer = await client.post(f"/v1/campaigns/{campaign['id']}/start")
    assert (answer.status_code, answer.json()["status"]) == (200, "running")
    (row,) = await rows(engine, Campaign, campaign["id"])
    assert row.status is Status.RUNNING
    async with begin(engine) as tx:
        entry = (await tx.execute(select(AuditEntry).where(AuditEntry.action.not_in(MADE)))).one()
    assert (entry.action, entry.detail) == ("campaign.started", {"status": "running"})


async def test_start_for_later_and_take_it_back(client: AsyncClient, clock: Clock) -> None:
    send_at = (clock.now + timedelta(hours=1)).isoformat()
    campaign = await create(client, messages=[{"text": "Hi", "send_at": send_at}])
    path = f"/v1/campaigns/{campaign['id']}"
    assert (await client.post(f"{path}/start")).json()["status"] == "scheduled"
    assert (await client.post(f"{path}/unschedule")).json()["status"] == "draft"
    assert problem(await client.post(f"{path}/unschedule"), 409)["type"] == "/problems/campaign-not-scheduled"
    assert (await client.post(f"{path}/start")).json()["status"] == "scheduled"


@pytest.mark.parametrize(
    ("over", "kind", "words"),
    [
        pytest.param({"msisdns": []}, "campaign-not-startable", "no recipients", id="nobody to reach"),
        pytest.param(
            {"opt_in_acknowledged": False}, "opt-in-not-acknowledged", "opt_in_acknowledged", id="nobody vouches"
        ),
    ],
)
async def test_start_refused(
    client: AsyncClient, engine: AsyncEngine, over: dict[str, Any], kind: str, words: str
) -> None:
    campaign = await create(client, **over)
    told = problem(await client.post(f"/v1/campaigns/{campaign['id']}/start"), 409)
    assert told["type"] == f"/problems/{kind}"
    assert words in told["detail"]
    assert {error["pointer"] for error in told["errors"]} == {
        "campaign-not-startable": {"/target_group_ids", "/contact_ids", "/msisdns"},
        "opt-in-not-acknowledged": {"/opt_in_acknowledged"},
    }[kind]
    (row,) = await rows(engine, Campaign, campaign["id"])
    assert row.status is Status.DRAFT


async def test_empty_target_group_reaches_nobody(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        group_id = str(await make_target_group(tx))
    campaign = await create(client, msisdns=[], target_group_ids=[group_id])
    told = problem(await client.post(f"/v1/campaigns/{campaign['id']}/start"), 409)
    assert told["type"] == "/problems/campaign-not-startable"


async def test_start_twice(client: AsyncClient) -> None:
    campaign = await create(client)
    answers = await asyncio.gather(*(client.post(f"/v1/campaigns/{campaign['id']}/start") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    told = problem(await client.post(f"/v1/campaigns/{campaign['id']}/start"), 409)
    assert told["type"] == "/problems/campaign-not-startable"
    assert "running" in told["detail"]


# --- stopped


@pytest.mark.parametrize("status", Status)
async def test_stop(client: AsyncClient, engine: AsyncEngine, clock: Clock, status: Status) -> None:
    campaign = await create(client)
    await set_status(engine, campaign["id"], status)
    answer = await client.post(f"/v1/campaigns/{campaign['id']}/stop")
    (row,) = await rows(engine, Campaign, campaign["id"])
    if status not in {Status.SCHEDULED, Status.RUNNING, Status.HELD}:
        told = problem(answer, 409)
        assert told["type"] == "/problems/campaign-not-stoppable"
        assert row.status is status
        return
    assert answer.json()["status"] == "stopped"
    assert (row.status, row.stopped_at, row.emptied_at) == (Status.STOPPED, clock.now, None)


@pytest.mark.parametrize("status", Status)
async def test_archive(client: AsyncClient, engine: AsyncEngine, status: Status) -> None:
    campaign = await create(client)
    await set_status(engine, campaign["id"], status)
    answer = await client.post(f"/v1/campaigns/{campaign['id']}/archive")
    (row,) = await rows(engine, Campaign, campaign["id"])
    if status not in {Status.DRAFT, Status.STOPPED, Status.COMPLETED}:
        told = problem(answer, 409)
        assert told["type"] == "/problems/campaign-not-archivable"
        assert status in told["detail"]
        assert row.status is status
        return
    assert (answer.status_code, answer.json()["status"], row.status) == (200, "archived", Status.ARCHIVED)
    assert (await client.get("/v1/campaigns")).json()["items"] == []
    assert len((await client.get("/v1/campaigns", params={"status": "archived"})).json()["items"]) == 1
    async with begin(engine) as tx:
        entry = (await tx.execute(select(AuditEntry).where(AuditEntry.action.not_in(MADE)))).one()
    assert (entry.action, entry.detail) == ("campaign.archived", {"status": "archived"})


# --- read


async def test_preview_of_the_first_recipient(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        contact_id = str(await make_contact(tx, msisdn=make_msisdn(7), name="Zoë", fields={"table": 3}))
    campaign = await create(
        client,
        msisdns=[NUMBER],
        contact_ids=[contact_id],
        messages=[{"text": "Hi {{ name }}, table {{ fields.table }}"}],
    )
    told = (await client.get(f"/v1/campaigns/{campaign['id']}/preview")).json()
    assert (told["msisdn"], told["contact_id"]) == (make_msisdn(7), contact_id)
    (message,) = told["messages"]
    assert message == {
        "position": 1,
        "text": "Hi Zoë, table 3",
        "encoding": "ucs2",
        "characters": 15,
        "segments": 1,
        "missing": [],
    }


async def test_preview_of_a_contact_by_name(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        stranger = str(await make_contact(tx, msisdn=make_msisdn(8)))
    campaign = await create(client, messages=[{"text": "Hi {{ name }}"}])
    told = (await client.get(f"/v1/campaigns/{campaign['id']}/preview", params={"contact_id": stranger})).json()
    assert told["msisdn"] == make_msisdn(8)
    assert told["messages"][0]["missing"] == ["name"]
    gone = await client.get(f"/v1/campaigns/{campaign['id']}/preview", params={"contact_id": str(uuid4())})
    assert problem(gone, 404)


async def test_preview_without_anybody(client: AsyncClient) -> None:
    campaign = await create(client, msisdns=[])
    problem(await client.get(f"/v1/campaigns/{campaign['id']}/preview"), 409)


# --- listed


@pytest.fixture
async def many(client: AsyncClient, clock: Clock) -> list[dict[str, Any]]:
    """Seven campaigns whose names, times and ids sort differently, some of them the same."""
    made = []
    for place, name in enumerate(["delta", "alpha", "golf", "bravo", "foxtrot", "charlie", "echo"]):
        ahead = clock.now + timedelta(hours=(place * 3) % 5 + 1)
        messages = [{"text": "Hi", "send_at": ahead.isoformat()}] if place % 3 else [{"text": "Hi"}]
        made.append(await create(client, name=name, messages=messages))
        if place % 2:
            await client.post(f"/v1/campaigns/{made[-1]['id']}/start")
            clock.advance(timedelta(seconds=1))
    return [(await client.get(f"/v1/campaigns/{one['id']}")).json() for one in made]


KEYS: dict[str, Any] = {
    "created_at": lambda one: one["created_at"],
    "start_at": lambda one: one["starts_at"] or one["created_at"],
    "name": lambda one: one["name"],
    "status": lambda one: one["status"],
    "created_by": lambda one: one["created_by"],
    "messages": lambda one: len(one["messages"]),
    "target": lambda one: f"{len(one['msisdns'])} number{'s' if len(one['msisdns']) > 1 else ''}",
}


@pytest.mark.parametrize("sort", [*KEYS, *(f"-{name}" for name in KEYS)])
async def test_sorted_and_paged(client: AsyncClient, many: list[dict[str, Any]], sort: str) -> None:
    key = KEYS[sort.removeprefix("-")]
    wanted = sorted(many, key=lambda one: (key(one), one["id"]), reverse=sort.startswith("-"))
    for limit in (1, 3, 7):
        seen: list[dict[str, Any]] = []
        params: dict[str, Any] = {"sort": sort, "limit": limit}
        while True:
            page = (await client.get("/v1/campaigns", params=params)).json()
            assert len(page["items"]) <= limit
            seen += page["items"]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
        assert [one["name"] for one in seen] == [one["name"] for one in wanted]


async def test_newest_first_unless_told_otherwise(client: AsyncClient, many: list[dict[str, Any]]) -> None:
    default = (await client.get("/v1/campaigns")).json()
    assert default == (await client.get("/v1/campaigns", params={"sort": "-created_at"})).json()
    row = next(one for one in default["items"] if one["name"] == "alpha")
    assert (row["messages"], row["status"], row["recipients"]) == (1, "scheduled", None)


@pytest.mark.parametrize(
    ("params", "names"),
    [
        pytest.param({"q": "PH"}, {"alpha"}, id="part of the name"),
        pytest.param({"q": "%"}, set(), id="no wildcard"),
        pytest.param({"status": "draft"}, {"delta", "golf", "foxtrot", "echo"}, id="status"),
        pytest.param({"sender_id": "NOBODY"}, set(), id="sender"),
    ],
)
async def test_narrowed(
    client: AsyncClient, many: list[dict[str, Any]], params: dict[str, str], names: set[str]
) -> None:
    page = (await client.get("/v1/campaigns", params=params)).json()
    assert {one["name"] for one in page["items"]} == names


async def test_narrowed_by_its_start(client: AsyncClient, many: list[dict[str, Any]]) -> None:
    bounds = sorted(KEYS["start_at"](one) for one in many)
    params = {"starts_from": bounds[2], "starts_to": bounds[5]}
    page = (await client.get("/v1/campaigns", params=params)).json()
    wanted = {one["name"] for one in many if bounds[2] <= KEYS["start_at"](one) < bounds[5]}
    assert {one["name"] for one in page["items"]} == wanted


async def test_archived_only_when_asked_for(client: AsyncClient, engine: AsyncEngine) -> None:
    campaign = await create(client)
    await set_status(engine, campaign["id"], Status.ARCHIVED)
    assert (await client.get("/v1/campaigns")).json()["items"] == []
    page = (await client.get("/v1/campaigns", params={"status": "archived"})).json()
    assert [one["id"] for one in page["items"]] == [campaign["id"]]


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"sort": "owner"}, id="unknown sort"),
        pytest.param({"status": "lost"}, id="unknown status"),
        pytest.param({"limit": 0}, id="no limit"),
        pytest.param({"limit": 201}, id="too much at once"),
        pytest.param({"cursor": "garbage"}, id="no cursor"),
        pytest.param({"starts_from": "2026-01-01T00:00:00"}, id="time without zone"),
    ],
)
async def test_list_refused(client: AsyncClient, params: dict[str, Any]) -> None:
    (name,) = params
    assert pointers(await client.get("/v1/campaigns", params=params)) == [f"?{name}"]


ID = str(uuid4())


@pytest.mark.parametrize(
    ("place", "mark"),
    [
        *(
            pytest.param(place, mark, id=f"{place.rpartition('/')[2] or 'campaigns'}: {mark}")
            for place in ("", "/{id}/recipients", "/{id}/messages")
            for mark in ({}, {"id": "x"}, {"id": 5}, {"id": None}, {"position": "x"}, {"position": None})
        ),
        *(
            pytest.param("", mark, id=f"campaigns: {mark}")
            for mark in (
                {"id": ID},
                {"position": 1},
                {"sort": "-created_at"},
                {"sort": "-created_at", "value": "x", "id": ID},
                {"sort": "-created_at", "value": 5, "id": ID},
                {"sort": "-created_at", "value": "2026-01-01T00:00:00+00:00", "id": "x"},
                {"sort": "name", "value": "x", "id": ID},
            )
        ),
    ],
)
async def test_cursor_of_another_list(client: AsyncClient, place: str, mark: dict[str, Any]) -> None:
    """It can be read, but it names no place in this list."""
    campaign = await create(client)
    path = f"/v1/campaigns{place.format(id=campaign['id'])}"
    assert pointers(await client.get(path, params={"cursor": encode_cursor(mark)})) == ["?cursor"]


async def test_made_campaign_of_the_factory_is_one_of_the_api(
    client: AsyncClient, engine: AsyncEngine, clock: Clock
) -> None:
    async with begin(engine) as tx:
        campaign_id = await make_campaign(tx, [NUMBER], now=clock.now)
    shown = (await client.get(f"/v1/campaigns/{campaign_id}")).json()
    assert (shown["status"], shown["msisdns"]) == ("running", [NUMBER])


@pytest.mark.parametrize(
    ("patch", "problem"),
    [
        pytest.param({"opt_in_acknowledged": False}, "opt-in-not-acknowledged", id="nobody vouches any more"),
        pytest.param({"msisdns": []}, "campaign-not-startable", id="nobody is left to reach"),
    ],
)
async def test_scheduled_campaign_stays_fit_to_start(
    client: httpx.AsyncClient, clock: Clock, patch: dict[str, Any], problem: str
) -> None:
    later = (clock.now + timedelta(hours=1)).isoformat()
    body = {
        "name": "Later",
        "messages": [{"text": "Hello", "send_at": later}],
        "msisdns": ["+12025550142"],
        "opt_in_acknowledged": True,
    }
    campaign = (await client.post("/v1/campaigns", json=body)).json()
    path = f"/v1/campaigns/{campaign['id']}"
    assert (await client.post(f"{path}/start")).json()["status"] == "scheduled"
    refusal = await client.patch(path, json=patch)
    assert refusal.status_code == 409, refusal.text
    assert refusal.json()["type"].endswith(problem)
    told = (await client.get(path)).json()
    assert (told["status"], told["msisdns"]) == ("scheduled", ["+12025550142"])
    assert told["opt_in_acknowledged_at"] is not None
    # As a draft it may be changed in any way; starting it again asks for everything again.
    await client.post(f"{path}/unschedule")
    assert (await client.patch(path, json=patch)).status_code == 200
    assert (await client.post(f"{path}/start")).status_code == 409


# --- its own pace


async def test_a_pace_is_changed_while_it_runs(client: AsyncClient, engine: AsyncEngine) -> None:
    """Alone: a pace is no later than what is not made yet. It goes with copies, and the trail knows it."""
    made = await create(client, max_per_minute=600)
    path = f"/v1/campaigns/{made['id']}"
    assert made["max_per_minute"] == 600
    for status, changeable in (
        (Status.SCHEDULED, True),
        (Status.RUNNING, True),
        (Status.HELD, True),
        (Status.STOPPED, False),
        (Status.COMPLETED, False),
    ):
        await set_status(engine, made["id"], status)
        answer = await client.patch(path, json={"max_per_minute": 60})
        assert answer.status_code == (200 if changeable else 409), (status, answer.text)
    await set_status(engine, made["id"], Status.RUNNING)
    assert problem(await client.patch(path, json={"max_per_minute": 60, "owner": "x"}), 409)
    copied = await client.post(f"{path}/duplicate")
    assert copied.json()["max_per_minute"] == 60
    assert (await client.patch(path, json={"max_per_minute": None})).json()["max_per_minute"] is None
    async with begin(engine) as tx:
        question = select(AuditEntry.detail).where(AuditEntry.action == "campaign.changed").order_by(AuditEntry.id)
        details = (await tx.execute(question)).scalars().all()
    assert details[0]["max_per_minute"] == {"from": 600, "to": 60}


@pytest.mark.parametrize("per_minute", [0, -1, 100_001, 1.5, "many"])
async def test_a_pace_that_cannot_be(client: AsyncClient, per_minute: Any) -> None:
    assert pointers(await client.post("/v1/campaigns", json=PLAIN | {"max_per_minute": per_minute})) == [
        "/max_per_minute"
    ]
