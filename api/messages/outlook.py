"""A message with whether it waits because no gateway would take it: what its `advice` goes by."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from api.resources import Resources
from shared.clock import utc_now
from shared.domain.message import Status
from shared.domain.routing import UNSERVED_SECONDS

# What nobody takes is put back for some seconds; what is due later may find another world.
_SOON: Final = timedelta(seconds=UNSERVED_SECONDS + 1)

NO_CARRIER: Final = (
    "No enabled gateway would take it as they are now, by its sender, its location and their health, so it waits: GET "
    "/v1/gateways says how each is."
)


async def with_outlook(tx: AsyncConnection, row: Any, res: Resources) -> dict[str, Any]:
    message = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    waits = row.status is Status.QUEUED and row.cancel_requested_at is None
    if waits and row.not_before <= utc_now() + _SOON:
        message["carried"] = await res.outlook.may_carry(tx, sender_id=row.sender_id, location_id=row.location_id)
    return message
