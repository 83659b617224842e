"""By which estimate a campaign was confirmed, and what is another since."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.campaigns import Step


class Kept(NamedTuple):
    """The estimate that a campaign was started or resumed by."""

    content_digest: bytes
    created_at: datetime


_KEPT = text("""
    SELECT content_digest, created_at FROM estimates WHERE campaign_id = :campaign_id AND used_at IS NOT NULL
    ORDER BY used_at DESC LIMIT 1
""")

# Of a frozen audience. Contacts have the api's clock, and so has the estimate.
_CHANGED = text("""
    SELECT EXISTS (
        SELECT 1 FROM campaign_recipients r JOIN contacts c ON c.id = r.contact_id
        WHERE r.campaign_id = :campaign_id AND r.position > 0 AND c.updated_at >= :since)
""")

_STEPS = text("""
    SELECT cm.id, cm.campaign_id, c.name, cm.text, c.sender_id, cm.send_by, cm.send_at, now(), 0, c.recipients,
           c.created_by, cm.resend_of, c.quiet_hours, c.confirmed_segments, c.skip_landlines, c.max_per_minute, false
    FROM campaign_messages cm JOIN campaigns c ON c.id = cm.campaign_id
    WHERE cm.campaign_id = :campaign_id
    ORDER BY cm.position
""")
_ATTACHMENTS = text("SELECT attachments FROM campaign_messages WHERE campaign_id = :campaign_id ORDER BY position")


async def find_kept(tx: AsyncConnection, campaign_id: UUID) -> Kept | None:
    """By which estimate its owner confirmed it last."""
    row = (await tx.execute(_KEPT, {"campaign_id": campaign_id})).one_or_none()
    return None if row is None else Kept(*row)


async def has_changed(tx: AsyncConnection, campaign_id: UUID, *, since: datetime) -> bool:
    """Whether somebody of a frozen audience is another than they were."""
    return bool((await tx.execute(_CHANGED, {"campaign_id": campaign_id, "since": since})).scalar_one())


async def list_steps(tx: AsyncConnection, campaign_id: UUID) -> list[Step]:
    """All messages of a frozen campaign, as if none of them had begun."""
    return [Step(*row) for row in await tx.execute(_STEPS, {"campaign_id": campaign_id})]


async def list_attachments(tx: AsyncConnection, campaign_id: UUID) -> Sequence[Any]:
    """What goes with each of them."""
    return list((await tx.execute(_ATTACHMENTS, {"campaign_id": campaign_id})).scalars())
