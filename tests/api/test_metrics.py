"""`/metrics`: what a scraper learns of this process and of the queue, at any time and at little cost."""

import dataclasses
import re
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import ASGITransport, AsyncClient
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.main import create_app
from api.metrics import FRESH_FOR
from api.resources import Resources
from shared.db import begin, build_engine
from shared.domain.campaign import Status as CampaignStatus
from shared.domain.campaign import StepStatus
from shared.domain.message import PRIORITY_OF, Kind, Status
from shared.ids import uuid7
from shared.metrics import dispatcher_metrics, exposition, http_metrics
from shared.models import Campaign, CampaignMessage, Message, ReceiptRow, Tally, Webhook, WebhookDelivery, WebhookEvent
from shared.queries import depths
from tests.conftest import Clock


async def scrape(client: AsyncClient) -> dict[str, float]:
    response = await client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line for line in response.text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


async def make_message(tx: AsyncConnection, now: datetime, **over: Any) -> None:
    kind = over.get("kind", Kind.PERSONAL)
    row = {
        "id": uuid7(now),
        "kind": kind,
        "status": Status.QUEUED,
        "priority": PRIORITY_OF[kind],
        "msisdn": "+447700900123",
        "msisdn_hash": b"x",
        "text": "hello",
        "encoding": "gsm7",
        "segments": 1,
        "not_before": now,
        "created_at": now,
        "status_at": now,
    }
    await tx.execute(insert(Message).values(row | over))


async def make_running_campaign(tx: AsyncConnection, now: datetime) -> dict[str, Any]:
    """A campaign whose one message is being sent; what its messages are told they belong to."""
    campaign_id, step_id = uuid7(now), uuid7(now)
    await tx.execute(
        insert(Campaign).values(id=campaign_id, name="c", status=CampaignStatus.RUNNING, created_at=now, updated_at=now)
    )
    await tx.execute(
        insert(CampaignMessage).values(
            id=step_id, campaign_id=campaign_id, position=1, text="hello", status=StepStatus.SENDING
        )
    )
    return {"kind": Kind.CAMPAIGN, "campaign_id": campaign_id, "campaign_message_id": step_id}


async def test_requests_are_counted_by_template(client: AsyncClient, anonymous: AsyncClient) -> None:
    for _ in range(2):
        await client.get("/v1/api-keys/AAAAAAAAAAAA")
    await client.get("/nowhere/at-all")
    await anonymous.get("/v1/audit")
    await client.request("BREW", "/livez")
    seen = await scrape(anonymous)
    requests = "lapwing_http_requests_total"
    assert seen[f'{requests}{{method="GET",route="/v1/api-keys/{{key_id}}",status="404"}}'] == 2
    assert seen[f'{requests}{{method="GET",route="unmatched",status="404"}}'] == 1
    assert seen[f'{requests}{{method="GET",route="/v1/audit",status="401"}}'] == 1
    assert seen[f'{requests}{{method="OTHER",route="/livez",status="405"}}'] == 1
    assert seen['lapwing_http_request_seconds_count{route="/v1/api-keys/{key_id}"}'] == 2


