"""Retention: whole months go when the policy keeps them no longer, with a trace; what is still to be sent stays."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import delete, insert, select, text, update

from dispatcher.beside.retention import retain
from shared.db import begin
from shared.domain.campaign import Status as CampaignStatus
from shared.domain.campaign import StepStatus
from shared.domain.message import Kind, Status
from shared.ids import uuid7
from shared.models import (
    AuditEntry,
    Campaign,
    CampaignMessage,
    CampaignRecipient,
    CampaignTarget,
    ClientReference,
    InboundRow,
    Message,
    PolicyRow,
    Tally,
)
from shared.queries.partitions import PARTITIONED, month_of, statements
from tests.factories import make_campaign, make_message, make_msisdn, make_target_group
from tests.worlds import HandWorker

NUMBERS = [make_msisdn(1), make_msisdn(2)]


async def keep_days(worker: HandWorker, days: int | None) -> None:
    row = {"id": 1, "rules": {} if days is None else {"retention_days": days}, "updated_at": worker.now()}
    async with worker.transaction() as tx:
        await tx.execute(insert(PolicyRow).values(row | {"updated_by": "admin"}))


@pytest.fixture
async def old(worker: HandWorker) -> datetime:
    """A month of long ago, with its partitions."""
    month = month_of(worker.now() - timedelta(days=200))
    async with worker.transaction() as tx:
        for statement in statements(month, ahead=0):
            await tx.execute(text(statement))
    return month + timedelta(days=3)


async def partitions(worker: HandWorker, month: datetime) -> set[str]:
    async with begin(worker.engine) as tx:
        rows = await tx.execute(
            text("SELECT relname FROM pg_class WHERE relname LIKE :like"), {"like": f"%\\_{month:%Y%m}"}
        )
        return {name for name in rows.scalars() if name.rpartition("_")[0] in PARTITIONED}


async def message(worker: HandWorker, at: datetime, **over: Any) -> None:
    async with worker.transaction() as tx:
        await make_message(tx, worker.pepper, now=at, **over)


async def count(worker: HandWorker, table: Any) -> int:
    async with begin(worker.engine) as tx:
        return len((await tx.execute(select(table.id))).all())


async def test_month_goes_as_a_whole(worker: HandWorker, old: datetime) -> None:
    await keep_days(worker, 90)
    await message(worker, old, status=Status.DELIVERED)
    await message(worker, worker.now(), status=Status.DELIVERED)
    assert await partitions(worker, old) == {f"{table}_{old:%Y%m}" for table in PARTITIONED}
    assert await retain(worker) >= 1
    assert await partitions(worker, old) == set()
    assert await count(worker, Message) == 1
    async with begin(worker.engine) as tx:
        entries = (await tx.execute(select(AuditEntry).where(AuditEntry.subject_id == f"{old:%Y%m}"))).all()
    (entry,) = entries
    assert (entry.caller, entry.action, entry.detail["retention_days"]) == ("dispatcher", "retention.dropped", 90)
    assert await retain(worker) == 0


async def test_without_a_rule_everything_stays(worker: HandWorker, old: datetime) -> None:
    await keep_days(worker, None)
    await message(worker, old, status=Status.DELIVERED)
    assert await retain(worker) == 0
    assert await count(worker, Message) == 1


async def test_month_that_is_not_over_stays(worker: HandWorker, old: datetime) -> None:
    """A month goes when its last day is past its time, not its first."""
    end = (month_of(old) + timedelta(days=40)).replace(day=1, tzinfo=UTC)
    await keep_days(worker, (worker.now() - end).days + 1)
    await message(worker, old, status=Status.DELIVERED)
    assert await retain(worker) == 0
    assert await count(worker, Message) == 1


@pytest.mark.parametrize("status", [Status.QUEUED, Status.SENDING])
async def test_month_with_something_to_send_stays(worker: HandWorker, old: datetime, status: Status) -> None:
    await keep_days(worker, 90)
    await message(worker, old, status=status)
    assert await retain(worker) == 0
    assert await count(worker, Message) == 1


async def old_campaign(worker: HandWorker, old: datetime, **over: Any) -> tuple[UUID, UUID]:
    """A stopped campaign whose messages are of that month: one was sent, one was not; and its step."""
    async with worker.transaction() as tx:
        given: dict[str, Any] = {
            "status": CampaignStatus.STOPPED,
            "stopped_at": old,
            "emptied_at": old,
            "frozen_at": old,
        } | over
        campaign_id = await make_campaign(tx, NUMBERS, now=old, recipients=2, **given)
        (step,) = (await tx.execute(select(CampaignMessage.id))).scalars()
        done = {"status": StepStatus.CANCELLED, "expanded": 2, "expanding_at": old}
        await tx.execute(update(CampaignMessage).values(done))
        for msisdn, status in zip(NUMBERS, (Status.DELIVERED, Status.CANCELLED), strict=True):
            row = {"msisdn": msisdn, "status": status, "campaign_id": campaign_id, "campaign_message_id": step}
            await make_message(tx, worker.pepper, now=old, kind=Kind.CAMPAIGN, **row)
            tally = {"campaign_message_id": step, "status": status, "messages": 1, "segments": 1, "writer": 1}
            await tx.execute(insert(Tally).values(tally))
    return campaign_id, step


async def test_restarted_campaign_keeps_its_month(worker: HandWorker, old: datetime, client: AsyncClient) -> None:
    await keep_days(worker, 90)
    campaign_id, _ = await old_campaign(worker, old)
    answer = await client.post(f"/v1/campaigns/{campaign_id}/restart", json={})
    assert answer.status_code == 200, answer.text
    assert await retain(worker) == 0
    assert await count(worker, Message) == 2
    assert (await client.get(f"/v1/campaigns/{campaign_id}")).json()["messages_dropped_at"] is None


async def test_campaign_that_sends_another_one_again_keeps_its_month(
    worker: HandWorker, old: datetime, client: AsyncClient
) -> None:
    await keep_days(worker, 90)
    campaign_id, _ = await old_campaign(worker, old)
    answer = await client.post(f"/v1/campaigns/{campaign_id}/resend", json={"which": "unsent"})
    assert answer.status_code == 202, answer.text
    assert await retain(worker) == 0
    assert await count(worker, Message) == 2


@pytest.mark.parametrize(("deed", "body"), [("restart", {}), ("resend", {"which": "unsent"})])
async def test_what_is_not_kept_is_not_sent_any_more(
    worker: HandWorker, old: datetime, client: AsyncClient, deed: str, body: dict[str, Any]
) -> None:
    """Rather than to send it to some of those who lack it, and say nothing of the others."""
    await keep_days(worker, 90)
    campaign_id, _ = await old_campaign(worker, old)
    assert await retain(worker) >= 1
    answer = await client.post(f"/v1/campaigns/{campaign_id}/{deed}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (409, f"/problems/campaign-not-{deed}able".replace("dd", "d"))
    assert "retention_days" in answer.json()["detail"]
    campaign = (await client.get(f"/v1/campaigns/{campaign_id}")).json()
    assert (campaign["status"], campaign["messages_dropped_at"] is not None) == ("stopped", True)
    report = (await client.get(f"/v1/campaigns/{campaign_id}/report")).json()
    assert (report["counts"]["delivered"], report["counts"]["cancelled"]) == (1, 1)
    again = await client.post(f"/v1/campaigns/{campaign_id}/duplicate", json={})
    assert (again.status_code, again.json()["messages_dropped_at"]) == (201, None)


async def audience_of(worker: HandWorker, campaign_id: UUID) -> list[tuple[Any, ...]]:
    async with begin(worker.engine) as tx:
        columns = (CampaignRecipient.msisdn, CampaignRecipient.excluded_by)
        question = select(*columns).where(CampaignRecipient.campaign_id == campaign_id)
        return [tuple(row) for row in await tx.execute(question.order_by(CampaignRecipient.position))]


async def settle_audience(worker: HandWorker, campaign_id: UUID) -> None:
    """Two recipients, one who could not be reached, and one whom the owner left out."""
    async with worker.transaction() as tx:
        await tx.execute(delete(CampaignRecipient).where(CampaignRecipient.campaign_id == campaign_id))
        for position, by in ((1, None), (2, None), (-1, "admin"), (-2, None)):
            row = {"campaign_id": campaign_id, "position": position, "msisdn": make_msisdn(10 + position)}
            await tx.execute(insert(CampaignRecipient).values(row | {"excluded_by": by}))


async def test_whom_a_campaign_was_for_is_forgotten_with_its_messages(
    worker: HandWorker, old: datetime, client: AsyncClient
) -> None:
    await keep_days(worker, 90)
    campaign_id, _ = await old_campaign(worker, old)
    await settle_audience(worker, campaign_id)
    assert await retain(worker) >= 2
    assert await audience_of(worker, campaign_id) == [(make_msisdn(9), "admin")]
    async with begin(worker.engine) as tx:
        entry = (await tx.execute(select(AuditEntry).where(AuditEntry.action == "retention.forgotten"))).one()
    assert (entry.subject_id, entry.detail) == (str(campaign_id), {"retention_days": 90, "recipients": 3})
    report = (await client.get(f"/v1/campaigns/{campaign_id}/report")).json()
    assert (report["recipients"], report["counts"]["delivered"], report["counts"]["cancelled"]) == (2, 1, 1)
    assert await retain(worker) == 0


@pytest.mark.parametrize(
    ("state", "forgotten"),
    [
        pytest.param({"status": "stopped"}, True, id="stopped"),
        pytest.param({"status": "stopped", "frozen_at": None}, True, id="stopped before its audience was settled"),
        pytest.param({"status": "archived", "frozen_at": None, "stopped_at": None}, True, id="a draft, archived"),
        pytest.param({"status": "draft", "frozen_at": None, "stopped_at": None}, False, id="a draft"),
        pytest.param({"status": "running", "stopped_at": None}, False, id="running"),
    ],
)
async def test_numbers_named_as_targets_go_with_the_rest(
    worker: HandWorker, old: datetime, client: AsyncClient, state: dict[str, Any], forgotten: bool
) -> None:
    """Groups and contacts stay as they are named: they tell nobody's number."""
    await keep_days(worker, 90)
    campaign_id, _ = await old_campaign(worker, old)
    async with worker.transaction() as tx:
        group_id = await make_target_group(tx)
        row = {"id": uuid7(), "campaign_id": campaign_id, "target_group_id": group_id}
        await tx.execute(insert(CampaignTarget).values(row))
        await tx.execute(delete(Message))
        await tx.execute(update(Campaign).values(state | {"updated_at": old}))
    await retain(worker)
    shown = (await client.get(f"/v1/campaigns/{campaign_id}")).json()
    assert (shown["msisdns"] == [], shown["target_group_ids"]) == (forgotten, [str(group_id)])
    assert (shown["messages_dropped_at"] is not None) is (state["status"] == "stopped")
    assert await retain(worker) == 0


