"""Whether any gateway would take a message, and when it may leave, as things are now: told to whoever has one accepted.

Read once a second at most by each process, however many messages come: an acceptance must not cost another question.
"""

from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.carriers import Carrier, may_carry
from shared.domain.policy import Policy
from shared.queries.gateways import list_carriers
from shared.queries.policy import get_policy

FRESH_SECONDS: Final = 1.0


class Outlook:
    """One of these a process. `clock` is in seconds from anywhere."""

    def __init__(self, *, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._read_at: float | None = None
        self._carriers: Sequence[Carrier] = ()
        self._policy = Policy()

    async def may_carry(self, tx: AsyncConnection, *, sender_id: str | None, location_id: str | None) -> bool:
        """Whether an enabled gateway has this sender, serves this location, and is neither withdrawn nor empty."""
        await self._look(tx)
        return may_carry(self._carriers, sender_id=sender_id, location_id=location_id)

    async def policy(self, tx: AsyncConnection) -> Policy:
        """What the operator wants, at most a second old."""
        await self._look(tx)
        return self._policy

    async def _look(self, tx: AsyncConnection) -> None:
        now = self._clock()
        if self._read_at is None or now - self._read_at >= FRESH_SECONDS:
            if self._read_at is not None:
                self._read_at = now  # while the answer is on its way, those beside us go by what is known
            self._carriers = await list_carriers(tx)
            self._policy = await get_policy(tx)
            self._read_at = now
