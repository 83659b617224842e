"""The quota over HTTP: no limit without a grant, limits by period, and never a unit promised twice."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from httpx import AsyncClient
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.campaigns import booking
from shared.db import begin
from shared.models import AuditEntry, Campaign, Message, QuotaEntry, QuotaHold
from shared.queries import quota as ledger
from tests.conftest import Clock
from tests.factories import make_api_key, make_msisdn

NUMBERS = [make_msisdn(number) for number in range(25)]


async def grant(client: AsyncClient, units: int, period: str = "total") -> dict[str, Any]:
    answer = await client.post("/v1/quota/grants", json={"units": units, "period": period})
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def quota(client: AsyncClient) -> dict[str, Any]:
    answer = await client.get("/v1/quota")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def draft(client: AsyncClient, name: str = "Spring offer", *, text: str = "Hello.", people: int = 10) -> str:
    body = {"name": name, "msisdns": NUMBERS[:people], "messages": [{"text": text}], "opt_in_acknowledged": True}
    answer = await client.post("/v1/campaigns", json=body)
    assert answer.status_code == 201, answer.text
    campaign_id: str = answer.json()["id"]
    return campaign_id


async def start(client: AsyncClient, campaign_id: str, **body: Any) -> httpx.Response:
    return await client.post(f"/v1/campaigns/{campaign_id}/start", json=body or None)


async def send(client: AsyncClient, text: str = "Hello.") -> httpx.Response:
    return await client.post("/v1/messages", json={"msisdn": NUMBERS[0], "text": text})


def refused(answer: httpx.Response, kind: str) -> str:
    assert answer.status_code == 409, answer.text
    assert answer.json()["type"] == f"/problems/{kind}"
    detail: str = answer.json()["detail"]
    return detail


async def test_without_a_grant_there_is_no_limit_and_no_ledger(client: AsyncClient, engine: AsyncEngine) -> None:
    assert await quota(client) == {
        "unlimited": True,
        "unit": "segment",
        "available": None,
        "reserved": 0,
        "consumed": 0,
        "limits": [],
    }
    assert (await start(client, await draft(client))).status_code == 200
    assert (await send(client)).status_code == 202
    async with begin(engine) as tx:
        assert await tx.scalar(select(func.count()).select_from(QuotaEntry)) == 0
        assert await tx.scalar(select(func.count()).select_from(QuotaHold)) == 0


async def test_a_start_reserves_what_it_takes(client: AsyncClient) -> None:
    await grant(client, 100)
    campaign_id = await draft(client, text="a" * 161)
    assert (await start(client, campaign_id)).json()["status"] == "running"
    told = await quota(client)
    assert (told["available"], told["reserved"], told["consumed"]) == (80, 20, 0)
    assert told["limits"] == [{"period": "total", "granted": 100, "used": 20, "available": 80}]
    entries = (await client.get("/v1/quota/entries")).json()["items"]
    assert sorted((one["kind"], one["units"], one["subject_id"]) for one in entries) == [
        ("grant", 100, None),
        ("reserve", 20, campaign_id),
    ]


async def test_a_start_that_does_not_fit_is_refused_and_leaves_nothing(client: AsyncClient) -> None:
    await grant(client, 9)
    campaign_id = await draft(client)
    assert "takes 10 units, and the quota has 9 left" in refused(await start(client, campaign_id), "quota-exceeded")
    assert (await client.get(f"/v1/campaigns/{campaign_id}")).json()["status"] == "draft"
    assert (await quota(client))["available"] == 9
    await grant(client, 1)
    assert (await start(client, campaign_id)).status_code == 200
    assert (await quota(client))["available"] == 0


async def test_blocks_of_160_are_another_unit(client: AsyncClient) -> None:
    await client.put("/v1/policy", json={"quota_unit": "per_160"})
    await grant(client, 100)
    await start(client, await draft(client, text="a" * 480))  # 4 segments, 3 blocks
    assert (await quota(client))["available"] == 70
    assert (await send(client, "😀" * 36)).status_code == 202  # 2 segments, 1 block
    assert (await quota(client))["available"] == 69


async def test_an_unscheduled_campaign_gives_back(client: AsyncClient, clock: Clock) -> None:
    await grant(client, 10)
    campaign_id = await draft(client)
    later = (clock.now + timedelta(hours=1)).isoformat()
    await client.patch(f"/v1/campaigns/{campaign_id}", json={"messages": [{"text": "Hello.", "send_at": later}]})
    for _ in range(2):
        assert (await start(client, campaign_id)).json()["status"] == "scheduled"
        assert (await quota(client))["available"] == 0
        await client.post(f"/v1/campaigns/{campaign_id}/unschedule")
        assert (await quota(client))["available"] == 10
    told = await quota(client)
    assert told["reserved"] == 0


async def test_a_change_while_scheduled_is_reserved_anew(client: AsyncClient, clock: Clock) -> None:
    await grant(client, 25)
    campaign_id = await draft(client)
    path, later = f"/v1/campaigns/{campaign_id}", (clock.now + timedelta(hours=1)).isoformat()
    await client.patch(path, json={"messages": [{"text": "Hello.", "send_at": later}]})
    await start(client, campaign_id)
    longer = {"messages": [{"text": "a" * 161, "send_at": later}]}
    assert (await client.patch(path, json=longer)).status_code == 200
    assert (await quota(client))["available"] == 5
    refused(await client.patch(path, json=longer | {"msisdns": NUMBERS[:13]}), "quota-exceeded")
    assert (await quota(client))["available"] == 5
    assert (await client.patch(path, json={"msisdns": NUMBERS[:3]})).status_code == 200
    told = await quota(client)
    assert (told["available"], told["reserved"]) == (19, 6)
    assert (await client.patch(path, json={"owner": "marketing"})).status_code == 200
    assert (await quota(client))["available"] == 19


async def test_single_messages_hold_their_units(client: AsyncClient) -> None:
    await grant(client, 3)
    assert (await send(client, "a" * 161)).status_code == 202
    assert (await quota(client))["available"] == 1
    assert "takes 2 units, and the quota has 1 left" in refused(await send(client, "a" * 161), "quota-exceeded")
    assert (await send(client)).status_code == 202
    refused(await send(client), "quota-exceeded")


async def test_the_narrowest_period_decides(client: AsyncClient, clock: Clock) -> None:
    await client.put("/v1/policy", json={"time_zone": "Africa/Johannesburg"})
    clock.now = clock.now.replace(month=3, day=10, hour=20)  # 22:00 in Johannesburg
    await grant(client, 2, "day")
    await grant(client, 3, "month")
    assert [(await send(client)).status_code for _ in range(2)] == [202, 202]
    assert "of this day has 0 left" in refused(await send(client), "quota-exceeded")
    clock.advance(timedelta(hours=2))  # the next day there, the same day here
    assert (await send(client)).status_code == 202
    assert "of this month has 0 left" in refused(await send(client), "quota-exceeded")
    assert [one["period"] for one in (await quota(client))["limits"]] == ["day", "month"]
    clock.now = clock.now.replace(month=4)
    assert (await send(client)).status_code == 202


async def test_grants_add_up_and_take_away(client: AsyncClient, engine: AsyncEngine) -> None:
    await grant(client, 10)
    await grant(client, -4)
    assert (await quota(client))["available"] == 6
    async with begin(engine) as tx:
        question = select(AuditEntry.detail).where(AuditEntry.action == "quota.granted")
        details = (await tx.execute(question)).scalars().all()
    assert sorted(one["units"] for one in details) == [-4, 10]


async def test_fifty_starts_at_once_never_overdraw(client: AsyncClient, engine: AsyncEngine) -> None:
    await grant(client, 100)
    drafts = [await draft(client, f"offer {number}", people=7) for number in range(50)]
    confirmations = [
        (await client.post(f"/v1/campaigns/{campaign_id}/estimate")).json()["confirmation"] for campaign_id in drafts
    ]
    answers = await asyncio.gather(
        *(start(client, campaign_id, confirmation=one) for campaign_id, one in zip(drafts, confirmations, strict=True))
    )
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(200), statuses.count(409)) == (14, 36)
    told = await quota(client)
    assert (told["available"], told["reserved"]) == (2, 98)
    async with begin(engine) as tx:
        running = await tx.scalar(select(func.count()).select_from(Campaign).where(Campaign.status == "running"))
    assert running == 14


@pytest.mark.parametrize("plenty", [pytest.param(10_000, id="in line"), pytest.param(12, id="side by side first")])
async def test_fifty_messages_and_campaigns_at_once_never_overdraw(
    client: AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, plenty: int
) -> None:
    monkeypatch.setattr(ledger, "PLENTY", plenty)
    await grant(client, 40)
    drafts = [await draft(client, f"offer {number}", people=5) for number in range(4)]
    answers = await asyncio.gather(*(start(client, one) for one in drafts), *(send(client) for _ in range(50)))
    assert {202, 409} <= {answer.status_code for answer in answers} <= {200, 202, 409}
    started = sum(answer.status_code == 200 for answer in answers)
    async with begin(engine) as tx:
        sent = await tx.scalar(select(func.count()).select_from(Message))
    told = await quota(client)
    assert (sent or 0) + 5 * started == 40 - told["available"]
    assert 0 <= told["available"] < 5


async def test_a_large_campaign_wants_a_confirmation(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(booking, "AT_ONCE", 9)
    campaign_id = await draft(client)
    await grant(client, 10)
    assert "/estimate" in refused(await start(client, campaign_id), "confirmation-needed")
    told = (await client.post(f"/v1/campaigns/{campaign_id}/estimate")).json()
    assert told["quota"] == {"before": 10, "after": 0}
    assert (await start(client, campaign_id, confirmation=told["confirmation"])).status_code == 200


async def test_a_repeated_request_reserves_once(client: AsyncClient) -> None:
    await grant(client, 10)
    campaign_id = await draft(client)
    key = {"Idempotency-Key": "one-start"}
    for _ in range(2):
        answer = await client.post(f"/v1/campaigns/{campaign_id}/start", headers=key)
        assert answer.status_code == 200, answer.text
    assert (await quota(client))["reserved"] == 10


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"units": 0}, "/units"),
        ({"units": 10**13}, "/units"),
        ({}, "/units"),
        ({"units": 1, "period": "week"}, "/period"),
        ({"units": 1, "note": "a" * 201}, "/note"),
    ],
)
async def test_a_grant_that_cannot_be(client: AsyncClient, body: Any, pointer: str) -> None:
    answer = await client.post("/v1/quota/grants", json=body)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await quota(client))["unlimited"]


async def test_only_an_admin_grants(anonymous: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "manage")
    headers = {"Authorization": f"Bearer {key.text}"}
    assert (await anonymous.get("/v1/quota", headers=headers)).status_code == 200
    answer = await anonymous.post("/v1/quota/grants", headers=headers, json={"units": 5})
    assert answer.status_code == 403


async def test_entries_are_paged_and_filtered(client: AsyncClient, clock: Clock) -> None:
    for units in range(1, 6):
        await grant(client, units)
        clock.advance(timedelta(seconds=1))
    await send(client)
    first = (await client.get("/v1/quota/entries?limit=3")).json()
    second = (await client.get(f"/v1/quota/entries?limit=3&cursor={first['next_cursor']}")).json()
    assert [one["units"] for one in (*first["items"], *second["items"])] == [5, 4, 3, 2, 1]
    assert (await client.get("/v1/quota/entries?kind=reserve")).json()["items"] == []


async def test_passwords_count(client: AsyncClient) -> None:
    await grant(client, 1)
    first = await client.post("/v1/otp", json={"msisdn": "+12025550142", "session": "one"})
    assert first.status_code == 202, first.text
    assert (await quota(client))["available"] == 0
    second = await client.post("/v1/otp", json={"msisdn": "+12025550143", "session": "two"})
    assert "takes 1 unit" in refused(second, "quota-exceeded")
