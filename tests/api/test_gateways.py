"""Gateways over HTTP: what is stored, what is shown of it, who may change it, and what stands in the way."""

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from ipaddress import ip_network
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.gateways import queries
from api.main import equip
from api.resources import Resources
from shared.clock import utc_now
from shared.db import begin
from shared.domain import campaign
from shared.domain.message import Status
from shared.log import JsonLines
from shared.models import AuditEntry, Campaign, Gateway, Message, SenderIdRow
from shared.queries.gateways import list_configured, open_secrets
from shared.sealing import Sealer, new_key
from tests.conftest import Clock
from tests.factories import make_api_key, make_attempt, make_message, make_sender_id

ACCOUNT_SID = "AC" + "0" * 32
CANARY = "canary-5ab1e-secret-value-9f2c"
TWILIO: dict[str, Any] = {
    "name": "Main",
    "kind": "twilio",
    "settings": {"account_sid": ACCOUNT_SID, "from": "+12025550142"},
    "secrets": {"api_secret": CANARY},
}
AUTUMN = {"id": UUID(int=7), "name": "Autumn", "status": campaign.Status.SCHEDULED, "sender_id": "LAPWING"}


async def create(client: httpx.AsyncClient, **over: Any) -> dict[str, Any]:
    answer = await client.post("/v1/gateways", json={**TWILIO, **over})
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def pointers(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [error["pointer"] for error in answer.json()["errors"]]


async def audited(engine: AsyncEngine, action: str) -> list[Any]:
    async with begin(engine) as tx:
        question = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
        return list((await tx.execute(question)).all())


async def test_created_gateway_is_stored_and_shown(
    client: httpx.AsyncClient, engine: AsyncEngine, resources: Resources
) -> None:
    shown = await create(
        client,
        location_ids=["harbour", "airport"],
        pace={"segments_per_second": 12.5, "in_flight": 40},
        balance_check={
            "every_minutes": 5,
            "warn_below": "5.5050",
            "stop_below": "-0.0001",
            "email": ["ops@example.com", " o'neil+sms@mail.example.co.za "],
        },
    )

    async with begin(engine) as tx:
        row = (await tx.execute(select(Gateway))).one()
    assert (row.name, row.kind, row.enabled, row.health) == ("Main", "twilio", True, "ok")
    assert row.settings == TWILIO["settings"]
    assert row.pace == {"segments_per_second": 12.5, "in_flight": 40}
    assert CANARY.encode() not in row.secrets_sealed
    assert open_secrets(row.secrets_sealed, gateway_id=row.id, sealer=resources.sealer) == {"api_secret": CANARY}
    assert len(row.callback_token) >= 22  # 128 bits in base64

    base = f"{resources.public_url}/callbacks/{row.id}/{row.callback_token}"
    assert shown["callback_urls"] == {"status": f"{base}/status", "inbound": f"{base}/inbound"}
    assert shown["secrets"] == {"api_secret": "…9f2c"}
    assert shown["location_ids"] == ["harbour", "airport"]
    assert shown["balance_check"] == {
        "enabled": True,
        "every_minutes": 5,
        "warn_below": "5.5050",
        "stop_below": "-0.0001",
        "email": ["ops@example.com", "o'neil+sms@mail.example.co.za"],
    }
    assert shown["capabilities"]["client_reference"] is True
    assert shown["health"] == {"state": "ok", "reason": None, "at": None, "until": None, "retries_held_at": None}
    assert shown["balance"] is None

    again = await client.get(f"/v1/gateways/{row.id}")
    assert again.json() == shown
    (entry,) = await audited(engine, "gateway.created")
    assert entry.subject_id == str(row.id)
    assert entry.detail["secrets"] == ["api_secret"]


async def test_tokens_differ(client: httpx.AsyncClient) -> None:
    one, other = await create(client), await create(client, name="Second")
    token = one["callback_urls"]["status"].split("/")[-2]
    assert token not in other["callback_urls"]["status"]


@pytest.mark.parametrize("scope", ["read", "manage"])
async def test_callback_addresses_are_for_admins(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine, scope: str
) -> None:
    """Whoever knows them can send receipts and a STOP in the gateway's name."""
    gateway = await create(client)
    token = gateway["callback_urls"]["status"].split("/")[-2]
    async with begin(engine) as tx:
        key = await make_api_key(tx, scope)
    for path in (f"/v1/gateways/{gateway['id']}", "/v1/gateways"):
        answer = await anonymous.get(path, headers={"Authorization": f"Bearer {key.text}"})
        assert answer.status_code == 200, answer.text
        shown = answer.json() if "items" not in answer.json() else answer.json()["items"][0]
        assert shown["callback_urls"] is None
        assert token not in answer.text


async def test_a_short_secret_gives_no_hint(client: httpx.AsyncClient) -> None:
    shown = await create(client, secrets={"api_secret": "short"})
    assert shown["secrets"] == {"api_secret": "…"}


async def test_an_unknown_kind_is_answered_with_those_known(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/gateways", json={**TWILIO, "kind": "pigeon"})
    assert pointers(answer) == ["/kind"]
    assert "sandbox, smsportal, twilio" in answer.json()["detail"]


async def test_wrong_settings_are_named_all_at_once(client: httpx.AsyncClient) -> None:
    body = {**TWILIO, "settings": {"account_sid": "nonsense", "colour": "red"}, "secrets": {}}
    found = pointers(await client.post("/v1/gateways", json=body))
    assert {"/settings/account_sid", "/settings/colour", "/secrets/api_secret"} <= set(found)


@pytest.mark.parametrize(
    ("over", "pointer"),
    [
        pytest.param({"name": "  "}, "/name", id="name of spaces"),
        pytest.param({"nmae": "x"}, "/nmae", id="unknown field"),
        pytest.param({"pace": {"segments_per_second": 0}}, "/pace/segments_per_second", id="pace"),
        pytest.param({"balance_check": {"every_minutes": 4}}, "/balance_check/every_minutes", id="too often"),
        pytest.param({"balance_check": {"every_minutes": 1441}}, "/balance_check/every_minutes", id="too seldom"),
        pytest.param({"balance_check": {"warn_below": "NaN"}}, "/balance_check/warn_below", id="no amount"),
        pytest.param({"balance_check": {"warn_below": "1.1234567"}}, "/balance_check/warn_below", id="too fine"),
        pytest.param(
            {"balance_check": {"warn_below": "5", "stop_below": "5.0001"}},
            "/balance_check/stop_below",
            id="floor above the minimum",
        ),
        pytest.param({"balance_check": {"email": ["a@b.com", "ops"]}}, "/balance_check/email/1", id="no address"),
        pytest.param(
            {"balance_check": {"email": ["a@b.com\r\nBcc: c@d.com"]}}, "/balance_check/email/0", id="two in one"
        ),
        pytest.param({"balance_check": {"email": ["a@b.com"] * 21}}, "/balance_check/email", id="too many addresses"),
        pytest.param({"secrets": {"api_secret": 7}}, "/secrets/api_secret", id="secret of digits"),
        pytest.param({"location_ids": [""]}, "/location_ids/0", id="empty location"),
    ],
)
async def test_refused_fields_are_named(client: httpx.AsyncClient, over: dict[str, Any], pointer: str) -> None:
    assert pointer in pointers(await client.post("/v1/gateways", json={**TWILIO, **over}))


async def test_a_name_is_taken_once(client: httpx.AsyncClient) -> None:
    await create(client)
    other = await create(client, name="Second")
    twice = await client.post("/v1/gateways", json=TWILIO)
    renamed = await client.patch(f"/v1/gateways/{other['id']}", json={"name": "Main"})
    same = await client.patch(f"/v1/gateways/{other['id']}", json={"name": "Second"})
    assert (twice.status_code, renamed.status_code, same.status_code) == (409, 409, 200)
    assert twice.json()["type"].endswith("/gateway-name-taken")
    assert twice.json()["errors"][0]["pointer"] == renamed.json()["errors"][0]["pointer"] == "/name"


async def test_order_is_the_operators(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    ids = [(await create(client, name=name))["id"] for name in ("A", "B", "C")]
    listed = (await client.get("/v1/gateways")).json()
    assert [one["id"] for one in listed["items"]] == ids

    wanted = [ids[2], ids[0], ids[1]]
    answer = await client.put("/v1/gateways/order", json={"ids": wanted})
    assert answer.json() == {"ids": wanted}
    first = (await client.get("/v1/gateways", params={"limit": 2})).json()
    rest = (await client.get("/v1/gateways", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == wanted
    assert rest["next_cursor"] is None
    (entry,) = await audited(engine, "gateway.ordered")
    assert entry.detail == {"ids": wanted}

    last = await create(client, name="D")
    listed = (await client.get("/v1/gateways")).json()
    assert [one["id"] for one in listed["items"]] == [*wanted, last["id"]]


async def test_an_order_names_each_gateway_once(client: httpx.AsyncClient) -> None:
    ids = [(await create(client, name=name))["id"] for name in ("A", "B")]
    stranger = str(uuid4())
    for wrong, told in (
        ([ids[0]], {"/ids": ["'B'", ids[1]]}),
        ([ids[0], ids[0]], {"/ids/1": ["'A'", ids[0], "ids/0"], "/ids": ["'B'", ids[1]]}),
        ([stranger, *ids], {"/ids/0": [stranger]}),
        ([*ids, ids[0]], {"/ids/2": ["'A'", ids[0], "ids/0"]}),
        ([], {"/ids": ["'A'", ids[0], "'B'", ids[1]]}),
    ):
        answer = await client.put("/v1/gateways/order", json={"ids": wrong})
        assert pointers(answer) == list(told), wrong
        for error in answer.json()["errors"]:
            assert [word for word in told[error["pointer"]] if word not in error["detail"]] == []
        assert "2 gateways exactly once" in answer.json()["detail"]
        assert answer.json()["errors"][0]["detail"] in answer.json()["detail"]
    listed = (await client.get("/v1/gateways")).json()
    assert [one["id"] for one in listed["items"]] == ids


async def test_what_moves_the_time_of_its_last_change_and_so_ends_repeats(
    client: httpx.AsyncClient, clock: Clock
) -> None:
    """As the page of the custom gateway says."""
    gateway = await create(client)
    path, known = f"/v1/gateways/{gateway['id']}", gateway["updated_at"]

    async def moves(method: str, to: str, body: Any = None) -> bool:
        nonlocal known
        clock.advance(timedelta(seconds=1))
        answer = await client.request(method, to, json=body)
        assert answer.status_code == 200, answer.text
        before, known = known, (await client.get(path)).json()["updated_at"]
        return bool(known != before)

    assert await moves("PATCH", path, {"settings": {"smart_encoded": True}})
    assert await moves("PATCH", path, {"name": "Renamed"})
    assert await moves("POST", f"{path}/disable")
    assert await moves("POST", f"{path}/enable")
    assert not await moves("PUT", "/v1/gateways/order", {"ids": [gateway["id"]]})


@pytest.mark.parametrize("cursor", ["nonsense", "e30", "eyJwcmlvcml0eSI6IngiLCJpZCI6MX0"])
async def test_a_cursor_of_another_list_is_refused(client: httpx.AsyncClient, cursor: str) -> None:
    assert pointers(await client.get("/v1/gateways", params={"cursor": cursor})) == ["?cursor"]


async def test_a_patch_changes_what_it_names(
    client: httpx.AsyncClient, engine: AsyncEngine, resources: Resources
) -> None:
    gateway = await create(client, location_ids=["harbour"])
    answer = await client.patch(
        f"/v1/gateways/{gateway['id']}",
        json={"settings": {"smart_encoded": True}, "secrets": {"auth_token": "f" * 32}, "location_ids": None},
    )
    assert answer.status_code == 200
    changed = answer.json()
    assert changed["settings"] == {**TWILIO["settings"], "smart_encoded": True}
    assert changed["secrets"] == {"api_secret": "…9f2c", "auth_token": "…ffff"}
    assert changed["location_ids"] is None
    assert changed["callback_urls"] == gateway["callback_urls"]

    await client.patch(
        f"/v1/gateways/{gateway['id']}", json={"settings": {"smart_encoded": None}, "secrets": {"auth_token": None}}
    )
    async with begin(engine) as tx:
        row = (await tx.execute(select(Gateway))).one()
    assert row.settings == TWILIO["settings"]
    assert open_secrets(row.secrets_sealed, gateway_id=row.id, sealer=resources.sealer) == {"api_secret": CANARY}
    first, second = await audited(engine, "gateway.changed")
    assert first.detail["changed"] == {"location_ids": {"from": ["harbour"], "to": None}, "settings": ["smart_encoded"]}
    assert second.detail["changed"] == {"settings": ["smart_encoded"]}
    assert first.detail["secrets"] == second.detail["secrets"] == ["auth_token"]


async def test_a_patch_that_would_break_it_changes_nothing(client: httpx.AsyncClient) -> None:
    gateway = await create(client)
    for body, pointer in (
        ({"secrets": {"api_secret": None}}, "/secrets/api_secret"),
        ({"settings": {"from": None}, "name": "New"}, "/settings/from"),
        ({"kind": "sandbox"}, "/kind"),
        ({"name": None}, "/name"),
        ({"enabled": None}, "/enabled"),
    ):
        answer = await client.patch(f"/v1/gateways/{gateway['id']}", json=body)
        assert pointer in pointers(answer), body
    assert (await client.get(f"/v1/gateways/{gateway['id']}")).json() == gateway


async def test_enabling_ends_a_withdrawal(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    gateway = await create(client)
    async with begin(engine) as tx:
        await tx.execute(update(Gateway).values(health="withdrawn", health_reason="20003"))
    changed = await client.patch(f"/v1/gateways/{gateway['id']}", json={"name": "Renamed"})
    assert changed.json()["health"]["state"] == "withdrawn"

    enabled = (await client.post(f"/v1/gateways/{gateway['id']}/enable")).json()
    assert enabled["enabled"] is True
    assert (enabled["health"]["state"], enabled["health"]["reason"]) == ("ok", None)
    (entry,) = await audited(engine, "gateway.enabled")
    assert entry.detail == {"health_before": "withdrawn", "health_reason": "20003"}


@pytest.mark.parametrize(
    ("columns", "state", "has_until"),
    [
        ({"health": "open", "health_reason": "10 hand-overs in a row failed"}, "open", True),
        ({"health": "half_open", "health_reason": "10 hand-overs in a row failed"}, "half_open", False),
        ({"health": "slow", "health_reason": "5 of 20 answers within a minute were slow"}, "slow", True),
        ({"resting_until": utc_now() + timedelta(hours=1)}, "resting", True),
        ({"resting_until": utc_now() - timedelta(hours=1)}, "ok", False),
    ],
    ids=str,
)
async def test_health_is_shown_with_its_reason_and_ended_by_its_owner(
    client: httpx.AsyncClient, engine: AsyncEngine, columns: dict[str, Any], state: str, has_until: bool
) -> None:
    gateway = await create(client)
    async with begin(engine) as tx:
        await tx.execute(update(Gateway).values(**{"health_until": utc_now() + timedelta(minutes=5)} | columns))
    shown = (await client.get(f"/v1/gateways/{gateway['id']}")).json()["health"]
    assert shown["state"] == state
    assert (shown["until"] is not None) is has_until
    enabled = (await client.post(f"/v1/gateways/{gateway['id']}/enable")).json()["health"]
    assert (enabled["state"], enabled["reason"], enabled["until"]) == ("ok", None, None)
    changes = (await client.get(f"/v1/gateways/{gateway['id']}/health")).json()["items"]
    was = columns.get("health")
    assert [(one["was"], one["health"], one["reason"]) for one in changes] == (
        [(was, "ok", "its owner enabled it")] if was else []
    )


async def test_when_retries_had_to_wait_is_shown(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    made = await client.post("/v1/gateways", json=TWILIO)
    async with begin(engine) as tx:
        await tx.execute(update(Gateway).values(retries_held_at=now))
    shown = (await client.get(f"/v1/gateways/{made.json()['id']}")).json()
    assert datetime.fromisoformat(shown["health"]["retries_held_at"]) == now


async def test_health_of_nobody(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"/v1/gateways/{uuid4()}/health")).status_code == 404
    gateway = await create(client)
    answer = await client.get(f"/v1/gateways/{gateway['id']}/health", params={"cursor": "nonsense"})
    assert answer.status_code == 422


async def test_disabled_gateways_are_not_sent_through(
    client: httpx.AsyncClient, engine: AsyncEngine, resources: Resources
) -> None:
    gateway, other = await create(client), await create(client, name="Second")
    answer = await client.post(f"/v1/gateways/{gateway['id']}/disable")
    assert answer.json()["enabled"] is False
    async with begin(engine) as tx:
        told = await list_configured(tx, sealer=resources.sealer, public_url=resources.public_url, enabled_only=True)
        everyone = await list_configured(tx, sealer=resources.sealer, public_url=resources.public_url)
    assert [str(one.id) for one in told] == [other["id"]]
    assert [str(one.id) for one in everyone] == [gateway["id"], other["id"]]
    again = await client.patch(f"/v1/gateways/{gateway['id']}", json={"enabled": True})
    assert again.json()["enabled"] is True


async def test_scopes_decide(client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine) -> None:
    gateway = await create(client)
    one = f"/v1/gateways/{gateway['id']}"
    async with begin(engine) as tx:
        read, manage = [
            {"Authorization": f"Bearer {(await make_api_key(tx, scope)).text}"} for scope in ("read", "manage")
        ]

    async def status(method: str, path: str, headers: dict[str, str], body: Any = None) -> int:
        return (await anonymous.request(method, path, headers=headers, json=body)).status_code

    assert await status("GET", one, {}) == 401
    assert await status("GET", one, read) == 200
    assert await status("GET", "/v1/gateways", read) == 200
    assert await status("POST", f"{one}/disable", read) == 403
    assert await status("PUT", "/v1/gateways/order", read, {"ids": [gateway["id"]]}) == 403
    assert await status("POST", "/v1/gateways", manage, {**TWILIO, "name": "x"}) == 403
    assert await status("PATCH", one, manage, {"name": "x"}) == 403
    assert await status("DELETE", one, manage) == 403
    assert await status("PUT", "/v1/gateways/order", manage, {"ids": [gateway["id"]]}) == 200
    assert await status("POST", f"{one}/disable", manage) == 200
    assert await status("POST", f"{one}/enable", manage) == 200


async def test_what_is_not_there(client: httpx.AsyncClient) -> None:
    path = f"/v1/gateways/{uuid4()}"
    answers = [
        await client.get(path),
        await client.patch(path, json={"name": "x"}),
        await client.delete(path),
        await client.post(f"{path}/enable"),
        await client.post(f"{path}/disable"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 5


async def test_a_gateway_is_deleted_when_nothing_needs_it(
    client: httpx.AsyncClient, engine: AsyncEngine, pepper: bytes, now: datetime
) -> None:
    gateway = await create(client)
    path = f"/v1/gateways/{gateway['id']}"
    enabled = await client.delete(path)
    assert (enabled.status_code, "disable" in enabled.json()["detail"]) == (409, True)
    await client.post(f"{path}/disable")

    async with begin(engine) as tx:
        await make_sender_id(tx, UUID(gateway["id"]), "LAPWING")
        await tx.execute(insert(Campaign).values(AUTUMN | {"created_at": now, "updated_at": now}))
    used = await client.delete(path)
    assert (used.status_code, "Autumn" in used.json()["detail"]) == (409, True)
    async with begin(engine) as tx:
        await tx.execute(update(Campaign).values(status=campaign.Status.COMPLETED))

    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    async with begin(engine) as tx:
        assert (await tx.execute(select(SenderIdRow))).all() == []
        assert await tx.scalar(select(Campaign.sender_id)) == "LAPWING"
    (entry,) = await audited(engine, "gateway.deleted")
    assert entry.detail == {"name": "Main", "kind": "twilio"}


@pytest.mark.parametrize(
    ("status", "hours", "mine", "answer"),
    [
        pytest.param(Status.SENT, 0, True, 409, id="just made"),
        pytest.param(Status.UNCONFIRMED, -0.1, True, 409, id="by a clock that is ahead"),
        pytest.param(Status.SUBMITTED, 71.9, True, 409, id="almost three days ago"),
        pytest.param(Status.SUBMITTED, 72.1, True, 204, id="before that"),
        pytest.param(Status.DELIVERED, 1, True, 204, id="nothing more is to come"),
        pytest.param(Status.SENDING, 1, False, 204, id="another gateway's"),
    ],
)
async def test_a_gateway_stays_while_its_messages_may_have_news(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    pepper: bytes,
    now: datetime,
    status: Status,
    hours: float,
    mine: bool,
    answer: int,
) -> None:
    gateway = await create(client)
    await client.post(f"/v1/gateways/{gateway['id']}/disable")
    made = now - timedelta(hours=hours)
    async with begin(engine) as tx:
        message_id = await make_message(tx, pepper, now=made, status=status, attempt=1)
        await make_attempt(tx, message_id, UUID(gateway["id"]) if mine else uuid4(), now=made)
    refused = await client.delete(f"/v1/gateways/{gateway['id']}")
    assert refused.status_code == answer


def test_three_days_are_asked_hour_by_hour_and_the_latest_first(now: datetime) -> None:
    asked = list(queries.spans(now))
    assert asked[0][1] > now
    assert asked[-1][0] == now - queries.NEWS_WITHIN
    assert all(since == until for (since, _), (_, until) in pairwise(asked))
    assert {until - since for since, until in asked} == {timedelta(hours=1)}


async def test_both_tables_are_read_no_further_than_the_hour(engine: AsyncEngine, now: datetime) -> None:
    statement = queries._on_their_way(uuid4(), now - timedelta(hours=1), now)
    words = statement.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True})
    async with begin(engine) as tx:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))
        plan = [row[0] for row in await tx.execute(text(f"EXPLAIN {words}"))]
    bounded = [line for line in plan if "Index Cond" in line and "id >= " in line and "id < " in line]
    assert len(bounded) >= 2, plan


async def test_lost_keys_hide_no_gateway(client: httpx.AsyncClient, engine: AsyncEngine, resources: Resources) -> None:
    await create(client)
    async with begin(engine) as tx:
        (told,) = await list_configured(tx, sealer=Sealer.from_texts([new_key()]), public_url=resources.public_url)
    assert (told.name, told.account) == ("Main", None)


async def test_secrets_stay_inside(
    client: httpx.AsyncClient, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    """The canary is in no answer, refusals included, in no line that is logged and in no audit entry."""
    caplog.set_level(logging.DEBUG)
    gateway = await create(client)
    path = f"/v1/gateways/{gateway['id']}"
    answers = [
        await client.get(path),
        await client.get("/v1/gateways"),
        await client.patch(path, json={"secrets": {"auth_token": CANARY}}),
        await client.patch(path, json={"secrets": {"auth_token": [CANARY]}}),
        await client.patch(path, json={"secrets": {"auth_token": CANARY + " \n"}}),
        await client.patch(path, json={"secrets": {"unheard_of": CANARY}}),
        await client.post("/v1/gateways", json={**TWILIO, "kind": "pigeon"}),
        await client.post("/v1/gateways", json=TWILIO),
        await client.post("/v1/gateways", json={**TWILIO, "name": "x", "pace": CANARY}),
        await client.post("/v1/gateways", json={**TWILIO, "secrets": CANARY}),
        await client.post(f"{path}/enable"),
        await client.post(f"{path}/disable"),
        await client.get("/v1/audit"),
    ]
    assert not [answer.text for answer in answers if CANARY in answer.text]
    lines = [JsonLines("test").format(record) for record in caplog.records]
    assert not [line for line in lines if CANARY in line]
    async with begin(engine) as tx:
        assert CANARY not in str((await tx.execute(select(AuditEntry))).all())


async def test_a_replayed_creation_makes_one(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    headers = {"Idempotency-Key": "one-gateway"}
    first = await client.post("/v1/gateways", json=TWILIO, headers=headers)
    again = await client.post("/v1/gateways", json=TWILIO, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    async with begin(engine) as tx:
        assert len((await tx.execute(select(Gateway.id))).all()) == 1


async def _move(engine: AsyncEngine, message_id: UUID, status: Status) -> None:
    async with begin(engine) as tx:
        await tx.execute(update(Message).where(Message.id == message_id).values(status=status))


CUSTOM: dict[str, Any] = {
    "name": "Own",
    "kind": "custom",
    "settings": {
        "url": "http://gateway.example/send",
        "payload": "to=%TO%&text=%MESSAGE%&key=%SECRET:api_key%",
        "success_text": "OK:",
        "verify_tls": False,
    },
    "secrets": {"api_key": CANARY},
}


async def test_what_is_unwise_is_allowed_and_said(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    shown = await create(client, **CUSTOM)
    assert [warning.split()[0] for warning in shown["warnings"]] == ["verify_tls", "url", "url"]
    assert shown["capabilities"]["receipts"] is False
    assert CANARY not in str(shown)
    async with begin(engine) as tx:
        row = (await tx.execute(select(Gateway))).one()
    assert row.settings == CUSTOM["settings"]
    patched = await client.patch(
        f"/v1/gateways/{shown['id']}",
        json={"settings": {"verify_tls": None, "url": "https://gateway.example/send", "method": "POST"}},
    )
    assert patched.json()["warnings"] == []
    assert (await create(client))["warnings"] == []  # of a kind that has none


DESCRIBED: dict[str, Any] = {"url": "https://sms.example.com/?to=%TO%&text=%MESSAGE%", "success_statuses": [200]}
SMSPORTAL: dict[str, Any] = {"client_id": "id", "api_secret": CANARY}


def of_kind(kind: str, url: str) -> dict[str, Any]:
    """A gateway of this kind at that address; balance is a custom one that is only asked for its credit there."""
    return {
        "twilio": {"settings": TWILIO["settings"] | {"base_url": url}},
        "smsportal": {"kind": "smsportal", "settings": {"base_url": url}, "secrets": SMSPORTAL},
        "custom": {"kind": "custom", "settings": DESCRIBED | {"url": f"{url}/?to=%TO%&text=%MESSAGE%"}, "secrets": {}},
        "balance": {"kind": "custom", "settings": DESCRIBED | {"balance": {"url": f"{url}/credit"}}, "secrets": {}},
    }[kind]


POINTERS = {"twilio": "base_url", "smsportal": "base_url", "custom": "url", "balance": "balance/url"}


@pytest.mark.parametrize("kind", POINTERS)
@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "0.0.0.0", "168.63.129.16:80"],
)
async def test_an_address_that_is_never_connected_to_is_refused(
    client: httpx.AsyncClient, engine: AsyncEngine, kind: str, host: str
) -> None:
    given = {**TWILIO, **of_kind(kind, f"http://{host}")}
    answer = await client.post("/v1/gateways", json=given)
    assert f"/settings/{POINTERS[kind]}" in pointers(answer)
    assert "never connected to; give the gateway's own address" in str(answer.json()["errors"])
    sound = await create(client, **of_kind(kind, "https://sms.example.com"))
    answer = await client.patch(f"/v1/gateways/{sound['id']}", json={"settings": given["settings"]})
    assert f"/settings/{POINTERS[kind]}" in pointers(answer)


@pytest.mark.parametrize("kind", POINTERS)
async def test_a_host_that_only_some_would_read_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    answer = await client.post("/v1/gateways", json={**TWILIO, **of_kind(kind, "http://10.0.0.256")})
    assert f"/settings/{POINTERS[kind]}" in pointers(answer)


@pytest.mark.parametrize("kind", POINTERS)
@pytest.mark.parametrize("host", ["10.20.30.40", "localhost:8080", "[::1]", "1.1.1.1", "sms.example.com"])
async def test_an_address_inside_is_warned_of_unless_its_network_is_allowed(
    client: httpx.AsyncClient, app: FastAPI, resources: Resources, kind: str, host: str
) -> None:
    created = await create(client, **of_kind(kind, f"https://{host}"))
    inside = [warning for warning in created["warnings"] if "LAPWING_ALLOWED_NETWORKS" in warning]
    assert len(inside) == (host not in {"1.1.1.1", "sms.example.com"})
    assert all(warning.startswith(POINTERS[kind].replace("/", ".") + " leads to ") for warning in inside)
    allowed = tuple(ip_network(network) for network in ("10.0.0.0/8", "127.0.0.0/8", "::1/128"))
    equip(app, replace(resources, allowed_networks=allowed))
    shown = (await client.get(f"/v1/gateways/{created['id']}")).json()
    assert not [warning for warning in shown["warnings"] if "LAPWING_ALLOWED_NETWORKS" in warning]


async def test_an_address_inside_for_the_login_is_warned_of(client: httpx.AsyncClient) -> None:
    settings = {
        **CUSTOM["settings"],
        "payload": "to=%TO%&text=%MESSAGE%&key=%TOKEN%",
        "login": {"url": "https://10.1.2.3/token", "payload": "key=%SECRET:api_key%"},
    }
    created = await create(client, **{**CUSTOM, "settings": settings})
    assert [one for one in created["warnings"] if one.startswith("login.url leads to 10.1.2.3, an address inside")]
    settings["login"] = {"url": "http://169.254.169.254/token", "payload": "key=%SECRET:api_key%"}
    refused = await client.post("/v1/gateways", json={**CUSTOM, "name": "Other", "settings": settings})
    assert pointers(refused) == ["/settings/login/url"]


async def test_presets_are_listed_page_by_page(client: httpx.AsyncClient) -> None:
    listed = (await client.get("/v1/gateway-presets")).json()
    names = [preset["name"] for preset in listed["items"]]
    assert names == sorted(names)
    assert {"vonage", "infobip", "kannel", "android"} <= set(names)
    assert listed["next_cursor"] is None
    (vonage,) = [preset for preset in listed["items"] if preset["name"] == "vonage"]
    assert vonage["kind"] == "custom"
    assert vonage["documentation"].startswith("https://")
    assert set(vonage["secrets"]) == {"api_key", "api_secret"}
    assert set(vonage["settings_wanted"]) == {"sender_id"}

    found: list[str] = []
    cursor = None
    while cursor is not None or not found:
        page = (
            await client.get("/v1/gateway-presets", params={"limit": 3} | ({"cursor": cursor} if cursor else {}))
        ).json()
        found += [preset["name"] for preset in page["items"]]
        cursor = page["next_cursor"]
    assert found == names
    assert pointers(await client.get("/v1/gateway-presets", params={"cursor": "e30"})) == ["?cursor"]


async def test_a_gateway_is_made_of_a_preset(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    given = {
        "name": "Vonage",
        "kind": "custom",
        "preset": "vonage",
        "settings": {"sender_id": "Cafe Ada", "number_format": "e164", "inbound": None},
        "secrets": {"api_key": "a" * 8, "api_secret": CANARY},
    }
    shown = await create(client, **given)
    async with begin(engine) as tx:
        row = (await tx.execute(select(Gateway))).one()
    assert row.settings == shown["settings"]
    assert shown["settings"]["url"] == "https://rest.nexmo.com/sms/json"
    assert (shown["settings"]["sender_id"], shown["settings"]["number_format"]) == ("Cafe Ada", "e164")
    assert "inbound" not in shown["settings"]
    assert shown["capabilities"]["client_reference"] is True
    assert "preset" not in shown
    (entry,) = await audited(engine, "gateway.created")
    assert entry.detail["preset"] == "vonage"


@pytest.mark.parametrize(
    ("over", "pointer"),
    [
        pytest.param({"preset": "pigeon"}, "/preset", id="unknown"),
        pytest.param({"kind": "twilio"}, "/preset", id="of another kind"),
        pytest.param({"settings": {}}, "/settings/sender_id", id="without what it wants"),
        pytest.param({"secrets": {"api_key": "a" * 8}}, "/secrets/api_secret", id="without a secret"),
        pytest.param({"settings": {"sender_id": "Ada", "sendr": "x"}}, "/settings/sendr", id="with what nobody knows"),
    ],
)
async def test_a_preset_is_refused_by_name(client: httpx.AsyncClient, over: dict[str, Any], pointer: str) -> None:
    given = {
        "name": "Vonage",
        "kind": "custom",
        "preset": "vonage",
        "settings": {"sender_id": "Ada"},
        "secrets": {"api_key": "a" * 8, "api_secret": "b" * 8},
    }
    assert pointer in pointers(await client.post("/v1/gateways", json={**given, **over}))


@pytest.mark.parametrize(
    ("over", "pointer", "remedy"),
    [
        pytest.param({"kind": "kannel"}, "/kind", "write kind custom and preset kannel", id="a preset for a kind"),
        pytest.param({"settings": {"preset": "android"}}, "/settings/preset", "beside settings", id="a preset inside"),
        pytest.param(
            {"settings": {"headers": {"Authorization": "Bearer x"}}},
            "/settings/headers",
            'such as [{"name": "Authorization", "value": "Bearer %SECRET:token%"}]',
            id="headers as an object",
        ),
        pytest.param(
            {"settings": {"headers": ["Authorization: Bearer x"]}},
            "/settings/headers",
            'such as [{"name": "Authorization"',
            id="headers as lines",
        ),
        pytest.param(
            {"settings": {"content_type": "application/json", "method": "POST", "payload": {"to": "%TO%"}}},
            "/settings/payload",
            'must be a text of at most 16384 characters, JSON too: "{\\"to\\": ',
            id="a payload as an object",
        ),
        pytest.param(
            {"settings": {"sucess_text": "OK"}}, "/settings/sucess_text", "did you mean success_text?", id="a slip"
        ),
        pytest.param(
            {"preset": "kannel"}, "/settings/url", "/cgi-bin/sendsms.", id="what a preset wants, each a sentence"
        ),
    ],
)
async def test_a_usual_mistake_is_told_its_remedy(
    client: httpx.AsyncClient, over: dict[str, Any], pointer: str, remedy: str
) -> None:
    settings = {"url": "https://gateway.example/send?to=%TO%&text=%MESSAGE%", "success_text": "OK"}
    sent = {"name": "Mine", "kind": "custom"} | over
    sent["settings"] = over.get("settings", {}) if "preset" in over else settings | over.get("settings", {})
    answer = await client.post("/v1/gateways", json=sent)
    assert answer.status_code == 422, answer.text
    told = {error["pointer"]: error["detail"] for error in answer.json()["errors"]}
    assert remedy in told[pointer]
