"""A message with whether it waits because no gateway would take it, or in vain: what its `advice` goes by."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from api.messages import queries
from api.resources import Resources
from shared.clock import utc_now
from shared.domain.message import Status
from shared.domain.rest import first_open
from shared.domain.routing import UNSERVED_SECONDS

# What nobody takes is put back for some seconds; what is due later may find another world.
_SOON: Final = timedelta(seconds=UNSERVED_SECONDS + 1)

NO_CARRIER: Final = (
    "No enabled gateway would take it as they are now, by its sender, its location and their health, so it waits: GET "
    "/v1/gateways says how each is."
)


NEVER_LEAVES: Final = (
    "Quiet hours of the policy last until its expires_at, or a voucher's valid_until, is over, so it can only expire: "
    "give it a later end, or leave its kind out of quiet_hours_kinds."
)

OF_NOW: Final = (NO_CARRIER, NEVER_LEAVES)


def warnings_now(message: dict[str, Any]) -> list[str]:
    """What is to be said of how things are now, of a message with its outlook."""
    holds = (not message.get("carried", True), message.get("in_vain", False))
    return [warning for warning, is_so in zip(OF_NOW, holds, strict=True) if is_so]


async def with_outlook(tx: AsyncConnection, row: Any, res: Resources) -> dict[str, Any]:
    message = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
    waits = row.status is Status.QUEUED and row.cancel_requested_at is None
    if waits and row.not_before <= utc_now() + _SOON:
        message["carried"] = await res.outlook.may_carry(tx, sender_id=row.sender_id, location_id=row.location_id)
    if waits and row.campaign_message_id is None and row.expires_at is not None:
        message["in_vain"] = await _rests_till_its_end(tx, row, res)
    return message


async def _rests_till_its_end(tx: AsyncConnection, row: Any, res: Resources) -> bool:
    """Whether quiet hours leave no moment between now and its end."""
    policy = await res.outlook.policy(tx)
    windows = tuple(policy.quiet_hours)
    kept = row.respect_quiet_hours
    if not (windows and (row.kind in policy.quiet_hours_kinds if kept is None else kept)):
        return False
    own = None if row.contact_id is None else await queries.find_time_zone(tx, row.contact_id)
    begins = max(row.not_before, utc_now())
    opens = first_open(policy, windows, (row.msisdn, own, row.location_id), begins)
    return opens is None or opens >= row.expires_at
