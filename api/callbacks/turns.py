"""Turns for callbacks: a few in each round of the event loop, so that a burst of them makes no other request wait.

Gateways bring their news in bursts of a hundred and more. Taken as they come they would stand before every step of a
request for a password that arrives in the middle.
"""

import asyncio
from collections import deque
from typing import Final

A_ROUND: Final = 4


class Turns:
    """Lets `a_round` callers pass in each round of the loop, in the order in which they came."""

    def __init__(self, a_round: int = A_ROUND) -> None:
        self._a_round = a_round
        self._left = a_round
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._renewal: asyncio.Handle | None = None

    async def take(self) -> None:
        """Return when it is the caller's turn."""
        loop = asyncio.get_running_loop()
        if self._renewal is None:
            self._renewal = loop.call_soon(self._renew)
        if self._left and not self._waiting:
            self._left -= 1
            return
        turn = loop.create_future()
        self._waiting.append(turn)
        await turn

    def _renew(self) -> None:
        self._left = self._a_round
        self._renewal = None
        while self._waiting and self._left:
            turn = self._waiting.popleft()
            if not turn.done():  # else its request was given up
                turn.set_result(None)
                self._left -= 1
        if self._waiting or self._left < self._a_round:
            self._renewal = asyncio.get_running_loop().call_soon(self._renew)
