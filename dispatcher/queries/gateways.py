"""What the dispatcher writes about gateways."""

from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.balance import check_of
from shared.domain.notice import gateway_withdrawn
from shared.models import Gateway
from shared.queries.notices import insert_notice


async def withdraw_gateway(tx: AsyncConnection, gateway_id: UUID, *, reason: str) -> None:
    """Take a gateway out of the choice because it refuses everything of ours; its owner is told, and puts it back."""
    withdrawn = await tx.execute(
        update(Gateway)
        .where(Gateway.id == gateway_id, Gateway.health != "withdrawn")
        .values(health="withdrawn", health_reason=reason, health_at=func.now())
        .returning(Gateway.name, Gateway.balance_check, Gateway.health_at)
    )
    row = withdrawn.one_or_none()
    if row is None:  # another outcome of the same gateway was first
        return
    check = check_of(row.balance_check)
    notice = gateway_withdrawn(gateway_id, name=row.name, reason=reason)
    await insert_notice(tx, notice, now=row.health_at, emails=check.emails if check else ())
