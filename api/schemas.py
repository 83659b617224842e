"""What bodies have in common: an unknown field is refused by its name, an answer is read from rows."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any, Final, cast

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    PlainSerializer,
    SecretStr,
    field_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

UNSTORABLE: Final = "unstorable"
NAME: Final = "The name of the field"
# What is read back from the database is read by a parser that stops at 200, and some of it is wrapped once more.
DEEPEST: Final = 100
# A field that may be left out, but not beside what else is sent: named like one that is always required.
LEFT_OUT: Final = "left_out"
# Found by the object, of one of its fields.
MISPLACED: Final = "misplaced"

_NO_SCHEMAS: Final = frozenset({"metadata", "serialization", "config", "default"})
_NUMBER: Final = re.compile(r"\s*[+-]?[0-9.]+\s*")


def _no_number(value: object) -> object:
    """A number could be seconds or milliseconds since 1970: nobody has to guess."""
    if isinstance(value, int | float) or (isinstance(value, str) and _NUMBER.fullmatch(value)):
        raise PydanticCustomError("datetime_type", "Input should be a valid datetime")
    return value


def _in_calendar(value: datetime) -> datetime:
    """Of the first and last hours of the calendar some are beyond it in UTC, where the database keeps them."""
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("datetime_range", "Give a time within the years 1 to 9999, in UTC.") from None
    return value


def _no_boolean(value: object) -> object:
    """True is no 1: whoever sends it means something else."""
    if isinstance(value, bool):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    return value


# An amount of money or of credit. In full: Python would write a million read from a database as 1.00E+6.
Amount = Annotated[Decimal, PlainSerializer(lambda amount: f"{amount:f}", return_type=str)]

# A time in the query, where everything is a text.
Moment = Annotated[AwareDatetime, BeforeValidator(_no_number), AfterValidator(_in_calendar)]


_BEFORE: Final = (_no_number, _no_boolean)


def _strict(node: Any) -> Any:
    """A schema of pydantic's, with its booleans, numbers and times as Body has them."""
    match node:
        case {"type": "function-before", "function": {"function": function}} if function in _BEFORE:
            return node
        case dict():
            made = {name: value if name in _NO_SCHEMAS else _strict(value) for name, value in node.items()}
            if made.get("type") == "datetime":
                kept = core_schema.no_info_after_validator_function(_in_calendar, cast("CoreSchema", made))
                return core_schema.no_info_before_validator_function(_no_number, kept)
            if made.get("type") in ("int", "float"):
                return core_schema.no_info_before_validator_function(_no_boolean, cast("CoreSchema", made))
            return {**made, "strict": True} if made.get("type") == "bool" else made
        case list():
            return [_strict(each) for each in node]
        case _:
            return node


class Body(BaseModel):
    """What a client sends. What the database cannot store is in none of it, at any depth."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Neither 0 for false, nor true for 1, nor a number for a time: the document promises none of them."""
        schema: CoreSchema = _strict(handler(source))
        return schema

    @field_validator("*", mode="after")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        found = _find_unstorable(value)
        if found is not None:
            path, told = found
            raise PydanticCustomError(UNSTORABLE, "{told}", {"path": path, "told": told})
        return value


def check_one_of(body: BaseModel, first: str, second: str) -> None:
    """Raise ValueError, by both names, unless one of two fields is given and the other is not."""
    given = [name for name in (first, second) if getattr(body, name) is not None]
    if not given:
        raise ValueError(f"Neither {first} nor {second} is given: one of them is needed.")
    if len(given) > 1:
        raise misplaced(second, f"{first} and {second} are both given: keep one of them.")


def misplaced(field: str, told: str) -> PydanticCustomError:
    """What an object has against one of its fields that does not go with the others."""
    return PydanticCustomError(MISPLACED, "{told}", {"path": (field,), "told": told})


class Out(BaseModel):
    """What a client is told."""

    model_config = ConfigDict(from_attributes=True)


_Path = tuple[str | int, ...]


def _find_unstorable(value: object) -> tuple[_Path, str] | None:
    """The way from the value to the first thing that cannot be stored, empty for the value itself, and what to do."""
    waiting: list[tuple[_Path, object]] = [((), value)]
    while waiting:
        path, node = waiting.pop()
        if len(path) > DEEPEST:
            return (), f"The value is nested more than {DEEPEST} levels deep; flatten it."
        match node:
            case str() | float() if told := _fault_of(node):
                return path, told
            case SecretStr():
                waiting.append((path, node.get_secret_value()))
            case dict():
                spoilt = next((name for name in node if isinstance(name, str) and _fault_of(name)), None)
                if spoilt is not None:
                    return (*path, spoilt), _fault_of(spoilt).replace("The text holds half", f"{NAME} holds half")
                waiting += reversed([((*path, name), each) for name, each in node.items()])
            case list() | tuple():
                waiting += reversed([((*path, place), each) for place, each in enumerate(node)])
            case _:
                pass
    return None


def _fault_of(value: str | float) -> str:
    """What is to be done about a text or a number that cannot be stored; empty for one that can."""
    if isinstance(value, float):
        return "" if isfinite(value) else "Give a number that is finite; JSON has neither NaN nor Infinity."
    if "\0" in value:
        return "The text holds a NUL character (U+0000); remove it."
    try:
        value.encode()
    except UnicodeEncodeError:
        return "The text holds half a character (a lone surrogate); remove it, or send the whole of it."
    return ""
