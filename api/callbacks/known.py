"""The gateways that may call us, with opened secrets, kept in memory for seconds: callbacks come by the thousand.

A change of a gateway reaches every process within `FRESH_SECONDS`; a new gateway, or a new token, at once.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from typing import Final
from uuid import UUID

from shared.queries.gateways import ConfiguredGateway

FRESH_SECONDS: Final = 5.0
# Guessing costs a reading of a few rows; this is how often guesses can cause one.
_PAUSE_SECONDS: Final = 0.05
_NOBODY: Final = "-" * 32

Read = Callable[[], Awaitable[Sequence[ConfiguredGateway]]]


class KnownGateways:
    """Answers whose address was called. An unknown id and a wrong token take the same way to the same answer."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._by_id: dict[UUID, ConfiguredGateway] = {}
        self._began = float("-inf")  # when the reading began that we hold
        self._last = float("-inf")  # when the last one began
        self._reading = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None

    async def find(self, gateway_id: str, token: str) -> ConfiguredGateway | None:
        asked = asyncio.get_running_loop().time()
        if asked - self._began > FRESH_SECONDS:
            await self._refresh()
        found = self._match(gateway_id, token)
        if found is None and self._began < asked:
            await self._refresh()
            found = self._match(gateway_id, token)
        return found

    def _match(self, gateway_id: str, token: str) -> ConfiguredGateway | None:
        try:
            gateway = self._by_id.get(UUID(gateway_id))
        except ValueError:
            gateway = None
        known = gateway.callback_tokens if gateway else (_NOBODY,)
        given = token.encode("utf-8", "replace")
        # Each of them, so that the time tells nothing.
        fits = [hmac.compare_digest(one.encode(), given) for one in known]
        return gateway if any(fits) else None

    async def _refresh(self) -> None:
        """Wait for a reading that begins after this call; everyone who waits shares it."""
        if self._next is None:
            self._next = asyncio.create_task(self._read_next())
        await asyncio.shield(self._next)

    async def _read_next(self) -> None:
        clock = asyncio.get_running_loop().time
        async with self._reading:
            await asyncio.sleep(max(0.0, self._last + _PAUSE_SECONDS - clock()))
            self._next = None
            began = self._last = clock()
            gateways = await self._read()
            self._by_id = {gateway.id: gateway for gateway in gateways}
            self._began = began
