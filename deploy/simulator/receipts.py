"""Receipts: when each is due, in what order, which get lost, and how often they are tried.

The receipts of one message form a chain: the next leaves when the one before is settled, so that
an order asked for is an order kept.
"""

import asyncio
import heapq
import random
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from deploy.simulator import ledger as book
from deploy.simulator.client import Client, Heard
from deploy.simulator.contract import Dialect, World
from deploy.simulator.ledger import Ledger
from deploy.simulator.messages import Message
from deploy.simulator.stats import Stats

TICK = 0.003
LONGEST_PAUSE = 30.0


class _Chain:
    __slots__ = ("dialect", "done", "forged", "message", "steps", "tries")

    def __init__(
        self, message: Message, dialect: Dialect, *, steps: list[tuple[float, str]], done: Callable[[], None] | None
    ) -> None:
        self.message = message
        self.dialect = dialect
        self.steps = steps  # (due, status), the next one last
        self.done = done
        self.tries = 0
        self.forged = False


class Receipts:
    """Everything that was promised to be told and is not settled yet."""

    def __init__(self, world: World, *, ledger: Ledger, stats: Stats, client: Client, chance: random.Random) -> None:
        self._world = world
        self._ledger = ledger
        self._stats = stats
        self._client = client
        self._chance = chance
        self._due: list[tuple[float, int, _Chain]] = []
        self._pushed = 0
        self._ticking = False
        self._nothing_left = asyncio.Event()

    async def settled(self, seconds: float) -> bool:
        """Wait until nothing is left to tell; False when the time runs out first."""
        if self._stats.callbacks_queued:
            self._nothing_left.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._nothing_left.wait(), seconds)
        return not self._stats.callbacks_queued

    def start(self, message: Message, dialect: Dialect, *, done: Callable[[], None] | None = None) -> None:
        """Schedule what will be told of a message. With `done` all of it is due at once."""
        dials = self._world.dials
        if not dials.callbacks or not message.send.callback_url:
            if done is not None:
                done()
            return
        steps = self._steps(message, at_once=done is not None)
        if self._stats.callbacks_queued + len(steps) > dials.callback_queue:
            for _, status in steps:
                self._settle("lost", message, status, reason="the queue is full")
            if done is not None:
                done()
            return
        self._stats.callbacks_queued += len(steps)
        self._push(_Chain(message, dialect, steps=steps, done=done), steps[-1][0])

    def _steps(self, message: Message, *, at_once: bool) -> list[tuple[float, str]]:
        """(due, status), the first one last."""
        dials = self._world.dials
        failed = message.ends_as == "failed"
        plan = [(message.ended_at, message.ends_as)]
        if not failed:
            plan.append((message.sent_at, "sent"))
        if dials.callback_queued and message.send.service:
            plan.append((message.created, "queued"))
        if dials.callback_duplication:
            copies, chance = dials.callback_copies, dials.callback_duplication
            plan = [step for step in plan for _ in range(copies if self._chance.random() < chance else 1)]
        if dials.callback_order != "in_order":
            statuses = [status for _, status in reversed(plan)]
            if dials.callback_order == "shuffled":
                self._chance.shuffle(statuses)
            plan = [(due, status) for (due, _), status in zip(plan, statuses, strict=True)]
        return [(0.0, status) for _, status in plan] if at_once else plan

    def _push(self, chain: _Chain, due: float) -> None:
        self._pushed += 1
        heapq.heappush(self._due, (due, self._pushed, chain))
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(TICK, self._tick)

    def _tick(self) -> None:
        now = time.time()
        while self._due and self._due[0][0] <= now:
            self._tell(heapq.heappop(self._due)[2])
        self._ticking = bool(self._due)
        if self._ticking:
            asyncio.get_running_loop().call_later(TICK, self._tick)

    def _tell(self, chain: _Chain) -> None:
        dials = self._world.dials
        status = chain.steps[-1][1]
        if chain.tries == 0:
            if dials.callback_loss and self._chance.random() < dials.callback_loss:
                self._step_over(chain, "dropped", reason="the loss dial")
                return
            odds = dials.callback_forged
            chain.forged = bool(odds) and self._chance.random() < odds
        post = chain.dialect.receipt(self._world, chain.message, status=status, forged=chain.forged)
        self._client.post(post, partial(self._heard, chain))

    def _heard(self, chain: _Chain, heard: Heard) -> None:
        if 200 <= heard.status < 400:
            self._step_over(chain, "sent", reason=None)
        elif 400 <= heard.status < 500 and heard.status not in {408, 429}:
            self._step_over(chain, "refused", reason=f"HTTP {heard.status}")
        else:
            self._try_again(chain, heard.detail or f"HTTP {heard.status}")

    def _try_again(self, chain: _Chain, reason: str) -> None:
        dials = self._world.dials
        chain.tries += 1
        if chain.tries > dials.callback_retries:
            self._step_over(chain, "lost", reason=reason)
            return
        self._stats.callbacks["retried"] += 1
        pause = min(dials.callback_retry_ms / 1000 * 2 ** (chain.tries - 1), LONGEST_PAUSE)
        self._push(chain, time.time() + pause * self._chance.uniform(0.8, 1.2))

    def _step_over(self, chain: _Chain, result: str, *, reason: str | None) -> None:
        _, status = chain.steps.pop()
        forged = chain.forged and result != "dropped"
        self._settle("forged" if forged else result, chain.message, status, reason=reason)
        self._stats.callbacks_queued -= 1
        if not self._stats.callbacks_queued:
            self._nothing_left.set()
        chain.tries = 0
        if chain.steps:
            self._push(chain, chain.steps[-1][0])
        elif chain.done is not None:
            chain.done()

    def _settle(self, result: str, message: Message, status: str, *, reason: str | None) -> None:
        self._stats.callbacks[result] += 1
        send, at = message.send, time.time()
        if reason is None:
            self._ledger.callback((message.sid, send.m, send.a), at=at, status=status, told=result)
            return
        self._ledger.note(
            book.CALLBACK, at=at, sid=message.sid, status=status, result=result, reason=reason, m=send.m, a=send.a
        )