async def test_what_waits_outside_campaigns(anonymous: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    async with begin(engine) as tx:
        await make_message(tx, now, kind=Kind.OTP, not_before=now - timedelta(seconds=7))
        await make_message(tx, now, kind=Kind.OTP, not_before=now + timedelta(hours=1))
        await make_message(tx, now, kind=Kind.VOUCHER, not_before=now - timedelta(seconds=3))
        await make_message(tx, now, status=Status.SENDING)
        await make_message(tx, now, status=Status.UNCONFIRMED)
        await make_message(tx, now, status=Status.DELIVERED)
    seen = await scrape(anonymous)
    messages = {name: value for name, value in seen.items() if name.startswith("lapwing_messages{")}
    assert messages == {
        'lapwing_messages{kind="otp",status="queued"}': 2,
        'lapwing_messages{kind="voucher",status="queued"}': 1,
        'lapwing_messages{kind="personal",status="sending"}': 1,
        'lapwing_messages{kind="personal",status="unconfirmed"}': 1,
    }
    assert seen['lapwing_oldest_due_seconds{lane="urgent"}'] == 7
    assert seen['lapwing_oldest_due_seconds{lane="bulk"}'] == 0
    assert seen["lapwing_queue_metrics_complete"] == 1


async def test_campaigns_are_counted_from_their_tallies(
    anonymous: AsyncClient, engine: AsyncEngine, now: datetime
) -> None:
    step = uuid7(now)
    moves = [(Status.QUEUED, 1, 100), (Status.QUEUED, 2, -60), (Status.DELIVERED, 2, 59), (Status.UNCONFIRMED, 2, 1)]
    async with begin(engine) as tx:
        for status, writer, count in moves:
            await tx.execute(
                insert(Tally).values(
                    campaign_message_id=step, status=status, writer=writer, messages=count, segments=count
                )
            )
    seen = await scrape(anonymous)
    assert seen['lapwing_messages{kind="campaign",status="queued"}'] == 40
    assert seen['lapwing_messages{kind="campaign",status="delivered"}'] == 59
    assert seen['lapwing_messages{kind="campaign",status="unconfirmed"}'] == 1


async def test_the_oldest_of_a_campaign(anonymous: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    async with begin(engine) as tx:
        belongs = await make_running_campaign(tx, now)
        for seconds in (5, 90, 60):
            await make_message(tx, now, not_before=now - timedelta(seconds=seconds), **belongs)
    seen = await scrape(anonymous)
    assert seen['lapwing_oldest_due_seconds{lane="bulk"}'] == 90
    assert seen['lapwing_oldest_due_seconds{lane="urgent"}'] == 0


async def test_receipts_that_wait(anonymous: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    async with begin(engine) as tx:
        for applied in (None, None, now):
            await tx.execute(
                insert(ReceiptRow).values(
                    id=uuid7(now),
                    gateway_id=uuid7(now),
                    status=Status.DELIVERED,
                    received_at=now,
                    next_at=now,
                    applied_at=applied,
                )
            )
    assert (await scrape(anonymous))["lapwing_receipts_pending"] == 2


async def make_webhook(tx: AsyncConnection, now: datetime, *, enabled: bool = True) -> UUID:
    webhook_id = uuid7(now)
    row = {"url": "https://crm.example.com", "events": ["*"], "secret_sealed": b"x", "created_at": now}
    await tx.execute(insert(Webhook).values(row | {"id": webhook_id, "enabled": enabled, "updated_at": now}))
    return webhook_id


async def make_delivery(tx: AsyncConnection, webhook_id: UUID, at: datetime, status: str = "waiting") -> None:
    row = {"event_id": uuid4(), "type": "message.sent", "subject_id": uuid4(), "data": {}, "created_at": at, "at": at}
    closed = {"closed_at": None if status == "waiting" else at}
    await tx.execute(insert(WebhookDelivery).values(row | closed | {"webhook_id": webhook_id, "status": status}))


async def test_events_that_webhooks_have_not_taken(anonymous: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    """Of a webhook that is switched off only what is dead is told: it waits for its owner, not for a receiver."""
    async with begin(engine) as tx:
        on, off = await make_webhook(tx, now), await make_webhook(tx, now, enabled=False)
        for webhook_id, seconds, status in (
            (on, 900, "delivered"),
            (on, 700, "waiting"),
            (on, 800, "waiting"),
            (on, 950, "dead"),
            (off, 5_000, "waiting"),
            (off, 6_000, "dead"),
        ):
            await make_delivery(tx, webhook_id, now - timedelta(seconds=seconds), status)
        event = {"type": "message.sent", "subject_id": uuid4(), "at": now - timedelta(seconds=3), "data": {}}
        await tx.execute(insert(WebhookEvent).values(event))
    seen = await scrape(anonymous)
    events = {name: value for name, value in seen.items() if name.startswith("lapwing_webhook_events")}
    assert events == {
        'lapwing_webhook_events{state="unplaced"}': 1,
        'lapwing_webhook_events{state="waiting"}': 2,
        'lapwing_webhook_events{state="dead"}': 2,
    }
    assert seen["lapwing_webhook_oldest_seconds"] == 800


async def test_what_is_not_placed_yet_has_an_age_too(anonymous: AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    assert (await scrape(anonymous))["lapwing_webhook_oldest_seconds"] == 0
    async with begin(engine) as tx:
        event = {"type": "message.sent", "subject_id": uuid4(), "at": clock.now, "data": {}}
        await tx.execute(insert(WebhookEvent).values(event))
    clock.advance(timedelta(seconds=60))
    assert (await scrape(anonymous))["lapwing_webhook_oldest_seconds"] == 60


async def test_the_database_is_not_asked_every_time(anonymous: AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    name = 'lapwing_messages{kind="personal",status="queued"}'
    assert name not in await scrape(anonymous)
    async with begin(engine) as tx:
        await make_message(tx, clock.now)
    assert name not in await scrape(anonymous)
    clock.advance(FRESH_FOR)
    assert (await scrape(anonymous))[name] == 1


async def test_without_a_database_the_rest_is_told(resources: Resources) -> None:
    engine = build_engine("postgresql+asyncpg://lapwing@/lapwing?host=/nonexistent", application_name="tests")
    app = create_app(dataclasses.replace(resources, engine=engine))
    async with AsyncClient(transport=ASGITransport(app), base_url="https://sms.example.com") as client:
        await client.get("/livez")
        seen = await scrape(client)
    await engine.dispose()
    assert seen["lapwing_queue_metrics_complete"] == 0
    assert seen['lapwing_http_requests_total{method="GET",route="/livez",status="200"}'] == 1
    assert "lapwing_receipts_pending" not in seen, "a zero would be a lie"


async def count_receipts(engine: AsyncEngine) -> int:
    async with begin(engine) as tx:
        await depths.give_up_early(tx)
        return await depths.count_pending_receipts(tx)


async def test_a_slow_question_is_given_up(engine: AsyncEngine) -> None:
    async with begin(engine) as holder:
        await holder.execute(text("LOCK TABLE receipts IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(DBAPIError, match="statement timeout"):
            await count_receipts(engine)


@pytest.mark.parametrize(
    ("question", "index"),
    [
        pytest.param(depths._OF_URGENT, "priority_not_before_id", id="waiting"),
        pytest.param(depths._OLDEST_URGENT, "priority_not_before_id", id="oldest urgent"),
        pytest.param(depths._OLDEST_BULK, "campaign_message_id_not_before_id", id="oldest bulk"),
        pytest.param(depths._RECEIPTS, "next_at", id="receipts"),
        pytest.param(depths._DELIVERIES, "deliveries_oldest", id="oldest for webhooks"),
        pytest.param(depths._DEAD, "deliveries_(dead|deaths)", id="dead for webhooks"),
    ],
)
async def test_a_question_reads_an_index(engine: AsyncEngine, now: datetime, question: Any, index: str) -> None:
    async with begin(engine) as tx:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))
        params = {name: value for name, value in {"now": now, "most": 9}.items() if f":{name}" in str(question)}
        plan = "\n".join((await tx.execute(text(f"EXPLAIN {question}"), params)).scalars())
    scans = re.findall(r"(?:Seq Scan on|Scan using|Bitmap Index Scan on) (\S*)", plan)
    assert not [line for line in plan.splitlines() if re.search(r"Seq Scan on (messages|receipts|webhook_d)", line)]
    assert any(re.search(index, name) for name in scans), plan


def test_each_process_has_its_own_registry() -> None:
    one, two = dispatcher_metrics(), dispatcher_metrics()
    one.messages.labels("accepted", "twilio", "otp").inc()
    assert b'outcome="accepted"' in exposition(one.registry)
    assert b'outcome="accepted"' not in exposition(two.registry)


def test_the_names_that_dashboards_rely_on() -> None:
    ours = dispatcher_metrics()
    ours.messages.labels("accepted", "twilio", "otp").inc()
    ours.hand_over_seconds.labels("twilio").observe(0.05)
    ours.lane_latency_seconds.labels("urgent").observe(0.01)
    ours.lease_rescues.inc()
    ours.receipts_applied.labels("moved").inc()
    ours.in_flight.labels("bulk").set(3)
    told = exposition(ours.registry).decode()
    for name in (
        'lapwing_messages_total{gateway="twilio",kind="otp",outcome="accepted"} 1.0',
        'lapwing_hand_over_seconds_count{gateway="twilio"} 1.0',
        'lapwing_lane_latency_seconds_count{lane="urgent"} 1.0',
        "lapwing_lease_rescues_total 1.0",
        'lapwing_receipts_applied_total{verdict="moved"} 1.0',
        'lapwing_in_flight{lane="bulk"} 3.0',
    ):
        assert name in told
    http = http_metrics()
    http.requests.labels("/livez", "GET", "200").inc()
    assert b"lapwing_http_requests_total" in exposition(http.registry)