async def test_who_had_no_message_is_forgotten_too_and_the_campaign_not_restarted(
    worker: HandWorker, old: datetime, client: AsyncClient
) -> None:
    await keep_days(worker, 90)
    campaign_id, _ = await old_campaign(worker, old)
    async with worker.transaction() as tx:
        await tx.execute(delete(Message))
    await settle_audience(worker, campaign_id)
    await retain(worker)
    assert len(await audience_of(worker, campaign_id)) == 1
    answer = await client.post(f"/v1/campaigns/{campaign_id}/restart", json={})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/campaign-not-restartable")


@pytest.mark.parametrize("why", ["it runs", "it is being sent once more", "a message is kept", "it ended lately"])
async def test_whom_a_campaign_is_for_stays_while_anything_of_it_does(
    worker: HandWorker, old: datetime, client: AsyncClient, why: str
) -> None:
    await keep_days(worker, 90)
    over: dict[str, Any] = {"status": CampaignStatus.RUNNING, "stopped_at": None} if why == "it runs" else {}
    campaign_id, step = await old_campaign(worker, old, **over)
    await settle_audience(worker, campaign_id)
    if why == "it is being sent once more":
        answer = await client.post(f"/v1/campaigns/{campaign_id}/resend", json={"which": "unsent"})
        assert answer.status_code == 202, answer.text
    async with worker.transaction() as tx:
        await tx.execute(delete(Message))
        if why == "it ended lately":
            await tx.execute(update(Campaign).values(stopped_at=worker.now() - timedelta(days=80)))
    if why == "a message is kept":
        await message(worker, worker.now(), campaign_id=campaign_id, campaign_message_id=step)
    await retain(worker)
    assert len(await audience_of(worker, campaign_id)) == 4


