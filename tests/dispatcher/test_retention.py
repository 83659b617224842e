"""Retention: whole months go when the policy keeps them no longer, with a trace; what is still to be sent stays."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from dispatcher.retention import retain
from shared.db import begin
from shared.domain.message import Status
from shared.ids import uuid7
from shared.models import AuditEntry, InboundRow, Message, PolicyRow
from shared.queries.partitions import PARTITIONED, month_of, statements
from tests.factories import make_message
from tests.worlds import HandWorker


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


async def test_inbound_goes_by_its_age(worker: HandWorker) -> None:
    await keep_days(worker, 30)
    async with worker.transaction() as tx:
        for days in (29, 31, 400):
            at = worker.now() - timedelta(days=days)
            row = {"id": uuid7(at), "gateway_id": uuid7(), "msisdn": "+12025550142", "to": "x", "text": "hi"}
            await tx.execute(insert(InboundRow).values(row | {"received_at": at}))
    assert await retain(worker) >= 2  # and the empty month of another test
    assert await count(worker, InboundRow) == 1
