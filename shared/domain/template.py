"""Texts with tags, `{{ name | default("there") }}`: checked when saved, filled per recipient.

Filling is linear in the template and the values, looks into plain mappings only, and never fails
but for length.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.domain.template_parse import MAX_VALUE_CHARACTERS, InvalidTemplate, Tag, UnknownTag, parse
from shared.domain.template_tags import CAMPAIGN_TAGS, CONTACT_TAGS, TEMPLATE_TAGS, VOUCHER_TAGS, Known
from shared.domain.template_values import text_of
from shared.errors import Invalid

__all__ = [
    "CAMPAIGN_TAGS",
    "CONTACT_TAGS",
    "MAX_TEXT_CHARACTERS",
    "MAX_VALUE_CHARACTERS",
    "TEMPLATE_TAGS",
    "VOUCHER_TAGS",
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
    path: tuple[str, ...]
    look_up: Callable[[Values], str | None]


@dataclass(frozen=True, slots=True)
class Template:
    """A checked text. `form` has a `%s` for each of the blanks, in their order."""

    source: str
    tags: tuple[str, ...]  # each once, in order of appearance
    form: str
    blanks: tuple[_Blank, ...]

    @property
    def is_plain(self) -> bool:
        """Whether every recipient gets the same text."""
        return not self.tags

    @property
    def needed(self) -> dict[str, tuple[str, ...]]:
        """The tags without a default, each with the keys to its value: who lacks one of these cannot be written to."""
        return {blank.name: blank.path for blank in self.blanks if blank.look_up({}) is None}

    def fill(self, values: Values) -> Filled:
        """The text for one recipient. Absent, blank and unwritable values are missing."""
        # The expansion's inner loop: nothing is called here that is not needed for every recipient.
        found = [blank.look_up(values) for blank in self.blanks]
        missing: tuple[str, ...] = ()
        if None in found:
            missing = self._missing(found)
        text = self.form % tuple([value or "" for value in found])
        if len(text) > MAX_VALUE_CHARACTERS:
            self._check_lengths(found)
            _check_length(text, state="with its tags filled in")
        return Filled(text, missing)

    def _missing(self, found: Sequence[str | None]) -> tuple[str, ...]:
        names = [blank.name for blank, value in zip(self.blanks, found, strict=True) if value is None]
        return tuple(dict.fromkeys(names))

    def _check_lengths(self, found: Sequence[str | None]) -> None:
        for blank, value in zip(self.blanks, found, strict=True):
            if value is not None and len(value) > MAX_VALUE_CHARACTERS:
                raise TextTooLong(
                    f"text: `{blank.name}` fills in {len(value)} characters, and a tag may fill in "
                    f"{MAX_VALUE_CHARACTERS}; shorten the value or write {{{{ {blank.name} | truncate(100) }}}}."
                )


def compile_template(text: str, *, known: Known) -> Template:
    """The text ready to be filled; a tag that cannot be is refused with its line and column."""
    _check_length(text, state="as written")
    form: list[str] = []
    blanks: list[_Blank] = []
    for piece in parse(text, known=known):
        if isinstance(piece, Tag):
            blanks.append(_Blank(piece.name, piece.path, _look_up(piece)))
            form.append("%s")
        else:
            form.append(piece.replace("%", "%%"))
    tags = tuple(dict.fromkeys(blank.name for blank in blanks))
    return Template(text, tags, "".join(form), tuple(blanks))


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
        # The same for a text that is fit to be sent as it is.
        fit = type(value) is str and value and value.isprintable() and not value.isspace()
        text = value if fit and isinstance(value, str) else text_of(value)
        for step in steps:
            text = step(text)
        return text

    return look_up
