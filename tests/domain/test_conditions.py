"""Conditions as read: every refusal by its place, limits before anything else, and the form in which they are kept."""

import time
from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.domain.conditions import (
    MAX_DEPTH,
    MAX_NODES,
    Comparison,
    Group,
    InvalidConditions,
    Kind,
    Not,
    as_json,
    date_of,
    field_keys,
    from_kept,
    moment_of,
    read_conditions,
)
from shared.domain.contact_field import Definition, FieldType
from shared.domain.operators import ALSO, Operator

FIELDS = {
    key: Definition(key, kind, ("basic", "gold") if kind is FieldType.CHOICE else ())
    for key, kind in {
        "city": FieldType.TEXT,
        "visits": FieldType.NUMBER,
        "born": FieldType.DATE,
        "vip": FieldType.BOOLEAN,
        "plan": FieldType.CHOICE,
    }.items()
}
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def leaf(field: str = "name", op: Any = "equals", value: Any = "Ann") -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def test_reads_a_tree() -> None:
    raw = {"and": [leaf(), {"or": [{"not": leaf("fields.visits", "between", [1, "5"])}]}]}
    inner = Comparison("fields.visits", Operator.BETWEEN, (1, 5), Kind.NUMBER)
    name = Comparison("name", Operator.EQUALS, "Ann", Kind.TEXT)
    assert read_conditions(raw, fields=FIELDS) == Group("and", (name, Group("or", (Not(inner),))))


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        pytest.param(leaf("fields.visits", "at_least", " 12.50 "), 12.5, id="a number in words"),
        pytest.param(leaf("fields.plan", "in", ["GOLD", "gold", "basic"]), ("gold", "basic"), id="choices as defined"),
        pytest.param(leaf("fields.vip", "equals", "yes"), True, id="a truth"),
        pytest.param(leaf("fields.born", "before", "-18w"), "-18w", id="a relative day stays relative"),
        pytest.param(leaf("created_at", "after", "-12h"), "-12h", id="a relative moment"),
        pytest.param(
            leaf("created_at", "after", "2026-03-02T09:00:00+02:00"), "2026-03-02T07:00:00+00:00", id="a moment in UTC"
        ),
        pytest.param({"field": "name", "op": "is_set"}, True, id="is set, by itself"),
        pytest.param(leaf(op="is_set", value=False), False, id="is not set"),
        pytest.param(leaf("consent_status", "equals", "Granted"), "granted", id="a consent"),
    ],
)
def test_reads_a_value(raw: dict[str, Any], value: Any) -> None:
    condition = read_conditions(raw, fields=FIELDS)
    assert isinstance(condition, Comparison)
    assert condition.value == value


