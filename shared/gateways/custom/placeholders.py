"""Texts with places left open: `%TO%`, `%MESSAGE%`, `%SECRET:api_key%`.

A text is read once, when it is compiled, and what is put into it is never looked at again: a message that says
`%TO%` or `%SECRET:api_key%` is sent saying so. Every value is escaped for where it stands.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import quote
from xml.sax.saxutils import escape

from shared.adapter import CannotBuild


class Context(StrEnum):
    """Where a text goes, which says how values are escaped in it."""

    JSON = "json"  # inside quotes as part of a text, outside them as a whole value
    XML = "xml"  # as text, in an element or in the quotes of an attribute; in CDATA as it is
    FORM = "form"  # and URLs: percent-encoded
    HEADER = "header"  # as it is, if it fits into one line


class BadTemplate(ValueError):
    """A text that cannot be filled; says why."""


class CannotFill(CannotBuild):
    """A value that cannot stand where the settings put it."""


_FORMATS: Final = frozenset({"e164", "digits", "national"})
_NUMBER: Final = "number"
# Each name, and how many words may follow it.
_WORDS_AFTER: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "TO": (0, 2),
        "FROM": (0, 1),
        "MESSAGE": (0, 0),
        "MEDIA": (0, 0),
        "LOCATION": (0, 0),
        "ID": (0, 0),
        "ID_NUMBER": (0, 0),
        "ATTEMPT": (0, 0),
        "CALLBACK_URL": (0, 0),
        "ENCODING": (0, 0),
        "SEGMENTS": (0, 0),
        "VALIDITY": (0, 0),
        "CREATED_AT": (0, 0),
        "SECRET": (1, 1),
        "BASIC": (2, 2),
        "TOKEN": (0, 0),
    }
)
NAMES: Final = tuple(_WORDS_AFTER)
_NUMBERS: Final = frozenset({"ID_NUMBER", "ATTEMPT", "SEGMENTS", "VALIDITY"})

_OPEN = re.compile(r"%([A-Za-z][A-Za-z0-9_]*)((?::[a-z0-9_]+)*)%")
_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}")
_STRAY = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HEX_PAIR = re.compile(r"[0-9A-Fa-f]{2}")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,30}")
_ONE_LINE = re.compile(r"[\t\x20-\x7e]*")
_PLUS = re.compile(r"(?:\+|%2[Bb])$")
_LINE_ENDS = re.compile(r"[ \t]*[\r\n]+[ \t]*")
_CDATA: Final = "<![CDATA["
_CDATA_END: Final = "]]>"
# Line ends and tabs, too: in an attribute they would become blanks.
_IN_XML: Final = MappingProxyType({'"': "&quot;", "'": "&apos;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# What may stand in a query as it is (RFC 3986), the % of an escape among it.
_LITERAL: Final = "%:/?[]@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True)
class Slot:
    """One open place: a name, the words after it, and whether it stands outside quotes in JSON, or in CDATA in XML."""

    name: str
    words: tuple[str, ...] = ()
    bare: bool = False

    def __str__(self) -> str:
        return f"%{':'.join((self.name, *self.words))}%"

    @property
    def is_secret(self) -> bool:
        return self.name in {"SECRET", "BASIC", "TOKEN"}

    @property
    def secrets(self) -> tuple[str, ...]:
        return self.words if self.name in {"SECRET", "BASIC"} else ()


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled text."""

    context: Context
    parts: tuple[str | Slot, ...]

    @property
    def slots(self) -> Iterator[Slot]:
        return (part for part in self.parts if isinstance(part, Slot))

    def fill(self, value_of: Callable[[Slot], str]) -> str:
        return "".join(
            part if isinstance(part, str) else _escaped(value_of(part), part, self.context) for part in self.parts
        )


def compile_template(text: str, context: Context) -> Template:
    """Raises BadTemplate, naming the placeholder that is not known."""
    if context is Context.FORM:
        text = _LINE_ENDS.sub("", text)
    parts = _without_doubled_plus(list(_pieces(text, context)), context)
    if context is Context.JSON:
        parts = _with_bare_slots(parts)
    elif context is Context.XML:
        parts = _with_cdata_slots(parts)
    elif context is Context.FORM:
        parts = [quote(part, safe=_LITERAL) if isinstance(part, str) else part for part in parts]
    elif not all(_ONE_LINE.fullmatch(part) for part in parts if isinstance(part, str)):
        raise BadTemplate("must be printable ASCII on one line")
    return Template(context, tuple(parts))


def as_literal(text: str) -> str:
    """A query as somebody wrote it, what cannot stand in one percent-encoded."""
    return quote(_STRAY.sub("%25", text).encode("utf-8", "replace"), safe=_LITERAL)


