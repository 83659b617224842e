"""Webhooks over HTTP: made, changed, rotated; URLs that are refused; what was told, tested and sent again."""

import asyncio
import base64
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.paging import encode_cursor
from api.webhooks import known
from api.webhooks.routes import MOST_WEBHOOKS
from shared.db import begin
from shared.models import AuditEntry, Webhook, WebhookDelivery
from shared.sealing import Sealer, place_of_webhook
from tests.conftest import Clock
from tests.factories import make_api_key, make_msisdn

URL = "https://crm.example.com/lapwing?token=canary-path-token"
NUMBER = make_msisdn(3)
PLAIN = {"url": URL, "events": ["message.*"]}


async def create(client: AsyncClient, **over: Any) -> dict[str, Any]:
    answer = await client.post("/v1/webhooks", json=PLAIN | over)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def row_of(engine: AsyncEngine, webhook_id: str) -> Any:
    async with begin(engine) as tx:
        return (await tx.execute(select(Webhook).where(Webhook.id == UUID(webhook_id)))).one()


async def told(engine: AsyncEngine, webhook_id: str, **over: Any) -> UUID:
    """An event that the webhook was told."""
    event_id: UUID = over.pop("event_id", None) or uuid4()
    row = {
        "webhook_id": UUID(webhook_id),
        "event_id": event_id,
        "type": "message.delivered",
        "subject_id": uuid4(),
        "data": {},
        "status": "delivered",
    } | over
    row = {"created_at": row["at"], "closed_at": row["at"] if row["status"] != "waiting" else None} | row
    async with begin(engine) as tx:
        await tx.execute(insert(WebhookDelivery).values(**row))
    return event_id


async def deliveries_of(engine: AsyncEngine) -> list[Any]:
    async with begin(engine) as tx:
        return list((await tx.execute(select(WebhookDelivery).order_by(WebhookDelivery.id))).all())


# --- made and changed


async def seen(engine: AsyncEngine, name: str, *, ago: float = 0.0) -> None:
    """A dispatcher said that it lives, in the transaction in which it read what webhooks want."""
    async with begin(engine) as tx:
        await tx.execute(
            text("""
                INSERT INTO dispatchers (name, started_at, seen_at)
                VALUES (:name, now(), now() - make_interval(secs => :ago))
                ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at
            """),
            {"name": name, "ago": ago},
        )


async def test_the_answer_comes_when_every_dispatcher_knows(
    client: AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "PATIENCE_SECONDS", 300.0)
    await seen(engine, "first", ago=1)
    await seen(engine, "second", ago=1)
    await seen(engine, "dead", ago=60)
    asking = asyncio.create_task(create(client))
    async with asyncio.timeout(30):
        while not await row_count(engine):
            await asyncio.sleep(0.01)
    await seen(engine, "first")
    await asyncio.sleep(0.3)
    assert not asking.done(), "the second dispatcher has not read of it"
    await seen(engine, "second")
    async with asyncio.timeout(30):
        made = await asking
    changing = asyncio.create_task(client.patch(f"/v1/webhooks/{made['id']}", json={"events": ["*"]}))
    await asyncio.sleep(0.3)
    assert not changing.done()
    for name in ("first", "second"):
        await seen(engine, name)
    async with asyncio.timeout(30):
        assert (await changing).json()["events"] == ["*"]


