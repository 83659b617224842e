"""An owner's command carried out: what changes in the campaign's row, and whose word it was."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns import queries
from shared.queries import audit


async def carry_out(
    tx: AsyncConnection, campaign_id: UUID, caller: str, action: str, changes: dict[str, Any], now: datetime
) -> None:
    """Carry out an owner's command and write down whose it was."""
    await queries.update_campaign(tx, campaign_id, {**changes, "updated_at": now})
    await audit.record(
        tx,
        caller=caller,
        action=action,
        subject=("campaign", str(campaign_id)),
        detail={"status": changes["status"]} if "status" in changes else {},
        now=now,
    )
