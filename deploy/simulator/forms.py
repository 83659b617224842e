"""Form fields and query strings, read for speed: later values win, order is kept."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import quote_plus, unquote_to_bytes

# What bodies of SMS requests are full of: replaced in C before the general decoder looks.
_COMMON: Final = (
    ("%2B", "+"),
    ("%3A", ":"),
    ("%2F", "/"),
    ("%2C", ","),
    ("%21", "!"),
    ("%3F", "?"),
    ("%3D", "="),
    ("%26", "&"),
)


def decoded(value: str) -> str:
    """One name or value of a form. No replacement makes a new %, so none decodes twice."""
    if "+" in value:
        value = value.replace("+", " ")
    if "%" not in value:
        return value
    for code, character in _COMMON:
        value = value.replace(code, character)
    if "%" in value:
        return unquote_to_bytes(value).decode("utf-8", "replace")
    return value


def read_form(raw: bytes) -> dict[str, str]:
    """The last value of each field; names are decoded too (`DateSent%3E`)."""
    return _fields(raw.decode("utf-8", "replace"))


def read_all(raw: bytes, name: str) -> tuple[str, ...]:
    """Every value of one field, in order."""
    pairs = (pair.partition("=") for pair in raw.decode("utf-8", "replace").split("&"))
    return tuple(decoded(value) for each, _, value in pairs if each == name)


def read_query(url: str) -> dict[str, str]:
    """The query parameters of a URL."""
    return _fields(url.partition("#")[0].partition("?")[2])


def write_form(fields: Iterable[tuple[str, str]]) -> bytes:
    """Names are plain words; most values are too, and the others (numbers with a +) come again."""
    pairs = [
        f"{name}={value}" if value.isascii() and value.isalnum() else f"{name}={_quoted(value)}"
        for name, value in fields
    ]
    return "&".join(pairs).encode("ascii")


@lru_cache(maxsize=16_384)
def _quoted(value: str) -> str:
    return quote_plus(value)


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    if not text:
        return fields
    for pair in text.split("&"):
        name, _, value = pair.partition("=")
        if "%" in name or "+" in name:
            name = decoded(name)
        fields[name] = decoded(value) if "%" in value or "+" in value else value
    return fields
