"""What the dispatcher writes about gateways."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.balance import check_of
from shared.domain.breaker import Health
from shared.domain.notice import gateway_withdrawn
from shared.models import Gateway
from shared.queries.health import set_health
from shared.queries.notices import insert_notice


async def withdraw_gateway(
    tx: AsyncConnection, gateway_id: UUID, *, reason: str, by: str, version: datetime | None = None
) -> None:
    """Take a gateway out of the choice because it refuses everything of ours; its owner is told, and puts it back.

    Not one that its owner has changed since the refused call was made, by a configuration of that `version`.
    """
    found = await tx.execute(
        select(Gateway.name, Gateway.balance_check, Gateway.health, Gateway.updated_at, func.now().label("now"))
        .where(Gateway.id == gateway_id, Gateway.health != Health.WITHDRAWN.value)
        .with_for_update()
    )
    row = found.one_or_none()
    if row is None:  # another outcome of the same gateway was first
        return
    if version is not None and row.updated_at > version:
        return
    await set_health(tx, gateway_id, was=row.health, health=Health.WITHDRAWN, reason=reason, by=by, now=row.now)
    check = check_of(row.balance_check)
    notice = gateway_withdrawn(gateway_id, name=row.name, reason=reason)
    await insert_notice(tx, notice, now=row.now, emails=check.emails if check else ())
