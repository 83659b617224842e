"""Housekeeping: months are made ahead, and what has served its time goes, oldest first."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, insert, select, text

from dispatcher.beside.housekeeping import keep_house
from shared.db import begin
from shared.ids import uuid7
from shared.models import BalanceReading, IdempotencyKey, Import, ImportNumber, ReceiptRow, Webhook, WebhookDelivery
from shared.queries.partitions import PARTITIONED, month_after, month_of, statements
from tests.factories import make_gateway, make_msisdn, make_otp, make_receipt
from tests.worlds import HandWorker


async def count(worker: HandWorker, table: type) -> int:
    async with begin(worker.engine) as tx:
        return (await tx.execute(select(func.count()).select_from(table))).scalar_one()


async def test_applied_receipts_go_after_a_week(worker: HandWorker) -> None:
    now = worker.now()
    old, young = now - timedelta(days=7, seconds=1), now - timedelta(days=6)
    gateway_id = uuid7()
    async with worker.transaction() as tx:
        await make_receipt(tx, gateway_id, now=old, applied_at=old)
        kept = [
            await make_receipt(tx, gateway_id, now=old),  # still waits for its attempt
            await make_receipt(tx, gateway_id, now=old, applied_at=young),
            await make_receipt(tx, gateway_id, now=young, applied_at=young),
        ]
    assert await keep_house(worker) == 1
    async with begin(worker.engine) as tx:
        assert set((await tx.execute(select(ReceiptRow.id))).scalars()) == set(kept)


async def test_readings_go_after_ninety_days(worker: HandWorker) -> None:
    now = worker.now()
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer)
        for days in (1, 89, 91, 400):
            at = now - timedelta(days=days)
            row = {"id": uuid7(at), "gateway_id": gateway_id, "at": at, "amount": days, "unit": "USD"}
            await tx.execute(insert(BalanceReading).values(**row))
    assert [await keep_house(worker), await keep_house(worker)] == [2, 0]
    async with begin(worker.engine) as tx:
        assert set((await tx.execute(select(BalanceReading.amount))).scalars()) == {1, 89}


async def test_deliveries_go_after_a_week_and_dead_ones_after_a_month(worker: HandWorker) -> None:
    now, webhook_id = worker.now(), uuid7()
    webhook = {"id": webhook_id, "url": "https://crm.example.com", "events": ["*"], "secret_sealed": b""}
    async with worker.transaction() as tx:
        await tx.execute(insert(Webhook).values(webhook | {"created_at": now, "updated_at": now}))
        for status, days in (("delivered", 6), ("delivered", 8), ("dead", 29), ("dead", 31), ("waiting", None)):
            at = now - timedelta(days=40)
            closed_at = None if days is None else now - timedelta(days=days)
            row = {"webhook_id": webhook_id, "event_id": uuid7(), "subject_id": uuid7(), "type": "x.y", "data": {}}
            times = {"at": at, "created_at": at, "closed_at": closed_at, "status": status}
            await tx.execute(insert(WebhookDelivery).values(row | times))
    assert await keep_house(worker) == 2
    async with begin(worker.engine) as tx:
        left = (await tx.execute(select(WebhookDelivery.status).order_by(WebhookDelivery.id))).scalars().all()
    assert left == ["delivered", "dead", "waiting"]


async def test_in_batches(worker: HandWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dispatcher.beside.housekeeping.BATCH", 2)
    old = worker.now() - timedelta(days=8)
    async with worker.transaction() as tx:
        for _ in range(5):
            await make_receipt(tx, uuid7(), now=old, applied_at=old)
    assert [await keep_house(worker) for _ in range(4)] == [2, 2, 1, 0]


async def test_old_answers_go_too(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        for days in (0, 30):
            await tx.execute(
                insert(IdempotencyKey).values(
                    caller="admin",
                    method="POST",
                    path="/v1/messages",
                    key=f"{days}",
                    fingerprint=b"",
                    status=202,
                    headers={},
                    body=b"",
                    created_at=worker.now() - timedelta(days=days),
                )
            )
    assert await keep_house(worker) == 1, "so that it goes on at once while there are more"
    assert await count(worker, IdempotencyKey) == 1
    assert await keep_house(worker) == 0


async def test_gives_up_rather_than_make_everybody_wait_behind_it(worker: HandWorker) -> None:
    """A month that is missing wants the whole table for a moment; a long reader has it."""
    month = month_after(month_after(month_of(worker.now())))
    name = f"messages_{month:%Y%m}"
    async with begin(worker.engine) as tx:
        await tx.execute(text(f"DROP TABLE {name}"))
    try:
        async with worker.engine.connect() as reader:
            await reader.execute(text("SELECT count(*) FROM messages"))
            with pytest.raises(Exception, match="lock timeout"):
                await keep_house(worker)
    finally:
        await keep_house(worker)
    async with begin(worker.engine) as tx:
        assert (await tx.execute(text("SELECT to_regclass(:name) IS NOT NULL"), {"name": name})).scalar_one()


def test_statements_name_every_table_and_month() -> None:
    ddl = statements(datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
    made = [statement.split()[5] for statement in ddl]
    assert made == [f"{table}_{month}" for month in ("202611", "202612", "202701") for table in PARTITIONED]


async def test_passwords_of_long_ago_are_forgotten(worker: HandWorker) -> None:
    """Challenges with their numbers after a month, what is only counted for a day after three."""
    now = worker.now()
    async with worker.transaction() as tx:
        for days in (1, 30, 32):
            at = now - timedelta(days=days)
            await make_otp(tx, worker.sealer, now=at)
            values = {"hash": bytes([days]), "at": at}
            await tx.execute(text("INSERT INTO otp_subjects VALUES (:hash, 1, :at)"), values)
            await tx.execute(text("INSERT INTO otp_hours VALUES (:at, 1)"), {"at": at})
    assert await keep_house(worker) == 6
    async with worker.transaction() as tx:
        left = [await tx.scalar(text(f"SELECT count(*) FROM {table}")) for table in PASSWORD_TABLES]
    assert left == [2, 2, 1, 1]


async def test_a_password_that_is_forgotten_takes_its_number_from_events(worker: HandWorker) -> None:
    """Those that still wait for a webhook that is disabled: later nobody would know whose number it is."""
    now, webhook_id = worker.now(), uuid7()
    webhook = {"id": webhook_id, "url": "https://crm.example.com", "events": ["*"], "secret_sealed": b""}
    async with worker.transaction() as tx:
        await tx.execute(insert(Webhook).values(webhook | {"created_at": now, "updated_at": now, "enabled": False}))
        for days in (30, 32):
            at = now - timedelta(days=days)
            otp_id, _, _ = await make_otp(tx, worker.sealer, now=at)
            row = {"webhook_id": webhook_id, "event_id": uuid7(), "subject_id": otp_id, "type": "otp.started"}
            said = {"data": {"msisdn": make_msisdn(1), "profile_id": "p"}, "at": at, "created_at": at}
            await tx.execute(insert(WebhookDelivery).values(row | said))
    assert await keep_house(worker) == 2  # the challenge, and its message
    async with begin(worker.engine) as tx:
        left = (await tx.execute(select(WebhookDelivery.data).order_by(WebhookDelivery.at))).scalars().all()
    assert left == [{"profile_id": "p"}, {"msisdn": make_msisdn(1), "profile_id": "p"}]


PASSWORD_TABLES = ("otps", "otp_messages", "otp_subjects", "otp_hours")


async def test_numbers_that_an_import_met_go_when_it_has_ended(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        for number, status in enumerate(("queued", "running", "completed", "failed")):
            import_id = uuid7()
            await tx.execute(insert(Import).values(id=import_id, status=status, created_at=worker.now()))
            await tx.execute(insert(ImportNumber).values(import_id=import_id, number=number))
    assert await keep_house(worker) == 2
    async with begin(worker.engine) as tx:
        assert set((await tx.execute(select(ImportNumber.number))).scalars()) == {0, 1}
