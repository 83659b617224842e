"""`GET /v1/me`: whether a key works, and what it may do."""

from fastapi import APIRouter
from starlette.requests import Request

from api.api_keys import queries
from api.deps import CanCall, Reader
from api.me.schemas import LimitOut, MeOut
from api.rate_limits import Allowance
from api.security import ADMIN

router = APIRouter(prefix="/me", tags=["me"])


@router.get("")
async def read_me(request: Request, tx: Reader, caller: CanCall) -> MeOut:
    """Who this key is, what it reaches, and how often it may call. Any key will do."""
    row = None if caller.id == ADMIN else await queries.get_key(tx, caller.id)
    allowance: Allowance | None = getattr(request.state, "allowance", None)
    limit = LimitOut(requests_per_minute=allowance.limit, remaining=allowance.left) if allowance else None
    return MeOut(
        id=caller.id,
        name=caller.name,
        scopes=sorted(caller.scopes),
        networks=list(row.networks) if row else [],
        address=request.client.host if request.client else None,
        expires_at=row.expires_at if row else None,
        rate_limit=limit,
        version=request.app.version,
    )
