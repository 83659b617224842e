"""Webhooks: every event arrives, in its message's order, signed; and whatever a receiver does is survived.

Receivers are real servers on loopback, reached through the one door.
"""

import asyncio
import pkgutil
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from ipaddress import ip_network
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest
import respx
from httpx import AsyncClient
from sqlalchemy import TextClause, insert, select, text, update
from standardwebhooks.webhooks import Webhook as StandardWebhook
from standardwebhooks.webhooks import WebhookVerificationError

from dispatcher import queries
from dispatcher.beside.rescue import rescue
from dispatcher.beside.webhooks import DEADLINE_SECONDS, LEASE, Courier, fan_out
from dispatcher.door.transport import Cause, Transport
from dispatcher.path.expand import expand
from dispatcher.path.finish import cancel_requested, finish
from dispatcher.path.receipts import receipts
from shared import queries as shared_queries
from shared.db import begin
from shared.domain.event import EventType
from shared.domain.message import Status
from shared.domain.notice import gateway_withdrawn
from shared.domain.webhook import DISABLED_AFTER, LIFE, TRIES, DisabledReason
from shared.domain.webhook_signature import secret_text
from shared.ids import uuid7
from shared.models import NoticeRow, Webhook, WebhookDelivery, WebhookEvent
from shared.queries.events import Event, tell
from shared.queries.notices import insert_notice
from shared.sealing import place_of_webhook
from tests.dispatcher.answers import MESSAGE, at, refused
from tests.dispatcher.hook_receiver import SECRET, Got, Receiver, carry, make_webhook
from tests.dispatcher.hostile_server import HostileServer, hang, saying
from tests.factories import (
    make_attempt,
    make_campaign,
    make_gateway,
    make_message,
    make_msisdn,
    make_opt_out,
    make_receipt,
)
from tests.stages import execute, message_of, pump_once, send_all
from tests.worlds import HandClock, HandWorker

OLD_SECRET = bytes(range(32, 64))


async def happen(worker: HandWorker, subject_id: UUID, *kinds: EventType) -> None:
    async with worker.transaction() as tx:
        for kind in kinds:
            await tell(tx, Event(kind, subject_id), now=worker.now())


async def rows(worker: HandWorker, table: Any = WebhookDelivery) -> list[Any]:
    async with begin(worker.engine) as tx:
        return list((await tx.execute(select(table).order_by(table.id))).all())


async def webhook_of(worker: HandWorker, webhook_id: UUID) -> Any:
    async with begin(worker.engine) as tx:
        return (await tx.execute(select(Webhook).where(Webhook.id == webhook_id))).one()


async def pass_time(worker: HandWorker, by: timedelta) -> None:
    """Time goes by for webhooks alone: signatures are checked against the real clock."""
    for table, columns in (
        ("webhook_deliveries", ("due_at", "leased_until", "created_at")),
        ("webhooks", ("retry_at", "failing_since")),
    ):
        moved = ", ".join(f"{column} = {column} - CAST(:by AS interval)" for column in columns)
        await execute(worker.engine, f"UPDATE {table} SET {moved}", by=by)


# --- what is written, and when


async def events_of(worker: HandWorker) -> list[tuple[str, UUID]]:
    return [(row.type, row.subject_id) for row in await rows(worker, WebhookEvent)]


async def test_without_a_webhook_nothing_is_written(worker: HandWorker, router: respx.MockRouter) -> None:
    at(router)
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer)
        message_id = await make_message(tx, worker.pepper, now=worker.now())
    await pump_once(worker, "urgent")
    async with worker.transaction() as tx:
        await make_receipt(tx, gateway_id, now=worker.now(), message_id=message_id)
        await insert_notice(tx, gateway_withdrawn(gateway_id, name="Main", reason="x"), now=worker.now())
    await receipts(worker)
    assert (await message_of(worker.engine, message_id)).status is Status.DELIVERED
    assert await rows(worker, WebhookEvent) == []


