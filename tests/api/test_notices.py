"""Notices over HTTP: listed, filtered, ticked off once, and who did."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.domain.campaign import HeldReason
from shared.domain.notice import Notice, campaign_held, gateway_withdrawn
from shared.models import AuditEntry, NoticeEmail, NoticeRow
from shared.queries.notices import insert_notice
from tests.conftest import Clock
from tests.factories import make_api_key

GATEWAY, CAMPAIGN = UUID(int=1), UUID(int=2)
WITHDRAWN = gateway_withdrawn(GATEWAY, name="Main", reason="20003")
HELD = campaign_held(CAMPAIGN, name="Autumn", reason=HeldReason.LATE)


async def tell(engine: AsyncEngine, notice: Notice, at: datetime, *emails: str) -> str:
    async with begin(engine) as tx:
        return str(await insert_notice(tx, notice, now=at, emails=emails))


async def listed(client: httpx.AsyncClient, **query: Any) -> list[str]:
    answer = await client.get("/v1/notices", params=query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


async def test_notice_is_shown(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    notice_id = await tell(engine, WITHDRAWN, now, "ops@example.com", "ops@example.com", "boss@example.com")
    async with begin(engine) as tx:
        ops = update(NoticeEmail).where(NoticeEmail.address == "ops@example.com")
        await tx.execute(ops.values(sent_at=now, due_at=None, attempts=1))
    (shown,) = (await client.get("/v1/notices")).json()["items"]
    assert shown == {
        "id": notice_id,
        "kind": "gateway_withdrawn",
        "severity": "critical",
        "subject": {"kind": "gateway", "id": str(GATEWAY)},
        "title": WITHDRAWN.title,
        "text": WITHDRAWN.text,
        "data": {"name": "Main", "reason": "20003"},
        "at": shown["at"],
        "acknowledged_at": None,
        "acknowledged_by": None,
        "emails": [
            {"address": "boss@example.com", "state": "waiting", "at": None, "attempts": 0, "error": None},
            {"address": "ops@example.com", "state": "sent", "at": shown["at"], "attempts": 1, "error": None},
        ],
    }
    assert datetime.fromisoformat(shown["at"]) == now


async def test_letter_that_was_given_up(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    await tell(engine, WITHDRAWN, now, "gone@example.com")
    async with begin(engine) as tx:
        await tx.execute(update(NoticeEmail).values(failed_at=now, due_at=None, attempts=1, error="550 no such user"))
    (shown,) = (await client.get("/v1/notices")).json()["items"]
    (email,) = shown["emails"]
    assert (email["state"], email["error"]) == ("failed", "550 no such user")


async def test_filters_and_pages(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    ids = [
        await tell(engine, WITHDRAWN if number % 2 else HELD, now - timedelta(minutes=number)) for number in range(5)
    ]
    seen = ids[1]
    await client.post(f"/v1/notices/{seen}/acknowledge")
    assert await listed(client) == ids
    assert await listed(client, acknowledged=True) == [seen]
    assert await listed(client, acknowledged=False) == [one for one in ids if one != seen]
    assert await listed(client, kind="campaign_held") == ids[::2]
    assert await listed(client, kind="gateway_withdrawn", acknowledged=False) == [ids[3]]
    assert await listed(client, subject_id=str(CAMPAIGN)) == ids[::2]
    assert await listed(client, kind="balance_low") == []

    first = (await client.get("/v1/notices", params={"limit": 3})).json()
    rest = (await client.get("/v1/notices", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == ids
    assert rest["next_cursor"] is None


async def test_what_cannot_be_asked_for(client: httpx.AsyncClient) -> None:
    for query in ({"kind": "pigeon"}, {"acknowledged": "perhaps"}, {"cursor": "nonsense"}, {"unacknowledged": "true"}):
        assert (await client.get("/v1/notices", params=query)).status_code == 422, query


async def test_acknowledged_once_and_by_whom(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine, clock: Clock
) -> None:
    notice_id = await tell(engine, WITHDRAWN, clock.now)
    async with begin(engine) as tx:
        other = {"Authorization": f"Bearer {(await make_api_key(tx, 'manage')).text}"}
    path = f"/v1/notices/{notice_id}/acknowledge"
    first = await client.post(path)
    seen_at = clock.now
    clock.advance(timedelta(hours=1))
    again = await anonymous.post(path, headers=other)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.json() == again.json()
    assert first.json()["acknowledged_by"] == "admin"
    assert datetime.fromisoformat(first.json()["acknowledged_at"]) == seen_at
    async with begin(engine) as tx:
        row = (await tx.execute(select(NoticeRow))).one()
        entries = (await tx.execute(select(AuditEntry).where(AuditEntry.action == "notice.acknowledged"))).all()
    assert (row.acknowledged_at, row.acknowledged_by) == (seen_at, "admin")
    assert [(entry.caller, entry.subject_id) for entry in entries] == [("admin", notice_id)]


async def test_nothing_to_acknowledge(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    assert (await client.post(f"/v1/notices/{uuid4()}/acknowledge")).status_code == 404
    assert (await client.post("/v1/notices/nonsense/acknowledge")).status_code == 422
    async with begin(engine) as tx:
        assert (await tx.execute(select(AuditEntry))).all() == []


async def test_scopes_decide(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine, now: datetime
) -> None:
    notice_id = await tell(engine, HELD, now)
    async with begin(engine) as tx:
        read, send, manage = [
            {"Authorization": f"Bearer {(await make_api_key(tx, scope)).text}"} for scope in ("read", "send", "manage")
        ]
    path = f"/v1/notices/{notice_id}/acknowledge"
    assert [(await anonymous.get("/v1/notices", headers=key)).status_code for key in ({}, read)] == [401, 200]
    answers = [(await anonymous.post(path, headers=key)).status_code for key in ({}, read, send, manage)]
    assert answers == [401, 403, 403, 200]
