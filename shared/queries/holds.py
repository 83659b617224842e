"""Holding campaigns: nothing of them is claimed until their owner resumes or stops them. Both processes may."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.campaign import LAW, Event, HeldReason, Status
from shared.domain.notice import campaign_held
from shared.models import Campaign
from shared.queries import audit
from shared.queries.notices import insert_notice

_FROM: Final = sorted(LAW[Event.HOLD])


async def hold_campaigns(
    tx: AsyncConnection, ids: Sequence[UUID], reason: HeldReason, *, now: datetime, caller: str = "dispatcher"
) -> int:
    """Hold those of these campaigns that are scheduled or running, with a notice and an audit entry for each."""
    if not ids:
        return 0
    rows = await tx.execute(
        update(Campaign)
        .where(Campaign.id.in_(ids), Campaign.status.in_(_FROM))
        .values(status=Status.HELD, held_reason=reason, updated_at=now)
        .returning(Campaign.id, Campaign.name)
    )
    held = rows.all()
    for one in held:
        await insert_notice(tx, campaign_held(one.id, name=one.name, reason=reason), now=now)
        await audit.record(
            tx,
            caller=caller,
            action="campaign.held",
            subject=("campaign", str(one.id)),
            detail={"status": Status.HELD, "reason": reason},
            now=now,
        )
    return len(held)
