"""Whom a campaign passes over because they have had enough. Asked by the estimate and on the path."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.ids import first_uuid7

# Only what went out, or may still: whoever was skipped has not been disturbed.
_RECENT = text("""
    SELECT m.msisdn, count(*) FROM messages m
    WHERE m.msisdn = ANY(CAST(:msisdns AS text[])) AND m.id >= :since
      AND m.campaign_id IS NOT NULL AND m.campaign_id <> :campaign_id
      AND m.status NOT IN ('failed', 'expired', 'skipped', 'cancelled')
    GROUP BY m.msisdn
""")


async def count_recent(
    tx: AsyncConnection, msisdns: Sequence[str], *, campaign_id: UUID, since: datetime
) -> Mapping[str, int]:
    """How many messages of other campaigns each of these numbers had, or will have, since then."""
    given = {"msisdns": list(msisdns), "campaign_id": campaign_id, "since": first_uuid7(since)}
    return {row[0]: row[1] for row in await tx.execute(_RECENT, given)}
