"""What campaigns and single messages have come to, so that the ledger can be told."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.message import Status
from shared.domain.notice import Kind, Notice
from shared.domain.quota import EntryKind
from shared.domain.quota_notices import SAME
from shared.domain.report import CHARGEABLE
from shared.ids import uuid7

# One dispatcher at a time keeps the books; the others have better things to do.
_TRY = text("SELECT pg_try_advisory_xact_lock(hashtextextended('lapwing.quota.books', 0))")

_BOOK = text("""
    WITH chosen AS (
        SELECT message_id FROM quota_holds WHERE NOT booked ORDER BY message_id LIMIT :limit FOR UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE quota_holds h SET booked = true FROM chosen s WHERE h.message_id = s.message_id
        RETURNING h.booked_on, h.units
    )
    SELECT booked_on, sum(units) AS units, count(*) AS holds FROM moved GROUP BY booked_on
""")

_CHARGEABLE: Final = ", ".join(f"'{status}'" for status in sorted(CHARGEABLE - {Status.SENDING, Status.UNCONFIRMED}))
# What nobody knows the fate of keeps its hold for a while; then it counts as sent, for it may have been.
_SETTLE_HOLDS = text(f"""
    WITH chosen AS (
        SELECT h.message_id, h.units, h.booked_on, m.status, m.not_before, m.created_at
        FROM quota_holds h LEFT JOIN messages m ON m.id = h.message_id
        WHERE h.booked AND h.look_at <= now() ORDER BY h.look_at LIMIT :limit
        FOR UPDATE OF h SKIP LOCKED
    ), fated AS (
        SELECT s.*,
               CASE WHEN s.status IS NULL OR s.status IN ({_CHARGEABLE}) THEN 'consume'
                    WHEN s.status IN ('failed', 'expired', 'skipped', 'cancelled') THEN 'release'
                    WHEN s.status = 'unconfirmed' AND s.created_at < now() - CAST(:doubt AS interval) THEN 'consume'
               END AS fate
        FROM chosen s
    ), gone AS (
        DELETE FROM quota_holds h USING fated f WHERE h.message_id = f.message_id AND f.fate IS NOT NULL
    ), later AS (
        UPDATE quota_holds h
        SET look_at = CASE WHEN f.status = 'unconfirmed' THEN now() + interval '10 minutes'
                           ELSE greatest(f.not_before, now()) + interval '5 seconds' END
        FROM fated f WHERE h.message_id = f.message_id AND f.fate IS NULL
    )
    SELECT f.booked_on, f.fate, sum(f.units) AS units, count(*) AS holds FROM fated f GROUP BY 1, 2
""")

# That all is used says more than that most is.
_WAS_TOLD = text("""
    SELECT EXISTS (SELECT 1 FROM notices
                   WHERE kind = ANY(CAST(:kinds AS text[])) AND subject_kind = :subject_kind
                     AND data @> CAST(:same AS jsonb))
""")

_ADD = text("""
    INSERT INTO quota_entries (id, kind, units, subject_kind, booked_on, at)
    VALUES (:id, :kind, :units, 'messages', :booked_on, :at)
    ON CONFLICT (booked_on, kind) WHERE subject_kind = 'messages'
    DO UPDATE SET units = quota_entries.units + excluded.units
""")

_DUE = text("""
    SELECT a.campaign_id, a.unit, a.reserved, a.consumed, a.released, a.booked_on,
           c.status = 'completed' OR (c.status IN ('stopped', 'archived')
                                      AND (c.emptied_at IS NOT NULL OR c.stopped_at IS NULL)) AS over,
           coalesce(c.finished_at, c.stopped_at, c.updated_at) AS ended_at
    FROM quota_accounts a JOIN campaigns c ON c.id = a.campaign_id
    WHERE a.look_at <= now() ORDER BY a.look_at LIMIT 1
    FOR UPDATE OF a SKIP LOCKED
