"""What a text comes to on the air, and what would make it shorter."""

from typing import Annotated, Any, Final
from unicodedata import name

from pydantic import Field, StringConstraints

from api.examples import shown
from api.schemas import Body, Out
from shared.domain.segments import Encoding, Suggestions, measure, suggestions

LONGEST_TEXT: Final = 5_000  # longer than any message: to see by how much one is too long
_MOST_TOLD: Final = 200

_DEAR: Final = "It\u2019s your last day: the spring offer ends tonight. Reply STOP to end it."
_CHEAP: Final = _DEAR.replace("\u2019", "'")
_MEASURED: Final[dict[str, Any]] = {
    "encoding": "ucs2",
    "characters": len(_DEAR),
    "units": len(_DEAR),
    "segments": 2,
    "suggestions": [
        {
            "position": 2,
            "character": "\u2019",
            "code_point": "U+2019",
            "name": "RIGHT SINGLE QUOTATION MARK",
            "replacement": "'",
        }
    ],
    "unreplaceable": [],
    "replaced": {"text": _CHEAP, "encoding": "gsm7", "characters": len(_CHEAP), "segments": 1, "segments_saved": 1},
}


class TextIn(Body):
    model_config = shown({"text": _DEAR})

    text: Annotated[str, StringConstraints(max_length=LONGEST_TEXT)] = Field(description="As it would be sent.")


class SuggestionOut(Out):
    """A character that forces UCS-2 although GSM-7 has one like it."""

    position: int = Field(description="In code points, from 0.")
    character: str
    code_point: str = Field(examples=["U+2019"])
    name: str = Field(description="Its name in Unicode.")
    replacement: str = Field(description="What to write in its place; empty for one that nobody sees.")


class CharacterOut(Out):
    character: str
    code_point: str
    name: str


class ReplacedOut(Out):
    """The text with every replacement made."""

    text: str
    encoding: Encoding
    characters: int
    segments: int
    segments_saved: int = Field(description="0 while a character without a look-alike keeps the text in UCS-2.")


class MeasuredOut(Out):
    model_config = shown(_MEASURED)

    encoding: Encoding = Field(description="One character outside GSM-7 makes the whole text UCS-2.")
    characters: int = Field(description="Code points.")
    units: int = Field(description="Septets, or UTF-16 units.")
    segments: int
    suggestions: list[SuggestionOut] = Field(description=f"The first {_MOST_TOLD} look-alikes, by position.")
    unreplaceable: list[CharacterOut] = Field(description="What forces UCS-2 and has no look-alike, each once.")
    replaced: ReplacedOut | None = Field(description="What the suggestions come to; null where there are none.")


def measured(text: str) -> dict[str, Any]:
    """The fields of `MeasuredOut` for a text."""
    size = measure(text)
    found = suggestions(text)
    return {
        "encoding": size.encoding,
        "characters": size.characters,
        "units": size.units,
        "segments": size.segments,
        "suggestions": [
            SuggestionOut(position=item.position, replacement=item.replacement, **_told(item.character))
            for item in found.items[:_MOST_TOLD]
        ],
        "unreplaceable": [CharacterOut(**_told(character)) for character in found.unreplaceable[:_MOST_TOLD]],
        "replaced": _replaced(found) if found.items else None,
    }


def _replaced(found: Suggestions) -> ReplacedOut:
    return ReplacedOut(
        text=found.text,
        encoding=found.after.encoding,
        characters=found.after.characters,
        segments=found.after.segments,
        segments_saved=found.segments_saved,
    )


def _told(character: str) -> dict[str, str]:
    return {"character": character, "code_point": f"U+{ord(character):04X}", "name": name(character, "UNNAMED")}
