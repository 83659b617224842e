"""What an operator is told about passwords: blocks, money, wrong codes. Facts in, notices out; never a whole number."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from shared.domain.notice import Kind, Notice
from shared.domain.otp_conversion import Conversion
from shared.domain.otp_limits import Limits

# What all passwords of the deployment are, as the subject of a notice.
ALL_PASSWORDS: Final = ("otp_limits", UUID("0197c0de-0000-7000-8000-00000000d0f1"))
NEAR: Final = 0.8


@dataclass(frozen=True, slots=True)
class Booked:
    """Segments spent in this hour and in the last 24, with what was just booked."""

    hour: int
    day: int


@dataclass(frozen=True, slots=True)
class Failures:
    """Wrong codes within the time looked at."""

    tried: int
    wrong: int
    numbers: int  # that had a wrong one


ALARM_NUMBERS: Final = 50
ALARM_SHARE: Final = 0.5
ALARM_WINDOW: Final = timedelta(minutes=15)
ALARM_AGAIN: Final = timedelta(hours=1)


def of_spending(booked: Booked, *, segments: int, limits: Limits) -> Iterator[Notice]:
    """What the last booking crossed: most of a cap, or the point where one more would not fit."""
    for name, now, cap in (("hour", booked.hour, limits.hour_segments), ("day", booked.day, limits.day_segments)):
        before = now - segments
        if before + segments <= cap < now + segments:
            yield _spending(Kind.OTP_SPEND_REACHED, name, now, cap)
        elif before < NEAR * cap <= now:
            yield _spending(Kind.OTP_SPEND_NEAR, name, now, cap)


def _spending(kind: Kind, name: str, spent: int, cap: int) -> Notice:
    reached = kind is Kind.OTP_SPEND_REACHED
    return Notice(
        kind,
        ALL_PASSWORDS,
        f"Passwords have {'reached' if reached else 'nearly reached'} what may be spent in one {name}",
        f"{spent} of {cap} segments of one {name} are spent on passwords. "
        + ("No more are sent until it is over. " if reached else "At the cap no more are sent. ")
        + "If these are your own people, raise it under PUT /v1/otp/limits; if not, look at GET /v1/otp/stats.",
        {"period": name, "spent": spent, "cap": cap},
    )


def blocked(block_id: UUID, *, scope: str, value: str, conversion: Conversion, time: timedelta) -> Notice:
    hours = time.total_seconds() / 3600
    return Notice(
        Kind.OTP_BLOCKED,
        ("otp_block", block_id),
        f"Passwords to the {scope} {value} are blocked",
        f"Of the last {conversion.sent} passwords to the {scope} {value}, {conversion.verified} were used, as when "
        f"somebody has them sent for the money. None go there for {hours:g} hours. If these are your own people, "
        "lift the block with POST /v1/otp/blocks/{id}/unblock.",
        {"scope": scope, "value": value, "sent": conversion.sent, "verified": conversion.verified, "hours": hours},
    )


def alarmed(block_id: UUID, *, scope: str, value: str, conversion: Conversion) -> Notice:
    return Notice(
        Kind.OTP_CONVERSION_LOW,
        ("otp_block", block_id),
        f"Few passwords to the {scope} {value} are used",
        f"Of the last {conversion.sent} passwords to the {scope} {value}, {conversion.verified} were used. It is where "
        "your own people are, so nothing is stopped: look whether they arrive, and at GET /v1/otp/stats.",
        {"scope": scope, "value": value, "sent": conversion.sent, "verified": conversion.verified},
    )


def is_alarming(failures: Failures) -> bool:
    """Whether so many codes of so many numbers are wrong that somebody may be guessing across all of them."""
    return failures.numbers >= ALARM_NUMBERS and failures.wrong >= ALARM_SHARE * failures.tried


def guessing(failures: Failures) -> Notice:
    return Notice(
        Kind.OTP_FAILURES,
        ALL_PASSWORDS,
        f"Wrong codes for {failures.numbers} numbers",
        f"In the last {ALARM_WINDOW // timedelta(minutes=1)} minutes {failures.wrong} of {failures.tried} codes were "
        f"wrong, for {failures.numbers} numbers: somebody may be guessing one code for many. Longer codes or fewer "
        "attempts in the profile make that hopeless.",
        {"tried": failures.tried, "wrong": failures.wrong, "numbers": failures.numbers},
    )