@pytest.mark.parametrize(
    ("raw", "pointer", "words"),
    [
        pytest.param([], "", "A condition holds", id="a list"),
        pytest.param("name = 'Ann'", "", "A condition holds", id="SQL"),
        pytest.param({}, "", "A condition holds", id="nothing"),
        pytest.param({"and": []}, "/and", "at least one", id="an empty and"),
        pytest.param({"or": leaf()}, "/or", "a list", id="an or of one"),
        pytest.param({"and": [leaf()], "or": [leaf()]}, "", "nothing else", id="two at once"),
        pytest.param({"not": [leaf()]}, "/not", "A condition holds", id="not of a list"),
        pytest.param({"xor": [leaf()]}, "", "A condition holds", id="another word"),
        pytest.param({"and": [leaf(), leaf("nmae")]}, "/and/1/field", "There is no field 'nmae'", id="no such column"),
        pytest.param({"not": leaf("fields.ctiy")}, "/not/field", "GET /v1/contact-fields", id="no such field"),
        pytest.param(leaf("fields.qqq"), "/field", "field 'fields.qqq'; write", id="a field like no other"),
        pytest.param(leaf("nmae"), "/field", "did you mean `name`?", id="a column that was meant"),
        pytest.param(leaf("fields.ctiy"), "/field", "did you mean `fields.city`?", id="a field that was meant"),
        pytest.param(leaf("fields.CITY"), "/field", "did you mean `fields.city`?", id="a field in capitals"),
        pytest.param(leaf("city"), "/field", "did you mean `fields.city`?", id="a field without its prefix"),
        pytest.param(leaf("fields"), "/field", "There is no field", id="all fields"),
        pytest.param(leaf("id"), "/field", "There is no field", id="a column that is not offered"),
        pytest.param(leaf("name; DROP TABLE contacts"), "/field", "There is no field", id="SQL for a field"),
        pytest.param({"field": 5, "op": "equals", "value": 1}, "/field", "There is no field this", id="a number"),
        pytest.param({"field": "name", "value": "a"}, "/op", "equals", id="no operator"),
        pytest.param(leaf(op="="), "/op", "A text has these operators", id="no such operator"),
        pytest.param(leaf(op=["equals"]), "/op", "operators", id="a list of operators"),
        pytest.param(leaf("fields.visits", "contains", "1"), "/op", "A number has", id="not of this type"),
        pytest.param(leaf("created_at", "equals", "now"), "/op", "A moment has", id="a moment is never equal"),
        pytest.param({**leaf(), "case": 1}, "/case", "only", id="something else"),
        pytest.param({"field": "name", "op": "equals"}, "/value", "A value is", id="no value"),
        pytest.param(leaf(value=None), "/value", "A value is", id="null"),
        pytest.param(leaf(value={"$gt": ""}), "/value", "A value is", id="an object"),
        pytest.param(leaf(value=5), "/value", "must be a text", id="a number for a text"),
        pytest.param(leaf(value=""), "/value", "is_set", id="an empty text"),
        pytest.param(leaf(value="x" * 501), "/value", "500", id="too long"),
        pytest.param(leaf(op="in", value="a"), "/value", "a list of 1", id="in a text"),
        pytest.param(leaf(op="in", value=[]), "/value", "a list of 1", id="in nothing"),
        pytest.param(leaf(op="in", value=["a"] * 1001), "/value", "1000", id="in too much"),
        pytest.param(leaf(op="in", value=["a", ["b"]]), "/value", "A value is", id="a list in a list"),
        pytest.param(leaf("fields.visits", "equals", "many"), "/value", "must be a number", id="a word"),
        pytest.param(leaf("fields.visits", "between", [1]), "/value", "two values", id="between one"),
        pytest.param(leaf("fields.born", "before", "2026-02-30"), "/value", "must be a date", id="no such day"),
        pytest.param(leaf("fields.born", "before", "-12h"), "/value", "hours are for moments", id="hours of a day"),
        pytest.param(leaf("created_at", "before", "2026-03-02T09:00:00"), "/value", "its zone", id="without a zone"),
        pytest.param(leaf("created_at", "before", "0001-01-01T00:00:00+14:00"), "/value", "moment", id="before time"),
        pytest.param(leaf("created_at", "before", "30d"), "/value", "relative", id="neither before nor after"),
        pytest.param(leaf("fields.vip", "equals", "perhaps"), "/value", "true or false", id="perhaps"),
        pytest.param(leaf("fields.plan", "equals", "silver"), "/value", "one of: basic, gold", id="no such choice"),
        pytest.param(leaf("consent_status", "equals", "yes"), "/value", "granted", id="no such consent"),
        pytest.param(leaf(op="is_set", value="yes"), "/value", "true or false", id="set, yes"),
    ],
)
def test_refuses_by_place(raw: Any, pointer: str, words: str) -> None:
    with pytest.raises(InvalidConditions) as refusal:
        read_conditions(raw, fields=FIELDS)
    (error,) = refusal.value.errors
    assert error.pointer == f"/conditions{pointer}"
    assert words in error.detail


def test_tells_everything_wrong_at_once() -> None:
    raw = {"and": [leaf("x"), {"or": [leaf(op="x"), leaf(value=1)]}]}
    with pytest.raises(InvalidConditions) as refusal:
        read_conditions(raw, fields=FIELDS)
    assert [error.pointer for error in refusal.value.errors] == [
        "/conditions/and/0/field",
        "/conditions/and/1/or/0/op",
        "/conditions/and/1/or/1/value",
    ]


