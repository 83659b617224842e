"""New addresses for a gateway's callbacks, where somebody may have seen the ones so far."""

from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field

from api.deps import CanAdmin, Deeds, Now, Res, Tx
from api.examples import answered
from api.examples import shown as shows
from api.gateways import examples, queries
from api.gateways.configure import new_callback_token
from api.gateways.schemas import GatewayOut
from api.gateways.shown import shown
from api.idempotency import IdempotentRoute
from api.problems import problems
from api.schemas import Body
from shared.errors import Conflict

router = APIRouter(prefix="/gateways", tags=["gateways"], route_class=IdempotentRoute)

# As long as a message of unknown fate is waited for.
LONGEST_HOURS: Final = 72


class OldAddressesHeard(Conflict):
    """The addresses before these are still heard for as long as was promised; two are heard at a time, not three."""


class TokenRotationIn(Body):
    model_config = shows(examples.TOKEN_ROTATION)

    keep_old_hours: int = Field(
        default=0,
        ge=0,
        le=LONGEST_HOURS,
        description="For so long the old addresses are heard as well: 0 where they have leaked, and then receipts of "
        "messages that went out with them are refused; more for a change that nobody is in a hurry for.",
    )


@router.post(
    "/{gateway_id}/rotate-callback-token",
    responses={**problems(404, 422, OldAddressesHeard), **answered(examples.TOKEN_ROTATED)},
)
async def rotate_callback_token(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    gateway_id: Annotated[UUID, Path(description="The gateway's id.")],
    tx: Tx,
    caller: CanAdmin,
    now: Now,
    res: Res,
    deeds: Deeds,
    body: TokenRotationIn | None = None,
) -> GatewayOut:
    """Make new addresses for receipts and inbound messages; `callback_urls` has them, for the vendor's dashboard.

    Messages go out with the new ones within a second or so; the old ones are refused within five.
    """
    body = body or TokenRotationIn()
    row = await queries.lock_gateway(tx, gateway_id)
    heard_until = row.old_callback_token_until
    if body.keep_old_hours and heard_until is not None and heard_until > now:
        raise OldAddressesHeard(
            f"The addresses of before are heard until {heard_until.isoformat(timespec='seconds')}, as was promised; "
            "`callback_urls` has those of now. Rotate after that, or with `keep_old_hours` 0, which ends them at once.",
            pointer="/keep_old_hours",
        )
    until = now + timedelta(hours=body.keep_old_hours) if body.keep_old_hours else None
    changes = {
        "callback_token": new_callback_token(),
        "old_callback_token": row.callback_token if until else None,
        "old_callback_token_until": until,
        "updated_at": now,
    }
    gateway = await queries.update_gateway(tx, gateway_id, changes)
    detail = {"keep_old_hours": body.keep_old_hours}
    await deeds.write("gateway.callback_token_rotated", ("gateway", gateway_id), detail)
    return shown(gateway, res, caller)
