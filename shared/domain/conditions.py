"""Conditions over contacts: a tree of and, or and not over comparisons, read from JSON and checked whole.

A comparison with what a contact does not have is not true; `not` turns any answer round, so `not_equals` holds for
those without a value. Everything wrong is told by a JSON pointer; what is valid is kept with the type that each
comparison was built on. How it becomes SQL is `shared/queries/conditions.py`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Final, Literal

from shared.domain.contact import Consent, InvalidContact
from shared.domain.contact_field import Definition, FieldType
from shared.domain.nearest import find_nearest
from shared.domain.operators import ALSO, Operator, read_operator
from shared.errors import FieldError, Invalid

MAX_NODES: Final = 500
MAX_DEPTH: Final = 10
MAX_VALUES: Final = 1_000  # of one `in`
MAX_TEXT: Final = 500
_MOST_TOLD: Final = 20
_MOST_SHOWN: Final = 80


class Kind(StrEnum):
    """What is compared."""

    TEXT = "text"
    NUMBER = "number"
    DATE = "date"
    MOMENT = "moment"
    BOOLEAN = "boolean"
    CHOICE = "choice"


_SAME: Final = (Operator.EQUALS, Operator.NOT_EQUALS, Operator.IN, Operator.NOT_IN)
OPERATORS: Final[Mapping[Kind, tuple[Operator, ...]]] = {
    Kind.TEXT: (*_SAME, Operator.CONTAINS, Operator.STARTS_WITH, Operator.IS_SET),
    Kind.NUMBER: (
        *_SAME,
        Operator.LESS_THAN,
        Operator.AT_MOST,
        Operator.GREATER_THAN,
        Operator.AT_LEAST,
        Operator.BETWEEN,
        Operator.IS_SET,
    ),
    Kind.DATE: (*_SAME, Operator.BEFORE, Operator.AFTER, Operator.BETWEEN, Operator.IS_SET),
    Kind.MOMENT: (Operator.BEFORE, Operator.AFTER, Operator.BETWEEN, Operator.IS_SET),
    Kind.BOOLEAN: (Operator.EQUALS, Operator.NOT_EQUALS, Operator.IS_SET),
    Kind.CHOICE: (*_SAME, Operator.IS_SET),
}
COLUMNS: Final[Mapping[str, Kind]] = {
    "msisdn": Kind.TEXT,
    "name": Kind.TEXT,
    "external_id": Kind.TEXT,
    "location_id": Kind.TEXT,
    "time_zone": Kind.TEXT,
    "consent_status": Kind.CHOICE,
    "consent_source": Kind.TEXT,
    "consent_at": Kind.MOMENT,
    "created_at": Kind.MOMENT,
    "updated_at": Kind.MOMENT,
}
FIELD_PREFIX: Final = "fields."

_RELATIVE: Final = re.compile(r"([+-][0-9]{1,5})([hdw])|(today|now)")
_STEPS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_CONSENT: Final = tuple(consent.value for consent in Consent)


class InvalidConditions(Invalid):
    """The conditions cannot be used; each place is named."""

    remedy: ClassVar[str] = "Mend each place that `errors` names; docs/target-groups.md has the fields and operators."


@dataclass(frozen=True, slots=True)
class Comparison:
    """One field against a value; `value` is a tuple for `in` and `between`, and true or false for `is_set`."""

    field: str
    operator: Operator
    value: Any
    kind: Kind


@dataclass(frozen=True, slots=True)
class Group:
    """All of these, or any of these."""

    word: Literal["and", "or"]
    members: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Not:
    member: "Condition"


Condition = Comparison | Group | Not


def field_keys(raw: object) -> set[str]:
    """The keys of the owner's fields that the conditions name, valid or not; refused if they are too many or too deep.

    Comes before anything else: what follows may recurse, for it is known to be shallow.
    """
    keys: set[str] = set()
    nodes = 0
    waiting: list[tuple[object, int, str]] = [(raw, 1, "")]
    while waiting:
        node, depth, pointer = waiting.pop()
        nodes += 1
        if nodes > MAX_NODES:
            raise _refusal("", f"There are more than {MAX_NODES} conditions; split the group or use `in` with a list.")
        if depth > MAX_DEPTH:
            raise _refusal(pointer, f"Conditions are nested more than {MAX_DEPTH} deep; flatten them.")
        if isinstance(node, Mapping):
            waiting += [(member, depth + 1, pointer + place) for place, member in _members_of(node)]
            field = node.get("field")
            if isinstance(field, str) and field.startswith(FIELD_PREFIX):
                keys.add(field.removeprefix(FIELD_PREFIX))
    return keys


def _members_of(node: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """What lies below, with its place; no more than is needed to see that it is too much."""
    for word in ("and", "or"):
        members = node.get(word)
        if isinstance(members, list):
            yield from ((f"/{word}/{at}", member) for at, member in enumerate(members[: MAX_NODES + 1]))
    if "not" in node:
        yield "/not", node["not"]


def read_conditions(raw: object, *, fields: Mapping[str, Definition], others: Iterable[str] = ()) -> Condition:
    """The conditions as a tree. `fields` are the owner's fields by key; `others` are keys that may have been meant."""
    field_keys(raw)
    reader = _Reader(fields, others)
    condition = reader.read(raw, "")
    if condition is None or reader.errors:
        errors = reader.errors[:_MOST_TOLD]
        told = errors[0].detail if len(reader.errors) == 1 else f"{len(reader.errors)} conditions cannot be used."
        raise InvalidConditions(told, errors=errors)
    return condition


