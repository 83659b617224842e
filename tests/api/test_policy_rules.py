"""What each rule of the policy does to requests, and the rules of four products that it must be able to tell."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from httpx import AsyncClient
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.domain.campaign import Status
from shared.models import Campaign
from shared.sealing import Sealer
from tests.conftest import Clock
from tests.factories import make_contact, make_gateway, make_msisdn, make_sender_id

NUMBER = make_msisdn(1)
PLAIN: dict[str, Any] = {
    "name": "Spring offer",
    "msisdns": [NUMBER],
    "messages": [{"text": "Your table waits."}],
    "opt_in_acknowledged": True,
}


async def set_rules(client: AsyncClient, **rules: Any) -> None:
    answer = await client.put("/v1/policy", json=rules)
    assert answer.status_code == 200, answer.text


def refused(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    assert told["type"] == f"/problems/{kind}"
    return told


def sentence(answer: httpx.Response, pointer: str) -> str:
    told = refused(answer, 422, answer.json()["type"].removeprefix("/problems/"))
    (error,) = told["errors"]
    assert error["pointer"] == pointer
    words: str = error["detail"]
    return words


async def create(client: AsyncClient, **over: Any) -> dict[str, Any]:
    answer = await client.post("/v1/campaigns", json=PLAIN | over)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def scheduled(client: AsyncClient, at: datetime, **over: Any) -> dict[str, Any]:
    campaign = await create(client, messages=[{"text": "See you.", "send_at": at.isoformat()}], **over)
    answer = await client.post(f"/v1/campaigns/{campaign['id']}/start")
    assert answer.json()["status"] == "scheduled", answer.text
    return campaign


async def set_status(engine: AsyncEngine, campaign_id: str, status: Status) -> None:
    async with begin(engine) as tx:
        await tx.execute(update(Campaign).where(Campaign.id == UUID(campaign_id)).values(status=status))


# --- four products, each a value of this document


async def test_powerlynx_edits_while_scheduled(client: AsyncClient, clock: Clock) -> None:
    await set_rules(client, edit_when_scheduled="everything")
    campaign = await scheduled(client, clock.now + timedelta(hours=2))
    later = (clock.now + timedelta(hours=5)).isoformat()
    answer = await client.patch(
        f"/v1/campaigns/{campaign['id']}",
        json={"name": "Summer offer", "messages": [{"text": "Other words.", "send_at": later}], "msisdns": [NUMBER]},
    )
    assert answer.status_code == 200, answer.text
    assert (answer.json()["name"], answer.json()["messages"][0]["text"]) == ("Summer offer", "Other words.")


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        pytest.param(14, "at least 15 minutes ahead", id="too near"),
        pytest.param(15, None, id="near enough"),
        pytest.param(7 * 24 * 60, None, id="far enough"),
        pytest.param(7 * 24 * 60 + 1, "more than 7 days ahead", id="too far"),
    ],
)
async def test_eztalks_schedules_a_quarter_of_an_hour_to_a_week_ahead(
    client: AsyncClient, clock: Clock, minutes: int, words: str | None
) -> None:
    await set_rules(client, schedule_min_lead_minutes=15, schedule_max_ahead_days=7)
    send_at = (clock.now + timedelta(minutes=minutes)).isoformat()
    answer = await client.post("/v1/campaigns", json=PLAIN | {"messages": [{"text": "See you.", "send_at": send_at}]})
    if words is None:
        assert answer.status_code == 201, answer.text
    else:
        assert words in sentence(answer, "/messages/0/send_at")


async def test_eztalks_neither_edits_nor_cancels_what_runs(client: AsyncClient, engine: AsyncEngine) -> None:
    await set_rules(client, schedule_min_lead_minutes=15, schedule_max_ahead_days=7, stop_when_running=False)
    campaign = await create(client)
    path = f"/v1/campaigns/{campaign['id']}"
    await set_status(engine, campaign["id"], Status.RUNNING)
    refused(await client.patch(path, json={"name": "Other"}), 409, "campaign-not-editable")
    told = refused(await client.post(f"{path}/stop"), 409, "campaign-not-stoppable-by-policy")
    assert "stop_when_running" in told["detail"]
    await set_status(engine, campaign["id"], Status.SCHEDULED)
    assert (await client.post(f"{path}/stop")).status_code == 200


async def test_a_crm_locks_details_once_scheduled(client: AsyncClient, clock: Clock) -> None:
    await set_rules(client, edit_when_scheduled="schedule_only")
    campaign = await scheduled(client, clock.now + timedelta(hours=2))
    path = f"/v1/campaigns/{campaign['id']}"
    for change in ({"name": "Other"}, {"msisdns": [NUMBER]}, {"messages": [{"text": "Other words."}]}):
        told = refused(await client.patch(path, json=change), 409, "campaign-details-locked")
        assert "PATCH /v1/campaigns/{id}/messages/{message_id}" in told["detail"]
    moved = {"send_at": (clock.now + timedelta(hours=5)).isoformat()}
    answer = await client.patch(f"{path}/messages/{campaign['messages'][0]['id']}", json=moved)
    assert answer.status_code == 200, answer.text
    await client.post(f"{path}/unschedule")
    assert (await client.patch(path, json={"name": "Other"})).status_code == 200


PRODUCTS: dict[str, dict[str, Any]] = {
    "powerlynx": {"edit_when_scheduled": "everything"},
    "eztalks": {
        "schedule_min_lead_minutes": 15,
        "schedule_max_ahead_days": 7,
        "stop_when_running": False,
        "move_when_running": False,
    },
    "a crm that locks details": {"edit_when_scheduled": "schedule_only"},
    "a crm of 480 characters": {"max_chars": 480, "quota_unit": "per_160"},
}


@pytest.mark.parametrize("product", PRODUCTS)
async def test_every_product_moves_an_unsent_message_of_a_scheduled_campaign(
    client: AsyncClient, clock: Clock, product: str
) -> None:
    """Its time and nothing else of it, by the product's own limits."""
    await set_rules(client, **PRODUCTS[product])
    campaign = await scheduled(client, clock.now + timedelta(hours=2))
    path = f"/v1/campaigns/{campaign['id']}/messages/{campaign['messages'][0]['id']}"
    later = clock.now + timedelta(hours=5)
    answer = await client.patch(path, json={"send_at": later.isoformat()})
    assert answer.status_code == 200, answer.text
    assert answer.json()["messages"][0]["send_at"] == later.isoformat().replace("+00:00", "Z")
    assert "no such field" in sentence(await client.patch(path, json={"text": "Other words."}), "/text")
    narrow = product == "eztalks"
    for minutes in (5, 8 * 24 * 60):
        answer = await client.patch(path, json={"send_at": (clock.now + timedelta(minutes=minutes)).isoformat()})
        assert answer.status_code == (422 if narrow else 200), answer.text


