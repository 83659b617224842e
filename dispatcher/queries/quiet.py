"""Whose hours are quiet, and whom others have written to already."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.quiet_hours import QuietWindow
from shared.ids import first_uuid7

_STEPS = text("""
    SELECT cm.id, c.quiet_hours FROM campaigns c JOIN campaign_messages cm ON cm.campaign_id = c.id
    WHERE c.status = 'running' AND jsonb_typeof(c.quiet_hours) = 'array'
      AND cm.status IN ('pending', 'expanding', 'sending')
""")

_ZONES = text("""
    SELECT m.id, c.time_zone FROM messages m JOIN contacts c ON c.id = m.contact_id
    WHERE m.id = ANY(CAST(:ids AS uuid[])) AND c.time_zone IS NOT NULL
""")

# Only what went out, or may still: whoever was skipped has not been disturbed.
_RECENT = text("""
    SELECT m.msisdn, count(*) FROM messages m
    WHERE m.msisdn = ANY(CAST(:msisdns AS text[])) AND m.id >= :since
      AND m.campaign_id IS NOT NULL AND m.campaign_id <> :campaign_id
      AND m.status NOT IN ('failed', 'expired', 'skipped', 'cancelled')
    GROUP BY m.msisdn
""")

_CAP_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended('lapwing.frequency_cap', 0))")


async def list_quiet_steps(tx: AsyncConnection) -> Mapping[UUID, tuple[QuietWindow, ...]]:
    """The quiet hours that running campaigns have of their own, by campaign message."""
    rows = await tx.execute(_STEPS)
    return {row.id: tuple(QuietWindow.read(window) for window in row.quiet_hours) for row in rows}


async def list_time_zones(tx: AsyncConnection, ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """The zones that the contacts of these messages named themselves."""
    return {row.id: row.time_zone for row in await tx.execute(_ZONES, {"ids": list(ids)})}


async def lock_frequency_cap(tx: AsyncConnection) -> None:
    """Let one expansion at a time count and add, or two campaigns would each see room for the same message."""
    await tx.execute(_CAP_LOCK)


async def count_recent(
    tx: AsyncConnection, msisdns: Sequence[str], *, campaign_id: UUID, since: datetime
) -> Mapping[str, int]:
    """How many messages of other campaigns each of these numbers had, or will have, since then."""
    given = {"msisdns": list(msisdns), "campaign_id": campaign_id, "since": first_uuid7(since)}
    return {row[0]: row[1] for row in await tx.execute(_RECENT, given)}
