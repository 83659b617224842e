"""What a contact may hold: texts, a time zone, and fields of the owner's own, by the same rules from JSON and CSV.

A field's key is a name that a tag can carry (`{{ fields.city }}`). Refusals do not repeat the value.
"""

import json
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from math import isfinite
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.errors import FieldError, Invalid

Scalar = str | int | float | bool

MAX_TEXT_CHARACTERS: Final = 200
MAX_FIELDS: Final = 100
MAX_KEY_CHARACTERS: Final = 64
MAX_VALUE_CHARACTERS: Final = 4_000
MAX_FIELDS_CHARACTERS: Final = 32_768

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_NOT_OF_A_KEY: Final = re.compile(r"\W+")
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+\-]*(?:/[A-Za-z0-9_+\-]+)*")
# Other spellings of the same data, and files beside it: not names that another machine would know.
_NO_ZONES: Final = ("posix/", "right/", "posixrules", "localtime", "Factory")


class Consent(StrEnum):
    UNKNOWN = "unknown"  # nobody has said
    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


class InvalidContact(Invalid):
    """A contact cannot hold this."""


def read_text(value: str, *, name: str) -> str | None:
    """A short text on one line (runs of white space become one space); None for a blank one."""
    text = " ".join(value.split())
    if len(text) > MAX_TEXT_CHARACTERS:
        raise InvalidContact(f"{name} has {len(text)} characters; shorten it to {MAX_TEXT_CHARACTERS}.")
    if _CONTROL.search(text):
        raise InvalidContact(f"{name} holds control characters; remove them.")
    return text or None


def read_time_zone(value: str) -> str | None:
    """A zone of the IANA database, as it writes it; None for a blank one."""
    zone = value.strip()
    if not zone:
        return None
    if len(zone) > MAX_KEY_CHARACTERS or not is_zone(zone):
        raise InvalidContact("time_zone is not in the IANA database; write a name such as Africa/Johannesburg.")
    return zone


@lru_cache(maxsize=2048)
def is_zone(zone: str) -> bool:
    """Whether a name is that of a zone in the IANA database."""
    if not _ZONE.fullmatch(zone) or zone.startswith(_NO_ZONES):
        return False
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def key_of(header: str) -> str:
    """The key for a column's name: as it stands if a tag can carry it, else with _ for what a tag cannot."""
    key = _NOT_OF_A_KEY.sub("_", header.strip()).strip("_")[:MAX_KEY_CHARACTERS]
    if key and not key.isidentifier():
        key = f"column_{key}"[:MAX_KEY_CHARACTERS]
    return key


def merge_fields(current: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    """The fields after a change, in which null takes a key away; refused by the pointer of what cannot stay."""
    errors = [
        FieldError(field_pointer(key), problem)
        for key, value in changes.items()
        if value is not None and (problem := problem_of_field(key, value))
    ]
    if errors:
        raise InvalidContact(errors[0].detail, errors=errors[:20])
    merged = {**current, **changes}
    fields = {key: value for key, value in merged.items() if value is not None}
    if problem := problem_of_size(fields):
        raise InvalidContact(problem, pointer="/fields")
    return fields


def problem_of_field(key: str, value: object) -> str | None:
    """Why a contact cannot hold this field; None if it can."""
    if len(key) > MAX_KEY_CHARACTERS or key.startswith("_") or not key.isidentifier():
        return (
            "A field's key must be a name of letters, digits and _ that begins with a letter, "
            f"of at most {MAX_KEY_CHARACTERS} characters, so that a tag can carry it."
        )
    if isinstance(value, str):
        return _problem_of_text(key, value)
    if isinstance(value, float) and not isfinite(value):
        return f"The field {key} is not a finite number."
    if not isinstance(value, int | float):
        return f"The field {key} must be a text, a number, true or false; null deletes it."
    return None


def _problem_of_text(key: str, value: str) -> str | None:
    if len(value) > MAX_VALUE_CHARACTERS:
        return f"The field {key} has {len(value)} characters; shorten it to {MAX_VALUE_CHARACTERS}."
    if _UNSTORABLE.search(value):
        return f"The field {key} holds characters that are no text (NUL or half a surrogate pair)."
    return None


def problem_of_size(fields: Mapping[str, object]) -> str | None:
    """Why these fields are too much for one contact; None if they are not."""
    if len(fields) > MAX_FIELDS:
        return f"There are {len(fields)} fields; a contact holds {MAX_FIELDS}."
    size = len(json.dumps(fields, ensure_ascii=False))
    if size > MAX_FIELDS_CHARACTERS:
        return f"The fields have {size} characters together; a contact holds {MAX_FIELDS_CHARACTERS}."
    return None


def field_pointer(key: str) -> str:
    """Where the field stands in a body, as a JSON pointer (RFC 6901)."""
    return "/fields/" + key[:MAX_KEY_CHARACTERS].replace("~", "~0").replace("/", "~1")
