"""How many requests a key may make: a bucket for each key, shared by all api processes through Redis.

A bucket holds a minute's worth and fills up evenly. A process that is asked often takes a handful at a time, so that a
busy key is not a trip to Redis for every request; what it took is gone from the bucket, so together the processes never
allow more than the limit. Without Redis each process keeps buckets of its own: that is more, and never without end.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import LimitReached

WINDOW_SECONDS: Final = 60
USUAL_LIMIT: Final = 60_000
_PATIENCE_SECONDS: Final = 1.0  # above what a busy loop may take to look at an answer
_ALONE_SECONDS: Final = 5.0  # so long a Redis that did not answer is not asked again
_KEPT_SECONDS: Final = 5.0  # so long a handful is worth something
_AGAIN_SECONDS: Final = 0.5  # who needs the next handful sooner gets a larger one
_LARGEST_HANDFUL: Final = WINDOW_SECONDS * 10  # of the limit, this part: a tenth of a second's worth
_SCRIPT: Final = (Path(__file__).parent / "rate_limits.lua").read_text()

log = logging.getLogger(__name__)


class RateLimitReached(LimitReached):
    """The key has made as many requests as it may in a minute."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether one more request is allowed, and what is told about it. `wait` is in seconds."""

    limit: int
    allowed: bool
    left: int
    wait: float = 0.0

    @property
    def headers(self) -> dict[str, str]:
        """As `draft-ietf-httpapi-ratelimit-headers` has them: `t` seconds from now the whole of it is there again."""
        whole = -((self.left - self.limit) * WINDOW_SECONDS // self.limit)
        return {
            "RateLimit-Policy": f'"key";q={self.limit};w={WINDOW_SECONDS}',
            "RateLimit": f'"key";r={self.left};t={whole}',
        }

    def check(self) -> None:
        if not self.allowed:
            raise RateLimitReached(
                f"This key may make {self.limit} requests a minute. Try again in {max(1, -int(-self.wait // 1))} s, "
                "or have the key's `rate_limit` raised.",
                retry_after=self.wait,
            )


@dataclass(slots=True)
class _Bucket:
    """The same arithmetic as in the script, for this process alone."""

    left: float
    at: float

    def take(self, limit: int, now: float) -> tuple[int, int, float]:
        self.left = min(limit, self.left + (now - self.at) * limit / WINDOW_SECONDS)
        self.at = now
        if self.left < 1:
            return 0, 0, (1 - self.left) * WINDOW_SECONDS / limit
        self.left -= 1
        return 1, int(self.left), 0.0


@dataclass(slots=True)
class _Handful:
    """What this process may give out without asking."""

    limit: int = 0
    held: int = 0
    beyond: int = 0  # what was left in the bucket when the handful was taken
    size: int = 1
    at: float = -_KEPT_SECONDS
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class RateLimits:
    """One of these a process. `clock` is in seconds from anywhere."""

    def __init__(
        self, redis: Redis | None = None, *, usual: int = USUAL_LIMIT, clock: Callable[[], float] = monotonic
    ) -> None:
        self.usual = usual
        self._redis = redis
        self._script: Any = redis.register_script(_SCRIPT) if redis is not None else None
        self._clock = clock
        self._handfuls: dict[str, _Handful] = {}
        self._buckets: dict[str, _Bucket] = {}
        self._alone_until = -1.0

    async def take(self, key: str, limit: int | None) -> Allowance | None:
        """One request of this key; None when there is no limit."""
        limit = self.usual if limit is None else limit
        if limit <= 0:
            return None
        handful = self._handfuls.setdefault(key, _Handful())
        if self._hold(handful, limit):
            return self._given(handful)
        async with handful.asking:
            if self._hold(handful, limit):  # somebody asked meanwhile
                return self._given(handful)
            return await self._ask(key, limit, handful)

    def _hold(self, handful: _Handful, limit: int) -> bool:
        fresh = self._clock() - handful.at < _KEPT_SECONDS
        return handful.held > 0 and fresh and handful.limit == limit

    @staticmethod
    def _given(handful: _Handful) -> Allowance:
        handful.held -= 1
        return Allowance(handful.limit, allowed=True, left=handful.beyond + handful.held)

    async def _ask(self, key: str, limit: int, handful: _Handful) -> Allowance:
        now = self._clock()
        again = now - handful.at < _AGAIN_SECONDS
        handful.size = min(handful.size * 2, max(1, limit // _LARGEST_HANDFUL)) if again else 1
        granted, left, wait = await self._from_bucket(key, limit, handful.size)
        handful.limit, handful.at, handful.beyond = limit, now, left
        handful.held = max(0, granted - 1)
        return Allowance(limit, allowed=granted > 0, left=left + handful.held, wait=wait)

    async def _from_bucket(self, key: str, limit: int, wanted: int) -> tuple[int, int, float]:
        if self._script is not None and self._clock() >= self._alone_until:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    answer = await self._script(keys=[f"lapwing:rate:{key}"], args=[limit, WINDOW_SECONDS, wanted])
                    granted, left, wait = map(int, answer)
                    return granted, left, wait / 1000
            except (RedisError, OSError, TimeoutError) as error:
                self._alone_until = self._clock() + _ALONE_SECONDS
                log.warning("rate limits are kept by this process alone", extra={"cause": type(error).__name__})
        now = self._clock()
        return self._buckets.setdefault(key, _Bucket(limit, now)).take(limit, now)

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()
