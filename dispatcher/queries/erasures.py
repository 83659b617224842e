"""Forgetting a person: what is still to be sent is called back, and what was written is emptied, batch by batch.

Rows stay, for counts have to add up; what they say of the person goes. The keyed hash of the number stays with a
message and an opt-out: it tells nobody the number, and it keeps a standing no.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class OpenErasure:
    """A person to forget. Numbers found in their fields may be others' as well: only what was sent to them goes."""

    id: UUID
    contact_id: UUID
    msisdn: str
    other_msisdns: list[str]

    @property
    def values(self) -> dict[str, object]:
        return {"contact_id": self.contact_id, "msisdn": self.msisdn, "others": self.other_msisdns}


_CLAIM = text("""
    UPDATE erasures SET looked_at = :now
    WHERE id = (SELECT id FROM erasures WHERE done_at IS NULL AND looked_at <= :due
                ORDER BY looked_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING id, contact_id, msisdn, other_msisdns
""")

# Held shared by every slice under expansion: a person is called back when no slice of an earlier look at them is on its
# way into the table, and a slice that begins afterwards sees that they are to be forgotten.
_LOCK: Final = "hashtext('lapwing.erasures')"
_WAIT = text(f"SELECT pg_advisory_xact_lock({_LOCK})")
_SHARE = text(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")

# What was read before is used for seconds, never for minutes, and no two clocks are so far apart.
_RECENT = text("""
    SELECT EXISTS (SELECT 1 FROM erasures WHERE done_at IS NULL)
        OR EXISTS (SELECT 1 FROM erasures WHERE done_at > now() - interval '10 minutes')
""")

_THEIRS: Final = """
    (m.msisdn = :msisdn OR (m.msisdn = ANY(CAST(:others AS text[])) AND m.contact_id = :contact_id))
"""

_CALL_BACK = text(f"""
    UPDATE messages m SET cancel_requested_at = now()
    WHERE m.status = 'queued' AND m.cancel_requested_at IS NULL AND {_THEIRS}
""")

_OPEN = text(f"SELECT EXISTS (SELECT 1 FROM messages m WHERE m.status IN ('queued', 'sending') AND {_THEIRS})")

# Marked as called back as well, so that none of them is ever put into the queue again.
_EMPTY_MESSAGES = text(f"""
    WITH chosen AS (
        SELECT m.id FROM messages m WHERE {_THEIRS} AND m.status NOT IN ('queued', 'sending')
        ORDER BY m.id LIMIT :limit FOR UPDATE
    ), attempted AS (
        UPDATE attempts a SET exchange = NULL, detail = NULL FROM chosen s
        WHERE a.message_id = s.id AND (a.exchange IS NOT NULL OR a.detail IS NOT NULL)
    ), forgotten AS (
        DELETE FROM vouchers v USING chosen s WHERE v.message_id = s.id OR v.id = s.id
    )
    UPDATE messages m
    SET msisdn = '', text = '', contact_id = NULL, client_reference = NULL,
        cancel_requested_at = coalesce(m.cancel_requested_at, now())
    FROM chosen s WHERE m.id = s.id
""")

_REST: Final = (
    text("UPDATE inbound SET msisdn = '', text = '', contact_id = NULL WHERE msisdn = :msisdn"),
    text("UPDATE opt_outs SET msisdn = NULL WHERE msisdn = :msisdn"),
    text("""
        UPDATE events SET msisdn = NULL, contact_id = NULL, data = '{}'
        WHERE msisdn = :msisdn OR contact_id = :contact_id
    """),
    text("DELETE FROM campaign_targets WHERE msisdn = :msisdn"),
    text("""
        UPDATE otps SET msisdn = '', address_hash = NULL, cancelled_at = coalesce(cancelled_at, now())
        WHERE msisdn_hash = :msisdn_hash
    """),
    # The outbox first: an event that is on its way from one into the other is waited for here, and found there.
    text("""
        UPDATE webhook_events e SET data = e.data - 'msisdn'
        FROM otps o WHERE o.msisdn_hash = :msisdn_hash AND e.subject_id = o.id AND e.type LIKE 'otp.%'
    """),
    text("""
        UPDATE webhook_deliveries d SET data = d.data - 'msisdn'
        FROM otps o WHERE o.msisdn_hash = :msisdn_hash AND d.subject_id = o.id AND d.type LIKE 'otp.%'
    """),
    # The position stays, for it is counted; nobody can be written to at it any more. By way of all campaigns, whose
    # index has the numbers.
    text("""
        UPDATE campaign_recipients r SET msisdn = 'erased ' || r.position, contact_id = NULL
        FROM campaigns c
        WHERE r.campaign_id = c.id
          AND (r.msisdn = :msisdn OR (r.msisdn = ANY(CAST(:others AS text[])) AND r.contact_id = :contact_id))
    """),
)

_DONE = text("""
    UPDATE erasures SET done_at = :now, msisdn = NULL, other_msisdns = NULL WHERE id = :id
""")


async def claim_erasure(tx: AsyncConnection, *, due: datetime, now: datetime) -> OpenErasure | None:
    """A person to forget whom nobody has looked at since `due`."""
    row = (await tx.execute(_CLAIM, {"due": due, "now": now})).one_or_none()
    return None if row is None else OpenErasure(row.id, row.contact_id, row.msisdn, row.other_msisdns or [])


async def share_with_erasures(tx: AsyncConnection) -> bool:
    """Let no erasure begin until this transaction is over; whether what was read before may name somebody erased."""
    await tx.execute(_SHARE)
    return bool((await tx.execute(_RECENT)).scalar_one())


async def call_back(tx: AsyncConnection, erasure: OpenErasure) -> bool:
    """Have everything cancelled that was not sent; whether anything is still under way."""
    await tx.execute(_WAIT)
    await tx.execute(_CALL_BACK, erasure.values)
    return bool((await tx.execute(_OPEN, erasure.values)).scalar_one())


async def empty_messages(tx: AsyncConnection, erasure: OpenErasure, *, limit: int) -> int:
    """Empty some of the messages; how many."""
    emptied = (await tx.execute(_EMPTY_MESSAGES, {**erasure.values, "limit": limit})).rowcount
    count = text("UPDATE erasures SET messages = messages + :emptied WHERE id = :id")
    await tx.execute(count, {"id": erasure.id, "emptied": emptied})
    return emptied


async def finish_erasure(tx: AsyncConnection, erasure: OpenErasure, *, msisdn_hash: bytes, now: datetime) -> None:
    """Empty the rest, and forget who it was."""
    values = erasure.values | {"msisdn_hash": msisdn_hash}
    for statement in _REST:
        given = {name: values[name] for name in statement.compile().params}
        await tx.execute(statement, given)
    await tx.execute(_DONE, {"id": erasure.id, "now": now})
