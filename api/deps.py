"""What a route may ask for, as types.

`Tx` commits before the response leaves, so nobody is told of a row that was never written; what must
happen after the commit is asked of `Bell`. Keys are looked up on a connection of their own that is given back
before `Tx` takes one: a request never holds one connection while it waits for another.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import BackgroundTasks, Depends, Query
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request

from api.paging import LARGEST_PAGE, USUAL_PAGE, PageAsked
from api.resources import Resources
from api.security import Caller, KeyCheck, Scope, require
from shared.clock import utc_now
from shared.db import begin, reading
from shared.queries import audit


async def current_time() -> datetime:
    """Tests override this one."""
    return utc_now()


async def _resources(request: Request) -> Resources:
    resources: Resources = request.app.state.resources
    return resources


async def _request_id(request: Request) -> str:
    request_id: str = request.state.request_id
    return request_id


Now = Annotated[datetime, Depends(current_time)]
Res = Annotated[Resources, Depends(_resources)]
RequestId = Annotated[str, Depends(_request_id)]


async def time_of(request: Request) -> datetime:
    """The same time, for what comes before a route's own questions."""
    clock = request.app.dependency_overrides.get(current_time, current_time)
    now: datetime = await clock()
    return now


async def admit(request: Request, *, now: datetime) -> Caller | None:
    """The caller, or None without a key. A bad key is refused here, and one that asks too often.

    A request is looked up and counted once, however often it is asked whose it is.
    """
    state = request.state
    if not hasattr(state, "caller"):
        check: KeyCheck = request.app.state.key_check
        address = request.client.host if request.client else None
        state.caller = await check.identify(request.headers.get("authorization"), address=address, now=now)
        resources: Resources = request.app.state.resources
        state.allowance = state.caller and await resources.rate_limits.take(state.caller.id, state.caller.rate_limit)
    if state.allowance is not None:
        state.allowance.check()
    caller: Caller | None = state.caller
    return caller


async def identify(request: Request, background: BackgroundTasks, now: Now) -> Caller | None:
    """The caller, or None without a key; whether that matters is the route's to say."""
    check: KeyCheck = request.app.state.key_check
    caller = await admit(request, now=now)
    if caller is not None and check.use_is_worth_writing(caller, now=now):
        background.add_task(check.write_use, caller, now=now)
    return caller


Identified = Annotated[Caller | None, Depends(identify)]


@dataclass(frozen=True, slots=True)
class BellRope:
    """Lanes to wake once the transaction has been committed; pulled in vain when it is not."""

    lanes: dict[str, None] = field(default_factory=dict)

    def ring(self, lane: str) -> None:
        self.lanes[lane] = None


async def _bell() -> BellRope:
    return BellRope()


Bell = Annotated[BellRope, Depends(_bell)]


async def _transaction(resources: Res, bell: Bell, _identified_first: Identified) -> AsyncIterator[AsyncConnection]:
    async with begin(resources.engine) as tx:
        yield tx
    for lane in bell.lanes:
        resources.doorbell.ring(lane)


async def _reading(resources: Res, _identified_first: Identified) -> AsyncIterator[AsyncConnection]:
    async with reading(resources.engine) as tx:
        yield tx


Tx = Annotated[AsyncConnection, Depends(_transaction, scope="function")]
Reader = Annotated[AsyncConnection, Depends(_reading, scope="function")]

_key_scheme = HTTPBearer(
    scheme_name="ApiKey",
    bearerFormat="lw_<id>_<secret>_<checksum>",
    description="An API key with the scope that the route needs: `send` hands messages in and reads nothing, "
    "`read` reads everything but callback addresses, `manage` does both and runs campaigns, `admin` does all.",
    auto_error=False,
)


@dataclass(frozen=True, slots=True)
class DeedsOf:
    """The audit trail as a route writes it: who and when is known, what was done is said."""

    tx: AsyncConnection
    caller: str
    now: datetime
    request_id: str

    async def write(self, action: str, subject: tuple[str, object], detail: Mapping[str, Any]) -> None:
        """Write down one deed, in the transaction that does it. `detail` holds no secret, no text and no number."""
        kind, id_ = subject
        await audit.record(
            self.tx,
            caller=self.caller,
            action=action,
            subject=(kind, None if id_ is None else str(id_)),
            detail=detail,
            now=self.now,
            request_id=self.request_id,
        )

    async def write_difference(
        self, action: str, subject: tuple[str, object], before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> None:
        """Write down what changed; nothing is written when nothing did."""
        changes = audit.difference(before, after)
        if changes:
            await self.write(action, subject, changes)


async def _deeds(tx: Tx, caller: Identified, now: Now, request_id: RequestId) -> DeedsOf:
    return DeedsOf(tx=tx, caller=caller.id if caller else "", now=now, request_id=request_id)


Deeds = Annotated[DeedsOf, Depends(_deeds)]


# What each guard asks of a key: any key will do for None.
SCOPE_OF: Final[dict[Callable[..., Any], Scope | None]] = {}


def _having(scope: Scope | None) -> Callable[..., Awaitable[Caller]]:
    async def check(
        caller: Identified, _documented: Annotated[HTTPAuthorizationCredentials | None, Depends(_key_scheme)]
    ) -> Caller:
        return require(caller, scope)

    check.__name__ = f"can_{scope or 'call'}"
    SCOPE_OF[check] = scope
    return check


CanCall = Annotated[Caller, Depends(_having(None))]
CanRead = Annotated[Caller, Depends(_having("read"))]
CanSend = Annotated[Caller, Depends(_having("send"))]
CanManage = Annotated[Caller, Depends(_having("manage"))]
CanAdmin = Annotated[Caller, Depends(_having("admin"))]


async def _page(
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE, description="How many at most.")] = USUAL_PAGE,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> PageAsked:
    return PageAsked(limit=limit, cursor=cursor)


Page = Annotated[PageAsked, Depends(_page)]