class _Reader:
    """Reads a tree and gathers what is wrong with it."""

    def __init__(self, fields: Mapping[str, Definition], others: Iterable[str]) -> None:
        self.errors: list[FieldError] = []
        self._fields = fields
        self._keys = sorted({*fields, *others})

    def read(self, raw: object, pointer: str) -> Condition | None:
        """The condition at this place; None, with an error written down, if it is none."""
        if isinstance(raw, Mapping):
            match sorted(map(str, raw)):
                case ["and" | "or" as word]:
                    return self._read_group(word, raw[word], f"{pointer}/{word}")
                case ["not"]:
                    member = self.read(raw["not"], f"{pointer}/not")
                    return None if member is None else Not(member)
                case names if "field" in names:
                    return self._read_comparison(raw, pointer)
                case _:
                    pass
        self._refuse(pointer, _SHAPE)
        return None

    def _read_group(self, word: Any, raw: object, pointer: str) -> Condition | None:
        if not isinstance(raw, list) or not raw:
            self._refuse(pointer, f"`{word}` holds a list of at least one condition.")
            return None
        members = [self.read(each, f"{pointer}/{at}") for at, each in enumerate(raw)]
        return Group(word, tuple(member for member in members if member is not None))

    def _read_comparison(self, raw: Mapping[str, Any], pointer: str) -> Condition | None:
        field, word = raw["field"], raw.get("op", raw.get("operator"))
        operator = read_operator(word) if isinstance(word, str) else None
        definition = self._definition(field)
        kind = None if definition is None else _kind_of(field, definition)
        if strangers := sorted(set(map(str, raw)) - {"field", "op" if "op" in raw else "operator", "value"}):
            self._refuse(f"{pointer}/{strangers[0]}", "A comparison holds `field`, `op` and `value` only.")
        elif definition is None or kind is None:
            self._refuse(f"{pointer}/field", self._unknown(field))
        elif operator is None or operator not in OPERATORS[kind]:
            name = "operator" if "operator" in raw else "op"
            self._refuse(f"{pointer}/{name}", f"A {kind} has these operators: {_told(OPERATORS[kind])}.")
        else:
            try:
                value = _read_value(raw.get("value"), operator, kind, definition)
                return Comparison(field, operator, value, kind)
            except InvalidContact as refusal:
                self._refuse(f"{pointer}/value", refusal.detail)
        return None

    def _definition(self, field: object) -> Definition | None:
        """What is known of a field; columns are as defined as any."""
        if not isinstance(field, str):
            return None
        if field in COLUMNS:
            choices = _CONSENT if field == "consent_status" else ()
            return Definition(field, FieldType.CHOICE if choices else FieldType.TEXT, choices)
        return self._fields.get(field.removeprefix(FIELD_PREFIX)) if field.startswith(FIELD_PREFIX) else None

    def _unknown(self, field: object) -> str:
        shown, nearest = "this", None
        if isinstance(field, str):
            shown = repr(field[:_MOST_SHOWN])
            # Only for errors that are told: a likeness takes its time.
            nearest = self._nearest(field[:_MOST_SHOWN]) if len(self.errors) < _MOST_TOLD else None
        meant = f" (did you mean `{nearest}`?)" if nearest else ""
        return (
            f"There is no field {shown}{meant}; write one of {', '.join(COLUMNS)}, or `fields.<key>` for a field of "
            "your own (`GET /v1/contact-fields`)."
        )

    def _nearest(self, field: str) -> str | None:
        """What was probably meant. Keys are held against keys: their prefix is no likeness."""
        if not field.startswith(FIELD_PREFIX) and (column := find_nearest(field, COLUMNS)):
            return column
        key = find_nearest(field.removeprefix(FIELD_PREFIX), self._keys)
        return f"{FIELD_PREFIX}{key}" if key else None

    def _refuse(self, pointer: str, detail: str) -> None:
        self.errors.append(FieldError(f"/conditions{pointer}", detail))


