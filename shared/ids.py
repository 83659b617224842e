"""UUIDv7 (RFC 9562): ids that sort by time, so that a table's partitions can be told from the id alone."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_RANDOM_A = (1 << 12) - 1
_RANDOM_B = (1 << 62) - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Within a millisecond each id of a process follows the one before by a random step (RFC 9562, 6.2, method 2): who tells
# of two things one after the other finds them in that order. Steps of 56 bits leave nothing to guess.
_FIRST_BITS = 73
_STEP_BITS = 56

# 2^26 recipients in one campaign message before two positions would share their bits.
_POSITION_BITS = 26
_HASH_BITS = 74 - _POSITION_BITS


# The last one of each millisecond asked for lately: a request's ids are of its own moment, and requests overlap.
_latest: dict[int, int] = {}
_REMEMBERED = 64


def uuid7(at: datetime | None = None) -> UUID:
    """A fresh id, of this moment unless told otherwise; above those this process made in the same millisecond."""
    milliseconds = time.time_ns() // 1_000_000 if at is None else milliseconds_of(at)
    latest = _latest.pop(milliseconds, None)  # and last again: a moment that is still asked for is not forgotten
    if latest is None:
        random = int.from_bytes(os.urandom(10)) >> (80 - _FIRST_BITS)
        if len(_latest) >= _REMEMBERED:
            _latest.pop(next(iter(_latest)), None)
    else:
        random = latest + 1 + (int.from_bytes(os.urandom(8)) >> (64 - _STEP_BITS))
    _latest[milliseconds] = random
    return _assemble(milliseconds, random)


def derived_uuid7(at: datetime, *, position: int, material: bytes) -> UUID:
    """The same id for the same three, however often it is asked for.

    A campaign message's expansion derives its messages' ids from the moment it began, the recipient's place in
    the audience and both their names. Ids then sort in audience order, and a second expansion
    meets the first one's rows instead of doubling them.
    """
    return UUID(bytes=derive_uuid7s(at, material)(position, b""))


def derive_uuid7s(at: datetime, material: bytes) -> Callable[[int, bytes], bytes]:
    """`derived_uuid7` for many positions: asked for a position and the rest of the material, it gives an id's bytes."""
    moment = milliseconds_of(at) << 80 | _VERSION | _VARIANT
    common = blake2b(material, digest_size=8)

    def derive(position: int, rest: bytes) -> bytes:
        if not 0 <= position < 1 << _POSITION_BITS:
            raise ValueError(f"position must be in 0..{(1 << _POSITION_BITS) - 1}, not {position}")
        hashed = common.copy()
        hashed.update(rest)
        random = position << _HASH_BITS | int.from_bytes(hashed.digest()) >> (64 - _HASH_BITS)
        return (moment | (random >> 62) << 64 | (random & _RANDOM_B)).to_bytes(16)

    return derive


def first_uuid7(at: datetime) -> UUID:
    """The lowest id of a moment: a bound for partitions and time ranges. Before 1970 there are none."""
    return _assemble(max(0, milliseconds_of(at)), 0)


def time_of(id_: UUID) -> datetime:
    """The moment an id names, to the millisecond."""
    return _EPOCH + timedelta(milliseconds=id_.int >> 80)


@lru_cache(maxsize=128)  # a slice of an expansion asks for one moment thousands of times
def milliseconds_of(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def _assemble(milliseconds: int, random: int) -> UUID:
    high = (random >> 62) & _RANDOM_A
    return UUID(int=(milliseconds << 80) | _VERSION | (high << 64) | _VARIANT | (random & _RANDOM_B))
