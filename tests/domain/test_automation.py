"""The conditions of automations, as a table."""

from typing import Any

import pytest

from shared.domain.automation import Condition, EventOperator, find_failing, find_unfit

DATA: dict[str, Any] = {
    "total": 12.5,
    "paid": True,
    "plan": "Gold",
    "tags": ["new", "vip"],
    "order": {"city": "Delft", "note": ""},
    "nothing": None,
}


@pytest.mark.parametrize(
    ("field", "operator", "value", "holds"),
    [
        ("total", "equals", 12.5, True),
        ("total", "equals", "12.5", False),
        ("paid", "equals", True, True),
        ("paid", "equals", 1, False),
        ("absent", "equals", None, True),
        ("plan", "not_equals", "Silver", True),
        ("absent", "not_equals", "x", True),
        ("plan", "in", ("Gold", "Silver"), True),
        ("plan", "in", ("gold",), False),
        ("plan", "contains", "OL", True),
        ("tags", "contains", "vip", True),
        ("tags", "contains", "v", False),
        ("total", "contains", "1", False),
        ("total", "above", 12, True),
        ("total", "above", 12.5, False),
        ("total", "below", 13, True),
        ("plan", "above", 1, False),
        ("total", "greater_than", 12, True),
        ("total", "greater_than", 12.5, False),
        ("total", "at_least", 12.5, True),
        ("total", "at_least", 12.6, False),
        ("total", "less_than", 12.5, False),
        ("total", "at_most", 12.5, True),
        ("total", "between", (12, 12.5), True),
        ("total", "between", (13, 14), False),
        ("plan", "between", (1, 2), False),
        ("plan", "starts_with", "go", True),
        ("plan", "starts_with", "old", False),
        ("total", "starts_with", "1", False),
        ("plan", "not_in", ("gold",), True),
        ("plan", "not_in", ("Gold",), False),
        ("absent", "not_in", ("x",), True),
        ("paid", "above", 0, False),
        ("absent", "below", 1, False),
        ("order.city", "equals", "Delft", True),
        ("order.city.street", "is_set", None, False),
        ("order.note", "is_set", True, False),
        ("order.note", "is_set", False, True),
        ("nothing", "is_set", None, False),
        ("total", "is_set", None, True),
    ],
)
def test_a_condition(field: str, operator: str, value: Any, holds: bool) -> None:
    condition = Condition(field, EventOperator(operator), value)
    assert find_unfit(condition) is None
    assert (find_failing([condition], DATA) is None) is holds


def test_all_have_to_hold() -> None:
    holds, fails = (Condition("plan", EventOperator.EQUALS, value) for value in ("Gold", "Silver"))
    assert find_failing([], DATA) is None
    assert find_failing([holds, fails, fails], DATA) == 1


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("in", "x"),
        ("in", ()),
        ("above", "1"),
        ("below", True),
        ("above", None),
        ("contains", ""),
        ("contains", 7),
        ("is_set", "yes"),
        ("equals", ("a",)),
        ("not_in", ()),
        ("starts_with", 7),
        ("at_least", "1"),
        ("between", (1,)),
        ("between", ("1", "2")),
    ],
)
def test_what_cannot_be_asked(operator: str, value: Any) -> None:
    told = find_unfit(Condition("x", EventOperator(operator), value))
    assert told
    assert f"`{operator}`" in told


def test_every_operator_answers_everything() -> None:
    values = [None, True, 0, 1.5, "", "x", [], ["x"], {}, {"y": 1}]
    for operator in EventOperator:
        for found in values:
            for wanted in (None, True, 1, "x", ("x", 1)):
                assert find_failing([Condition("x", operator, wanted)], {"x": found}) in (None, 0)
