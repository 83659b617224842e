"""Whether one more password may be sent: locked numbers, blocks, speeds, and what may be spent.

Every refusal looks the same, whichever limit it was: whoever probes for them learns when to come back, and no more.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from api.otp import queries
from api.otp_watch import queries as watch
from api.resources import Resources
from shared.domain import otp_notices
from shared.domain.otp import OtpLimited
from shared.domain.otp_conversion import State
from shared.domain.otp_limits import FAILURES_SECONDS, THROTTLED, Limits, Scope, limits_of
from shared.domain.speed import Speed
from shared.queries.notices import insert_notice
from shared.sealing import hash_msisdn
from shared.speeds import Wish

# For what does not end by itself at a known time, or whose end is not the caller's to know.
_COME_BACK_SECONDS: Final = 600.0
_LONGEST_WAIT: Final = 3600.0


class Counted(Protocol):
    """What of a person is counted: of whoever asks for a password, and of the row that it becomes."""

    @property
    def msisdn(self) -> str: ...
    @property
    def msisdn_hash(self) -> bytes: ...
    @property
    def country(self) -> str: ...
    @property
    def prefix(self) -> str: ...
    @property
    def address_hash(self) -> bytes | None: ...
    @property
    def session_hash(self) -> bytes | None: ...


async def _check_sending(
    tx: AsyncConnection, res: Resources, counted: Counted, profile: queries.AnyRow, *, now: datetime
) -> Sequence[Wish]:
    """Refuse a password that one limit or another does not allow; else it is counted in all of them: as what is told.

    Sending a code again costs as much as the first time, and counts as much.
    """
    deployment = await watch.get_stored_limits(tx)
    limits = limits_of(deployment, profile.limits)
    locked = await queries.find_locked_since(tx, counted.msisdn_hash, most=limits.failures, now=now)
    if locked is not None:
        raise _limited((locked + timedelta(seconds=FAILURES_SECONDS) - now).total_seconds())
    states = await watch.list_states(tx, prefix=counted.prefix, country=counted.country, now=now)
    if State.BLOCKED in states.values():
        raise _limited(_COME_BACK_SECONDS)
    keys = {
        Scope.NUMBER: counted.msisdn,
        Scope.PREFIX: counted.prefix,
        Scope.PROFILE: str(profile.id),
        Scope.DEPLOYMENT: "all",
        Scope.IP: _hex(counted.address_hash),
        Scope.SESSION: _hex(counted.session_hash),
    }
    wishes = list(_wishes(res.pepper, limits, keys))
    wishes += [
        Wish(_key(res.pepper, f"throttled {scope}", value, speed), speed)
        for (scope, value), state in states.items()
        if state is State.THROTTLED
        for speed in THROTTLED
    ]
    wait = await res.speeds.take(wishes, now=now)
    if wait > 0:
        raise _limited(wait)
    return wishes


@asynccontextmanager
async def counted_sending(
    tx: AsyncConnection, res: Resources, counted: Counted, profile: queries.AnyRow, *, now: datetime
) -> AsyncIterator[None]:
    """A password that no limit refuses is counted in all of them; in none, where it is not sent after all.

    Whoever asks again and again while there is no money left would else be locked out for the rest of the day.
    """
    taken = await _check_sending(tx, res, counted, profile, now=now)
    try:
        yield
    except Exception:
        await res.speeds.give_back(taken, now=now)
        raise


async def spend(tx: AsyncConnection, profile: queries.AnyRow, *, segments: int, now: datetime) -> None:
    """Book what a password costs, or refuse it: where the hour's or the day's cap is reached, nothing goes out."""
    limits = limits_of(await watch.get_stored_limits(tx), profile.limits)
    booked = await watch.book_segments(tx, segments, hour=limits.hour_segments, day=limits.day_segments, now=now)
    if booked is None:
        raise _limited(_COME_BACK_SECONDS)
    for notice in otp_notices.of_spending(booked, segments=segments, limits=limits):
        await insert_notice(tx, notice, now=now)


def _wishes(pepper: bytes, limits: Limits, keys: Mapping[Scope, str | None]) -> Iterator[Wish]:
    for scope, value in keys.items():
        if value:
            for speed in limits.speeds[scope]:
                yield Wish(_key(pepper, scope, value, speed), speed)


def _hex(hashed: bytes | None) -> str | None:
    return None if hashed is None else hashed.hex()


def _key(pepper: bytes, scope: str, value: str, speed: Speed) -> str:
    """No number and no address stands in Redis."""
    return f"lapwing:otp:{scope}:{speed.seconds}:{hash_msisdn(pepper, f'{scope} {value}').hex()}"


def _limited(seconds: float) -> OtpLimited:
    return OtpLimited(
        "No more passwords can be sent for now; try again later.", retry_after=min(max(seconds, 1.0), _LONGEST_WAIT)
    )
