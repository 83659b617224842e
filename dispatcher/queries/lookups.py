"""Reconcile: which attempts of unknown fate to ask their gateway about, and whose references are taken."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Doubt:
    """An attempt that a gateway may have taken."""

    message_id: UUID
    attempt: int
    gateway_id: UUID
    kind: str
    msisdn: str = field(repr=False)
    text: str = field(repr=False)
    sender_id: str | None
    started_at: datetime


# The next look is written before the call, so a dispatcher that dies in between costs one look, not the schedule.
_TAKE = text("""
    WITH due AS (
        SELECT a.message_id, a.attempt FROM attempts a
        WHERE a.lookup_at <= now() AND a.gateway_id <> ALL(CAST(:besides AS uuid[]))
        ORDER BY a.lookup_at LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ), noted AS (
        UPDATE attempts a
        SET lookups = a.lookups + 1,
            lookup_at = CASE WHEN a.lookups + 1 < cardinality(CAST(:waits AS float8[]))
                             THEN now() + make_interval(secs => (CAST(:waits AS float8[]))[a.lookups + 2]) END
        FROM due d WHERE a.message_id = d.message_id AND a.attempt = d.attempt
        RETURNING a.message_id, a.attempt, a.gateway_id, a.started_at
    )
    SELECT n.message_id, n.attempt, n.gateway_id, m.kind, m.msisdn, m.text, m.sender_id, n.started_at
    FROM noted n JOIN messages m ON m.id = n.message_id
    WHERE m.status = 'unconfirmed' AND m.attempt = n.attempt
""")

_HELD = text("""
    SELECT a.reference FROM attempts a
    WHERE a.gateway_id = :gateway_id AND a.reference = ANY(CAST(:references AS text[]))
      AND (a.message_id, a.attempt) <> (:message_id, :attempt)
""")

# The same words to the same number, on their way or of unknown fate too: what the gateway has may be theirs.
_TWIN = text("""
    SELECT EXISTS (
        SELECT 1 FROM messages m JOIN attempts a ON a.message_id = m.id AND a.attempt = m.attempt
        WHERE m.msisdn = :msisdn AND m.text = :text AND m.id <> :message_id AND a.gateway_id = :gateway_id
          AND a.reference IS NULL AND m.status IN ('sending', 'unconfirmed')
          AND a.started_at BETWEEN CAST(:started_at AS timestamptz) - interval '15 minutes'
                               AND CAST(:started_at AS timestamptz) + interval '15 minutes')
""")

_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")

_HOLD = text("""
    UPDATE attempts a SET reference = :reference
    WHERE a.message_id = :message_id AND a.attempt = :attempt AND a.reference IS NULL
""")


async def take_doubts(
    tx: AsyncConnection, *, limit: int, waits: Sequence[float], besides: Sequence[UUID] = ()
) -> list[Doubt]:
    """Attempts whose look-up is due; `waits` are the seconds before each look, the first already waited.

    Not those at the gateways `besides`: whoever repeats looks after them.
    """
    rows = await tx.execute(_TAKE, {"limit": limit, "waits": list(waits), "besides": list(besides)})
    return [Doubt(*row) for row in rows]


async def lock_references(tx: AsyncConnection, gateway_id: UUID) -> None:
    """One finding at a time: two doubts about the same words must not both take the one candidate."""
    await tx.execute(_LOCK, {"key": f"lapwing.references.{gateway_id}"})


async def hold_reference(tx: AsyncConnection, doubt: Doubt, reference: str) -> None:
    """Let the attempt hold the reference from now on, before its finding is applied."""
    await tx.execute(_HOLD, {"reference": reference, "message_id": doubt.message_id, "attempt": doubt.attempt})


async def has_twin(tx: AsyncConnection, doubt: Doubt) -> bool:
    """Whether another message of the same words to the same number may be the one that this gateway has."""
    given = {
        "msisdn": doubt.msisdn,
        "text": doubt.text,
        "message_id": doubt.message_id,
        "gateway_id": doubt.gateway_id,
        "started_at": doubt.started_at,
    }
    return bool((await tx.execute(_TWIN, given)).scalar_one())


async def list_held(tx: AsyncConnection, doubt: Doubt, references: Sequence[str]) -> set[str]:
    """Those of the references that another attempt already holds."""
    if not references:
        return set()
    rows = await tx.execute(
        _HELD,
        {
            "gateway_id": doubt.gateway_id,
            "references": list(references),
            "message_id": doubt.message_id,
            "attempt": doubt.attempt,
        },
    )
    return set(rows.scalars())
