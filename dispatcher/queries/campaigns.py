"""Campaigns on their way: which are due, who they are for, how far they are, and when they are done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import starmap
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.tallies import Moves
from dispatcher.queries.tellings import Moving
from shared.domain.campaign import Which
from shared.domain.message import Status


class Unfrozen(NamedTuple):
    """A campaign whose audience is to be settled; `resend` says which messages of another it sends once more.

    It may reach `confirmed` people at most, with so many `segments`; None where nobody confirmed a number.
    """

    id: UUID
    resend: Which | None
    confirmed: int | None
    segments: int | None


@dataclass(frozen=True, slots=True)
class Step:
    """A campaign message under expansion, held by this transaction."""

    id: UUID
    campaign_id: UUID
    campaign_name: str
    text: str
    sender_id: str | None
    send_by: datetime | None
    send_at: datetime | None
    expanding_at: datetime
    expanded: int
    recipients: int
    created_by: str | None
    resend_of: UUID | None
    quiet_hours: list[dict[str, Any]] | None
    confirmed_segments: int | None  # of the whole campaign
    skip_landlines: bool
    max_per_minute: int | None
    is_resent: bool  # whether another campaign sends it once more


class Recipient(NamedTuple):
    """One of the frozen audience, with what its tags may name."""

    position: int
    msisdn: str
    contact_id: UUID | None
    name: str | None
    external_id: str | None
    location_id: str | None
    time_zone: str | None
    fields: dict[str, Any] | None
    consent_status: str | None = None


_START = text("""
    UPDATE campaigns SET status = 'running', started_at = coalesce(started_at, now()), updated_at = now()
    WHERE status = 'scheduled' AND (starts_at IS NULL OR starts_at <= now())
      AND (opt_in_acknowledged_at IS NOT NULL
           OR EXISTS (SELECT FROM policy p WHERE p.rules -> 'require_opt_in_acknowledgement' = 'false'))
    RETURNING id
""")

# A million recipients take longer than a statement usually may.
_PATIENCE = text("SET LOCAL statement_timeout = '110s'")

_UNFROZEN = text("""
    SELECT id, resend_which, confirmed_recipients, confirmed_segments FROM campaigns
    WHERE status = 'running' AND frozen_at IS NULL
    ORDER BY starts_at NULLS FIRST LIMIT 1
    FOR UPDATE SKIP LOCKED
""")

_BEGIN_STEPS = text("""
    UPDATE campaign_messages cm SET status = 'expanding', expanding_at = date_trunc('milliseconds', now())
    FROM campaigns c
    WHERE c.id = cm.campaign_id AND c.status = 'running' AND c.frozen_at IS NOT NULL
      AND cm.status = 'pending' AND (cm.send_at IS NULL OR cm.send_at <= now())
    RETURNING cm.id
""")

# A campaign with a pace of its own makes its messages by it, and waits while those of a minute are in the queue:
# nothing gathers in a night of quiet hours, while it is held or while no gateway takes any, to go out at once
# afterwards. What expires anyhow is made as quickly as it can be.
_LOCK_STEP = text("""
    SELECT cm.id, cm.campaign_id, c.name, cm.text, c.sender_id, cm.send_by, cm.send_at, cm.expanding_at, cm.expanded,
           c.recipients, c.created_by, cm.resend_of, c.quiet_hours, c.confirmed_segments, c.skip_landlines,
           CASE WHEN cm.send_by <= now() THEN NULL ELSE c.max_per_minute END,
           EXISTS (SELECT 1 FROM campaign_messages r WHERE r.resend_of = cm.id)
    FROM campaign_messages cm JOIN campaigns c ON c.id = cm.campaign_id
    WHERE cm.status = 'expanding' AND c.status = 'running'
      -- a sequence is read in its order: a message is made when all of the one before it are
      AND NOT EXISTS (SELECT 1 FROM campaign_messages e
                      WHERE e.campaign_id = cm.campaign_id AND e.position < cm.position
                        AND (e.status IN ('pending', 'expanding') OR e.reviving_after IS NOT NULL))
      AND coalesce((SELECT sum(t.messages) FROM tallies t
                    WHERE t.campaign_message_id = cm.id AND t.status = 'queued'), 0)
          < least(:backlog, CASE WHEN cm.send_by <= now() THEN NULL ELSE c.max_per_minute END)
      AND (cm.next_slice_at IS NULL OR cm.next_slice_at <= now() OR c.max_per_minute IS NULL OR cm.send_by <= now())
    ORDER BY cm.expanded LIMIT 1
    FOR UPDATE OF cm SKIP LOCKED