def _pieces(text: str, context: Context) -> Iterator[str | Slot]:
    literal = at = 0
    while (at := text.find("%", at)) >= 0:
        slot, length = _read(text, at, context)
        if slot is not None or length == 0:  # a stray % of a form is written as an escape
            yield text[literal:at]
            yield slot or "%25"
            literal = at + max(length, 1)
        at += max(length, 1)
    yield text[literal:]


def _read(text: str, at: int, context: Context) -> tuple[Slot | None, int]:
    """What begins with this %: an open place, or so many characters that stay; 0 is a % that cannot stay."""
    found = _OPEN.match(text, at)
    if found and (found[1] in _WORDS_AFTER or not _stays(found[1])):
        return _slot(found), len(found[0])
    if context is not Context.FORM:
        return None, 1
    return None, 3 if _ESCAPED.match(text, at) else 0


def _stays(name: str) -> bool:
    """Whether what stands between two % is a text of the owner's: `%C3%`, `50%off%`."""
    return bool(_HEX_PAIR.fullmatch(name)) or (name != name.upper() and name.upper() not in _WORDS_AFTER)


def _slot(found: re.Match[str]) -> Slot:
    name, words = found[1], tuple(found[2].split(":")[1:])
    if name not in _WORDS_AFTER:
        raise BadTemplate(f"has the placeholder {found[0]}, which is unknown; those known are: {', '.join(NAMES)}")
    least, most = _WORDS_AFTER[name]
    known = name in {"SECRET", "BASIC"} or _FORMATS | ({_NUMBER} if name == "TO" else set()) >= set(words)
    if not least <= len(words) <= most or not known:
        remedy = {
            "SECRET": "write %SECRET:name%",
            "BASIC": "write %BASIC:user:password%, the names of two secrets",
            "TO": "only e164, digits, national and number can follow TO",
            "FROM": "only e164, digits or national can follow FROM",
        }.get(name, f"write %{name}%")
        raise BadTemplate(f"has the placeholder {found[0]}, which cannot be read; {remedy}")
    return Slot(name, words)


def _without_doubled_plus(parts: list[str | Slot], context: Context) -> list[str | Slot]:
    """`+%TO%` is how some write a number with its plus: there the number goes without its own."""
    for at, part in enumerate(parts):
        before = parts[at - 1] if at else ""
        if not isinstance(part, Slot) or part.name not in {"TO", "FROM"} or not isinstance(before, str):
            continue
        if _PLUS.search(before) and not _FORMATS & set(part.words):
            parts[at] = replace(part, words=("digits", *part.words))
            if context is Context.FORM:
                parts[at - 1] = _PLUS.sub("%2B", before)
    return parts


def _with_bare_slots(parts: list[str | Slot]) -> list[str | Slot]:
    """Marks what stands outside quotes. What is filled in is escaped, so it opens and closes none."""
    inside = False
    marked: list[str | Slot] = []
    for part in parts:
        if isinstance(part, Slot):
            marked.append(replace(part, bare=not inside))
            continue
        marked.append(part)
        inside = _ends_inside(part, inside=inside)
    return marked


def _with_cdata_slots(parts: list[str | Slot]) -> list[str | Slot]:
    """Marks what stands in CDATA, where nothing is escaped and only its own end would end it."""
    inside = False
    marked: list[str | Slot] = []
    for part in parts:
        if isinstance(part, Slot):
            marked.append(replace(part, bare=inside))
            continue
        marked.append(part)
        opened, closed = part.rfind(_CDATA), part.rfind(_CDATA_END)
        inside = opened > closed if max(opened, closed) >= 0 else inside
    return marked


def _ends_inside(text: str, *, inside: bool) -> bool:
    skip = False
    for character in text:
        if skip:
            skip = False
        elif character == "\\":
            skip = inside
        elif character == '"':
            inside = not inside
    return inside


def _escaped(value: str, slot: Slot, context: Context) -> str:
    if context is Context.FORM:
        return quote(value.encode("utf-8", "replace"), safe="")
    if context is Context.JSON:
        return json.dumps(value)[1:-1] if not slot.bare else _bare(value, slot)
    if context is Context.XML:
        return as_xml(value, cdata=slot.bare)
    if not _ONE_LINE.fullmatch(value):
        raise CannotFill(f"{slot} holds what no header can: line ends, or more than ASCII.")
    return value


def as_xml(value: str, *, cdata: bool = False) -> str:
    """A value as XML may hold it: what no document can hold, such as a bell, is a blank."""
    value = _NOT_IN_XML.sub(" ", value)
    if cdata:
        return value.replace(_CDATA_END, f"]]{_CDATA_END}{_CDATA}>")  # its end, cut in two
    return escape(value, _IN_XML)


def _bare(value: str, slot: Slot) -> str:
    if slot.name == "MEDIA":
        return json.dumps(value.split(",") if value else [])
    if slot.name not in _NUMBERS and _NUMBER not in slot.words:
        return json.dumps(value)
    if not _WHOLE_NUMBER.fullmatch(value):
        raise CannotFill(f"{slot} is no whole number here; put it between quotes.")
    return value
