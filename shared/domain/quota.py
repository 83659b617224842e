"""The quota: what may still be sent, as the ledger has it. Pure: sums in, an answer out.

Without a grant there is no limit. A grant `total` counts once and for ever; one of a `day`, `month` or `year` is there
anew in each of them. Grants of one period add up, and every period that has a grant is a limit of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import ClassVar, Final
from zoneinfo import ZoneInfo

from shared.domain.contact import is_zone
from shared.errors import Conflict


class Period(StrEnum):
    TOTAL = "total"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class EntryKind(StrEnum):
    GRANT = "grant"
    RESERVE = "reserve"  # promised to a campaign or a message that is not sent yet
    RELEASE = "release"  # given back: it will not be sent
    CONSUME = "consume"  # a gateway took it, or may have


class QuotaExceeded(Conflict):
    """The quota does not hold as much as this would take."""

    remedy: ClassVar[str] = "Send less, wait for the next period, or have an admin grant more under /v1/quota/grants."


class ConfirmationNeeded(Conflict):
    """The audience is too large to be measured while somebody waits, and the quota has to be reserved exactly."""

    remedy: ClassVar[str] = "Ask for an estimate of the campaign, and start it with the confirmation in the answer."


# Singles need not stand in line for the ledger while this much is left: more than all that may be under way at once.
PLENTY: Final = 10_000


@dataclass(frozen=True, slots=True)
class Limit:
    """One period's limit: what was granted, and what is reserved or consumed of it."""

    period: Period
    granted: int
    used: int

    @property
    def available(self) -> int:
        return self.granted - self.used


def available(limits: Sequence[Limit]) -> int | None:
    """What the narrowest period leaves; None without a limit."""
    return min((limit.available for limit in limits), default=None)


def check(limits: Sequence[Limit], units: int) -> None:
    """Refuse what does not fit, by the period that is too small for it."""
    for limit in sorted(limits, key=lambda limit: limit.available):
        if units > limit.available:
            left = max(0, limit.available)
            raise QuotaExceeded(
                f"This takes {units} units, and {_of(limit.period)} has {left} left; send less"
                f"{'' if limit.period is Period.TOTAL else f', wait for the next {limit.period}'}, or have an admin "
                "grant more under /v1/quota/grants."
            )


def _of(period: Period) -> str:
    return "the quota" if period is Period.TOTAL else f"the quota of this {period}"


def start_of(period: Period, today: date) -> date | None:
    """The first day of the period that today is in; the sum of all has none."""
    match period:
        case Period.TOTAL:
            return None
        case Period.DAY:
            return today
        case Period.MONTH:
            return today.replace(day=1)
        case Period.YEAR:
            return today.replace(month=1, day=1)


def today_in(time_zone: str | None, now: datetime) -> date:
    """The operator's date, by which periods begin and end."""
    return now.astimezone(ZoneInfo(time_zone) if time_zone and is_zone(time_zone) else UTC).date()


@dataclass(frozen=True, slots=True)
class Account:
    """What one campaign holds of the quota, as running sums of its entries."""

    reserved: int
    consumed: int
    released: int


def settle(account: Account, *, consumed: int, over: bool) -> Account:
    """The account by what has gone out so far; when the campaign is over, what is left goes back."""
    released = account.reserved - consumed if over else account.released
    return Account(account.reserved, consumed, released)
