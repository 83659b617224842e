"""Typed fields: what each type takes, from JSON and from CSV, and the one form in which it is kept."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.contact import InvalidContact
from shared.domain.contact_field import Definition, FieldType, read_fields

TEXT, NUMBER, DATE, BOOLEAN, CHOICE = FieldType


def defined(kind: FieldType) -> Definition:
    return Definition("x", kind, ("Basic", "Größe") if kind is CHOICE else ())


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        pytest.param(TEXT, " as it is ", " as it is ", id="a text"),
        pytest.param(TEXT, "", "", id="an empty text"),
        pytest.param(NUMBER, 3, 3, id="a whole number"),
        pytest.param(NUMBER, 3.0, 3, id="without its empty fraction"),
        pytest.param(NUMBER, 2.5, 2.5, id="a fraction"),
        pytest.param(NUMBER, " -12.50 ", -12.5, id="a number in words, as CSV has it"),
        pytest.param(NUMBER, "+7", 7, id="with its sign"),
        pytest.param(NUMBER, "007", 7, id="with zeros in front"),
        pytest.param(NUMBER, "", None, id="no number"),
        pytest.param(DATE, "2026-02-28", "2026-02-28", id="a day"),
        pytest.param(DATE, " 2024-02-29", "2024-02-29", id="a leap day"),
        pytest.param(DATE, " ", None, id="no day"),
        pytest.param(BOOLEAN, True, True, id="true"),
        pytest.param(BOOLEAN, "YES", True, id="yes"),
        pytest.param(BOOLEAN, "0", False, id="zero"),
        pytest.param(BOOLEAN, 0, False, id="the number zero"),
        pytest.param(CHOICE, "Basic", "Basic", id="a choice"),
        pytest.param(CHOICE, " bASIC ", "Basic", id="in any case"),
        pytest.param(CHOICE, "GRÖSSE", "Größe", id="in any case of any alphabet"),
    ],
)
def test_keeps(kind: FieldType, value: Any, kept: Any) -> None:
    read = defined(kind).read(value)
    assert read == kept
    assert type(read) is type(kept)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        pytest.param(TEXT, 3, "must be a text", id="a number for a text"),
        pytest.param(NUMBER, "many", "such as 12 or 12.5", id="a word"),
        pytest.param(NUMBER, "1,5", "with a point", id="a comma"),
        pytest.param(NUMBER, "1 000", "without spaces", id="a thousand with a space"),
        pytest.param(NUMBER, "1e5", "number", id="an exponent"),
        pytest.param(NUMBER, "0x10", "number", id="hexadecimal"),
        pytest.param(NUMBER, "\u0663", "number", id="digits of another script"),
        pytest.param(NUMBER, "9" * 400, "number", id="hundreds of digits"),
        pytest.param(NUMBER, 10**16, "number", id="more than a float knows"),
        pytest.param(NUMBER, float("nan"), "number", id="not a number"),
        pytest.param(NUMBER, float("inf"), "number", id="infinite"),
        pytest.param(NUMBER, True, "number", id="a truth for a number"),
        pytest.param(DATE, "28/02/2026", "2026-03-02", id="as people write it"),
        pytest.param(DATE, "2026-02-29", "date", id="a day that is not"),
        pytest.param(DATE, "2026-2-9", "date", id="without zeros"),
        pytest.param(DATE, "2026-02-28T00:00:00Z", "date", id="a moment"),
        pytest.param(DATE, 20260228, "date", id="a number for a day"),
        pytest.param(BOOLEAN, "maybe", "true or false", id="neither"),
        pytest.param(BOOLEAN, 2, "true or false", id="two"),
        pytest.param(CHOICE, "Gold", "one of: Basic, Größe", id="another choice"),
        pytest.param(CHOICE, 1, "one of", id="a number for a choice"),
    ],
)
def test_refuses(kind: FieldType, value: Any, words: str) -> None:
    with pytest.raises(InvalidContact, match=words) as refusal:
        defined(kind).read(value)
    assert "The field x " in refusal.value.detail


@given(st.sampled_from(list(FieldType)), st.one_of(st.text(), st.integers(), st.floats(), st.booleans()))
def test_what_is_kept_is_kept_again(kind: FieldType, value: Any) -> None:
    try:
        kept = defined(kind).read(value)
    except InvalidContact:
        return
    if kept is not None:
        assert defined(kind).read(kept) == kept


def test_fields_without_a_definition_take_anything_and_all_refusals_come_at_once() -> None:
    definitions = {"age": Definition("age", NUMBER), "born": Definition("born", DATE)}
    assert read_fields({"age": "7", "any": "x", "born": None}, definitions) == {"age": 7, "any": "x", "born": None}
    with pytest.raises(InvalidContact) as refusal:
        read_fields({"age": "x", "any": 1, "born": "x"}, definitions)
    assert [error.pointer for error in refusal.value.errors] == ["/fields/age", "/fields/born"]
