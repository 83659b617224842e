"""One-time passwords: how a code comes about, how a typed one is read, and how long a challenge lives. Pure.

A code is derived, never stored: whoever holds the pepper and the challenge can work it out again, and nobody else can.
"""

import hmac
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from shared.errors import Conflict, LimitReached, NotFound

SHORTEST_CODE: Final = 4
LONGEST_CODE: Final = 10
USUAL_LENGTH: Final = 6
USUAL_TTL_SECONDS: Final = 600
USUAL_ATTEMPTS: Final = 5
USUAL_WAITS: Final = (30, 60, 120)
USUAL_SENDS: Final = 5
# Beyond the longest life of a profile: what began earlier waits for nobody.
LONGEST_LIFE: Final = timedelta(hours=2)
# Nobody types more; what is longer is refused before anything is looked at.
LONGEST_TYPED: Final = 64

_DRAW_BYTES: Final = 8
# What people and keyboards put between digits: spaces, dashes, marks that nobody sees.
_SILENT_CATEGORIES: Final = frozenset({"Zs", "Pd", "Cf", "Cc"})


class Status(StrEnum):
    """Where a challenge stands. Only a pending one can be verified, sent again or cancelled."""

    PENDING = "pending"
    VERIFIED = "verified"  # the right code came, once
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"  # too many wrong codes
    CANCELLED = "cancelled"
    NOT_REQUIRED = "not_required"  # the profile is switched off: nothing was made


class OtpNotPending(NotFound):
    """No password waits for its code under this id: none was made, or it is used, expired or cancelled."""


class OtpResendTooEarly(LimitReached):
    """The password was sent a moment ago; it is sent again when the wait is over."""


class OtpProfileOff(Conflict):
    """The profile was switched off since the password began: nobody is sent a code of it any more."""


class OtpLimited(LimitReached):
    """Too many passwords were asked for; wait for as long as the answer says."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What decides where a challenge stands."""

    attempts: int
    max_attempts: int
    sends: int
    max_sends: int
    resend_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    cancelled_at: datetime | None = None


def derive_code(pepper: bytes, *, challenge_id: UUID, profile_id: UUID, msisdn: str, length: int) -> str:
    """The code of a challenge: every one of that length is as likely as any other.

    Draws at the end of the range, where the lowest codes would come up once more than the others, are drawn again.
    """
    if not SHORTEST_CODE <= length <= LONGEST_CODE:
        raise ValueError(f"a code has {SHORTEST_CODE} to {LONGEST_CODE} digits, not {length}")
    codes = 10**length
    fair = (1 << 8 * _DRAW_BYTES) // codes * codes
    material = b"one-time code" + challenge_id.bytes + profile_id.bytes + msisdn.encode()
    turn = 0
    while True:
        digest = hmac.digest(pepper, material + turn.to_bytes(4), sha256)
        for start in range(0, len(digest), _DRAW_BYTES):
            draw = int.from_bytes(digest[start : start + _DRAW_BYTES])
            if draw < fair:
                return f"{draw % codes:0{length}d}"
        turn += 1


def read_typed(raw: str) -> str:
    """The digits of a code as somebody typed or pasted it; whatever holds more than digits is no code, and is empty.

    Digits of every script count, and spaces and dashes between them do not.
    """
    digits: list[str] = []
    for character in raw[: LONGEST_TYPED + 1]:
        digit = unicodedata.decimal(character, None)
        if digit is not None:
            digits.append(str(digit))
        elif unicodedata.category(character) not in _SILENT_CATEGORIES:
            return ""
    return "".join(digits) if len(raw) <= LONGEST_TYPED else ""


def is_right(typed: str, expected: str) -> bool:
    """Whether the digits typed are the code's, in a time that does not depend on how many of them are."""
    return hmac.compare_digest(typed.encode().ljust(LONGEST_TYPED), expected.encode().ljust(LONGEST_TYPED))


def wait_after(sends: int, waits: Sequence[int]) -> int:
    """Seconds between the `sends`th sending and the next; the last wait holds for all that follow."""
    if not waits:
        return USUAL_WAITS[0]
    return waits[min(max(sends, 1), len(waits)) - 1]


def status_of(challenge: Challenge, *, now: datetime) -> Status:
    if challenge.used_at is not None:
        return Status.VERIFIED
    if challenge.cancelled_at is not None:
        return Status.CANCELLED
    if challenge.expires_at <= now:
        return Status.EXPIRED
    if challenge.attempts >= challenge.max_attempts:
        return Status.EXHAUSTED
    return Status.PENDING


def seconds_to_resend(challenge: Challenge, *, now: datetime) -> int | None:
    """How long until it may be sent again, rounded up; None where it may not any more."""
    if status_of(challenge, now=now) is not Status.PENDING or challenge.sends >= challenge.max_sends:
        return None
    if challenge.resend_at >= challenge.expires_at:
        return None
    return max(0, -((now - challenge.resend_at) // timedelta(seconds=1)))


def check_resend(challenge: Challenge, *, now: datetime) -> None:
    """Refuse to send a challenge's code once more: not pending, too early, or often enough."""
    if status_of(challenge, now=now) is not Status.PENDING:
        raise not_pending()
    wait = seconds_to_resend(challenge, now=now)
    if wait is None:
        left = (challenge.expires_at - now).total_seconds()
        raise OtpResendTooEarly(
            "The password was sent as often as it may be; start a new one when it has expired.", retry_after=left
        )
    if wait:
        raise OtpResendTooEarly(f"The password can be sent again in {wait} seconds.", retry_after=wait)


def check_profile_on(name: str, *, enabled: bool) -> None:
    """Refuse to send more codes of a profile that was switched off while a challenge was open."""
    if not enabled:
        raise OtpProfileOff(
            f"The profile {name!r} is switched off, so no code of it is sent again; a start with POST /v1/otp says "
            "not_required. To send codes, an admin may set enabled under PATCH /v1/otp-profiles/{profile_id}.",
            pointer="/enabled",
        )


def not_pending() -> OtpNotPending:
    return OtpNotPending("No password waits for its code under this id; start a new one with POST /v1/otp.")
