"""A callback's fields as they may be kept for days: no text, no number in clear, nothing that is a key to anything."""

import json
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, Literal

from shared.adapter import Callback
from shared.domain.msisdn import mask

_MOST_FIELDS: Final = 50
_LONGEST_NAME: Final = 64
_LONGEST_VALUE: Final = 256
_HIDDEN: Final = "…"

# Compared without case and punctuation, as vendors spell them in every way.
_TEXTS: Final = frozenset(
    {"body", "text", "message", "msg", "content", "sms", "smstext", "messagebody", "messagetext"}
    | {"data", "sentdata", "incomingdata", "incomingmessage"}
)
_NUMBERS: Final = frozenset(
    {"to", "from", "msisdn", "phone", "phonenumber", "mobile", "number", "destination", "source"}
    | {"recipient", "sender", "sourcenumber", "destinationnumber", "sourcephonenumber"}
)
_KEYS: Final = re.compile(r"secret|passw|token|apikey|auth|signature")
_PUNCTUATION = re.compile(r"[^a-z0-9]")
_INTERNATIONAL = re.compile(r"\+[0-9]{7,15}")
_DIGITS = re.compile(r"[0-9]{7,15}")

_Kind = Literal["text", "number", "key", "plain"]


def redacted_fields(callback: Callback) -> dict[str, str]:
    """The fields of query, form or JSON body by name; what came twice keeps its last value."""
    pairs = [*callback.query, *callback.form, *_json_fields(callback)]
    return dict(_redacted(pairs[:_MOST_FIELDS]))


def _redacted(pairs: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for long_name, long_value in pairs:
        name, value = long_name[:_LONGEST_NAME], long_value[:_LONGEST_VALUE]
        kind = _kind_of(name)
        if kind == "text":
            continue
        if kind == "key":
            value = _HIDDEN
        elif kind == "number" and _DIGITS.fullmatch(value):
            value = mask(value)
        elif "+" in value:
            value = _INTERNATIONAL.sub(lambda number: mask(number[0]), value)
        yield _storable(name), _storable(value)


@lru_cache(maxsize=512)
def _kind_of(name: str) -> _Kind:
    plain = _PUNCTUATION.sub("", name.lower())
    if plain in _TEXTS:
        return "text"
    if plain in _NUMBERS:
        return "number"
    return "key" if _KEYS.search(plain) else "plain"


def _storable(text: str) -> str:
    """Postgres keeps no NUL."""
    return text.replace("\0", "")


def _json_fields(callback: Callback) -> list[tuple[str, str]]:
    """The plain values at the top of a JSON object. What is nested is named, not kept.

    Some gateways call their JSON plain text.
    """
    if "json" not in callback.headers.get("content-type", "") and not callback.body.lstrip().startswith(b"{"):
        return []
    try:
        found = json.loads(callback.body)
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, dict):
        return []
    return [(_whole(name), _plain(value)) for name, value in found.items()]


def _plain(value: Any) -> str:
    return _HIDDEN if isinstance(value, dict | list) else _whole(str(value))


def _whole(text: str) -> str:
    """Without the halves of characters that JSON can spell: they cannot be stored."""
    return text.encode("utf-8", "replace").decode()