@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        pytest.param(["*"], ["message.submitted", "message.delivered"], id="everything"),
        pytest.param(["message.*"], ["message.submitted", "message.delivered"], id="all of messages"),
        pytest.param(["message.delivered"], ["message.delivered"], id="one"),
        pytest.param(["campaign.*", "inbound.received"], [], id="others"),
    ],
)
async def test_a_message_on_its_way(
    worker: HandWorker, router: respx.MockRouter, chosen: list[str], told: list[str]
) -> None:
    at(router)
    await make_webhook(worker, "https://crm.example.com", *chosen)
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer)
        message_id = await make_message(tx, worker.pepper, now=worker.now())
    await pump_once(worker, "urgent")
    async with worker.transaction() as tx:
        await make_receipt(tx, gateway_id, now=worker.now(), message_id=message_id)
        await make_receipt(tx, gateway_id, now=worker.now(), message_id=message_id)
    await receipts(worker)
    assert await events_of(worker) == [(kind, message_id) for kind in told]
    assert all(row.data["gateway_id"] == str(gateway_id) for row in await rows(worker, WebhookEvent))


async def expired(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_message(tx, worker.pepper, now=worker.now(), expires_at=worker.now())


async def skipped(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        await make_opt_out(tx, worker.pepper, make_msisdn(0))
        return await make_message(tx, worker.pepper, now=worker.now())


async def called_back(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_message(tx, worker.pepper, now=worker.now(), cancel_requested_at=worker.now())


@pytest.mark.parametrize(
    ("make", "kind", "data"),
    [
        pytest.param(expired, "message.expired", {}, id="expired in the claim"),
        pytest.param(skipped, "message.skipped", {"skip_reason": "opted_out"}, id="skipped in the claim"),
        pytest.param(called_back, "message.cancelled", {}, id="cancelled in the claim"),
    ],
)
async def test_closed_in_the_claim(worker: HandWorker, make: Any, kind: str, data: dict[str, Any]) -> None:
    await make_webhook(worker, "https://crm.example.com")
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer)
    message_id = await make(worker)
    await pump_once(worker, "urgent")
    (event,) = await rows(worker, WebhookEvent)
    assert (event.type, event.subject_id) == (kind, message_id)
    assert event.data == {"gateway_id": None, "failure": None, "skip_reason": None} | data


async def test_closed_without_a_claim(worker: HandWorker) -> None:
    """Where there is no gateway, and where its owner calls it back in time."""
    await make_webhook(worker, "https://crm.example.com")
    late = await expired(worker)
    await pump_once(worker, "urgent")
    wished = await called_back(worker)
    await cancel_requested(worker)
    assert await events_of(worker) == [("message.expired", late), ("message.cancelled", wished)]


async def test_rescued_and_refused(worker: HandWorker, router: respx.MockRouter) -> None:
    await make_webhook(worker, "https://crm.example.com")
    at(router, answer=refused(MESSAGE))
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer)
        long_ago = worker.now() - timedelta(hours=1)
        lost = await make_message(
            tx, worker.pepper, now=long_ago, status=Status.SENDING, attempt=1, lease_until=long_ago
        )
        await make_attempt(tx, lost, gateway_id, now=long_ago)
        unwanted = await make_message(tx, worker.pepper, now=worker.now())
    await rescue(worker)
    await pump_once(worker, "urgent")
    assert await events_of(worker) == [("message.unconfirmed", lost), ("message.failed", unwanted)]
    assert (await rows(worker, WebhookEvent))[1].data["failure"] == "21211"


async def test_a_campaign_from_start_to_end(worker: HandWorker, router: respx.MockRouter) -> None:
    await make_webhook(worker, "https://crm.example.com", "campaign.*", "message.failed")
    at(router)
    numbers = [make_msisdn(number) for number in range(3)]
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer)
        campaign_id = await make_campaign(
            tx, numbers, texts=["{{ name | default('') }}"], now=worker.now(), status="scheduled"
        )
    await send_all(worker)
    assert await expand(worker) == 0
    await finish(worker)
    told = await events_of(worker)
    assert told[0] == ("campaign.started", campaign_id)
    assert told[-1] == ("campaign.completed", campaign_id)
    assert [kind for kind, _ in told[1:-1]] == ["message.failed"] * 3
    assert {row.data.get("failure") for row in (await rows(worker, WebhookEvent))[1:-1]} == {"text_empty"}


