"""Conditions in plain Python, one contact at a time: what their SQL must agree with."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

from shared.domain.conditions import Comparison, Condition, Group, Kind, Not, date_of, moment_of
from shared.domain.operators import Operator

_ORDERS: Final[dict[Operator, Callable[[Any, Any], bool]]] = {
    Operator.EQUALS: lambda held, value: held == value,
    Operator.IN: lambda held, value: held in value,
    Operator.CONTAINS: lambda held, value: value.lower() in held.lower(),
    Operator.STARTS_WITH: lambda held, value: held.lower().startswith(value.lower()),
    Operator.LESS_THAN: lambda held, value: held < value,
    Operator.AT_MOST: lambda held, value: held <= value,
    Operator.GREATER_THAN: lambda held, value: held > value,
    Operator.AT_LEAST: lambda held, value: held >= value,
    Operator.BETWEEN: lambda held, value: value[0] <= held <= value[1],
    Operator.BEFORE: lambda held, value: held < value,
    Operator.AFTER: lambda held, value: held > value,
}


def meets(contact: dict[str, Any], condition: Condition, *, now: datetime) -> bool:
    match condition:
        case Not():
            return not meets(contact, condition.member, now=now)
        case Group(word="and"):
            return all(meets(contact, member, now=now) for member in condition.members)
        case Group():
            return any(meets(contact, member, now=now) for member in condition.members)
        case Comparison():
            return _compares(contact, condition, now)


def _compares(contact: dict[str, Any], comparison: Comparison, now: datetime) -> bool:
    match comparison.operator:
        case Operator.NOT_EQUALS:
            return not _holds(contact, comparison, Operator.EQUALS, now)
        case Operator.NOT_IN:
            return not _holds(contact, comparison, Operator.IN, now)
        case operator:
            return _holds(contact, comparison, operator, now)


def _holds(contact: dict[str, Any], comparison: Comparison, operator: Operator, now: datetime) -> bool:
    held = _held(contact, comparison)
    if operator is Operator.IS_SET:
        there = held is not None and (not isinstance(held, str) or held.strip() != "")
        return there is comparison.value
    if held is None:
        return False
    value = comparison.value
    if comparison.kind is Kind.MOMENT:
        value = _each(value, lambda one: moment_of(one, now=now))
    if comparison.kind is Kind.DATE:
        value = _each(value, lambda one: date_of(one, now=now))
    return _ORDERS[operator](held, value)


def _each(value: Any, read: Callable[[Any], Any]) -> Any:
    return tuple(read(one) for one in value) if isinstance(value, tuple) else read(value)


def _held(contact: dict[str, Any], comparison: Comparison) -> Any:
    """The contact's value in the type that is asked for; None where it has none of that type."""
    if not comparison.field.startswith("fields."):
        return contact[comparison.field]
    held = contact["fields"].get(comparison.field.removeprefix("fields."))
    match comparison.kind:
        case Kind.TEXT | Kind.CHOICE:
            if held is None or isinstance(held, str):
                return held
            return str(held).lower() if isinstance(held, bool) else str(held)
        case Kind.NUMBER:
            return held if isinstance(held, int | float) and not isinstance(held, bool) else None
        case Kind.BOOLEAN:
            return held if isinstance(held, bool) else None
        case _:
            return _day(held)


def _day(held: object) -> date | None:
    try:
        return date.fromisoformat(held) if isinstance(held, str) and len(held) == 10 else None
    except ValueError:
        return None
