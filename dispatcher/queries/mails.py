"""Letters: which are due, and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Letter:
    """A notice for one address, ours to hand over until the lease ends. `attempts` are those before."""

    notice_id: UUID
    address: str = field(repr=False)
    attempts: int
    lease_until: datetime
    kind: str
    title: str
    text: str
    at: datetime


_GIVE_UP = text("""
    UPDATE notice_emails e SET due_at = NULL, failed_at = now(),
           error = coalesce(e.error, 'There was no mail server for too long.')
    FROM notices n
    WHERE n.id = e.notice_id AND e.due_at <= now() AND n.at < now() - CAST(:longest AS interval)
""")

# The lease is written before the letter leaves: two dispatchers never hand over the same one at once.
_CLAIM = text("""
    WITH due AS (
        SELECT notice_id, address FROM notice_emails
        WHERE due_at <= now() ORDER BY due_at LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ), leased AS (
        UPDATE notice_emails e SET due_at = now() + CAST(:lease AS interval)
        FROM due d WHERE e.notice_id = d.notice_id AND e.address = d.address
        RETURNING e.notice_id, e.address, e.attempts, e.due_at
    )
    SELECT l.notice_id, l.address, l.attempts, l.due_at, n.kind, n.title, n.text, n.at
    FROM leased l JOIN notices n ON n.id = l.notice_id
    ORDER BY n.at, l.notice_id, l.address
""")

_TAKEN = text("""
    UPDATE notice_emails SET due_at = NULL, attempts = attempts + 1, sent_at = now(), error = NULL
    WHERE notice_id = :notice_id AND address = :address AND sent_at IS NULL
""")

_REFUSED = text("""
    UPDATE notice_emails SET due_at = NULL, attempts = attempts + 1, failed_at = now(), error = :error
    WHERE notice_id = :notice_id AND address = :address AND due_at = :lease_until
""")

_PUT_BACK = text("""
    UPDATE notice_emails SET due_at = now() + CAST(:wait AS interval), attempts = attempts + :tries,
           error = coalesce(:error, error)
    WHERE notice_id = :notice_id AND address = :address AND due_at = :lease_until
""")


async def give_up_letters(tx: AsyncConnection, *, longest: timedelta) -> int:
    """Close the letters of notices that are too old to be news; how many."""
    return (await tx.execute(_GIVE_UP, {"longest": longest})).rowcount


async def claim_letters(tx: AsyncConnection, *, limit: int, lease: timedelta) -> Sequence[Letter]:
    return [Letter(*row) for row in await tx.execute(_CLAIM, {"limit": limit, "lease": lease})]


async def settle_taken(tx: AsyncConnection, letter: Letter) -> None:
    """A server has it, whoever holds the lease by now."""
    await tx.execute(_TAKEN, {"notice_id": letter.notice_id, "address": letter.address})


async def settle_refused(tx: AsyncConnection, letter: Letter, *, error: str) -> None:
    await tx.execute(_REFUSED, _fence(letter) | {"error": error})


async def put_back(
    tx: AsyncConnection, letter: Letter, *, wait: timedelta, tries: int = 1, error: str | None = None
) -> None:
    """Try it again after a while; `tries` is 0 for one that nobody tried."""
    await tx.execute(_PUT_BACK, _fence(letter) | {"wait": wait, "tries": tries, "error": error})


def _fence(letter: Letter) -> dict[str, object]:
    return {"notice_id": letter.notice_id, "address": letter.address, "lease_until": letter.lease_until}