async def test_month_and_restart_wait_for_each_other(worker: HandWorker, old: datetime) -> None:
    """Whoever restarts a campaign holds its row: the month is not given up behind their back."""
    await keep_days(worker, 90)
    campaign_id, _ = await old_campaign(worker, old)
    async with begin(worker.engine) as tx:
        await tx.execute(select(Campaign.id).where(Campaign.id == campaign_id).with_for_update())
        assert await retain(worker) == 0
        assert await count(worker, Message) == 2
    assert await retain(worker) >= 1


async def test_inbound_goes_by_its_age(worker: HandWorker) -> None:
    await keep_days(worker, 30)
    async with worker.transaction() as tx:
        for days in (29, 31, 400):
            at = worker.now() - timedelta(days=days)
            row = {"id": uuid7(at), "gateway_id": uuid7(), "msisdn": "+12025550142", "to": "x", "text": "hi"}
            await tx.execute(insert(InboundRow).values(row | {"received_at": at}))
    assert await retain(worker) >= 2  # and the empty month of another test
    assert await count(worker, InboundRow) == 1


async def test_a_reference_outlives_its_message_but_not_for_ever(
    worker: HandWorker, old: datetime, client: AsyncClient
) -> None:
    """While there is one the same request makes no second message; afterwards the name is free."""
    await keep_days(worker, 90)
    wanted = {"msisdn": NUMBERS[0], "text": "Hello."}
    kept = (await client.post("/v1/messages", json=wanted | {"client_reference": "order-4"})).json()["id"]
    ages = {"order-1": 401, "order-2": 399, "order-3": 401}
    async with worker.transaction() as tx:
        for name, days in ages.items():
            at = worker.now() - timedelta(days=days)
            message_id = await make_message(tx, worker.pepper, now=old) if name == "order-3" else uuid7(at)
            row = {"reference": name, "message_id": message_id, "fingerprint": b"x", "created_at": at}
            await tx.execute(insert(ClientReference).values(row))
    await retain(worker)
    async with begin(worker.engine) as tx:
        left = set((await tx.execute(select(ClientReference.reference))).scalars())
    assert left == {"order-2", "order-3", "order-4"}, "the message of order-3 is there yet: it is still to be sent"
    told = {name: await client.post("/v1/messages", json=wanted | {"client_reference": name}) for name in left}
    assert {name: answer.status_code for name, answer in told.items()} == {
        "order-2": 409,
        "order-3": 409,
        "order-4": 202,
    }
    assert told["order-4"].json()["id"] == kept
    assert (await client.post("/v1/messages", json=wanted | {"client_reference": "order-1"})).status_code == 202


async def test_references_stay_where_everything_does(worker: HandWorker, old: datetime) -> None:
    await keep_days(worker, None)
    async with worker.transaction() as tx:
        at = worker.now() - timedelta(days=4_000)
        row = {"reference": "order-1", "message_id": uuid7(at), "fingerprint": b"x", "created_at": at}
        await tx.execute(insert(ClientReference).values(row))
    assert await retain(worker) == 0
    async with begin(worker.engine) as tx:
        assert (await tx.execute(select(ClientReference.reference))).scalars().all() == ["order-1"]