@pytest.mark.parametrize("product", PRODUCTS)
async def test_only_one_product_locks_the_times_of_what_runs(
    client: AsyncClient, clock: Clock, engine: AsyncEngine, product: str
) -> None:
    await set_rules(client, **PRODUCTS[product])
    first, second = (clock.now + timedelta(hours=hours) for hours in (2, 4))
    steps = [{"text": "One.", "send_at": first.isoformat()}, {"text": "Two.", "send_at": second.isoformat()}]
    campaign = await create(client, messages=steps)
    await client.post(f"/v1/campaigns/{campaign['id']}/start")
    path = f"/v1/campaigns/{campaign['id']}/messages/{campaign['messages'][1]['id']}"
    moved = {"send_at": (clock.now + timedelta(hours=6)).isoformat()}
    for status in (Status.RUNNING, Status.HELD):
        async with begin(engine) as tx:
            begun = update(Campaign).where(Campaign.id == UUID(campaign["id"]))
            await tx.execute(begun.values(status=status, frozen_at=clock.now))
        answer = await client.patch(path, json=moved)
        if product == "eztalks":
            assert "move_when_running" in refused(answer, 409, "campaign-times-locked")["detail"]
        else:
            assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("characters", "words"),
    [
        pytest.param(480, None, id="three of 160"),
        pytest.param(481, "481 characters, 1 character too many", id="one too many"),
        pytest.param(500, "500 characters, 20 characters too many", id="20 too many"),
    ],
)
async def test_a_crm_takes_480_characters_counted_as_three_of_160(
    client: AsyncClient, characters: int, words: str | None
) -> None:
    await set_rules(client, max_chars=480, quota_unit="per_160")
    text = "a" * characters
    campaign = await client.post("/v1/campaigns", json=PLAIN | {"messages": [{"text": text}]})
    message = await client.post("/v1/messages", json={"msisdn": NUMBER, "text": text})
    if words is None:
        assert (campaign.status_code, message.status_code) == (201, 202), campaign.text
    else:
        assert words in sentence(campaign, "/messages/0/text")
        assert words in sentence(message, "/text")


