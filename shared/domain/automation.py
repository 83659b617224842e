"""Automations: when an event of this name comes and its data fit, that template goes to that person. Pure.

Every event gets an answer from every automation of its name: a message, or the reason why there is none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import ge, gt, le, lt
from types import MappingProxyType
from typing import Any, Final

from shared.domain.operators import ALSO, Operator
from shared.errors import Invalid, NotFound

# Events from inside; those of owners' own have any other name.
CONTACT_ADDED: Final = "contact_added"
OPT_IN: Final = "opt_in"
INSIDE: Final = (CONTACT_ADDED, OPT_IN)
# Who made its messages: no key has this name.
CREATED_BY: Final = "automation"
MAX_CONDITIONS: Final = 20

Scalar = str | int | float | bool | None


class EventOperator(StrEnum):
    """The operators that an event's data can be asked by, and the words that mean the same."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"
    GREATER_THAN = "greater_than"
    AT_LEAST = "at_least"
    LESS_THAN = "less_than"
    AT_MOST = "at_most"
    BETWEEN = "between"
    IS_SET = "is_set"
    ABOVE = "above"
    BELOW = "below"


class Outcome(StrEnum):
    MESSAGE = "message"  # one was made; its own status tells on
    NOT_MATCHED = "not_matched"  # the conditions do not hold
    OPTED_OUT = "opted_out"
    NO_CONSENT = "no_consent"  # the person took their consent back
    NO_CONTACT = "no_contact"  # neither a number nor a contact that is still there
    CAPPED = "capped"  # the person has had as many of this automation as one may have
    MISSING_TAGS = "missing_tags"  # the template needs what neither event nor contact has
    TOO_LONG = "too_long"
    COUNTRY_NOT_ALLOWED = "country_not_allowed"
    NEVER_OPEN = "never_open"  # quiet hours without an end
    TOO_LATE = "too_late"  # the voucher that it is about would have ended by then
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
    word: EventOperator
    value: Scalar | tuple[Scalar, ...] = None

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Condition":
        value = stored.get("value")
        return cls(
            stored["field"], EventOperator(stored["operator"]), tuple(value) if isinstance(value, list) else value
        )

    @property
    def operator(self) -> Operator:
        return ALSO.get(self.word) or Operator(self.word)


_LISTS: Final = {Operator.IN, Operator.NOT_IN}
_TEXTS: Final = {Operator.CONTAINS, Operator.STARTS_WITH}
_NUMBERS: Final[Mapping[Operator, Callable[[float, float], bool]]] = MappingProxyType(
    {Operator.GREATER_THAN: gt, Operator.AT_LEAST: ge, Operator.LESS_THAN: lt, Operator.AT_MOST: le}
)


def find_unfit(condition: Condition) -> str | None:  # noqa: PLR0911 - one answer for each operator
    """What is wrong with a condition, as a sentence; None for one that can be asked."""
    operator, value, word = condition.operator, condition.value, condition.word
    is_list = isinstance(value, tuple)
    if operator in _LISTS and not (is_list and value):
        return f"`{word}` needs a list of values."
    if operator in _NUMBERS and not _is_number(value):
        return f"`{word}` needs a number."
    if operator is Operator.BETWEEN and not (
        isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))
    ):
        return "`between` needs a list of two numbers, the lower first."
    if operator in _TEXTS and not (isinstance(value, str) and value):
        return f"`{word}` needs a text."
    if operator is Operator.IS_SET and not (value is None or isinstance(value, bool)):
        return "`is_set` needs true or false, or nothing, which means true."
    if operator in {Operator.EQUALS, Operator.NOT_EQUALS} and is_list:
        return f"`{word}` needs one value; a list is for `in`."
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
    if _is_number(found) and isinstance(wanted, str) and condition.operator not in _TEXTS:
        return f"{condition.field} is a number in data, and the condition's value is a text"
    return ""


def _holds(condition: Condition, data: Mapping[str, Any]) -> bool:  # noqa: PLR0911 - one answer for each operator
    found = _value_at(condition.field, data)
    wanted, operator = condition.value, condition.operator
    match operator:
        case Operator.EQUALS | Operator.NOT_EQUALS:
            return _same(found, wanted) is (operator is Operator.EQUALS)
        case Operator.IN | Operator.NOT_IN:
            is_in = isinstance(wanted, tuple) and any(_same(found, each) for each in wanted)
            return is_in is (operator is Operator.IN)
        case Operator.CONTAINS:
            return _contains(found, wanted)
        case Operator.STARTS_WITH:
            return isinstance(found, str) and found.casefold().startswith(str(wanted).casefold())
        case Operator.IS_SET:
            return (found is not None and found != "") is (wanted is not False)
        case Operator.BETWEEN:
            low, high = wanted if isinstance(wanted, tuple) else (None, None)
            return _compares(Operator.AT_LEAST, found, low) and _compares(Operator.AT_MOST, found, high)
        case _:
            return _compares(operator, found, wanted)


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
    compare = _NUMBERS.get(operator)
    return compare is not None and _is_number(found) and _is_number(wanted) and compare(found, wanted)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
