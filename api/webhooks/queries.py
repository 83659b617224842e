"""What webhooks ask of the database. Whoever opens or closes deliveries holds the webhook's row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.webhook import DeliveryStatus
from shared.errors import NotFound
from shared.models import Webhook, WebhookDelivery

AnyRow = Row[Any]

# So that two that are made at once are counted.
_COUNT_ALONE = text("SELECT pg_advisory_xact_lock(hashtext('lapwing.webhooks'))")

# A dead one that comes back stands behind what is open of its subject, and behind the first of those that come with it.
_REVIVE = text("""
    WITH dead AS (
        SELECT id, subject_id FROM webhook_deliveries
        WHERE webhook_id = :webhook_id AND status = 'dead' AND closed_at >= :since AND type <> 'webhook.test'
        ORDER BY id LIMIT :limit
    ), placed AS (
        SELECT d.id, row_number() OVER (PARTITION BY d.subject_id ORDER BY d.id) = 1
                     AND NOT EXISTS (SELECT 1 FROM webhook_deliveries o
                                     WHERE o.webhook_id = :webhook_id AND o.subject_id = d.subject_id
                                       AND o.status = 'waiting') AS is_first
        FROM dead d
    )
    UPDATE webhook_deliveries w
    SET status = 'waiting', attempts = 0, closed_at = NULL, leased_until = NULL, created_at = :now,
        due_at = CASE WHEN p.is_first THEN CAST(:now AS timestamptz) END
    FROM placed p WHERE w.id = p.id
""")


# Who says nothing for ten seconds is not there; when it comes back, it reads before it does anything.
_UNAWARE = text("""
    SELECT EXISTS (
        SELECT 1 FROM dispatchers WHERE seen_at > now() - interval '10 s' AND seen_at <= CAST(:since AS timestamptz))
""")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries; what is None does not matter."""

    status: DeliveryStatus | None = None
    type: str | None = None


async def count_webhooks_alone(tx: AsyncConnection) -> int:
    await tx.execute(_COUNT_ALONE)
    return int((await tx.execute(select(func.count()).select_from(Webhook))).scalar_one())


async def read_moment(tx: AsyncConnection) -> datetime:
    """Now, by the clock of the database."""
    moment: datetime = (await tx.execute(select(func.clock_timestamp()))).scalar_one()
    return moment


async def has_unaware_dispatchers(tx: AsyncConnection, *, since: datetime) -> bool:
    """Whether there is a dispatcher that has not read anew since then."""
    return bool((await tx.execute(_UNAWARE, {"since": since})).scalar_one())


async def insert_webhook(tx: AsyncConnection, values: Mapping[str, Any]) -> AnyRow:
    return (await tx.execute(insert(Webhook).values(**values).returning(Webhook))).one()


async def get_webhook(tx: AsyncConnection, webhook_id: UUID) -> AnyRow:
    return _found((await tx.execute(select(Webhook).where(Webhook.id == webhook_id))).one_or_none())


async def lock_webhook(tx: AsyncConnection, webhook_id: UUID) -> AnyRow:
    question = select(Webhook).where(Webhook.id == webhook_id).with_for_update(key_share=True)
    return _found((await tx.execute(question)).one_or_none())


def _found(row: AnyRow | None) -> AnyRow:
    if row is None:
        raise NotFound("There is no webhook with this id.")
    return row


async def list_webhooks(tx: AsyncConnection, *, before: UUID | None, limit: int) -> Sequence[AnyRow]:
    question = select(Webhook).order_by(Webhook.id.desc()).limit(limit)
    if before is not None:
        question = question.where(Webhook.id < before)
    return (await tx.execute(question)).all()


async def update_webhook(tx: AsyncConnection, webhook_id: UUID, values: Mapping[str, Any]) -> AnyRow:
    return (await tx.execute(update(Webhook).where(Webhook.id == webhook_id).values(**values).returning(Webhook))).one()


async def delete_webhook(tx: AsyncConnection, webhook_id: UUID) -> None:
    """Forget a webhook with all that it was told or waits for."""
    await tx.execute(delete(Webhook).where(Webhook.id == webhook_id))


async def list_deliveries(
    tx: AsyncConnection, webhook_id: UUID, wanted: Wanted, *, before: int | None, limit: int
) -> Sequence[AnyRow]:
    """A page of a webhook's deliveries, the newest first."""
    question = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    if wanted.status is not None:
        question = question.where(WebhookDelivery.status == wanted.status.value)
    if wanted.type is not None:
        question = question.where(WebhookDelivery.type == wanted.type)
    if before is not None:
        question = question.where(WebhookDelivery.id < before)
    return (await tx.execute(question.order_by(WebhookDelivery.id.desc()).limit(limit))).all()


async def get_delivery(tx: AsyncConnection, webhook_id: UUID, event_id: UUID) -> AnyRow:
    question = select(WebhookDelivery).where(
        WebhookDelivery.webhook_id == webhook_id, WebhookDelivery.event_id == event_id
    )
    row = (await tx.execute(question)).one_or_none()
    if row is None:
        raise NotFound("This webhook was not told of an event with this id, or it is too long ago.")
    return row


async def insert_test(tx: AsyncConnection, webhook_id: UUID, event_id: UUID, *, now: datetime) -> AnyRow:
    """An event for this one webhook, whatever it has chosen. Its subject is itself: no other event stands before it."""
    row = {
        "webhook_id": webhook_id,
        "event_id": event_id,
        "type": "webhook.test",
        "subject_id": event_id,
        "at": now,
        "data": {"webhook_id": str(webhook_id)},
        "created_at": now,
        "due_at": now,
    }
    return (await tx.execute(insert(WebhookDelivery).values(**row).returning(WebhookDelivery))).one()


async def redeliver_one(tx: AsyncConnection, delivery: AnyRow, *, now: datetime) -> None:
    """Send one event once more. One that waits for its next try is tried now; one that waits in line stays there."""
    values: dict[str, Any] = {"due_at": now}
    if delivery.status == DeliveryStatus.WAITING:
        if delivery.due_at is None or (delivery.leased_until is not None and delivery.leased_until > now):
            return
    else:
        values |= {
            "status": DeliveryStatus.WAITING.value,
            "attempts": 0,
            "closed_at": None,
            "leased_until": None,
            "created_at": now,
        }
    await tx.execute(update(WebhookDelivery).where(WebhookDelivery.id == delivery.id).values(**values))


async def hasten_deliveries(tx: AsyncConnection, webhook_id: UUID, *, now: datetime) -> None:
    """Nothing waits for its next try any more; what is on the line at this moment stays as it is."""
    waiting = update(WebhookDelivery).where(
        WebhookDelivery.webhook_id == webhook_id,
        WebhookDelivery.status == DeliveryStatus.WAITING.value,
        WebhookDelivery.due_at > now,
        or_(WebhookDelivery.leased_until.is_(None), WebhookDelivery.leased_until < now),
    )
    await tx.execute(waiting.values(due_at=now))


async def redeliver_dead(tx: AsyncConnection, webhook_id: UUID, *, since: datetime, now: datetime, limit: int) -> int:
    """Give those that have died since then another life, but tests, which are of their moment; how many were."""
    asked = {"webhook_id": webhook_id, "since": since, "now": now, "limit": limit}
    return (await tx.execute(_REVIVE, asked)).rowcount
