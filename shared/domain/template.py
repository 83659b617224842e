"""Texts with tags, `{{ name | default("there") }}`: checked when saved, filled per recipient.

Filling is linear in the template and the values, looks into plain mappings only, and never fails
but for length.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.domain.template_parse import MAX_VALUE_CHARACTERS, InvalidTemplate, Tag, UnknownTag, parse
from shared.domain.template_tags import CAMPAIGN_TAGS, CONTACT_TAGS, Known
from shared.domain.template_values import text_of
from shared.errors import Invalid

__all__ = [
    "CAMPAIGN_TAGS",
    "CONTACT_TAGS",
    "MAX_TEXT_CHARACTERS",
    "MAX_VALUE_CHARACTERS",
    "Filled",
    "InvalidTemplate",
    "Known",
    "Template",
    "TextTooLong",
    "UnknownTag",
    "compile_template",
]

MAX_TEXT_CHARACTERS: Final = 1600  # before and after filling; about ten segments, and Twilio's limit

Values = Mapping[str, object]


class TextTooLong(Invalid):
    """The text, as written or with its tags filled in, is longer than one message may be."""


class Filled(NamedTuple):
    """A text ready to send, and the tags for which there was neither value nor default."""

    text: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Blank:
    """A tag with its way to the value."""

    name: str
    look_up: Callable[[Values], str | None]


@dataclass(frozen=True, slots=True)
class Template:
    """A checked text. Literal pieces and blanks take turns in any order."""

    source: str
    tags: tuple[str, ...]  # each once, in order of appearance
    pieces: tuple[str | _Blank, ...]

    @property
    def is_plain(self) -> bool:
        """Whether every recipient gets the same text."""
        return not self.tags

    def fill(self, values: Values) -> Filled:
        """The text for one recipient. Absent, blank and unwritable values are missing."""
        # The expansion's inner loop: nothing is called here that is not needed for every recipient.
        out: list[str] = []
        missing: dict[str, None] = {}
        for piece in self.pieces:
            if type(piece) is str:
                out.append(piece)
                continue
            assert not isinstance(piece, str)
            text = piece.look_up(values)
            if text is None:
                missing[piece.name] = None
            elif len(text) > MAX_VALUE_CHARACTERS:
                raise TextTooLong(
                    f"text: `{piece.name}` fills in {len(text)} characters, and a tag may fill in "
                    f"{MAX_VALUE_CHARACTERS}; shorten the value or write {{{{ {piece.name} | truncate(100) }}}}."
                )
            else:
                out.append(text)
        text = "".join(out)
        if len(text) > MAX_TEXT_CHARACTERS:
            _check_length(text, state="with its tags filled in")
        return Filled(text, tuple(missing))


def compile_template(text: str, *, known: Known) -> Template:
    """The text ready to be filled; a tag that cannot be is refused with its line and column."""
    _check_length(text, state="as written")
    pieces: list[str | _Blank] = []
    tags: dict[str, None] = {}
    for piece in parse(text, known=known):
        if isinstance(piece, Tag):
            tags[piece.name] = None
            pieces.append(_Blank(piece.name, _look_up(piece)))
        elif pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    return Template(text, tuple(tags), tuple(pieces))


def _check_length(text: str, *, state: str) -> None:
    if len(text) > MAX_TEXT_CHARACTERS:
        raise TextTooLong(
            f"text has {len(text)} characters {state}, and a message may have {MAX_TEXT_CHARACTERS}; shorten it."
        )


def _look_up(tag: Tag) -> Callable[[Values], str | None]:
    root, *keys = tag.path
    steps = tag.steps

    def look_up(values: Values) -> str | None:
        value = values.get(root)
        for key in keys:
            # The usual case first: asking for the abstract class takes longer than the look-up.
            value = value.get(key) if type(value) is dict or isinstance(value, Mapping) else None
        text = text_of(value)
        for step in steps:
            text = step(text)
        return text

    return look_up
