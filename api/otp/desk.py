"""What a request about a password is served with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import Bell, BellRope, CanSend, Now, Res, Tx
from api.resources import Resources
from api.security import Caller
from shared.domain.event import EventType
from shared.queries.events import Event, tell


@dataclass(frozen=True, slots=True)
class Desk:
    tx: AsyncConnection
    res: Resources
    caller: Caller
    now: datetime
    bell: BellRope

    @property
    def reach(self) -> frozenset[str] | None:
        """Whose passwords the caller knows of: a key that may only send knows its line's; None is everybody's."""
        return None if self.caller.may_read else self.caller.keys


async def _desk(tx: Tx, res: Res, caller: CanSend, now: Now, bell: Bell) -> Desk:
    return Desk(tx, res, caller, now, bell)


async def tell_of(desk: Desk, kind: EventType, row: Any, **more: Any) -> None:
    """Tell owners' systems what became of a challenge, whose row is locked or new."""
    data = {"profile_id": str(row.profile_id), "msisdn": row.msisdn, **more}
    await tell(desk.tx, Event(kind, row.id, data), now=desk.now)


AtDesk = Annotated[Desk, Depends(_desk)]