""")

# In the driver's own form: a slice's rows pass through nothing else.
_SLICE = """
    SELECT r.position, r.msisdn, r.contact_id, c.name, c.external_id, c.location_id, c.time_zone, c.fields,
           c.consent_status
    FROM campaign_recipients r LEFT JOIN contacts c ON c.id = r.contact_id
    WHERE r.campaign_id = $1 AND r.position > $2 AND r.position <= $3
    ORDER BY r.position
"""

_READ_AT_ONCE = 1_000

_MOVE_CURSOR = text("""
    UPDATE campaign_messages
    SET expanded = :expanded, status = CASE WHEN :done THEN 'sending' ELSE status END,
        made_segments = made_segments + :segments,
        -- by the time before, so that a look that comes late makes nothing slower, but for what was missed long ago
        next_slice_at = greatest(coalesce(next_slice_at, now()), now() - interval '5 seconds')
                        + make_interval(secs => 60.0 * :recipients / CAST(:per_minute AS int))
    WHERE id = :id
""")

_MADE = text("SELECT sum(made_segments) FROM campaign_messages WHERE campaign_id = :campaign_id")

COLUMNS = (
    "id",
    "kind",
    "status",
    "priority",
    "msisdn",
    "msisdn_hash",
    "text",
    "encoding",
    "segments",
    "sender_id",
    "campaign_id",
    "campaign_message_id",
    "contact_id",
    "location_id",
    "not_before",
    "expires_at",
    "failure",
    "skip_reason",
    "created_by",
    "created_at",
    "status_at",
)

COLUMNS_OF_RESENT = ("resend_of",)

# Open means queued or sending; both questions are answered by a partial index.
_NOTHING_OPEN = """
    cm.status = 'sending' AND cm.reviving_after IS NULL
      AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.campaign_message_id = cm.id AND m.status = 'queued')
      AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.campaign_message_id = cm.id AND m.status = 'sending')
"""

# Asked again once it is held: a late answer may have put a message back into the queue meanwhile.
_FINISHED = text(f"""
    SELECT cm.id FROM campaign_messages cm JOIN campaigns c ON c.id = cm.campaign_id
    WHERE c.status = 'running' AND {_NOTHING_OPEN}
    ORDER BY cm.id
    FOR UPDATE OF cm
""")
_FINISH_STEPS = text(f"""
    UPDATE campaign_messages cm SET status = 'completed', finished_at = now()
    WHERE cm.id = ANY(CAST(:ids AS uuid[])) AND {_NOTHING_OPEN}
    RETURNING cm.id
""")

_FINISH = text("""
    UPDATE campaigns c SET status = 'completed', finished_at = now(), updated_at = now()
    WHERE c.status = 'running' AND c.frozen_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM campaign_messages cm
                      WHERE cm.campaign_id = c.id AND cm.status NOT IN ('completed', 'cancelled'))
    RETURNING c.id