async def test_a_crm_shows_the_operators_number_unless_names_are_activated(
    client: AsyncClient, engine: AsyncEngine, sealer: Sealer
) -> None:
    async with begin(engine) as tx:
        gateway_id = await make_gateway(tx, sealer)
        await make_sender_id(tx, gateway_id, "LAPWING")
        await make_sender_id(tx, gateway_id, "+12025550111")
    named, numbered = {"sender_id": "LAPWING"}, {"sender_id": "+12025550111"}
    single = {"msisdn": NUMBER, "text": "Hello."}
    assert "LAPWING" in sentence(await client.post("/v1/campaigns", json=PLAIN | named), "/sender_id")
    assert "LAPWING" in sentence(await client.post("/v1/messages", json=single | named), "/sender_id")
    assert (await create(client, name="Plain"))["sender_id"] is None
    assert (await create(client, name="Numbered", **numbered))["sender_id"] == "+12025550111"
    await set_rules(client, alphanumeric_senders=True)
    campaign = await create(client, name="Named", **named)
    assert (await client.post("/v1/messages", json=single | named)).status_code == 202
    await set_rules(client, alphanumeric_senders=False)
    answer = await client.post(f"/v1/campaigns/{campaign['id']}/start")
    assert "LAPWING" in sentence(answer, "/sender_id")
    async with begin(engine) as tx:
        await tx.execute(update(Campaign).where(Campaign.name == "Named").values(status="completed"))
    answer = await client.post(f"/v1/campaigns/{campaign['id']}/resend", json={"which": "failed"})
    assert "LAPWING" in sentence(answer, "/sender_id")


@pytest.mark.parametrize(
    ("command", "state"),
    [
        pytest.param("restart", {"status": "stopped", "emptied_at": func.now()}, id="stopped"),
        pytest.param("resume", {"status": "held", "held_reason": "late"}, id="held"),
    ],
)
async def test_names_switched_off_since_the_start_do_not_go_on(
    client: AsyncClient, engine: AsyncEngine, sealer: Sealer, command: str, state: dict[str, Any]
) -> None:
    async with begin(engine) as tx:
        await make_sender_id(tx, await make_gateway(tx, sealer), "LAPWING")
    await set_rules(client, alphanumeric_senders=True)
    path = f"/v1/campaigns/{(await create(client, name='Named', sender_id='LAPWING'))['id']}"
    assert (await client.post(f"{path}/start")).status_code == 200
    assert (await client.post(f"{path}/stop")).status_code == 200
    async with begin(engine) as tx:
        await tx.execute(update(Campaign).values(state))
    await set_rules(client, alphanumeric_senders=False)
    answer = await client.post(f"{path}/{command}", json={})
    assert answer.json()["type"] == "/problems/sender-not-allowed"
    assert "LAPWING" in sentence(answer, "/sender_id")
    assert (await client.get(path)).json()["status"] == state["status"]
    await set_rules(client, alphanumeric_senders=True)
    assert (await client.post(f"{path}/{command}", json={})).status_code == 200


