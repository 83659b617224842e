"""What may be kept of an exchange with a gateway: its shape and its words, without secrets, numbers or texts.

Gateways quote what they were sent. What is private of a call is taken out in every form it may come back in, and
then whatever could be a number.
"""

import json
import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, urlsplit

from shared.adapter import Answer, Call

# Header values that say something about the exchange and nothing about us.
_PLAIN_HEADERS: Final = frozenset(
    {"content-type", "content-length", "retry-after", "date", "server", "location-class", "twilio-request-id"}
)
_FORM: Final = "application/x-www-form-urlencoded"
_LONG_DIGITS: Final = re.compile(r"\+?\d[\d ().-]{5,}\d")
_CAP: Final = 1_000
_HIDDEN: Final = "[hidden]"
# Shorter ones are in every other word, and say nothing.
_SHORTEST: Final = 4


def redact_exchange(call: Call, answer: Answer | None, *, private: Sequence[str] = ()) -> dict[str, Any]:
    """The request's line and field names, and the answer without what is private and without long numbers."""
    hidden = _forms_of(private)
    exchange: dict[str, Any] = {
        "request": {
            "method": call.method,
            "url": _clean(_place_of(call.url), hidden),
            "headers": {name: _header(name, value) for name, value in call.headers},
            "fields": sorted({_clean(name, hidden) for name in _field_names(call)}),
        }
    }
    if answer is not None:
        exchange["answer"] = {
            "status": answer.status,
            "headers": {
                name: _clean(value, hidden) for name, value in answer.headers.items() if name.lower() in _PLAIN_HEADERS
            },
            # Cleaned before it is cut: half a number or half a text would not be known again.
            "body": _clean(answer.body.decode("utf-8", "replace").replace("\x00", ""), hidden),
        }
    return exchange


def mask(text: str) -> str:
    """The text with anything that could be a number made unreadable."""
    return _LONG_DIGITS.sub(lambda found: f"[{len(found.group())} digits]", text)


def _clean(text: str, hidden: re.Pattern[str] | None) -> str:
    return mask(hidden.sub(_HIDDEN, text) if hidden else text)[:_CAP]


def _forms_of(private: Sequence[str]) -> re.Pattern[str] | None:
    """All private words as they are, and as JSON, HTML and URLs write them; the longest first."""
    forms = {form for words in private if len(words) >= _SHORTEST for form in _forms(words)}
    if not forms:
        return None
    return re.compile("|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True)))


def _forms(words: str) -> Iterator[str]:
    yield words
    yield words.removeprefix("+")
    for ascii_only in (True, False):
        written = json.dumps(words, ensure_ascii=ascii_only)[1:-1]
        yield written
        yield written.replace("/", "\\/")
    yield escape(words, quote=True)
    yield escape(words, quote=False)
    as_bytes = words.encode("utf-8", "replace")
    yield quote(as_bytes, safe="")
    yield quote(as_bytes)
    yield quote_plus(as_bytes)


def _header(name: str, value: str) -> str:
    return mask(value) if name.lower() in _PLAIN_HEADERS else _HIDDEN


def _place_of(url: str) -> str:
    """Where the call went, without user and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "[unreadable]"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _field_names(call: Call) -> Iterator[str]:
    is_form = any(name.lower() == "content-type" and value.startswith(_FORM) for name, value in call.headers)
    query = call.url.partition("?")[2].partition("#")[0]
    for fields in (query, call.body.decode("utf-8", "replace") if is_form else ""):
        yield from (name for name, _ in parse_qsl(fields, keep_blank_values=True))