""")

# One that was archived right after its stop is emptied all the same. One of which all that is left is on the line has
# to wait for it, and the next one does not wait with it.
_STOPPED = text("""
    SELECT c.id FROM campaigns c
    WHERE c.status IN ('stopped', 'archived') AND c.stopped_at IS NOT NULL AND c.emptied_at IS NULL
      AND (EXISTS (SELECT 1 FROM campaign_messages cm
                   WHERE cm.campaign_id = c.id AND (cm.status IN ('pending', 'expanding', 'sending') OR EXISTS (
                         SELECT 1 FROM messages m WHERE m.campaign_message_id = cm.id AND m.status = 'queued')))
           OR NOT EXISTS (SELECT 1 FROM campaign_messages cm JOIN messages m ON m.campaign_message_id = cm.id
                          WHERE cm.campaign_id = c.id AND m.status = 'sending'))
    ORDER BY c.stopped_at LIMIT 1
    FOR UPDATE SKIP LOCKED
""")

_CANCEL_SOME = Moving("""
    WITH chosen AS (
        SELECT m.id FROM messages m
        WHERE m.status = 'queued' AND m.campaign_message_id IN (
            SELECT cm.id FROM campaign_messages cm WHERE cm.campaign_id = :campaign_id)
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE messages m SET status = 'cancelled', status_at = now() FROM chosen s WHERE m.id = s.id
        RETURNING m.campaign_message_id, m.segments /* returned */
    ) /* told */
    SELECT campaign_message_id, 'queued', 'cancelled', count(*), sum(segments) FROM moved GROUP BY 1
""")

_CANCEL_REQUESTED = Moving("""
    WITH chosen AS (
        SELECT m.id FROM messages m WHERE m.status = 'queued' AND m.cancel_requested_at IS NOT NULL
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE messages m SET status = 'cancelled', status_at = now() FROM chosen s WHERE m.id = s.id
        RETURNING m.campaign_message_id, m.segments /* returned */
    ) /* told */
    SELECT campaign_message_id, 'queued', 'cancelled', count(*), sum(segments) FROM moved GROUP BY 1
""")

_CANCEL_STEPS = text("""
    UPDATE campaign_messages SET status = 'cancelled', finished_at = now(), reviving_after = NULL
    WHERE campaign_id = :campaign_id AND status IN ('pending', 'expanding', 'sending')
""")

_OPEN_OF = text("""
    SELECT EXISTS (SELECT 1 FROM campaign_messages cm WHERE cm.campaign_id = :campaign_id AND (
        EXISTS (SELECT 1 FROM messages m WHERE m.campaign_message_id = cm.id AND m.status = 'queued')
        OR EXISTS (SELECT 1 FROM messages m WHERE m.campaign_message_id = cm.id AND m.status = 'sending')))
""")

_EMPTIED = text("UPDATE campaigns SET emptied_at = now(), finished_at = now() WHERE id = :campaign_id")


async def start_due(tx: AsyncConnection) -> list[UUID]:
    """Let scheduled campaigns run whose first message is due."""
    return list((await tx.execute(_START)).scalars())


async def lock_unfrozen(tx: AsyncConnection) -> Unfrozen | None:
    """A running campaign whose audience is not settled, held by this transaction; None when all are."""
    row = (await tx.execute(_UNFROZEN)).one_or_none()
    if row is None:
        return None
    await tx.execute(_PATIENCE)
    resend = None if row.resend_which is None else Which(row.resend_which)
    return Unfrozen(row.id, resend, row.confirmed_recipients, row.confirmed_segments)


async def begin_due_steps(tx: AsyncConnection) -> int:
    """Let the messages of running campaigns be expanded whose time has come."""
    return len((await tx.execute(_BEGIN_STEPS)).all())


async def lock_step(tx: AsyncConnection, *, backlog: int) -> Step | None:
    """A step to expand that nobody else expands now, unless its queue is `backlog` messages deep already."""
    row = (await tx.execute(_LOCK_STEP, {"backlog": backlog})).one_or_none()
    return None if row is None else Step(*row)


async def list_recipients(tx: AsyncConnection, step: Step, *, after: int, upto: int) -> list[Recipient]:
    """The recipients after one position, up to and with another: one slice, never all.

    They come in turns: reading all of them at once would keep everybody else in this process waiting.
    """
    driver = await _driver_of(tx)
    found: list[Recipient] = []
    for start in range(after, upto, _READ_AT_ONCE):
        rows = await driver.fetch(_SLICE, step.campaign_id, start, min(start + _READ_AT_ONCE, upto))
        found += starmap(Recipient, rows)
    return found


async def copy_messages(tx: AsyncConnection, records: Sequence[tuple[Any, ...]], *, resent: bool = False) -> None:
    """COPY rows in the order of COLUMNS into messages; of what is sent once more, COLUMNS_OF_RESENT follow."""
    driver = await _driver_of(tx)
    columns = (*COLUMNS, *COLUMNS_OF_RESENT) if resent else COLUMNS
    await driver.copy_records_to_table("messages", records=records, columns=columns)


async def _driver_of(tx: AsyncConnection) -> Any:
    """The driver's own connection, for what goes by the thousand; in a transaction once `tx` has executed something."""
    raw = await tx.get_raw_connection()
    assert raw.driver_connection is not None
    return raw.driver_connection