async def test_a_crm_activates_campaigns_and_personal_messages_one_by_one(client: AsyncClient) -> None:
    draft = await create(client)

    async def new_campaign() -> httpx.Response:
        return await client.post("/v1/campaigns", json=PLAIN | {"name": "Another"})

    async def old_campaign() -> httpx.Response:
        return await client.post(f"/v1/campaigns/{draft['id']}/start")

    async def personal() -> httpx.Response:
        return await client.post("/v1/messages", json={"msisdn": NUMBER, "text": "Hello."})

    ways: dict[str, tuple[Callable[[], Awaitable[httpx.Response]], ...]] = {
        "campaigns": (new_campaign, old_campaign),
        "personal": (personal,),
    }
    for off, asked in ways.items():
        await set_rules(client, activated={off: False})
        for ask in asked:
            assert f"activated.{off}" in refused(await ask(), 409, "not-activated")["detail"]
    await set_rules(client, activated={"campaigns": True, "personal": False})
    assert (await old_campaign()).status_code == 200
    await set_rules(client, activated={"campaigns": False, "personal": True})
    assert (await personal()).status_code == 202


# --- the other rules


async def test_lead_is_looked_at_again_when_a_draft_is_started(client: AsyncClient, clock: Clock) -> None:
    await set_rules(client, schedule_min_lead_minutes=15)
    soon = (clock.now + timedelta(minutes=20)).isoformat()
    draft = await create(client, messages=[{"text": "See you.", "send_at": soon}])
    clock.advance(timedelta(minutes=10))
    answer = await client.post(f"/v1/campaigns/{draft['id']}/start")
    assert "at least 15 minutes ahead" in sentence(answer, "/messages/0/send_at")


async def test_sending_at_once_is_no_schedule(client: AsyncClient) -> None:
    await set_rules(client, schedule_min_lead_minutes=15)
    draft = await create(client)
    assert (await client.post(f"/v1/campaigns/{draft['id']}/start")).json()["status"] == "running"


async def test_without_the_acknowledgement(client: AsyncClient) -> None:
    draft = await create(client, opt_in_acknowledged=False)
    path = f"/v1/campaigns/{draft['id']}/start"
    refused(await client.post(path), 409, "opt-in-not-acknowledged")
    await set_rules(client, require_opt_in_acknowledgement=False)
    assert (await client.post(path)).json()["status"] == "running"


async def test_segments_have_their_own_bound(client: AsyncClient) -> None:
    await set_rules(client, max_segments=2)
    answer = await client.post("/v1/messages", json={"msisdn": NUMBER, "text": "a" * 307})
    assert sentence(answer, "/text") == "The text takes 3 segments, and a message may have 2; shorten it."


async def test_countries_are_those_allowed(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        contact_id = str(await make_contact(tx, msisdn="+12025550142"))
    await set_rules(client, allowed_countries=["GB"])
    assert "US" in sentence(
        await client.post("/v1/campaigns", json=PLAIN | {"msisdns": [NUMBER, "+12025550142"]}), "/msisdns/1"
    )
    single = {"text": "Hello."}
    assert "US" in sentence(await client.post("/v1/messages", json=single | {"msisdn": "+12025550142"}), "/msisdn")
    assert "US" in sentence(await client.post("/v1/messages", json=single | {"contact_id": contact_id}), "/contact_id")
    assert (await client.post("/v1/messages", json=single | {"msisdn": NUMBER})).status_code == 202


async def test_numbers_without_a_country_code_belong_to_the_policys_region(client: AsyncClient) -> None:
    national = "07700 900001"
    assert sentence(await client.post("/v1/messages", json={"msisdn": national, "text": "Hello."}), "/msisdn")
    await set_rules(client, default_region="GB")
    answer = await client.post("/v1/messages", json={"msisdn": national, "text": "Hello."})
    assert answer.json()["msisdn"] == "+447700900001"
    assert (await create(client, msisdns=[national]))["msisdns"] == ["+447700900001"]
    assert (await client.post("/v1/contacts", json={"msisdn": national})).json()["msisdn"] == "+447700900001"
    assert (await client.post("/v1/opt-outs", json={"msisdn": national})).status_code == 201


async def test_a_refusal_leaves_nothing_behind(client: AsyncClient, engine: AsyncEngine) -> None:
    await set_rules(client, max_chars=5)
    await client.post("/v1/campaigns", json=PLAIN)
    async with begin(engine) as tx:
        assert (await tx.execute(select(Campaign.id))).all() == []
