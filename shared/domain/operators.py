"""The words that compare: one vocabulary for the conditions of target groups and of automations. Pure.

Not every one is asked everywhere: an event's data have no days, a contact's field is no list.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Operator(StrEnum):
    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    IN = "in"
    NOT_IN = "not_in"
    CONTAINS = "contains"  # in any case
    STARTS_WITH = "starts_with"  # in any case
    LESS_THAN = "less_than"
    AT_MOST = "at_most"
    GREATER_THAN = "greater_than"
    AT_LEAST = "at_least"
    BETWEEN = "between"  # both ends are in
    BEFORE = "before"
    AFTER = "after"
    IS_SET = "is_set"


# Automations knew these first, and go on knowing them; groups do as well.
ALSO: Final[Mapping[str, Operator]] = MappingProxyType({"above": Operator.GREATER_THAN, "below": Operator.LESS_THAN})


def read_operator(word: str) -> Operator | None:
    """What a word means; None for one that is none."""
    known = ALSO.get(word)
    return known if known is not None else next((one for one in Operator if one == word), None)
