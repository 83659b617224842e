"""Credit at a gateway: whether it is enough, and what its owner hears when that changes. Pure, and total.

A reading moves the state, and each crossing of a limit is told once; a reading that failed moves nothing, until the one
that made the gateway skipped is too old to be a reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from shared.domain.notice import Kind, Notice

SHORTEST_MINUTES: Final = 5
USUAL_MINUTES: Final = 60
# One failure is weather. So many in a row mean that nobody watches the credit any more.
FAILURES_TOLD: Final = 3
# How long a gateway may be skipped for a reading that nobody can repeat.
OUTLIVED_AFTER: Final = timedelta(days=1)
_FIRST_RETRY: Final = timedelta(minutes=5)
_PLACES: Final = 6
_LARGEST: Final = Decimal(10) ** 15


class State(StrEnum):
    UNKNOWN = "unknown"  # not read yet, or nobody watches it
    OK = "ok"
    LOW = "low"  # below warn_below
    EMPTY = "empty"  # below stop_below: the gateway is skipped


# Only to UNKNOWN leads nothing that is told. LOW after EMPTY is told as low: messages flow again, but not for long.
CROSSINGS: Final[Mapping[tuple[State, State], Kind]] = MappingProxyType(
    {
        (State.UNKNOWN, State.LOW): Kind.BALANCE_LOW,
        (State.UNKNOWN, State.EMPTY): Kind.BALANCE_EMPTY,
        (State.OK, State.LOW): Kind.BALANCE_LOW,
        (State.OK, State.EMPTY): Kind.BALANCE_EMPTY,
        (State.LOW, State.OK): Kind.BALANCE_RECOVERED,
        (State.LOW, State.EMPTY): Kind.BALANCE_EMPTY,
        (State.EMPTY, State.OK): Kind.BALANCE_RECOVERED,
        (State.EMPTY, State.LOW): Kind.BALANCE_LOW,
    }
)


@dataclass(frozen=True, slots=True)
class Check:
    """How a gateway's credit is watched. A limit that is None is not one."""

    every: timedelta
    warn_below: Decimal | None = None
    stop_below: Decimal | None = None
    emails: tuple[str, ...] = ()
    enabled: bool = True


def check_of(stored: Mapping[str, Any] | None) -> Check | None:
    """The check as it is stored with its gateway, also in the form of older versions."""
    if not stored:
        return None
    return Check(
        every=timedelta(minutes=max(SHORTEST_MINUTES, int(stored.get("every_minutes") or USUAL_MINUTES))),
        warn_below=_limit(stored.get("warn_below")),
        stop_below=_limit(stored.get("stop_below")),
        emails=tuple(stored.get("email") or ()),
        enabled=stored.get("enabled") is not False,
    )


def _limit(stored: Any) -> Decimal | None:
    return None if stored is None else Decimal(str(stored))


def state_of(amount: Decimal | None, check: Check | None) -> State:
    """Where an amount stands among the limits; without anybody who watches it, nowhere."""
    if amount is None or check is None or not check.enabled:
        return State.UNKNOWN
    if check.stop_below is not None and amount < check.stop_below:
        return State.EMPTY
    if check.warn_below is not None and amount < check.warn_below:
        return State.LOW
    return State.OK


def why_empty(amount: Decimal | None, unit: str | None, check: Check | None) -> str | None:
    """Why nothing is handed to the gateway; None while its credit is no reason."""
    if amount is None or check is None or check.stop_below is None or state_of(amount, check) is not State.EMPTY:
        return None
    return f"The balance, {shown(amount, unit)}, is below stop_below, {check.stop_below:f}."


def crossing(before: State, after: State) -> Kind | None:
    """What is told when the state moves; None for what nobody needs to hear."""
    return CROSSINGS.get((before, after))


