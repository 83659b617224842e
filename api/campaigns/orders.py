"""An owner's command carried out: what changes in the campaign's row, whose word it was, and who is told."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns import queries
from shared.domain.event import EVENT_OF_CAMPAIGN
from shared.queries import audit, events

# Back to where it was: no news.
UNTOLD: Final = frozenset({"campaign.archived", "campaign.unarchived"})


async def carry_out(
    tx: AsyncConnection, campaign_id: UUID, caller: str, action: str, changes: dict[str, Any], now: datetime
) -> None:
    """Carry out an owner's command, write down whose it was, and tell who wants to know."""
    await queries.update_campaign(tx, campaign_id, {**changes, "updated_at": now})
    told = EVENT_OF_CAMPAIGN.get(changes.get("status"))
    if told is not None and action not in UNTOLD:
        await events.tell(tx, events.Event(told, campaign_id, {"by": caller}), now=now)
    await audit.record(
        tx,
        caller=caller,
        action=action,
        subject=("campaign", str(campaign_id)),
        detail={"status": changes["status"]} if "status" in changes else {},
        now=now,
    )