async def test_a_dispatcher_that_hangs_holds_no_answer_for_ever(
    client: AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(known, "PATIENCE_SECONDS", 0.2)
    await seen(engine, "hanging", ago=1)
    assert (await create(client))["events"] == ["message.*"]
    assert "a dispatcher has not heard of a webhook yet" in caplog.messages


async def test_a_refusal_waits_for_nobody(
    client: AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(known, "PATIENCE_SECONDS", 0.2)
    await seen(engine, "hanging", ago=1)
    assert (await client.post("/v1/webhooks", json=PLAIN | {"events": ["nothing.*"]})).status_code == 422
    assert "a dispatcher has not heard of a webhook yet" not in caplog.messages


async def row_count(engine: AsyncEngine) -> int:
    async with begin(engine) as tx:
        return int((await tx.execute(select(func.count()).select_from(Webhook))).scalar_one())


async def test_secret_is_shown_once_and_kept_sealed(client: AsyncClient, engine: AsyncEngine, sealer: Sealer) -> None:
    made = await create(client, events=["inbound.received", "message.*", "message.*"], description=" CRM ")
    secret = base64.b64decode(made["secret"].removeprefix("whsec_"))
    assert len(secret) == 32
    assert made["events"] == ["inbound.received", "message.*"]
    assert (made["description"], made["enabled"], made["disabled_reason"]) == ("CRM", True, None)
    row = await row_of(engine, made["id"])
    assert secret not in row.secret_sealed
    assert sealer.open(row.secret_sealed, place=place_of_webhook(row.id)) == secret
    shown = await client.get(f"/v1/webhooks/{made['id']}")
    assert "secret" not in shown.json()
    assert shown.json() == {name: value for name, value in made.items() if name != "secret"}
    assert (await client.get("/v1/webhooks")).json()["items"] == [shown.json()]
    async with begin(engine) as tx:
        entry = (await tx.execute(select(AuditEntry))).one()
    assert (entry.action, entry.subject_id) == ("webhook.created", made["id"])
    assert entry.detail == {"host": "crm.example.com", "events": made["events"], "enabled": True}


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://127.0.0.1/hook", id="loopback"),
        pytest.param("http://localhost:9000/hook", id="loopback by its name"),
        pytest.param("http://a.localhost/hook", id="below loopback's name"),
        pytest.param("http://[::1]/hook", id="loopback, IPv6"),
        pytest.param("http://2130706433/hook", id="loopback, decimal"),
        pytest.param("http://0x7f.1/hook", id="loopback, hexadecimal"),
        pytest.param("http://[::ffff:127.0.0.1]/hook", id="loopback, mapped"),
        pytest.param("https://10.1.2.3/hook", id="private"),
        pytest.param("https://192.168.0.9/hook", id="private C"),
        pytest.param("http://169.254.169.254/latest/meta-data", id="metadata"),
        pytest.param("http://[fd00:ec2::254]/latest", id="metadata, IPv6"),
        pytest.param("ftp://crm.example.com/hook", id="another scheme"),
        pytest.param("javascript:alert(1)", id="no address"),
        pytest.param("crm.example.com/hook", id="no scheme"),
        pytest.param("https:///hook", id="no host"),
        pytest.param("https://user:word@crm.example.com/", id="credentials"),
        pytest.param("https://crm.example.com/#part", id="fragment"),
        pytest.param("https://crm.example.com:99999/", id="no such port"),
        pytest.param("https://crm.example.com/a b", id="space"),
        pytest.param("https://crm.example.com/\r\nX: y", id="line break"),
        pytest.param("https://bücher.example/", id="not ASCII"),
        pytest.param("https://1.2.3.4.5/", id="no address and no name"),
        pytest.param("https://crm.example.com/" + "x" * 2_000, id="without end"),
        pytest.param("", id="empty"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_url_that_is_refused(client: AsyncClient, engine: AsyncEngine, method: str, url: str) -> None:
    path = "/v1/webhooks" if method == "POST" else f"/v1/webhooks/{(await create(client))['id']}"
    answer = await client.request(method, path, json=PLAIN | {"url": url})
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/url"]
    async with begin(engine) as tx:
        rows = (await tx.execute(select(Webhook.url))).scalars().all()
    assert rows in ([], [URL])


@pytest.mark.parametrize(
    ("over", "pointer"),
    [
        pytest.param({"events": []}, "/events", id="none"),
        pytest.param({"events": ["message.delivered", "message.eaten"]}, "/events/1", id="unknown type"),
        pytest.param({"events": ["webhook.test"]}, "/events/0", id="nobody waits for tests"),
        pytest.param({"events": ["message.*"] * 51}, "/events", id="too many"),
        pytest.param({"events": "*"}, "/events", id="no list"),
        pytest.param({"description": "x" * 201}, "/description", id="long"),
        pytest.param({"secret": "whsec_mine"}, "/secret", id="unknown field"),
        pytest.param({"url": None}, "/url", id="no URL"),
    ],
)
async def test_what_cannot_be_used_is_named(client: AsyncClient, over: dict[str, Any], pointer: str) -> None:
    answer = await client.post("/v1/webhooks", json=PLAIN | over)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_there_are_only_so_many(client: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    row = {"url": URL, "events": ["*"], "secret_sealed": b"", "created_at": now, "updated_at": now}
    async with begin(engine) as tx:
        await tx.execute(insert(Webhook), [row | {"id": uuid4()} for _ in range(MOST_WEBHOOKS)])
    answer = await client.post("/v1/webhooks", json=PLAIN)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/too-many-webhooks")


async def test_changed_disabled_and_enabled_again(client: AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    made = await create(client, description="CRM")
    path = f"/v1/webhooks/{made['id']}"
    off = (await client.patch(path, json={"enabled": False})).json()
    assert (off["enabled"], off["disabled_reason"]) == (False, "owner")
    async with begin(engine) as tx:
        await tx.execute(Webhook.__table__.update().values(failures=7, failing_since=clock.now, retry_at=clock.now))  # type: ignore[attr-defined]  # SQLAlchemy's table
    on = (await client.patch(path, json={"enabled": True, "description": "", "events": ["*"]})).json()
    assert (on["enabled"], on["disabled_reason"], on["disabled_at"], on["failing_since"]) == (True, None, None, None)
    assert (on["events"], on["description"], on["url"]) == (["*"], None, URL)
    assert (await row_of(engine, made["id"])).failures == 0
    await client.patch(path, json={"url": f"{URL}/another"})
    async with begin(engine) as tx:
        found = await tx.execute(
            select(AuditEntry).where(AuditEntry.action == "webhook.changed").order_by(AuditEntry.id)
        )
        entries = [entry.detail for entry in found]
    assert [entry["changed"] for entry in entries] == [
        {"enabled": {"from": True, "to": False}},
        {
            "enabled": {"from": False, "to": True},
            "events": {"from": made["events"], "to": ["*"]},
            "description": {"from": "CRM", "to": None},
        },
        {"url": "changed"},
    ]
    assert "another" not in str(entries)


@pytest.mark.parametrize("change", [{"enabled": True}, {"url": f"{URL}/new"}])
async def test_what_waits_goes_on_at_once(
    client: AsyncClient, engine: AsyncEngine, clock: Clock, change: dict[str, Any]
) -> None:
    """Not in a day, when its next try would have been; what is on the line or behind another stays there."""
    made = await create(client, enabled="url" in change)
    later = clock.now + timedelta(hours=20)
    over: dict[str, Any] = {"at": clock.now, "status": "waiting"}
    tried = await told(engine, made["id"], due_at=later, **over)
    leased = await told(engine, made["id"], due_at=later, leased_until=later, **over)
    behind = await told(engine, made["id"], due_at=None, **over)
    await client.patch(f"/v1/webhooks/{made['id']}", json={"description": "nothing else"})
    assert {row.due_at for row in await deliveries_of(engine)} == {later, None}
    await client.patch(f"/v1/webhooks/{made['id']}", json=change)
    due = {row.event_id: row.due_at for row in await deliveries_of(engine)}
    assert due == {tried: clock.now, leased: later, behind: None}


async def test_deleted_with_what_it_was_told(client: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    made = await create(client)
    await told(engine, made["id"], at=now)
    assert (await client.delete(f"/v1/webhooks/{made['id']}")).status_code == 204
    assert await deliveries_of(engine) == []
    assert (await client.delete(f"/v1/webhooks/{made['id']}")).status_code == 404


async def test_rotation_keeps_the_old_secret_for_a_while(
    client: AsyncClient, engine: AsyncEngine, sealer: Sealer, clock: Clock
) -> None:
    made = await create(client)
    rotated = (await client.post(f"/v1/webhooks/{made['id']}/rotate-secret", json={"keep_old_hours": 2})).json()
    assert rotated["secret"] != made["secret"]
    assert datetime.fromisoformat(rotated["old_secret_until"]) == clock.now + timedelta(hours=2)
    row = await row_of(engine, made["id"])
    assert row.old_secret_sealed is not None
    old = sealer.open(row.old_secret_sealed, place=place_of_webhook(row.id, "old_secret_sealed"))
    assert "whsec_" + base64.b64encode(old).decode() == made["secret"]
    again = (await client.post(f"/v1/webhooks/{made['id']}/rotate-secret")).json()
    assert datetime.fromisoformat(again["old_secret_until"]) == clock.now + timedelta(hours=24)
    await client.post(f"/v1/webhooks/{made['id']}/rotate-secret", json={"keep_old_hours": 0})
    row = await row_of(engine, made["id"])
    assert (row.old_secret_sealed, row.old_secret_until) == (None, None)


async def rotate(client: AsyncClient, webhook_id: str, **asked: Any) -> dict[str, Any]:
    answer = await client.post(f"/v1/webhooks/{webhook_id}/rotate-secret", json=asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def live(told: dict[str, Any]) -> list[datetime]:
    """Until when old secrets sign, as the answer says."""
    return [datetime.fromisoformat(one) for one in (told["old_secret_until"], *told["older_secrets_until"]) if one]


async def test_every_old_secret_keeps_its_own_time(client: AsyncClient, clock: Clock) -> None:
    hour = timedelta(hours=1)
    made, begun = await create(client), clock.now
    assert live(made) == []
    await rotate(client, made["id"], keep_old_hours=48)
    clock.advance(hour)
    told = await rotate(client, made["id"], keep_old_hours=2)
    assert live(told) == [begun + 3 * hour, begun + 48 * hour]
    told = await rotate(client, made["id"], keep_old_hours=24)
    assert live(told) == [begun + 25 * hour, begun + 3 * hour, begun + 48 * hour]
    assert (await client.get(f"/v1/webhooks/{made['id']}")).json()["older_secrets_until"] == told["older_secrets_until"]
    refused = await client.post(f"/v1/webhooks/{made['id']}/rotate-secret", json={"keep_old_hours": 24})
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/too-many-secrets")
    (error,) = refused.json()["errors"]
    assert error["pointer"] == "/keep_old_hours"
    assert (begun + 3 * hour).isoformat(timespec="seconds") in error["detail"]
    clock.advance(2 * hour)
    told = await rotate(client, made["id"], keep_old_hours=1)
    assert live(told) == [begun + 4 * hour, begun + 25 * hour, begun + 48 * hour]
    assert live(await rotate(client, made["id"], keep_old_hours=0)) == []
    assert live(await rotate(client, made["id"])) == [clock.now + 24 * hour]


async def test_a_secret_that_no_key_opens_is_replaced(client: AsyncClient, engine: AsyncEngine) -> None:
    made = await create(client)
    await rotate(client, made["id"])
    async with begin(engine) as tx:
        broken = {"secret_sealed": b"of another key", "old_secret_sealed": b"of another key"}
        await tx.execute(Webhook.__table__.update().values(broken))  # type: ignore[attr-defined]  # SQLAlchemy's table
    assert live(await rotate(client, made["id"])) == []
    assert (await row_of(engine, made["id"])).old_secret_sealed is None


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "", {"manage", "admin"}),
        ("POST", "", {"admin"}),
        ("GET", "/{id}", {"manage", "admin"}),
        ("PATCH", "/{id}", {"admin"}),
        ("GET", "/{id}/deliveries", {"manage", "admin"}),
        ("POST", "/{id}/test", {"manage", "admin"}),
        ("POST", "/{id}/redeliver", {"manage", "admin"}),
        ("POST", "/{id}/rotate-secret", {"admin"}),
        ("DELETE", "/{id}", {"admin"}),
    ],
)
async def test_scope(
    client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine, method: str, path: str, allowed: set[str]
) -> None:
    path = "/v1/webhooks" + path.format(id=(await create(client))["id"])
    body = PLAIN if path == "/v1/webhooks" else {"dead_since": "2026-01-01T00:00:00Z"} if "redel" in path else {}
    for scope in ("read", "send", "manage", "admin"):
        async with begin(engine) as tx:
            key = (await make_api_key(tx, scope)).text
        json = None if method in {"GET", "DELETE"} or path.endswith("/test") else body
        answer = await anonymous.request(method, path, json=json, headers={"Authorization": f"Bearer {key}"})
        assert (answer.status_code != 403) is (scope in allowed), (scope, answer.text)
    assert (await anonymous.request(method, path)).status_code == 401


# --- the log


async def test_log_is_paged_and_narrowed(client: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    made = await create(client)
    other = await create(client)
    await told(engine, other["id"], at=now)
    ids = [
        str(await told(engine, made["id"], at=now, type=kind, status=status))
        for kind, status in (
            ("message.sent", "delivered"),
            ("message.delivered", "dead"),
            ("inbound.received", "waiting"),
        )
    ]
    path = f"/v1/webhooks/{made['id']}/deliveries"
    first = (await client.get(path, params={"limit": 2})).json()
    rest = (await client.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None
    for query, place in (({"status": "dead"}, 1), ({"type": "inbound.received"}, 2)):
        (only,) = (await client.get(path, params=query)).json()["items"]
        assert only["id"] == ids[place]
    assert (await client.get(f"{path}/{ids[0]}")).json() == rest["items"][0]
    assert (await client.get(f"{path}/{uuid4()}")).status_code == 404


async def test_log_shows_no_number(client: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    made = await create(client)
    data = {"msisdn": NUMBER, "profile_id": str(uuid4()), "sends": 2, "seen": [{"to": NUMBER, "at": None}]}
    event_id = await told(engine, made["id"], at=now, type="otp.resent", data=data)
    path = f"/v1/webhooks/{made['id']}"
    await client.post(f"{path}/redeliver", json={"event_id": str(event_id)})
    shown = [await client.get(f"{path}/deliveries"), await client.get(f"{path}/deliveries/{event_id}")]
    assert not [one.text for one in shown if NUMBER in one.text]
    masked = f"{NUMBER[:5]}*****{NUMBER[-2:]}"
    assert shown[1].json()["data"] == data | {"msisdn": masked, "seen": [{"to": masked, "at": None}]}
    assert (await deliveries_of(engine))[0].data == data  # the receiver is sent it whole


@pytest.mark.parametrize("cursor", ["nonsense", encode_cursor({"id": "x"}), encode_cursor({"id": 2**63})])
async def test_list_refused(client: AsyncClient, cursor: str) -> None:
    made = await create(client)
    answer = await client.get(f"/v1/webhooks/{made['id']}/deliveries", params={"cursor": cursor})
    assert answer.status_code == 422


async def test_test_is_due_at_once(client: AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    made = await create(client, enabled=False)
    answer = await client.post(f"/v1/webhooks/{made['id']}/test")
    assert answer.status_code == 202, answer.text
    (row,) = await deliveries_of(engine)
    assert (row.type, row.due_at, str(row.event_id)) == ("webhook.test", clock.now, answer.json()["id"])


# --- again


async def test_dead_one_lives_again(client: AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    made = await create(client)
    event_id = await told(engine, made["id"], at=clock.now, status="dead", attempts=10)
    clock.advance(timedelta(hours=1))
    answer = await client.post(f"/v1/webhooks/{made['id']}/redeliver", json={"event_id": str(event_id)})
    assert answer.json() == {"redelivered": 1, "more": False}
    (row,) = await deliveries_of(engine)
    assert (row.status, row.attempts, row.due_at, row.closed_at) == ("waiting", 0, clock.now, None)
    assert row.event_id == event_id


async def test_one_that_waits_in_line_stays_there(client: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    made = await create(client)
    event_id = await told(engine, made["id"], at=now, status="waiting", due_at=None)
    await client.post(f"/v1/webhooks/{made['id']}/redeliver", json={"event_id": str(event_id)})
    (row,) = await deliveries_of(engine)
    assert row.due_at is None


async def test_all_dead_ones_since_a_time_in_their_order(
    client: AsyncClient, engine: AsyncEngine, clock: Clock
) -> None:
    made = await create(client)
    subject, busy = uuid4(), uuid4()
    long_ago = clock.now - timedelta(days=2)
    await told(engine, made["id"], at=long_ago, status="dead")
    old = await told(engine, made["id"], at=long_ago, status="dead", closed_at=clock.now)  # it died today
    await told(engine, made["id"], at=clock.now, status="dead", type="webhook.test")
    await told(engine, made["id"], at=clock.now, status="delivered")
    await told(engine, made["id"], at=clock.now, status="waiting", subject_id=busy, due_at=clock.now)
    first = await told(engine, made["id"], at=clock.now, status="dead", subject_id=subject)
    second = await told(engine, made["id"], at=clock.now, status="dead", subject_id=subject)
    behind = await told(engine, made["id"], at=clock.now, status="dead", subject_id=busy)
    since = (clock.now - timedelta(hours=1)).isoformat()
    answer = await client.post(f"/v1/webhooks/{made['id']}/redeliver", json={"dead_since": since})
    assert answer.json() == {"redelivered": 4, "more": False}
    rows = {row.event_id: row for row in await deliveries_of(engine)}
    assert (rows[old].status, rows[old].closed_at) == ("waiting", None)
    assert [rows[one].status for one in (first, second, behind)] == ["waiting"] * 3
    assert [rows[one].due_at for one in (first, second, behind)] == [clock.now, None, None]
    async with begin(engine) as tx:
        still_dead = select(func.count()).select_from(WebhookDelivery).where(WebhookDelivery.status == "dead")
        assert (await tx.execute(still_dead)).scalar_one() == 2


@pytest.mark.parametrize("body", [{}, {"event_id": str(uuid4()), "dead_since": "2026-01-01T00:00:00Z"}])
async def test_redeliver_names_one_of_both(client: AsyncClient, body: dict[str, Any]) -> None:
    made = await create(client)
    assert (await client.post(f"/v1/webhooks/{made['id']}/redeliver", json=body)).status_code == 422


async def test_nothing_there(client: AsyncClient) -> None:
    path = f"/v1/webhooks/{uuid4()}"
    asked = {"dead_since": "2026-01-01T00:00:00Z"}
    answers = [
        await client.get(path),
        await client.patch(path, json={}),
        await client.get(f"{path}/deliveries"),
        await client.post(f"{path}/test"),
        await client.post(f"{path}/redeliver", json=asked),
        await client.post(f"{path}/rotate-secret", json={}),
    ]
    assert {answer.status_code for answer in answers} == {404}
    made = await create(client)
    answer = await client.post(f"/v1/webhooks/{made['id']}/redeliver", json={"event_id": str(uuid4())})
    assert answer.status_code == 404