def nested(depth: int) -> dict[str, Any]:
    raw = leaf()
    for _ in range(depth - 1):
        raw = {"not": raw}
    return raw


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param({"and": [leaf()] * 10_000}, id="10,000 side by side"),
        pytest.param(nested(10_000), id="10,000 inside each other"),
        pytest.param({"or": [{"and": [leaf()] * 100}] * 100}, id="10,000 in a square"),
    ],
)
def test_ten_thousand_are_refused_at_once(raw: Any) -> None:
    begun = time.process_time()
    for read in (field_keys, lambda raw: read_conditions(raw, fields=FIELDS)):
        with pytest.raises(InvalidConditions):
            read(raw)
    assert time.process_time() - begun < 5  # and not minutes: processor time, whatever else runs here


def test_as_many_and_as_deep_as_allowed() -> None:
    read_conditions({"and": [leaf()] * (MAX_NODES - 1)}, fields=FIELDS)
    read_conditions(nested(MAX_DEPTH), fields=FIELDS)
    for raw in ({"and": [leaf()] * MAX_NODES}, nested(MAX_DEPTH + 1)):
        with pytest.raises(InvalidConditions):
            read_conditions(raw, fields=FIELDS)


def test_finds_the_keys_before_it_knows_them() -> None:
    raw = {"or": [leaf("fields.city"), {"not": leaf("fields.gone")}, leaf("name"), {"and": [leaf("fields.city")]}]}
    assert field_keys(raw) == {"city", "gone"}


def test_what_is_kept_needs_no_definitions_any_more() -> None:
    raw = {
        "and": [
            leaf("fields.visits", "between", ["1", 5]),
            {"or": [leaf("fields.plan", "in", ["gold"]), {"not": {"field": "fields.born", "op": "is_set"}}]},
        ]
    }
    condition = read_conditions(raw, fields=FIELDS)
    assert from_kept(as_json(condition, typed=True)) == condition
    shown = as_json(condition, typed=False)
    assert read_conditions(shown, fields=FIELDS) == condition
    assert "type" not in str(shown)


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        pytest.param("now", NOW, id="now"),
        pytest.param("today", datetime(2026, 3, 2, tzinfo=UTC), id="today"),
        pytest.param("-30d", datetime(2026, 1, 31, 9, 30, tzinfo=UTC), id="30 days ago"),
        pytest.param("+2w", datetime(2026, 3, 16, 9, 30, tzinfo=UTC), id="in two weeks"),
        pytest.param("-12h", datetime(2026, 3, 1, 21, 30, tzinfo=UTC), id="twelve hours ago"),
        pytest.param("2026-03-01T00:00:00+00:00", datetime(2026, 3, 1, tzinfo=UTC), id="as written"),
    ],
)
def test_moments(told: str, moment: datetime) -> None:
    assert moment_of(told, now=NOW) == moment


@pytest.mark.parametrize(
    ("told", "day"),
    [
        ("today", date(2026, 3, 2)),
        ("-30d", date(2026, 1, 31)),
        ("+1w", date(2026, 3, 9)),
        ("2001-02-03", date(2001, 2, 3)),
    ],
)
def test_days(told: str, day: date) -> None:
    assert date_of(told, now=NOW) == day


@pytest.mark.parametrize("word", ALSO)
@pytest.mark.parametrize("name", ["op", "operator"])
def test_words_of_automations_mean_the_same(word: str, name: str) -> None:
    """They are kept in a group's own words."""
    read = read_conditions({"field": "fields.visits", name: word, "value": 3}, fields=FIELDS)
    assert read == Comparison("fields.visits", ALSO[word], 3, Kind.NUMBER)
    assert as_json(read, typed=False)["op"] == ALSO[word]


@pytest.mark.parametrize(
    ("raw", "pointer", "told"),
    [
        pytest.param({"operator": "larger"}, "/operator", "greater_than (or above)", id="which there are"),
        pytest.param({"op": "above", "operator": "above"}, "/operator", "`op` and `value` only", id="both names"),
    ],
)
def test_a_word_that_is_none(raw: dict[str, Any], pointer: str, told: str) -> None:
    with pytest.raises(InvalidConditions) as refused:
        read_conditions({"field": "fields.visits", "value": 3} | raw, fields=FIELDS)
    (error,) = refused.value.errors
    assert error.pointer == f"/conditions{pointer}"
    assert told in error.detail