async def test_notices_are_events(worker: HandWorker) -> None:
    await make_webhook(worker, "https://crm.example.com", "gateway.withdrawn")
    gateway_id = uuid7()
    async with worker.transaction() as tx:
        notice = gateway_withdrawn(gateway_id, name="Main", reason="20003")
        notice_id = await insert_notice(tx, notice, now=worker.now())
    (event,) = await rows(worker, WebhookEvent)
    assert (event.type, event.subject_id) == ("gateway.withdrawn", gateway_id)
    assert event.data["notice_id"] == str(notice_id)
    assert event.data["reason"] == "20003"


# --- delivered


async def test_signed_and_told_whole(worker: HandWorker, courier: Courier, receiver: Receiver) -> None:
    await make_webhook(worker, receiver.server.url, "message.*")
    async with worker.transaction() as tx:
        message_id = await make_message(tx, worker.pepper, now=worker.now(), client_reference="order-1")
    await happen(worker, message_id, EventType.MESSAGE_SUBMITTED, EventType.CAMPAIGN_STARTED)
    await carry(courier)
    (got,) = receiver.taken
    (row,) = await rows(worker)
    assert got.told == {
        "id": str(row.event_id),
        "type": "message.submitted",
        "timestamp": worker.now().isoformat().replace("+00:00", "Z"),
        "data": {
            "id": str(message_id),
            "kind": "personal",
            "status": "submitted",
            "msisdn": make_msisdn(0),
            "client_reference": "order-1",
            "campaign_id": None,
            "campaign_message_id": None,
            "contact_id": None,
            "resend_of": None,
            "segments": 1,
        },
    }
    assert got.id == str(row.event_id)
    assert got.headers["content-type"] == "application/json"
    assert (row.status, row.attempts, row.due_at, row.closed_at) == ("delivered", 1, None, worker.now())
    assert [(one["http_status"], one["error"]) for one in row.log] == [(204, None)]
    assert make_msisdn(0) not in str(row.data)


async def test_both_secrets_sign_during_a_rotation(
    worker: HandWorker, courier: Courier, receiver: Receiver, by_hand: HandClock
) -> None:
    webhook_id = await make_webhook(worker, receiver.server.url)
    place = place_of_webhook(webhook_id, "old_secret_sealed")
    old = {
        "old_secret_sealed": worker.sealer.seal(OLD_SECRET, place=place),
        "old_secret_until": worker.now() + timedelta(seconds=60),
    }
    async with worker.transaction() as tx:
        await tx.execute(update(Webhook).values(old))
    signatures = []
    for secret in (OLD_SECRET, SECRET):
        receiver.secret = secret_text(secret)
        await happen(worker, uuid7(), EventType.NOTICE_TOLD)
        await carry(courier)
        signatures.append(len(receiver.taken[-1].headers["webhook-signature"].split()))
    await by_hand.advance(seconds=61)
    await happen(worker, uuid7(), EventType.NOTICE_TOLD)
    await carry(courier)
    signatures.append(len(receiver.taken[-1].headers["webhook-signature"].split()))
    assert signatures == [2, 2, 1]


async def test_every_secret_signs_until_its_own_time(
    worker: HandWorker, courier: Courier, receiver: Receiver, client: AsyncClient
) -> None:
    """A receiver that was promised a day has it, however often the secret is replaced meanwhile."""
    webhook_id = await make_webhook(worker, receiver.server.url)
    secrets, verified = [secret_text(SECRET)], []
    for hours in (24, 1, 24):
        asked = await client.post(f"/v1/webhooks/{webhook_id}/rotate-secret", json={"keep_old_hours": hours})
        secrets.append(asked.json()["secret"])

    async def signing() -> list[int]:
        receiver.secret = secrets[-1]
        await client.post(f"/v1/webhooks/{webhook_id}/test")
        await carry(courier)
        got = receiver.taken[-1]
        signatures = got.headers["webhook-signature"].split()
        assert len(set(signatures)) == len(signatures)
        return [place for place, secret in enumerate(secrets) if is_signed(got, secret)]

    verified.append(await signing())
    async with worker.transaction() as tx:  # signatures are checked against the real clock
        await tx.execute(
            text("""
            UPDATE webhooks SET old_secret_until = old_secret_until - interval '2 h',
                older_secrets_until = ARRAY(SELECT u - interval '2 h' FROM unnest(older_secrets_until) u)
        """)
        )
    verified.append(await signing())
    async with worker.transaction() as tx:
        await tx.execute(text("UPDATE webhooks SET older_secrets_until = ARRAY[now(), now()]"))
    verified.append(await signing())
    assert verified == [[0, 1, 2, 3], [0, 2, 3], [2, 3]]


