"""Speed limits that all api processes share through Redis, and keep by themselves while it is away.

One script looks at every speed and counts in all of them or in none, so parallel requests cannot slip through between
a look and a count. Without Redis each process counts for itself, at half the pace: never without a limit.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from hashlib import sha1
from pathlib import Path
from time import monotonic
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, RedisError

from shared.domain.speed import Counted, Speed, counted_once_less, counted_once_more, rolled, seconds_to_wait

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 0.25
# After a failure Redis is left alone for so long, lest every request wait for it in vain.
PAUSE_SECONDS: Final = 1.0
KEPT_KEYS: Final = 50_000
_SCRIPT: Final = (Path(__file__).parent / "speeds.lua").read_text()
_BACK: Final = (Path(__file__).parent / "speeds_back.lua").read_text()


class Wish(NamedTuple):
    """One more of what is counted under `key`."""

    key: str
    speed: Speed


class Speeds:
    """Without a URL it counts in this process alone, at the full pace."""

    def __init__(self, url: str | None = None) -> None:
        self._redis: Redis | None = None
        if url is not None:
            self._redis = Redis.from_url(
                url,
                socket_connect_timeout=PATIENCE_SECONDS,
                socket_timeout=PATIENCE_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        self._counted: OrderedDict[str, Counted] = OrderedDict()
        self._paused_until = 0.0

    async def take(self, wishes: Sequence[Wish], *, now: datetime) -> float:
        """Count one more under every key, or under none; the seconds to wait until there is room, 0 if it was taken."""
        at = now.timestamp()
        if not wishes:
            return 0.0
        if self._redis is None:
            return self._take_here(wishes, at=at, share=1)
        if monotonic() < self._paused_until:
            return self._take_here(wishes, at=at, share=2)
        try:
            async with asyncio.timeout(2 * PATIENCE_SECONDS):
                return await self._take_there(self._redis, wishes, at=at)
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("limits are kept by this process alone", extra={"cause": type(error).__name__})
            self._paused_until = monotonic() + PAUSE_SECONDS
            return self._take_here(wishes, at=at, share=2)

    async def give_back(self, wishes: Sequence[Wish], *, now: datetime) -> None:
        """What was taken at that moment came to nothing: it counts no more, unless nobody can be told."""
        at = now.timestamp()
        if self._redis is None or monotonic() < self._paused_until:
            for key, speed in wishes:
                if key in self._counted:
                    self._counted[key] = counted_once_less(self._counted[key], speed, at=at)
            return
        keys, seconds = [wish.key for wish in wishes], [wish.speed.seconds for wish in wishes]
        try:
            async with asyncio.timeout(2 * PATIENCE_SECONDS):
                await _ask(self._redis, _BACK, (len(keys), *keys, f"{at:.3f}", *seconds))
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("limits are kept by this process alone", extra={"cause": type(error).__name__})
            self._paused_until = monotonic() + PAUSE_SECONDS

    @staticmethod
    async def _take_there(redis: Redis, wishes: Sequence[Wish], *, at: float) -> float:
        keys = [wish.key for wish in wishes]
        figures = [figure for wish in wishes for figure in (wish.speed.count, wish.speed.seconds)]
        return float(await _ask(redis, _SCRIPT, (len(keys), *keys, f"{at:.3f}", *figures)))

    def _take_here(self, wishes: Sequence[Wish], *, at: float, share: int) -> float:
        counted: dict[str, Counted] = {}
        longest = 0.0
        for key, asked in wishes:
            speed = Speed(-(-asked.count // share), asked.seconds)
            counted[key] = rolled(self._counted.get(key, Counted()), speed, at=at)
            longest = max(longest, seconds_to_wait(counted[key], speed, at=at))
        if longest == 0.0:
            for key, one in counted.items():
                self._counted[key] = counted_once_more(one)
                self._counted.move_to_end(key)
            while len(self._counted) > KEPT_KEYS:
                self._counted.popitem(last=False)
        return longest

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()


async def _ask(redis: Redis, script: str, asked: tuple[Any, ...]) -> Any:
    """By its digest, which is short; and in full, where Redis does not know it yet."""
    # redis-py types both its faces at once
    evalsha: Any = redis.evalsha
    whole: Any = redis.eval
    try:
        return await evalsha(_digest_of(script), *asked)
    except NoScriptError:
        return await whole(script, *asked)


@cache
def _digest_of(script: str) -> str:
    return sha1(script.encode()).hexdigest()  # noqa: S324 - how Redis names its scripts
