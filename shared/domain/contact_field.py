"""Fields of the owner's own, with a type: what a value may be, and the one form in which it is kept.

A field without a definition takes any scalar. Refusals do not repeat the value.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import isfinite
from typing import Final, Self

from shared.domain.contact import InvalidContact, Scalar, field_pointer
from shared.errors import FieldError

MAX_CHOICES: Final = 200
LARGEST_NUMBER: Final = 10**15  # up to here a float is exact, and every reader of JSON agrees

_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,16}(?:\.[0-9]{1,10})?")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TRUTHS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "no", "n", "0"), False),
}


class FieldType(StrEnum):
    TEXT = "text"
    NUMBER = "number"
    DATE = "date"  # a day, kept as 2026-03-02
    BOOLEAN = "boolean"
    CHOICE = "choice"  # one of a list of texts


@dataclass(frozen=True, slots=True)
class Definition:
    """What a field's values are."""

    key: str
    type: FieldType
    choices: tuple[str, ...] = ()

    @classmethod
    def of(cls, key: str, type: str, choices: Iterable[str]) -> Self:  # noqa: A002 - the word that JSON has for it
        return cls(key, FieldType(type), tuple(choices))

    def read(self, value: Scalar) -> Scalar | None:
        """The value as it is kept, None for a blank one; raises InvalidContact for one that does not fit."""
        text = value.strip() if isinstance(value, str) else value
        if text == "" and self.type is not FieldType.TEXT:
            return None
        read = _READERS[self.type](self, value if self.type is FieldType.TEXT else text)
        if read is None:
            raise InvalidContact(f"The field {self.key} {self.remedy}.")
        return read

    @property
    def remedy(self) -> str:
        """What a value must be."""
        match self.type:
            case FieldType.TEXT:
                return "must be a text"
            case FieldType.NUMBER:
                return "must be a number, such as 12 or 12.5 (with a point, and without spaces or units)"
            case FieldType.DATE:
                return "must be a date, written as 2026-03-02 (year, month, day)"
            case FieldType.BOOLEAN:
                return "must be true or false (yes, no, 1 and 0 will do)"
            case FieldType.CHOICE:
                more = ", ..." if len(self.choices) > 10 else ""
                return f"must be one of: {', '.join(self.choices[:10])}{more}"


def read_fields(fields: Mapping[str, Scalar | None], definitions: Mapping[str, Definition]) -> dict[str, Scalar | None]:
    """The fields as they are kept; each that does not fit its definition is refused by its pointer."""
    read: dict[str, Scalar | None] = {}
    errors: list[FieldError] = []
    for key, value in fields.items():
        definition = definitions.get(key)
        try:
            read[key] = value if value is None or definition is None else definition.read(value)
        except InvalidContact as refusal:
            errors.append(FieldError(field_pointer(key), refusal.detail))
    if errors:
        raise InvalidContact(errors[0].detail, errors=errors[:20])
    return read


def _read_text(_: Definition, value: Scalar) -> Scalar | None:
    return value if isinstance(value, str) else None


def _read_number(_: Definition, value: Scalar) -> Scalar | None:
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value):
            return None
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isfinite(value) or abs(value) > LARGEST_NUMBER:
        return None
    return int(value) if value == int(value) else value


def _read_date(_: Definition, value: Scalar) -> Scalar | None:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return None


def _read_boolean(_: Definition, value: Scalar) -> Scalar | None:
    if isinstance(value, bool):
        return value
    return _TRUTHS.get(str(value).lower())


def _read_choice(definition: Definition, value: Scalar) -> Scalar | None:
    """In any case, and kept as the definition writes it."""
    by_form = {choice.casefold(): choice for choice in definition.choices}
    return by_form.get(value.casefold()) if isinstance(value, str) else None


_READERS: Final = {
    FieldType.TEXT: _read_text,
    FieldType.NUMBER: _read_number,
    FieldType.DATE: _read_date,
    FieldType.BOOLEAN: _read_boolean,
    FieldType.CHOICE: _read_choice,
}