def is_signed(got: Got, secret: str) -> bool:
    try:
        StandardWebhook(secret).verify(got.body, got.headers)
    except WebhookVerificationError:
        return False
    return True


async def test_each_webhook_gets_what_it_wants(worker: HandWorker, courier: Courier, receiver: Receiver) -> None:
    other = Receiver(receiver.secret)
    async with other.server:
        await make_webhook(worker, receiver.server.url, "campaign.completed", "gateway.*")
        await make_webhook(worker, other.server.url, "*")
        await make_webhook(worker, other.server.url, "*", enabled=False)
        subject = uuid7()
        await happen(worker, subject, EventType.CAMPAIGN_STARTED, EventType.CAMPAIGN_COMPLETED)
        await happen(worker, uuid7(), EventType.GATEWAY_RESTORED)
        await carry(courier)
    assert [got.type for got in receiver.taken] == ["campaign.completed", "gateway.restored"]
    assert sorted(got.type for got in other.taken) == ["campaign.completed", "campaign.started", "gateway.restored"]
    assert {got.id for got in receiver.taken} < {got.id for got in other.taken}


ORDER = [EventType.MESSAGE_SUBMITTED, EventType.MESSAGE_SENT, EventType.MESSAGE_DELIVERED]


async def test_receiver_away_for_an_hour(worker: HandWorker, courier: Courier) -> None:
    """Every event arrives once it is back, in its message's order, and while it is away it is asked now and then."""
    receiver = Receiver(secret_text(SECRET))
    async with receiver.server:
        pass
    webhook_id = await make_webhook(worker, receiver.server.url)
    subjects = [uuid7() for _ in range(40)]
    for kind in ORDER:
        for subject in subjects:
            await happen(worker, subject, kind)
        await carry(courier)
        await pass_time(worker, timedelta(seconds=30))
    for _ in range(60):
        await carry(courier)
        await pass_time(worker, timedelta(minutes=1))
    away = await webhook_of(worker, webhook_id)
    tried = [row.attempts for row in await rows(worker)]
    assert away.failures >= 10
    assert len(tried) == 120
    assert sum(tried) < 120, "it was asked as if it were there"
    port = receiver.server.port
    receiver.server.port = port
    async with receiver.server:
        await pass_time(worker, timedelta(minutes=6))
        await carry(courier)
    assert receiver.types_by_subject() == {str(subject): [kind.value for kind in ORDER] for subject in subjects}
    assert receiver.doubled() == []
    assert {row.status for row in await rows(worker)} == {"delivered"}
    back = await webhook_of(worker, webhook_id)
    assert (back.failures, back.failing_since, back.retry_at, back.enabled) == (0, None, None, True)


async def test_one_event_it_will_not_have_holds_up_its_own_message_only(
    worker: HandWorker, courier: Courier, receiver: Receiver
) -> None:
    await make_webhook(worker, receiver.server.url)
    poisoned, healthy = uuid7(), uuid7()
    receiver.status_of = lambda got: 500 if got.told["data"]["id"] == str(poisoned) else 200
    for kind in ORDER:
        await happen(worker, healthy, kind)
        await happen(worker, poisoned, kind)
        await carry(courier)
    assert receiver.types_by_subject() == {str(healthy): [kind.value for kind in ORDER]}
    assert {got.type for got in receiver.got if got.told["data"]["id"] == str(poisoned)} == {"message.submitted"}
    receiver.status_of = lambda _: 200
    await pass_time(worker, timedelta(hours=1))
    await carry(courier)
    assert receiver.types_by_subject()[str(poisoned)] == [kind.value for kind in ORDER]