_SHAPE: Final = (
    "A condition holds one of `and` and `or` with a list, or `not` with a condition, or `field`, `op` and `value`; "
    "and nothing else."
)


def _told(operators: Iterable[Operator]) -> str:
    also = {operator: word for word, operator in ALSO.items()}
    return ", ".join(f"{one} (or {also[one]})" if one in also else one.value for one in operators)


def _kind_of(field: str, definition: Definition) -> Kind:
    return COLUMNS.get(field) or Kind(definition.type)


def _refusal(pointer: str, detail: str) -> InvalidConditions:
    return InvalidConditions(detail, errors=[FieldError(f"/conditions{pointer}", detail)])


def _read_value(raw: object, operator: Operator, kind: Kind, definition: Definition) -> Any:
    """The value as it is compared; raises InvalidContact with what it must be."""
    if operator is Operator.IS_SET:
        if raw is None or isinstance(raw, bool):
            return raw is not False
        raise InvalidContact("`is_set` takes true or false.")
    if operator in {Operator.IN, Operator.NOT_IN}:
        if not isinstance(raw, list) or not 0 < len(raw) <= MAX_VALUES:
            raise InvalidContact(f"`{operator}` takes a list of 1 to {MAX_VALUES} values.")
        return tuple(dict.fromkeys(_read_one(each, kind, definition) for each in raw))
    if operator is Operator.BETWEEN:
        if not isinstance(raw, list) or len(raw) != 2:
            raise InvalidContact("`between` takes a list of two values, the lower first.")
        return tuple(_read_one(each, kind, definition) for each in raw)
    return _read_one(raw, kind, definition)


def _read_one(raw: object, kind: Kind, definition: Definition) -> Any:
    if not isinstance(raw, str | int | float):
        raise InvalidContact("A value is a text, a number, true or false.")
    if kind in {Kind.DATE, Kind.MOMENT} and isinstance(raw, str) and _RELATIVE.fullmatch(raw):
        if kind is Kind.DATE and raw.endswith("h"):
            raise InvalidContact("A date is told in days or weeks, such as -30d; hours are for moments.")
        return raw
    if kind is Kind.MOMENT:
        return _read_moment(raw)
    value = definition.read(raw)
    if value is None or value == "" or (isinstance(value, str) and (len(value) > MAX_TEXT or "\0" in value)):
        raise InvalidContact(f"A value has 1 to {MAX_TEXT} characters; to ask for none, use `is_set` with false.")
    return value


def _read_moment(raw: object) -> str:
    try:
        moment = datetime.fromisoformat(raw) if isinstance(raw, str) else None
        if moment is not None and moment.tzinfo is not None:
            return moment.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        pass
    raise InvalidContact(
        "The value must be a moment with its zone, such as 2026-03-02T09:00:00Z, or a relative one such as -30d, "
        "-12h or now."
    )


def moment_of(value: str, *, now: datetime) -> datetime:
    """A moment as written, or as far from now as it says."""
    if found := _RELATIVE.fullmatch(value):
        if found[3]:
            return now.replace(hour=0, minute=0, second=0, microsecond=0) if found[3] == "today" else now
        return now + int(found[1]) * _STEPS[found[2]]
    return datetime.fromisoformat(value)


def date_of(value: str, *, now: datetime) -> date:
    """A day as written, or as far from today (in UTC) as it says."""
    if _RELATIVE.fullmatch(value):
        return moment_of(value, now=now.astimezone(UTC)).date()
    return date.fromisoformat(value)


def as_json(condition: Condition, *, typed: bool) -> dict[str, Any]:
    """The conditions as JSON; to be kept with the types that they were built on, or as a client writes them."""
    match condition:
        case Group():
            return {condition.word: [as_json(member, typed=typed) for member in condition.members]}
        case Not():
            return {"not": as_json(condition.member, typed=typed)}
        case Comparison():
            value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
            told = {"field": condition.field, "op": condition.operator.value, "value": value}
            return told | {"type": condition.kind.value} if typed else told


def from_kept(kept: Mapping[str, Any]) -> Condition:
    """Conditions that were checked when they were kept, without asking what the fields are today."""
    for word in ("and", "or"):
        if word in kept:
            return Group("and" if word == "and" else "or", tuple(from_kept(member) for member in kept[word]))
    if "not" in kept:
        return Not(from_kept(kept["not"]))
    value = tuple(kept["value"]) if isinstance(kept["value"], list) else kept["value"]
    return Comparison(kept["field"], Operator(kept["op"]), value, Kind(kept["type"]))