def storable(amount: Decimal) -> Decimal | None:
    """The amount as it is kept; None for what is no amount. Never rounded up: a limit must not be missed by that."""
    if not amount.is_finite() or abs(amount) >= _LARGEST:
        return None
    exponent = amount.as_tuple().exponent
    is_finer = isinstance(exponent, int) and exponent < -_PLACES
    return amount.quantize(Decimal(1).scaleb(-_PLACES), rounding=ROUND_FLOOR) if is_finer else amount


def wait_before_next(check: Check | None, *, failures: int) -> timedelta | None:
    """How long until the credit is asked for again; sooner after a failure, and None if nobody wants to know."""
    if check is None or not check.enabled:
        return None
    if failures == 0:
        return check.every
    return min(check.every, _FIRST_RETRY * (1 << min(failures - 1, 10)))


def is_told(check: Check, *, failures: int) -> bool:
    """Whether so many failures in a row are news; they are once."""
    return check.enabled and failures == FAILURES_TOLD


def is_outlived(state: State, *, age: timedelta, failures: int) -> bool:
    """Whether a gateway's emptiness is forgotten. Nobody could see it topped up, so it would be skipped for ever."""
    return state is State.EMPTY and failures >= FAILURES_TOLD and age >= OUTLIVED_AFTER


def shown(amount: Decimal, unit: str | None) -> str:
    return f"{amount:f} {unit}" if unit else f"{amount:f}"


def notice_of(kind: Kind, gateway_id: UUID, *, name: str, amount: Decimal, unit: str, check: Check) -> Notice:
    """The notice of a crossing."""
    has = shown(amount, unit)
    title, text = f"Gateway {name} has enough again: {has}", f"The gateway {name} has {has}, above its limits again."
    if kind is Kind.BALANCE_LOW:
        title = f"Gateway {name} is low: {has}"
        text = (
            f"The gateway {name} has {has}, which is below {_shown_limit(check.warn_below, unit)}. "
            "Top the account up before it runs dry."
        )
    elif kind is Kind.BALANCE_EMPTY:
        title = f"Gateway {name} is empty: {has}"
        text = (
            f"The gateway {name} has {has}, which is below {_shown_limit(check.stop_below, unit)}. Nothing is handed "
            "to it any more; messages take the next gateway, or wait. Top the account up: it is used again as soon as "
            "its balance has been read."
        )
    limits = {"warn_below": check.warn_below, "stop_below": check.stop_below}
    data = {limit: None if value is None else f"{value:f}" for limit, value in limits.items()}
    return Notice(
        kind, ("gateway", gateway_id), title, text, {"name": name, "amount": f"{amount:f}", "unit": unit} | data
    )


def _shown_limit(limit: Decimal | None, unit: str) -> str:
    return "its limit" if limit is None else shown(limit, unit)


def unreadable(gateway_id: UUID, *, name: str, state: State, failures: int, reason: str) -> Notice:
    """The notice of a credit that cannot be read."""
    then = "A low balance is not noticed until it can be read again."
    if state is State.EMPTY:
        then = (
            "It was empty when it was last read and stays skipped: until it can be read again, or for a day after "
            "that reading. To use it before, take stop_below out of its balance_check."
        )
    return Notice(
        Kind.BALANCE_UNREADABLE,
        ("gateway", gateway_id),
        f"The balance of gateway {name} cannot be read",
        f"The gateway {name} was asked for its balance {failures} times in a row, in vain: {reason} {then}",
        {"name": name, "failures": failures, "reason": reason, "used_again": False},
    )


def used_again(gateway_id: UUID, *, name: str, failures: int, reason: str) -> Notice:
    """The notice of a gateway that was empty once, and may be so no more."""
    return Notice(
        Kind.BALANCE_UNREADABLE,
        ("gateway", gateway_id),
        f"Gateway {name} is used again without knowing its balance",
        f"The gateway {name} was empty when it was last read, more than a day ago; since then it was asked {failures} "
        f"times in a row, in vain: {reason} It may have been topped up, so it is used again. If it was not, it refuses "
        "messages, and they take the next gateway; disable it to spare them that.",
        {"name": name, "failures": failures, "reason": reason, "used_again": True},
    )