async def test_event_that_is_never_taken_dies_and_lets_the_next_one_pass(
    worker: HandWorker, courier: Courier, receiver: Receiver
) -> None:
    webhook_id = await make_webhook(worker, receiver.server.url)
    subject = uuid7()
    receiver.status_of = lambda got: 500 if got.type == "message.submitted" else 200
    await happen(worker, subject, *ORDER[:2])
    begun = 0
    while not receiver.taken:
        await carry(courier)
        await happen(worker, uuid7(), EventType.MESSAGE_DELIVERED) if begun == 3 else None
        receiver.taken = [got for got in receiver.taken if got.told["data"]["id"] == str(subject)]
        await pass_time(worker, timedelta(hours=12))
        begun += 1
        assert begun < 30
    row = next(row for row in await rows(worker) if row.status == "dead")
    assert row.type == "message.submitted"
    assert row.attempts >= TRIES
    assert row.closed_at - row.created_at >= LIFE
    assert len(row.log) <= 12
    assert (await webhook_of(worker, webhook_id)).enabled


async def test_gone_receiver_is_left_alone(worker: HandWorker, courier: Courier, receiver: Receiver) -> None:
    webhook_id = await make_webhook(worker, receiver.server.url)
    receiver.status_of = lambda _: 410
    await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
    await carry(courier)
    await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
    await pass_time(worker, timedelta(days=1))
    await carry(courier)
    assert len(receiver.got) == 1
    webhook = await webhook_of(worker, webhook_id)
    assert (webhook.enabled, webhook.disabled_reason) == (False, DisabledReason.GONE)
    (notice,) = await rows(worker, NoticeRow)
    assert (notice.kind, notice.subject_id) == ("webhook_disabled", webhook_id)
    assert "410" in notice.text


async def test_disabled_after_days_and_going_on_afterwards(
    worker: HandWorker, courier: Courier, receiver: Receiver
) -> None:
    webhook_id = await make_webhook(worker, receiver.server.url)
    receiver.status_of = lambda _: 503
    await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
    await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
    for _ in range(int(DISABLED_AFTER / timedelta(hours=6)) + 2):
        await carry(courier)
        await pass_time(worker, timedelta(hours=6))
    webhook = await webhook_of(worker, webhook_id)
    assert (webhook.enabled, webhook.disabled_reason) == (False, DisabledReason.FAILING)
    assert [notice.kind for notice in await rows(worker, NoticeRow)] == ["webhook_disabled"]
    waiting = [row for row in await rows(worker) if row.status == "waiting"]
    receiver.status_of = lambda _: 200
    async with worker.transaction() as tx:
        await tx.execute(update(Webhook).values(enabled=True, failures=0, failing_since=None, retry_at=None))
    await pass_time(worker, timedelta(days=1))
    await carry(courier)
    assert {got.id for got in receiver.taken} == {str(row.event_id) for row in waiting}


async def test_one_bad_moment_after_weeks_disables_nothing(
    worker: HandWorker, courier: Courier, receiver: Receiver
) -> None:
    """An event died, nothing happened for a month, and the next one is refused once."""
    webhook_id = await make_webhook(worker, receiver.server.url)
    receiver.status_of = lambda _: 500
    await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
    for _ in range(TRIES):
        await carry(courier)
        await pass_time(worker, timedelta(hours=27))
        await execute(worker.engine, "UPDATE webhooks SET failing_since = now()")  # five days are not the matter here
    assert [row.status for row in await rows(worker)] == ["dead"]
    await pass_time(worker, timedelta(days=30))
    await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
    await carry(courier)
    assert (await webhook_of(worker, webhook_id)).enabled
    receiver.status_of = lambda _: 200
    await pass_time(worker, timedelta(minutes=10))
    await carry(courier)
    webhook = await webhook_of(worker, webhook_id)
    assert (webhook.enabled, webhook.failing_since, len(receiver.taken)) == (True, None, 1)


