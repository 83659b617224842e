"""What the handset shows as the sender: a number, a name of up to 11 characters, or a short code.

Only the form is decided here. Whether a gateway or a country accepts it is theirs to say.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shared.errors import Invalid


class InvalidSenderId(Invalid):
    """The sender ID is neither a number in E.164, nor a name, nor a short code."""


class SenderKind(StrEnum):
    NUMERIC = "numeric"  # E.164, with its +
    ALPHANUMERIC = "alphanumeric"  # a name; nobody can reply to it
    SHORT_CODE = "short_code"  # 3 to 8 digits


@dataclass(frozen=True, slots=True)
class SenderId:
    kind: SenderKind
    value: str


# Where carriers take no names, whatever gateway brings them. Other countries ask for registration or rewrite them,
# which is between the gateway and its owner.
NAMELESS: Final = frozenset({"US", "CA"})
# How all numbers there begin. Some of their neighbours begin so too.
NAMELESS_PREFIX: Final = "+1"

_NAME = re.compile(r"[A-Za-z0-9 ]*")
_NUMBER_LIKE = re.compile(r"\+?[0-9 ()./-]*")
_SEPARATORS = re.compile(r"[ ()./-]")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")


def is_name(value: str) -> bool:
    """Whether a stored sender ID is a name."""
    return not value.lstrip("+").isdigit()


def may_show(value: str, *, country: str | None) -> bool:
    """Whether handsets of a country may show this sender. `country` is ISO 3166, None where it is not known."""
    return country not in NAMELESS or not is_name(value)


def parse(value: str) -> SenderId:
    """The sender ID in its stored form: outer spaces gone, a number without its separators."""
    value = value.strip()
    if not value:
        raise InvalidSenderId("sender_id is empty; give a number, a name or a short code.")
    if _NUMBER_LIKE.fullmatch(value):
        return _number(_SEPARATORS.sub("", value))
    return _name(value)


def _number(digits: str) -> SenderId:
    if _E164.fullmatch(digits):
        return SenderId(SenderKind.NUMERIC, digits)
    if digits.startswith("+"):
        raise InvalidSenderId(
            "sender_id begins with + but is no number in E.164; "
            "write + and the country code, 7 to 15 digits in all, such as +12025550142."
        )
    if 3 <= len(digits) <= 8:
        return SenderId(SenderKind.SHORT_CODE, digits)
    if len(digits) > 8:
        raise InvalidSenderId(
            f"sender_id has {len(digits)} digits and no +, and a short code has 3 to 8; "
            "write a number with + and its country code, such as +12025550142."
        )
    raise InvalidSenderId(
        f"sender_id has {len(digits)} digits, and a short code has 3 to 8; "
        "write all digits of the short code, or a name with at least one letter."
    )


def _name(value: str) -> SenderId:
    if not _NAME.fullmatch(value):
        stray = next(c for c in value if not _NAME.fullmatch(c))
        raise InvalidSenderId(f"sender_id may hold the letters A-Z, digits and spaces, not {stray!a}; leave it out.")
    if len(value) > 11:
        raise InvalidSenderId(f"sender_id has {len(value)} characters, and handsets show 11; shorten the name.")
    return SenderId(SenderKind.ALPHANUMERIC, value)