async def move_cursor(tx: AsyncConnection, step: Step, *, expanded: int, segments: int) -> None:
    """Recipients up to `expanded` have their message now, in so many more segments; the last ends the expansion."""
    done = expanded >= step.recipients
    given = {"id": step.id, "expanded": expanded, "done": done, "segments": segments}
    pace = {"recipients": expanded - step.expanded, "per_minute": step.max_per_minute}
    await tx.execute(_MOVE_CURSOR, given | pace)


async def count_made(tx: AsyncConnection, campaign_id: UUID) -> int:
    """Segments of all messages of a campaign that were made to be sent, whatever became of them."""
    return int((await tx.execute(_MADE, {"campaign_id": campaign_id})).scalar_one())


async def finish_steps(tx: AsyncConnection) -> int:
    """Complete the steps of which nothing is open; how many were."""
    ids = list((await tx.execute(_FINISHED)).scalars())
    return len((await tx.execute(_FINISH_STEPS, {"ids": ids})).all()) if ids else 0


async def finish_campaigns(tx: AsyncConnection) -> list[UUID]:
    """Complete the running campaigns of which nothing is open."""
    return list((await tx.execute(_FINISH)).scalars())


async def lock_stopped(tx: AsyncConnection) -> UUID | None:
    """A stopped campaign whose unsent messages are not all cancelled yet."""
    return (await tx.execute(_STOPPED)).scalar_one_or_none()


async def cancel_queued(
    tx: AsyncConnection, campaign_id: UUID, *, limit: int, wanted: frozenset[Status] = frozenset()
) -> Moves:
    rows = await _CANCEL_SOME.execute(tx, {"campaign_id": campaign_id, "limit": limit}, wanted=wanted)
    moves = Moves()
    moves.add_rows(tuple(row) for row in rows)
    return moves


async def cancel_requested(tx: AsyncConnection, *, limit: int, wanted: frozenset[Status] = frozenset()) -> Moves:
    """Cancel the queued messages that their owners called back."""
    rows = await _CANCEL_REQUESTED.execute(tx, {"limit": limit}, wanted=wanted)
    moves = Moves()
    moves.add_rows(tuple(row) for row in rows)
    return moves


async def cancel_steps(tx: AsyncConnection, campaign_id: UUID) -> None:
    await tx.execute(_CANCEL_STEPS, {"campaign_id": campaign_id})


async def has_open(tx: AsyncConnection, campaign_id: UUID) -> bool:
    return bool((await tx.execute(_OPEN_OF, {"campaign_id": campaign_id})).scalar_one())


async def mark_emptied(tx: AsyncConnection, campaign_id: UUID) -> None:
    await tx.execute(_EMPTIED, {"campaign_id": campaign_id})
