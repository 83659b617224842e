"""Conditions as SQL: expressions with bound values, never text, and written so that an index can serve them.

A comparison may be unknown to SQL where the contact has no value, which a WHERE takes for false. Only below a `not`
would that matter: there it is turned into `IS NOT TRUE`, at the leaves, so that indexes serve the rest.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Numeric,
    Text,
    and_,
    any_,
    bindparam,
    case,
    collate,
    func,
    literal,
    not_,
    or_,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.domain.conditions import FIELD_PREFIX, Comparison, Condition, Group, Kind, Not, date_of, moment_of
from shared.domain.operators import Operator
from shared.models import Contact

# An index is asked for each value of its own; a longer list is compared row by row.
_MOST_ASKED: Final = 20
_WRITTEN_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,6})?")
_WORDS: Final = {"true": True, "false": False}


def compile_condition(condition: Condition, *, now: datetime) -> ColumnElement[bool]:
    """What a contact has to be, over the columns of `Contact`. Relative dates are counted from `now`."""
    return _compiled(condition, now=now, wanted=True)


def _compiled(condition: Condition, *, now: datetime, wanted: bool) -> ColumnElement[bool]:
    match condition:
        case Not():
            return _compiled(condition.member, now=now, wanted=not wanted)
        case Group():
            members = [_compiled(member, now=now, wanted=wanted) for member in condition.members]
            return and_(*members) if (condition.word == "and") == wanted else or_(*members)
        case Comparison():
            positive, turned = _NEGATIONS.get(condition.operator, (condition.operator, False))
            holds = _holds(condition, positive, now)
            # `is_set` is never unknown, and `not` of it can be served as it is.
            return holds if wanted != turned else holds.is_not(True)


_NEGATIONS: Final = {Operator.NOT_EQUALS: (Operator.EQUALS, True), Operator.NOT_IN: (Operator.IN, True)}


def _holds(comparison: Comparison, operator: Operator, now: datetime) -> ColumnElement[bool]:
    value = comparison.value
    if operator is Operator.IS_SET:
        there = _is_set(comparison)
        return there if value else not_(func.coalesce(there, literal(False)))  # noqa: FBT003 - SQL's own word
    match comparison.kind:
        case Kind.MOMENT:
            value = _each(value, lambda one: moment_of(one, now=now))
        case Kind.DATE:
            value = _each(value, lambda one: date_of(one, now=now).isoformat())
        case _:
            pass
    if operator in {Operator.EQUALS, Operator.IN}:
        values = value if isinstance(value, tuple) else (value,)
        return _is_one_of(comparison, values)
    key = _key_of(comparison)
    if key is not None and comparison.kind in {Kind.NUMBER, Kind.DATE}:
        return _is_within(key, comparison.kind, operator, value)
    return _ORDERS[operator](_operand(comparison), value)


def _each(value: Any, read: Callable[[Any], Any]) -> Any:
    return tuple(map(read, value)) if isinstance(value, tuple) else read(value)


_ORDERS: Final[Mapping[Operator, Callable[[Any, Any], ColumnElement[bool]]]] = {
    Operator.CONTAINS: lambda operand, value: operand.icontains(value, autoescape=True),
    Operator.STARTS_WITH: lambda operand, value: operand.istartswith(value, autoescape=True),
    Operator.LESS_THAN: lambda operand, value: operand < value,
    Operator.AT_MOST: lambda operand, value: operand <= value,
    Operator.GREATER_THAN: lambda operand, value: operand > value,
    Operator.AT_LEAST: lambda operand, value: operand >= value,
    Operator.BETWEEN: lambda operand, value: operand.between(*value),
    Operator.BEFORE: lambda operand, value: operand < value,
    Operator.AFTER: lambda operand, value: operand > value,
}


def _key_of(comparison: Comparison) -> str | None:
    """The key of the owner's field; None for a column."""
    return comparison.field.removeprefix(FIELD_PREFIX) if comparison.field.startswith(FIELD_PREFIX) else None


