"""The witness: Redis remembers how far the database had come, so that one which was set back is found out.

It may be lost without harm: then it knows nothing, and nothing is held on its word.
"""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from redis.exceptions import RedisError

from shared.doorbell import redis_of

log = logging.getLogger(__name__)

KEY: Final = "lapwing:beats"


class Witness:
    """The latest beat of each epoch of the database, as Redis has it."""

    def __init__(self, url: str) -> None:
        self._redis = redis_of(url)

    async def recall(self) -> Mapping[UUID, datetime]:
        """The latest beats that were seen; none where Redis does not answer."""
        try:
            # redis-py types both its faces at once
            told: dict[bytes, bytes] = await self._redis.hgetall(KEY)  # type: ignore[misc]  # both its faces
            return {UUID(epoch.decode()): datetime.fromisoformat(at.decode()) for epoch, at in told.items()}
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            log.warning("no witness", extra={"cause": type(error).__name__})
            return {}

    async def remember(self, epoch: UUID, beat_at: datetime) -> None:
        """Remember a beat that was committed."""
        try:
            await self._redis.hset(KEY, str(epoch), beat_at.isoformat())  # type: ignore[misc]  # both its faces
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("no witness", extra={"cause": type(error).__name__})

    async def aclose(self) -> None:
        await self._redis.aclose()
