"""Webhooks on the dispatcher's side: events become deliveries, deliveries are leased, tried and closed.

Whoever makes or closes deliveries of a webhook holds its row, so that none is left standing behind one that is over.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.event import EventType
from shared.domain.webhook import DeliveryStatus, DisabledReason, Endpoint


@dataclass(frozen=True, slots=True)
class Target:
    """A webhook as its deliveries need it. Secrets are sealed; old ones sign until their time is over."""

    id: UUID
    url: str = field(repr=False)
    enabled: bool
    secrets_sealed: Mapping[str, bytes] = field(repr=False)  # by column, the newest first
    older_live: Sequence[bool]  # of those that `older_secrets_sealed` holds: whether it still signs
    endpoint: Endpoint


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event that is ours to deliver until the lease ends. `attempts` are those before."""

    id: int
    event_id: UUID
    type: str
    subject_id: UUID
    at: datetime
    data: Mapping[str, Any] = field(repr=False)
    attempts: int
    created_at: datetime
    leased_until: datetime


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of a delivery: its status from here on, the wait before its next try, a line for its log."""

    delivery: Delivery
    status: DeliveryStatus
    wait: timedelta
    entry: Mapping[str, Any]


_CHOICES = text("SELECT DISTINCT unnest(events) FROM webhooks WHERE enabled")

# One at a time, so that two events of one subject are never placed by two hands in the wrong order.
_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtext('lapwing.webhook_events'))")
_ANY_EVENT = text("SELECT EXISTS (SELECT 1 FROM webhook_events)")
_HOLD_ALL = text("SELECT id FROM webhooks WHERE enabled ORDER BY id FOR NO KEY UPDATE")
_FAN_OUT = text("""
    WITH taken AS (
        DELETE FROM webhook_events e USING (SELECT id FROM webhook_events ORDER BY id LIMIT :limit) o
        WHERE e.id = o.id
        RETURNING e.id, e.type, e.subject_id, e.at, e.data
    ), named AS MATERIALIZED (
        SELECT t.*, gen_random_uuid() AS event_id FROM taken t
    ), placed AS (
        INSERT INTO webhook_deliveries (webhook_id, event_id, type, subject_id, at, data, created_at, due_at)
        SELECT w.id, e.event_id, e.type, e.subject_id, e.at, e.data, now(),
               CASE WHEN row_number() OVER (PARTITION BY w.id, e.subject_id ORDER BY e.id) = 1
                     AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d
                                     WHERE d.webhook_id = w.id AND d.subject_id = e.subject_id
                                       AND d.status = 'waiting')
                    THEN now() END
        FROM named e
        JOIN webhooks w ON w.enabled AND w.events && ARRAY['*', split_part(e.type, '.', 1) || '.*', e.type]
        ORDER BY e.id
    )
    SELECT count(*) FROM taken
""")

_DUE = text("""
    SELECT w.id FROM webhooks w
    WHERE (w.enabled AND (w.retry_at IS NULL OR w.retry_at <= now())
           AND EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = w.id AND d.due_at <= now()))
       OR EXISTS (SELECT 1 FROM webhook_deliveries d
                  WHERE d.webhook_id = w.id AND d.due_at <= now() AND d.type = 'webhook.test')
""")

_HOLD = text("""
    SELECT id, url, enabled, failures, failing_since, retry_at, secret_sealed,
           CASE WHEN old_secret_until > now() THEN old_secret_sealed END AS old_secret_sealed,
           CASE WHEN now() < ANY (older_secrets_until) THEN older_secrets_sealed END AS older_secrets_sealed,
           ARRAY(SELECT o.until > now() FROM unnest(older_secrets_until) WITH ORDINALITY AS o (until, place)
                 ORDER BY o.place) AS older_live,
           enabled AND (retry_at IS NULL OR retry_at <= now()) AS is_open
    FROM webhooks WHERE id = :id
    FOR NO KEY UPDATE
""")

_CLAIM = text("""
    WITH due AS (
        SELECT id FROM webhook_deliveries
        WHERE webhook_id = :webhook_id AND due_at <= now() AND (:is_open OR type = 'webhook.test')
        ORDER BY due_at, id LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ), leased AS (
        UPDATE webhook_deliveries d
        SET due_at = now() + CAST(:lease AS interval), leased_until = now() + CAST(:lease AS interval)
        FROM due WHERE d.id = due.id
        RETURNING d.id, d.event_id, d.type, d.subject_id, d.at, d.data, d.attempts, d.created_at, d.leased_until
    )
    SELECT * FROM leased ORDER BY id