async def test_test_shortens_no_pause(worker: HandWorker, courier: Courier, receiver: Receiver) -> None:
    """A receiver that is away and asked for an hour has it; the test itself is sent at once."""
    pause = {"failures": 5, "failing_since": worker.now(), "retry_at": worker.now() + timedelta(hours=1)}
    webhook_id = await make_webhook(worker, receiver.server.url, **pause)
    await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
    test = {"webhook_id": webhook_id, "event_id": uuid7(), "type": "webhook.test", "subject_id": uuid7(), "data": {}}
    times = {"at": worker.now(), "created_at": worker.now(), "due_at": worker.now()}
    async with worker.transaction() as tx:
        await tx.execute(insert(WebhookDelivery).values(test | times))
    await carry(courier)
    assert [got.type for got in receiver.taken] == ["webhook.test"]
    assert (await webhook_of(worker, webhook_id)).retry_at == pause["retry_at"]


async def test_busy_receiver_is_asked_when_it_says(worker: HandWorker, courier: Courier) -> None:
    busy = b"HTTP/1.1 429 Busy\r\nRetry-After: 900\r\nContent-Length: 0\r\n\r\n"
    async with HostileServer(saying(busy)) as server:
        webhook_id = await make_webhook(worker, server.url)
        await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
        await carry(courier)
    assert (await webhook_of(worker, webhook_id)).retry_at == worker.now() + timedelta(minutes=15)


# --- receivers that misbehave


