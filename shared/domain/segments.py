"""How a text is counted on the air: its encoding, its units, and the segments it takes.

Segments are packed, not divided: neither a two-septet character (3GPP TS 23.038) nor a surrogate
pair is cut by a boundary, so a text may need one more segment than `ceil` says. Wider clusters
(flags, joined emoji) may be cut, as networks do. Nothing is normalised here: the count is that of
the text as given, line ends included.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from shared.domain.gsm7 import BASIC, EXTENSION, HOMOGLYPHS, LOOK_ALIKES


class Encoding(StrEnum):
    """How the text travels; one character outside GSM-7 turns the whole text into UCS-2."""

    GSM7 = "gsm7"  # 160 septets alone, 153 in a chain
    UCS2 = "ucs2"  # 70 UTF-16 units alone, 67 in a chain


class Measured(NamedTuple):
    """A text's size. `units` are septets or UTF-16 units, `characters` are code points."""

    encoding: Encoding
    units: int
    characters: int
    segments: int


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A character that forces UCS-2, and its stand-in. `position` counts code points from 0."""

    position: int
    character: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Suggestions:
    """The look-alikes in a text, and what replacing all of them comes to."""

    items: tuple[Suggestion, ...]
    text: str  # with every replacement made
    before: Measured
    after: Measured
    unreplaceable: tuple[str, ...]  # each character once that keeps the text in UCS-2 all the same

    @property
    def segments_saved(self) -> int:
        return self.before.segments - self.after.segments


_SINGLE_SEPTETS = re.compile(f"[{re.escape(BASIC)}]*")
_SEPTETS = re.compile(f"[{re.escape(BASIC + EXTENSION)}]*")
_EXTENDED = re.compile(f"[{re.escape(EXTENSION)}]")
_FORCES_UCS2 = re.compile(f"[^{re.escape(BASIC + EXTENSION)}]")
_WORD = re.compile(r"[^\W\d_]+")
_ESCAPED = "\x1b."  # what an extension character becomes on the air; the second half is not looked at


def measure(text: str) -> Measured:
    """The encoding and the segments of a text; an empty one has none."""
    characters = len(text)
    if _SINGLE_SEPTETS.fullmatch(text):
        segments = (1 if text else 0) if characters <= 160 else -(-characters // 153)
        return Measured(Encoding.GSM7, characters, characters, segments)
    if _SEPTETS.fullmatch(text):
        septets = _EXTENDED.sub(_ESCAPED, text)
        segments = _packed(len(septets), alone=160, chained=153, splits=lambda at: septets[at - 1] == "\x1b")
        return Measured(Encoding.GSM7, len(septets), characters, segments)
    utf16 = text.encode("utf-16-be", "surrogatepass")
    segments = _packed(len(utf16) // 2, alone=70, chained=67, splits=lambda at: 0xD8 <= utf16[2 * at - 2] <= 0xDB)
    return Measured(Encoding.UCS2, len(utf16) // 2, characters, segments)


def _packed(units: int, *, alone: int, chained: int, splits: Callable[[int], bool]) -> int:
    """How many segments the units take when a boundary that `splits` moves one unit back."""
    if units <= alone:
        return 1
    segments, start = 1, 0
    while units - start > chained:
        start += chained
        if splits(start):
            start -= 1
        segments += 1
    return segments


def per_160(text: str) -> int:
    """The size in blocks of 160 characters, whatever the encoding: the other unit of a quota."""
    return -(-len(text) // 160)


def suggestions(text: str) -> Suggestions:
    """The characters that force UCS-2 although GSM-7 has one like them."""
    items: list[Suggestion] = []
    unreplaceable: dict[str, None] = {}
    strangers = _strangers(text)
    replaced: list[str] = []
    end = 0
    for found in _FORCES_UCS2.finditer(text):
        character = found.group()
        replacement = LOOK_ALIKES.get(character, strangers.get(found.start()))
        if replacement is None:
            unreplaceable[character] = None
            continue
        items.append(Suggestion(found.start(), character, replacement))
        replaced += (text[end : found.start()], replacement)
        end = found.end()
    whole = "".join((*replaced, text[end:]))
    return Suggestions(tuple(items), whole, measure(text), measure(whole), tuple(unreplaceable))


def _strangers(text: str) -> dict[int, str]:
    """The places of letters of another alphabet in Latin words, and the Latin letters they look like."""
    places: dict[int, str] = {}
    for word in _WORD.finditer(text):
        others = {at: letter for at, letter in enumerate(word[0], start=word.start()) if not _is_latin(letter)}
        if 0 < len(others) < len(word[0]) and all(letter in HOMOGLYPHS for letter in others.values()):
            places |= {at: HOMOGLYPHS[letter] for at, letter in others.items()}
    return places


def _is_latin(letter: str) -> bool:
    return letter.isascii() or (letter in BASIC and letter not in "ΔΦΓΛΩΠΨΣΘΞ")  # which GSM-7 has of the Greek ones