""")

# Only one asks whether a receiver that was away is back.
_PAUSE = text("UPDATE webhooks SET retry_at = now() + CAST(:lease AS interval) WHERE id = :id")

# What of these only an erasure changes, which has the last word. A campaign's event says itself what it was called; the
# campaign is asked for events that a version before has written.
_MESSAGES = text("""
    SELECT id, kind, msisdn, client_reference, campaign_id, campaign_message_id, contact_id, resend_of, segments
    FROM messages WHERE id = ANY(CAST(:ids AS uuid[]))
""")
_INBOUND = text("""
    SELECT id, gateway_id, msisdn, "to", text, keyword, contact_id, campaign_id
    FROM inbound WHERE id = ANY(CAST(:ids AS uuid[]))
""")
_CAMPAIGNS = text("SELECT id, name, owner FROM campaigns WHERE id = ANY(CAST(:ids AS uuid[]))")
_ROWS_OF: Final = {"message": _MESSAGES, "inbound": _INBOUND, "campaign": _CAMPAIGNS}

_LOG_KEPT: Final = 12

# What was taken is taken, whoever holds the lease by now; everything else is for its holder to say.
_SETTLE = text(f"""
    UPDATE webhook_deliveries d
    SET status = t.status, attempts = least(d.attempts + 1, 32767), leased_until = NULL,
        due_at = CASE WHEN t.status = 'waiting' THEN now() + make_interval(secs => t.wait) END,
        closed_at = CASE WHEN t.status <> 'waiting' THEN now() END,
        log = (CASE WHEN jsonb_array_length(d.log) >= {_LOG_KEPT} THEN d.log - 0 ELSE d.log END)
              || CAST(t.entry AS jsonb)
    FROM unnest(CAST(:ids AS bigint[]), CAST(:statuses AS text[]), CAST(:waits AS float8[]), CAST(:entries AS text[]),
                CAST(:leases AS timestamptz[]))
         AS t (id, status, wait, entry, lease)
    WHERE d.id = t.id AND CASE WHEN t.status = 'delivered' THEN d.status <> 'delivered'
                               ELSE d.status = 'waiting' AND d.leased_until = t.lease END
    RETURNING d.subject_id, d.status
""")

_WAKE = text("""
    UPDATE webhook_deliveries d SET due_at = now()
    FROM (SELECT DISTINCT ON (subject_id) id, due_at FROM webhook_deliveries
          WHERE webhook_id = :webhook_id AND status = 'waiting' AND subject_id = ANY(CAST(:subject_ids AS uuid[]))
          ORDER BY subject_id, id) n
    WHERE d.id = n.id AND n.due_at IS NULL
""")

_HASTEN = text("""
    UPDATE webhook_deliveries SET due_at = now()
    WHERE webhook_id = :webhook_id AND status = 'waiting' AND due_at > now()
      AND (leased_until IS NULL OR leased_until < now())
""")

_RELEASE = text("""
    UPDATE webhook_deliveries d SET due_at = now(), leased_until = NULL
    FROM unnest(CAST(:ids AS bigint[]), CAST(:leases AS timestamptz[])) AS t (id, lease)
    WHERE d.id = t.id AND d.status = 'waiting' AND d.leased_until = t.lease
""")

_ENDPOINT = text("""
    UPDATE webhooks SET failures = :failures, failing_since = :failing_since, retry_at = :retry_at WHERE id = :id
""")

_DISABLE = text("""
    UPDATE webhooks SET enabled = false, disabled_reason = :reason, disabled_at = now(), updated_at = now()
    WHERE id = :id AND enabled
