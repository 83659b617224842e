"""What a request about a password is served with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import Bell, BellRope, CanSend, Now, Res, Tx
from api.resources import Resources
from api.security import Caller

_READ = "read"


@dataclass(frozen=True, slots=True)
class Desk:
    tx: AsyncConnection
    res: Resources
    caller: Caller
    now: datetime
    bell: BellRope

    @property
    def reach(self) -> str | None:
        """Whose passwords the caller knows of: a key that may only send knows its own; None is everybody's."""
        return None if _READ in self.caller.scopes else self.caller.id


async def _desk(tx: Tx, res: Res, caller: CanSend, now: Now, bell: Bell) -> Desk:
    return Desk(tx, res, caller, now, bell)


AtDesk = Annotated[Desk, Depends(_desk)]