""")

_SEGMENTS = text("""
    SELECT t.status, sum(t.messages) AS messages, sum(t.segments) AS segments
    FROM tallies t JOIN campaign_messages cm ON cm.id = t.campaign_message_id
    WHERE cm.campaign_id = :campaign_id GROUP BY t.status
""")

# Read once, when the campaign is over: the tallies know segments only.
_BLOCKS = text("""
    SELECT coalesce(sum(ceil(char_length(m.text) / 160.0)), 0) FROM messages m
    WHERE m.campaign_message_id IN (SELECT cm.id FROM campaign_messages cm WHERE cm.campaign_id = :campaign_id)
      AND m.status = ANY(CAST(:statuses AS text[]))
""")
_PATIENCE = text("SET LOCAL statement_timeout = '110s'")

_LOOK_AGAIN = text("UPDATE quota_accounts SET look_at = :at WHERE campaign_id = :campaign_id")

_COVER = text("""
    UPDATE quota_accounts SET uncovered = uncovered - :units WHERE campaign_id = :campaign_id RETURNING uncovered
""")


async def try_books(tx: AsyncConnection) -> bool:
    return bool((await tx.execute(_TRY)).scalar_one())


async def book_messages(tx: AsyncConnection, *, limit: int, now: datetime) -> int:
    """Put what single messages hold into the day's line of the ledger; how many holds there were."""
    rows = (await tx.execute(_BOOK, {"limit": limit})).all()
    for row in rows:
        await _add(tx, EntryKind.RESERVE, row, now)
    return sum(row.holds for row in rows)


async def settle_holds(tx: AsyncConnection, *, limit: int, doubt: timedelta, now: datetime) -> int:
    """Tell the ledger what single messages came to; how many holds were looked at."""
    rows = (await tx.execute(_SETTLE_HOLDS, {"limit": limit, "doubt": doubt})).all()
    for row in rows:
        if row.fate is not None:
            await _add(tx, EntryKind(row.fate), row, now)
    return sum(row.holds for row in rows)


async def _add(tx: AsyncConnection, kind: EntryKind, row: Any, now: datetime) -> None:
    given = {"id": uuid7(now), "kind": kind.value, "units": int(row.units), "booked_on": row.booked_on, "at": now}
    await tx.execute(_ADD, given)


async def lock_due_account(tx: AsyncConnection) -> Any | None:
    """One campaign whose account is to be looked at."""
    return (await tx.execute(_DUE)).one_or_none()


async def list_segments(tx: AsyncConnection, campaign_id: UUID) -> dict[Status, tuple[int, int]]:
    """Messages and segments of a campaign by status, from the tallies."""
    rows = await tx.execute(_SEGMENTS, {"campaign_id": campaign_id})
    return {Status(row.status): (int(row.messages), int(row.segments)) for row in rows}


async def count_blocks(tx: AsyncConnection, campaign_id: UUID, statuses: Sequence[Status]) -> int:
    """Blocks of 160 characters in the texts of a campaign's messages of these statuses."""
    await tx.execute(_PATIENCE)
    given = {"campaign_id": campaign_id, "statuses": [str(status) for status in statuses]}
    return int((await tx.execute(_BLOCKS, given)).scalar_one())


async def look_again(tx: AsyncConnection, campaign_id: UUID, at: datetime | None) -> None:
    await tx.execute(_LOOK_AGAIN, {"campaign_id": campaign_id, "at": at})


async def cover(tx: AsyncConnection, campaign_id: UUID, units: int) -> int | None:
    """Take units for messages that are being made from what is reserved; what is left, or None without an account."""
    found: int | None = (await tx.execute(_COVER, {"campaign_id": campaign_id, "units": units})).scalar_one_or_none()
    return found


async def was_told(tx: AsyncConnection, notice: Notice) -> bool:
    """Whether this news of the quota is none any more."""
    kinds = {notice.kind.value, Kind.QUOTA_EXHAUSTED.value}
    same = json.dumps({name: notice.data[name] for name in SAME})
    given = {"kinds": sorted(kinds), "subject_kind": notice.subject[0], "same": same}
    return bool((await tx.execute(_WAS_TOLD, given)).scalar_one())