""")


async def list_choices(tx: AsyncConnection) -> list[str]:
    """All that enabled webhooks have chosen to be told of."""
    return list((await tx.execute(_CHOICES)).scalars())


async def fan_out(tx: AsyncConnection, *, limit: int) -> int:
    """Make deliveries of the oldest events, one for each webhook that wants it; how many events there were."""
    if not (await tx.execute(_ANY_EVENT)).scalar_one() or not (await tx.execute(_ALONE)).scalar_one():
        return 0
    await tx.execute(_HOLD_ALL)
    return int((await tx.execute(_FAN_OUT, {"limit": limit})).scalar_one())


async def list_due(tx: AsyncConnection) -> list[UUID]:
    """Webhooks that have something to deliver now."""
    return list((await tx.execute(_DUE)).scalars())


async def claim_deliveries(
    tx: AsyncConnection, webhook_id: UUID, *, limit: int, lease: timedelta
) -> tuple[Target, list[Delivery]] | None:
    """Up to `limit` deliveries of a webhook, the oldest first; one, while its receiver is away."""
    row = (await tx.execute(_HOLD, {"id": webhook_id})).one_or_none()
    if row is None:
        return None
    endpoint = Endpoint(row.failures, row.failing_since, row.retry_at)
    columns = ("secret_sealed", "old_secret_sealed", "older_secrets_sealed")
    sealed = {column: row._mapping[column] for column in columns if row._mapping[column] is not None}  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    target = Target(row.id, row.url, row.enabled, sealed, row.older_live, endpoint)
    asked = {
        "webhook_id": webhook_id,
        "is_open": row.is_open,
        "limit": 1 if endpoint.is_away else limit,
        "lease": lease,
    }
    claimed = [Delivery(*one) for one in await tx.execute(_CLAIM, asked)]
    # A test asks nothing for the others, and takes nothing from a pause that the receiver asked for.
    if endpoint.is_away and any(one.type != EventType.WEBHOOK_TEST for one in claimed):
        await tx.execute(_PAUSE, {"id": webhook_id, "lease": lease})
    return target, claimed


async def list_subjects(tx: AsyncConnection, deliveries: Sequence[Delivery]) -> dict[UUID, dict[str, Any]]:
    """What is known of the things that these events tell of, by their ids; what an event says itself comes before it.

    It stays as it is until the person is erased, so every try says the same.
    """
    found: dict[UUID, dict[str, Any]] = {}
    for noun, question in _ROWS_OF.items():
        ids = [one.subject_id for one in deliveries if one.type.startswith(f"{noun}.")]
        if ids:
            found |= {row.id: dict(row._mapping) for row in await tx.execute(question, {"ids": ids})}  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    return found


async def lock_endpoint(tx: AsyncConnection, webhook_id: UUID) -> Endpoint | None:
    """How the receiver is doing by now, its row held; None where the webhook is gone."""
    row = (await tx.execute(_HOLD, {"id": webhook_id})).one_or_none()
    return None if row is None else Endpoint(row.failures, row.failing_since, row.retry_at)


async def settle_deliveries(tx: AsyncConnection, webhook_id: UUID, tried: Sequence[Tried]) -> None:
    """Write down what became of them, and let what stood behind those that are over have its turn."""
    if not tried:
        return
    values = {
        "ids": [one.delivery.id for one in tried],
        "statuses": [one.status.value for one in tried],
        "waits": [one.wait.total_seconds() for one in tried],
        "entries": [json.dumps(dict(one.entry)) for one in tried],
        "leases": [one.delivery.leased_until for one in tried],
    }
    rows = await tx.execute(_SETTLE, values)
    over = [row.subject_id for row in rows if row.status != DeliveryStatus.WAITING]
    if over:
        await tx.execute(_WAKE, {"webhook_id": webhook_id, "subject_ids": over})


async def release_deliveries(tx: AsyncConnection, deliveries: Sequence[Delivery]) -> None:
    """Give back what was claimed and not tried."""
    if deliveries:
        ids, leases = [one.id for one in deliveries], [one.leased_until for one in deliveries]
        await tx.execute(_RELEASE, {"ids": ids, "leases": leases})


async def write_endpoint(tx: AsyncConnection, webhook_id: UUID, endpoint: Endpoint) -> None:
    values = {"failures": endpoint.failures, "failing_since": endpoint.failing_since, "retry_at": endpoint.retry_at}
    await tx.execute(_ENDPOINT, values | {"id": webhook_id})


async def hasten_deliveries(tx: AsyncConnection, webhook_id: UUID) -> None:
    """The receiver is back: nobody waits for its next try any more."""
    await tx.execute(_HASTEN, {"webhook_id": webhook_id})


async def disable_webhook(tx: AsyncConnection, webhook_id: UUID, reason: DisabledReason) -> bool:
    """Switch a webhook off; whether it was on."""
    return (await tx.execute(_DISABLE, {"id": webhook_id, "reason": reason.value})).rowcount == 1
