"""Whose hours are quiet, and the lock of the frequency cap."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.quiet_hours import QuietWindow

_STEPS = text("""
    SELECT cm.id, c.quiet_hours FROM campaigns c JOIN campaign_messages cm ON cm.campaign_id = c.id
    WHERE c.status = 'running' AND jsonb_typeof(c.quiet_hours) = 'array'
      AND cm.status IN ('pending', 'expanding', 'sending')
""")

_ZONES = text("""
    SELECT m.id, c.time_zone FROM messages m JOIN contacts c ON c.id = m.contact_id
    WHERE m.id = ANY(CAST(:ids AS uuid[])) AND c.time_zone IS NOT NULL
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
