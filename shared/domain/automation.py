"""Automations: when an event of this name comes and its data fit, that template goes to that person. Pure.

Every event gets an answer from every automation of its name: a message, or the reason why there is none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from shared.errors import Invalid, NotFound

# Events from inside; those of owners' own have any other name.
CONTACT_ADDED: Final = "contact_added"
OPT_IN: Final = "opt_in"
INSIDE: Final = (CONTACT_ADDED, OPT_IN)
MAX_CONDITIONS: Final = 20

Scalar = str | int | float | bool | None


class Operator(StrEnum):
    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    IN = "in"
    CONTAINS = "contains"
    ABOVE = "above"
    BELOW = "below"
    IS_SET = "is_set"


class Outcome(StrEnum):
    MESSAGE = "message"  # one was made; its own status tells on
    NOT_MATCHED = "not_matched"  # the conditions do not hold
    OPTED_OUT = "opted_out"
    NO_CONTACT = "no_contact"  # neither a number nor a contact that is still there
    CAPPED = "capped"  # the person has had as many of this automation as one may have
    MISSING_TAGS = "missing_tags"  # the template needs what neither event nor contact has
    TOO_LONG = "too_long"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    NEVER_OPEN = "never_open"  # quiet hours without an end
    QUOTA = "quota"  # it has too little left
    SWITCHED_OFF = "switched_off"  # the policy keeps automations from sending
    TEMPLATE_GONE = "template_gone"
    FAILED = "failed"  # something nobody foresaw; the log has it


class InvalidAutomation(Invalid):
    """The automation says something that cannot be done."""


class UnknownTemplate(NotFound):
    """There is no template under that id."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that has to be true of an event's data. `field` is a path: `order.total`."""

    field: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...] = None

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Condition":
        value = stored.get("value")
        return cls(stored["field"], Operator(stored["operator"]), tuple(value) if isinstance(value, list) else value)


def find_unfit(condition: Condition) -> str | None:
    """What is wrong with a condition, as a sentence; None for one that can be asked."""
    is_list = isinstance(condition.value, tuple)
    match condition.operator:
        case Operator.IN if not is_list or not condition.value:
            return "`in` needs a list of values."
        case Operator.ABOVE | Operator.BELOW if not _is_number(condition.value):
            return f"`{condition.operator}` needs a number."
        case Operator.CONTAINS if not (isinstance(condition.value, str) and condition.value):
            return "`contains` needs a text."
        case Operator.IS_SET if not (condition.value is None or isinstance(condition.value, bool)):
            return "`is_set` needs true or false, or nothing, which means true."
        case Operator.EQUALS | Operator.NOT_EQUALS if is_list:
            return f"`{condition.operator}` needs one value; a list is for `in`."
    return None


def find_failing(conditions: Sequence[Condition], data: Mapping[str, Any]) -> int | None:
    """The place of the first condition that does not hold; None when all do, and when there are none."""
    return next((place for place, condition in enumerate(conditions) if not _holds(condition, data)), None)


def why_failing(condition: Condition, data: Mapping[str, Any]) -> str:
    """What is odd about the value that a condition does not hold for, never the value; empty if nothing is."""
    found = _value_at(condition.field, data)
    if found is None:
        inner = condition.field.removeprefix("data.")
        slip = f"; a path begins inside data: write {inner}" if inner != condition.field else ""
        return f"data has no {condition.field}{slip}"
    wanted = condition.value[0] if isinstance(condition.value, tuple) and condition.value else condition.value
    if isinstance(found, str) and _is_number(wanted):
        return f"{condition.field} is a text in data, in quotation marks, and the condition's value is a number"
    if _is_number(found) and isinstance(wanted, str) and condition.operator is not Operator.CONTAINS:
        return f"{condition.field} is a number in data, and the condition's value is a text"
    return ""


def _holds(condition: Condition, data: Mapping[str, Any]) -> bool:
    found = _value_at(condition.field, data)
    wanted = condition.value
    match condition.operator:
        case Operator.EQUALS:
            return _same(found, wanted)
        case Operator.NOT_EQUALS:
            return not _same(found, wanted)
        case Operator.IN:
            return isinstance(wanted, tuple) and any(_same(found, each) for each in wanted)
        case Operator.CONTAINS:
            return _contains(found, wanted)
        case Operator.ABOVE | Operator.BELOW:
            return _compares(condition.operator, found, wanted)
        case Operator.IS_SET:
            return (found is not None and found != "") is (wanted is not False)


def _value_at(path: str, data: Mapping[str, Any]) -> Any:
    value: Any = data
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _same(found: object, wanted: object) -> bool:
    # True is 1 for Python, and is not for the one who wrote the condition.
    return isinstance(found, bool) is isinstance(wanted, bool) and found == wanted


def _contains(found: object, wanted: object) -> bool:
    if isinstance(found, list):
        return any(_same(each, wanted) for each in found)
    return isinstance(found, str) and isinstance(wanted, str) and wanted.casefold() in found.casefold()


def _compares(operator: Operator, found: Any, wanted: Any) -> bool:
    if not (_is_number(found) and _is_number(wanted)):
        return False
    return bool(found > wanted if operator is Operator.ABOVE else found < wanted)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
