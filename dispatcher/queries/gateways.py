"""What the dispatcher writes about gateways."""

from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.models import Gateway


async def withdraw_gateway(tx: AsyncConnection, gateway_id: UUID, *, reason: str) -> None:
    """Take a gateway out of the choice because it refuses everything of ours; its owner puts it back."""
    await tx.execute(
        update(Gateway)
        .where(Gateway.id == gateway_id, Gateway.health != "withdrawn")
        .values(health="withdrawn", health_reason=reason, health_at=func.now())
    )