@pytest.mark.parametrize(
    ("script", "error", "status"),
    [
        pytest.param(
            saying(b"HTTP/1.1 302 Found\r\nLocation: /else\r\nContent-Length: 0\r\n\r\n"), None, 302, id="redirects"
        ),
        pytest.param(saying(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"), None, 500, id="500"),
        pytest.param(
            saying(b"HTTP/1.1 500 No\r\nContent-Length: 9000000\r\n\r\n", b"x" * 200_000),
            Cause.BODY_TOO_LARGE,
            500,
            id="huge body",
        ),
        pytest.param(saying(b"SSH-2.0-x\r\n"), Cause.UNREADABLE_ANSWER, None, id="no HTTP"),
        pytest.param(saying(), Cause.CLOSED_UNANSWERED, None, id="hangs up"),
    ],
)
async def test_receiver_that_misbehaves(
    worker: HandWorker, courier: Courier, script: Any, error: str | None, status: int | None
) -> None:
    async with HostileServer(script) as server:
        await make_webhook(worker, server.url)
        await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
        await carry(courier)
        assert len(server.requests) == 1, "it was followed, or sent twice"
    (row,) = await rows(worker)
    assert (row.status, row.attempts, row.leased_until) == ("waiting", 1, None)
    assert row.due_at > worker.now()
    assert [(one["http_status"], one["error"]) for one in row.log] == [(status, error)]


@pytest.fixture(params=["pyreqwest", "httpx"])
async def either(request: pytest.FixtureRequest, worker: HandWorker) -> AsyncIterator[Courier]:
    """A dispatcher with each of the engines."""
    door = Transport(request.param, allowed_networks=(ip_network("127.0.0.0/8"),))
    yield Courier(replace(worker, transport=door))
    await door.aclose()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param(b"Content-Length: 100000000\r\n\r\n" + b"x" * 200_000, Cause.BODY_TOO_LARGE, id="of 100 MB"),
        pytest.param(b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\nxx", Cause.CUT_BODY, id="in another coding"),
    ],
)
@pytest.mark.parametrize(("said", "status", "enabled"), [(200, "delivered", True), (410, "waiting", False)])
async def test_body_of_an_answer_does_not_matter(
    worker: HandWorker, either: Courier, body: bytes, error: str, said: int, status: str, enabled: bool
) -> None:
    async with HostileServer(saying(b"HTTP/1.1 %d X\r\n" % said + body)) as server:
        webhook_id = await make_webhook(worker, server.url)
        await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
        await carry(either)
    (row,) = await rows(worker)
    assert (row.status, (await webhook_of(worker, webhook_id)).enabled) == (status, enabled)
    assert [(one["http_status"], one["error"]) for one in row.log] == [(said, error)]


async def test_slow_receiver_holds_up_no_other(
    worker: HandWorker, courier: Courier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.beside.webhooks.DEADLINE_SECONDS", 3.0)
    async with HostileServer(hang) as slow:
        slow_id = await make_webhook(worker, slow.url)
        await make_webhook(worker, receiver.server.url)
        for _ in range(60):
            await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
        await fan_out(worker)
        assert await courier.look() == 2
        async with asyncio.timeout(30):
            while len(receiver.taken) < 60:
                await courier.look()
                await asyncio.sleep(0.01)
        slow_rows = [row for row in await rows(worker) if row.webhook_id == slow_id]
        assert not any(row.log for row in slow_rows), "the others waited until the slow one had timed out"
        worker.stop()
        await courier.drain()
    errors = {one["error"] for row in await rows(worker) for one in row.log if row.webhook_id == slow_id}
    assert errors == {Cause.READ_TIMEOUT}


async def test_name_that_turns_to_loopback(worker: HandWorker) -> None:
    """The address that is connected to is the one that was checked, at every look-up."""

    async def inside(_name: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    door = Transport(resolver=inside)
    courier = Courier(replace(worker, transport=door))
    async with HostileServer() as server:
        await make_webhook(worker, f"http://crm.invalid:{server.port}/")
        await make_webhook(worker, f"http://127.0.0.1:{server.port}/")
        await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
        await carry(courier)
        assert server.connections == 0
    await door.aclose()
    assert {row.log[0]["error"] for row in await rows(worker)} == {Cause.FORBIDDEN_ADDRESS}


async def test_secret_that_cannot_be_opened(worker: HandWorker, courier: Courier, receiver: Receiver) -> None:
    await make_webhook(worker, receiver.server.url, secret_sealed=b"of another key")
    await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
    await carry(courier)
    assert receiver.got == []
    assert (await rows(worker))[0].log[0]["error"] == "secret_unopened"


# --- two at once, and one that dies


async def test_two_dispatchers_never_deliver_the_same(
    courier: Courier, worker: HandWorker, another: Callable[..., HandWorker], door: Transport, receiver: Receiver
) -> None:
    await make_webhook(worker, receiver.server.url)
    subjects = [uuid7() for _ in range(50)]
    for kind in ORDER:
        for subject in subjects:
            await happen(worker, subject, kind)
    other = Courier(replace(another(), transport=door))
    await asyncio.gather(fan_out(worker), fan_out(other.worker))
    async with asyncio.timeout(60):
        while any(await asyncio.gather(courier.look(), other.look())):
            await asyncio.gather(courier.drain(), other.drain())
    assert receiver.doubled() == []
    assert receiver.types_by_subject() == {str(subject): [kind.value for kind in ORDER] for subject in subjects}


async def test_order_holds_through_failures_and_two_dispatchers(
    courier: Courier, worker: HandWorker, another: Callable[..., HandWorker], door: Transport, receiver: Receiver
) -> None:
    """A receiver that refuses a third, at random: nothing comes before what was before it is taken, and all comes."""
    dice = Random(4)
    await make_webhook(worker, receiver.server.url)
    subjects = [uuid7() for _ in range(30)]
    early: list[Got] = []

    def judge(got: Got) -> int:
        taken = {one.type for one in receiver.taken if one.told["data"]["id"] == got.told["data"]["id"]}
        early.extend([got] if {kind.value for kind in ORDER[: ORDER.index(EventType(got.type))]} - taken else [])
        return dice.choice([200, 200, 500])

    receiver.status_of = judge
    other = Courier(replace(another(), transport=door))
    for kind in ORDER:
        for subject in subjects:
            await happen(worker, subject, kind)
        await asyncio.gather(fan_out(worker), fan_out(other.worker))
    for _ in range(60):
        while any(await asyncio.gather(courier.look(), other.look())):
            await asyncio.gather(courier.drain(), other.drain())
        await pass_time(worker, timedelta(hours=1))
    assert early == []
    assert receiver.doubled() == []
    assert receiver.types_by_subject() == {str(subject): [kind.value for kind in ORDER] for subject in subjects}
    assert len(receiver.got) > len(receiver.taken)


async def test_one_that_dies_with_events_on_the_line(
    courier: Courier,
    worker: HandWorker,
    another: Callable[..., HandWorker],
    door: Transport,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What it had taken is sent again, under the same ids, when its lease has ended, and not before."""
    await make_webhook(worker, receiver.server.url)
    subject = uuid7()
    await happen(worker, subject, *ORDER)
    await fan_out(worker)

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    dying = Courier(replace(another(), transport=door))
    monkeypatch.setattr(dying, "_write_until_written", die)  # after the answer, before it is written
    await dying.look()
    await asyncio.wait(dying._rounds.values())
    assert len(receiver.taken) == 1
    assert await carry(courier) == 0
    await pass_time(worker, LEASE + timedelta(seconds=1))
    await carry(courier)
    assert [got.type for got in receiver.taken] == [ORDER[0], *ORDER]
    assert receiver.taken[0].id == receiver.taken[1].id
    assert receiver.taken[0].body == receiver.taken[1].body


async def test_late_writer_is_fenced(
    worker: HandWorker, courier: Courier, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dispatcher that was paused while another took over changes nothing by a failure it brings."""
    webhook_id = await make_webhook(worker, receiver.server.url)
    await happen(worker, uuid7(), EventType.CAMPAIGN_STARTED)
    await fan_out(worker)
    answered = asyncio.Event()

    def hold(_got: Got) -> int:
        return 500 if not answered.is_set() else 200

    receiver.status_of = hold
    written = courier._write_until_written

    async def late(*args: Any) -> None:
        await pass_time(worker, LEASE + timedelta(seconds=1))
        answered.set()
        await carry(Courier(courier.worker))
        await written(*args)

    monkeypatch.setattr(courier, "_write_until_written", late)
    await courier.look()
    await courier.drain()
    (row,) = await rows(worker)
    assert (row.status, row.attempts) == ("delivered", 1)
    assert (await webhook_of(worker, webhook_id)).enabled


async def test_tests_are_tried_once_and_count_for_nothing(
    worker: HandWorker, courier: Courier, receiver: Receiver
) -> None:
    webhook_id = await make_webhook(worker, receiver.server.url, enabled=False)
    receiver.status_of = lambda _: 500
    test = {"webhook_id": webhook_id, "event_id": uuid7(), "type": "webhook.test", "subject_id": uuid7(), "data": {}}
    times = {"at": worker.now(), "created_at": worker.now(), "due_at": worker.now()}
    async with worker.transaction() as tx:
        await tx.execute(insert(WebhookDelivery).values(test | times))
    await carry(courier)
    (row,) = await rows(worker)
    assert (row.status, [one["http_status"] for one in row.log]) == ("dead", [500])
    assert (await webhook_of(worker, webhook_id)).failures == 0


async def test_a_deadline_leaves_room_in_the_lease() -> None:
    assert LEASE.total_seconds() > 3 * DEADLINE_SECONDS


def test_only_an_erasure_changes_what_events_read_of_their_subject() -> None:
    """So that every try says the same, but for a number that may not be sent any more."""
    read = "msisdn|text|kind|client_reference|campaign_id|campaign_message_id|contact_id|resend_of|segments|keyword"
    changing = set()
    for package in (queries, shared_queries):
        for found in pkgutil.iter_modules([str(Path(str(package.__file__)).parent)]):
            source = Path(str(package.__file__)).with_name(f"{found.name}.py").read_text()
            for said in re.findall(
                r"UPDATE (?:messages|inbound)\b(?: \w)?\s+SET (.*?)(?:\bFROM\b|\bWHERE\b)", source, re.DOTALL
            ):
                changing |= {found.name} if re.search(rf"\b(?:{read}) = ", said) else set()
    assert changing == {"erasures"}


def test_whoever_moves_a_message_tells() -> None:
    """Who brings messages to rest is a `Moving`; claims and second tries tell from memory what they did."""
    silent = []
    for found in pkgutil.iter_modules([str(Path(queries.__file__).parent)]):
        module = import_module(f"dispatcher.queries.{found.name}")
        for name, value in vars(module).items():
            moves = re.search(r"UPDATE messages\b(?: m)?\s+SET\s+status = (?!'queued')", str(value))
            if isinstance(value, TextClause) and moves:
                silent.append(f"{found.name}.{name}")
    claims = ["claims._CAMPAIGN", "claims._URGENT", "claims._TRIALS"]
    assert silent == [*claims, "codes._CLAIM_AGAIN", "codes._ADOPT"]
