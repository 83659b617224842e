"""Whether a changed campaign may still start by itself: a scheduled one must not lose what it was started with."""

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns import queries
from api.campaigns.missing import refuse_missing
from shared.domain import campaign as law
from shared.domain.campaign import Status
from shared.domain.policy import Policy
from shared.queries.audience import has_audience


async def check_still_startable(tx: AsyncConnection, campaign: Any, *, policy: Policy, now: datetime) -> None:
    """Raise what its start would raise now."""
    law.check_still_startable(
        campaign.status,
        has_recipients=await has_audience(tx, campaign.id, now=now),
        opt_in_acknowledged=campaign.opt_in_acknowledged_at is not None or not policy.require_opt_in_acknowledgement,
    )
    if campaign.status is Status.SCHEDULED:
        await refuse_missing(tx, campaign.id, await queries.list_steps(tx, campaign.id), now=now)
