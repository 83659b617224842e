"""What a tag does to a value: made text, passed through filters, fit to be sent.

A value is text or None, and None is missing. Lists, mappings and everything without a plain written
form are missing too: nothing here looks at an object's attributes or calls its methods.
"""

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Final
from uuid import UUID

Step = Callable[[str | None], str | None]

_UNSENDABLE: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # all controls but the line feed
_LARGEST_INT_BITS: Final = 256
# A word with at most one letter after an apostrophe: IT'S is one word, O'BRIEN two.
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_](?![^\W\d_]))?")  # noqa: RUF001 - both


def sendable(text: str) -> str:
    """The text with a space for each control character; line ends become line feeds and stay."""
    if text.isprintable():
        return text
    return _UNSENDABLE.sub(" ", text.replace("\r\n", "\n"))


def text_of(value: object) -> str | None:
    """A value in words, or None if there is none: absent, blank, or without a plain form."""
    if type(value) is str:
        text = sendable(value)
        return text if text and not text.isspace() else None
    if value is None:
        return None
    return _text_of_other(value)


def _text_of_other(value: object) -> str | None:  # noqa: PLR0911 - one answer for each type
    match value:
        case str():
            return text_of(str.__str__(value))
        case bool():
            return "true" if value else "false"
        case int():
            small = int.bit_length(value) <= _LARGEST_INT_BITS
            return int.__repr__(value) if small else None
        case float():
            return _text_of_float(value)
        case Decimal():
            return str(value) if value.is_finite() else None
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
        case _:
            return None


def _text_of_float(value: float) -> str | None:
    if not isfinite(value):
        return None
    return float.__repr__(value).removesuffix(".0")


def default(text: str) -> Step:
    """The text for a missing value; with an empty one it is no longer missing, too."""
    return lambda value: value or text


def truncate(characters: int) -> Step:
    """At most so many characters; no ellipsis, which would cost three of them."""
    return lambda value: value and value.lstrip()[:characters].rstrip()


def upper(value: str | None) -> str | None:
    return value and value.upper()


def lower(value: str | None) -> str | None:
    return value and value.lower()


def capitalize(value: str | None) -> str | None:
    return value and value.capitalize()


def title(value: str | None) -> str | None:
    """MARY-ANN O'BRIEN as Mary-Ann O'Brien."""
    return value and _WORD.sub(lambda word: word[0].capitalize(), value)


def trim(value: str | None) -> str | None:
    return value and value.strip()


def first_word(value: str | None) -> str | None:
    return value and next(iter(value.split(None, 1)), "")


WITHOUT_ARGUMENT: Final[dict[str, Step]] = {
    "upper": upper,
    "lower": lower,
    "capitalize": capitalize,
    "title": title,
    "trim": trim,
    "first_word": first_word,
}