def _operand(comparison: Comparison) -> ColumnElement[Any]:
    """The contact's value in its type; unknown where it has another type, or none."""
    key = _key_of(comparison)
    if key is None:
        column: ColumnElement[Any] = getattr(Contact, comparison.field).expression
        return column
    written: ColumnElement[Any] = Contact.fields[key].astext
    match comparison.kind:
        case Kind.NUMBER:
            # CASE alone keeps the cast from texts: conditions of an AND may be looked at in any order.
            return case((func.jsonb_typeof(Contact.fields[key]) == "number", written.cast(Numeric)))
        case Kind.DATE:
            return collate(case((written.regexp_match(r"^\d{4}-\d{2}-\d{2}$"), written)), "C")
        case _:
            return written


def _is_within(key: str, kind: Kind, operator: Operator, value: Any) -> ColumnElement[bool]:
    """A number or a day of the owner's, compared as the JSON value it is: taking it out first takes thrice as long.

    JSON values are in the order of their types, texts before numbers before truths, and only then of what they say.
    """
    held = Contact.fields[key]
    lower, upper = value if operator is Operator.BETWEEN else (value, value)
    match operator:
        case Operator.BETWEEN:
            within = [held >= _json(lower), held <= _json(upper)]
        case Operator.LESS_THAN | Operator.BEFORE:
            within = [held < _json(upper)]
        case Operator.AT_MOST:
            within = [held <= _json(upper)]
        case Operator.GREATER_THAN | Operator.AFTER:
            within = [held > _json(lower)]
        case _:
            within = [held >= _json(lower)]
    # A text that is no day may lie between two days; the others are of another type.
    if kind is Kind.DATE:
        return and_(*within, held > _json("0000"), held < _json("9999-99"), held.astext.like("____-__-__"))
    return and_(*within) if operator is Operator.BETWEEN else and_(*within, func.jsonb_typeof(held) == "number")


def _json(value: object) -> ColumnElement[Any]:
    return literal(value, JSONB)


def _is_set(comparison: Comparison) -> ColumnElement[bool]:
    match comparison.kind:
        case Kind.BOOLEAN:
            told: ColumnElement[bool] = func.jsonb_typeof(Contact.fields[_key_of(comparison)]) == "boolean"
            return told
        case Kind.TEXT | Kind.CHOICE:
            written: ColumnElement[bool] = _operand(comparison).regexp_match(r"\S")
            return written
        case _:
            return _operand(comparison).is_not(None)


def _is_one_of(comparison: Comparison, values: tuple[Any, ...]) -> ColumnElement[bool]:
    key = _key_of(comparison)
    if key is None:
        return _is_any(_operand(comparison), values)
    if comparison.kind in {Kind.TEXT, Kind.CHOICE}:
        exact = _is_any(Contact.fields[key].astext, values)
        # The index finds by what JSON has, a number or a text; what is written decides.
        return and_(_has_one(key, _as_stored(values)), exact) if len(values) <= _MOST_ASKED else exact
    if len(values) <= _MOST_ASKED:
        return _has_one(key, values)
    return _is_any(_operand(comparison), values, type_=Numeric if comparison.kind is Kind.NUMBER else Text)


def _is_any(operand: ColumnElement[Any], values: tuple[Any, ...], type_: Any = Text) -> ColumnElement[bool]:
    # A list of one as well: the statement stays the same for any length.
    same: ColumnElement[bool] = operand == any_(bindparam(None, list(values), type_=ARRAY(type_), unique=True))
    return same


def _as_stored(values: Iterable[str]) -> list[Any]:
    """The texts, and the JSON values that are written so: a field without a definition may hold either."""
    stored: list[Any] = []
    for value in values:
        stored.append(value)
        if _WRITTEN_NUMBER.fullmatch(value):
            stored.append(json.loads(value))
        elif value in _WORDS:
            stored.append(_WORDS[value])
    return stored


def _has_one(key: str, values: Iterable[Any]) -> ColumnElement[bool]:
    return or_(*(Contact.fields.contains(literal({key: value}, JSONB)) for value in values))
