"""Conditions as SQL find whom plain Python finds; what is put into them is a value and never SQL."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin, build_engine
from shared.domain.conditions import COLUMNS, OPERATORS, Kind, read_conditions
from shared.domain.contact_field import Definition, FieldType
from shared.domain.operators import Operator
from shared.ids import uuid7
from shared.models import Contact
from shared.queries.conditions import compile_condition
from tests.by_hand import meets

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
EVIL = "'; DROP TABLE contacts; --"
WORDS = ["Ann", "ann", "Delft", "del", "%", "_", "\\", EVIL, '"', "$1", ":x", "5", "5.0", "true", "Ж", "é", "a b", " "]
CHOICES = ("basic", "gold", EVIL)
KEYS = {
    "city": FieldType.TEXT,
    "visits": FieldType.NUMBER,
    "born": FieldType.DATE,
    "vip": FieldType.BOOLEAN,
    "plan": FieldType.CHOICE,
    "x": FieldType.TEXT,
}
FIELDS = {key: Definition(key, kind, CHOICES if kind is FieldType.CHOICE else ()) for key, kind in KEYS.items()}
DAYS = ["1999-12-31", "2000-01-01", "2026-02-28", "2026-03-02", "2026-03-03"]
MOMENTS = [(NOW - timedelta(days=days)).isoformat() for days in (0, 1, 30, 400)]


def people() -> list[dict[str, Any]]:
    """Contacts of all sorts: with the right type, with a wrong one from before, with none, with evil in it."""
    rows = []
    for n in range(120):
        fields = {
            "city": WORDS[n % len(WORDS)],
            "visits": [0, 1, 5, 5.5, -3, 100, "7", True][n % 8],
            "born": [*DAYS, "soon", "12/03/2001", 20000101][n % 8],
            "vip": [True, False, "true", 1][n % 4],
            "plan": [*CHOICES, "silver", 5][n % 5],
            "x": [*WORDS, 5, 7, True, False][n % (len(WORDS) + 4)],
        }
        rows.append(
            {
                "id": uuid7(),
                "msisdn": f"+1202555{n:04d}",
                "name": [None, *WORDS][n % (len(WORDS) + 1)],
                "external_id": f"x{n}" if n % 3 else None,
                "location_id": ["cafe", None, EVIL][n % 3],
                "time_zone": None,
                "consent_status": ["unknown", "granted", "withdrawn"][n % 3],
                "consent_source": None,
                "consent_at": None if n % 4 else NOW - timedelta(days=n),
                "created_at": NOW - timedelta(days=n * 5),
                "updated_at": NOW - timedelta(hours=n),
                "fields": {key: value for place, (key, value) in enumerate(fields.items()) if (n + place) % 7},
            }
        )
    return rows


@dataclass(frozen=True)
class World:
    runner: asyncio.Runner
    engine: AsyncEngine
    people: list[dict[str, Any]]

    def found(self, raw: Any) -> set[Any]:
        async def ask() -> set[Any]:
            async with begin(self.engine) as tx:
                condition = compile_condition(read_conditions(raw, fields=FIELDS), now=NOW)
                return set((await tx.execute(select(Contact.id).where(condition))).scalars())

        return self.runner.run(ask())

    def wanted(self, raw: Any) -> set[Any]:
        condition = read_conditions(raw, fields=FIELDS)
        return {person["id"] for person in self.people if meets(person, condition, now=NOW)}


@contextmanager
def world_of(url: str) -> Iterator[World]:
    with asyncio.Runner() as runner:
        engine = build_engine(url, application_name="tests")
        rows = people()

        async def fill() -> None:
            async with begin(engine) as tx:
                await tx.execute(insert(Contact), rows)

        async def clear() -> None:
            async with begin(engine) as tx:
                await tx.execute(delete(Contact))
            await engine.dispose()

        runner.run(fill())
        try:
            yield World(runner, engine, rows)
        finally:
            runner.run(clear())


@pytest.fixture(scope="module")
def world(migrated_url: str) -> Iterator[World]:
    with world_of(migrated_url) as world:
        yield world


TEXTS = st.one_of(st.sampled_from([word for word in WORDS if word.strip()]), st.text(min_size=1, max_size=3))
RELATIVE_DAYS = ["today", "-30d", "+1d", "-2w"]
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: TEXTS.filter(lambda text: "\0" not in text and all(not 0xD800 <= ord(each) <= 0xDFFF for each in text)),
    Kind.NUMBER: st.one_of(st.sampled_from([0, 1, 5, 5.5, -3, 100, 7]), st.integers(-10, 10), st.floats(-10, 110)),
    Kind.DATE: st.one_of(
        st.sampled_from([*DAYS, "today", "-30d", "+1d", "-2w"]), st.dates().map(lambda day: day.isoformat())
    ),
    Kind.MOMENT: st.sampled_from([*MOMENTS, "now", "today", "-30d", "-12h", "+2w"]),
    Kind.BOOLEAN: st.booleans(),
    Kind.CHOICE: st.sampled_from(CHOICES),
}


@st.composite
def comparisons(draw: st.DrawFn) -> dict[str, Any]:
    field = draw(st.sampled_from([*COLUMNS, *(f"fields.{key}" for key in KEYS)]))
    kind = COLUMNS.get(field) or Kind(KEYS[field.removeprefix("fields.")])
    operator = draw(st.sampled_from(OPERATORS[kind]))
    value = st.sampled_from(["unknown", "granted"]) if field == "consent_status" else VALUES[kind]
    match operator:
        case Operator.IS_SET:
            drawn: Any = draw(st.booleans())
        case Operator.IN | Operator.NOT_IN:
            drawn = draw(st.lists(value, min_size=1, max_size=25))
        case Operator.BETWEEN:
            drawn = [draw(value), draw(value)]
        case _:
            drawn = draw(value)
    return {"field": field, "op": operator.value, "value": drawn}


TREES = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda members: {"and": members}),
        st.lists(inner, min_size=1, max_size=3).map(lambda members: {"or": members}),
        inner.map(lambda member: {"not": member}),
    ),
    max_leaves=6,
)


def is_plain(raw: Any) -> bool:
    """Cases of letters are the database's own matter beyond ASCII: only ASCII, and what has no case, is compared."""
    if isinstance(raw, dict):
        if raw.get("op") in {"contains", "starts_with"}:
            return str(raw["value"]).isascii()
        return all(map(is_plain, raw.values()))
    return all(map(is_plain, raw)) if isinstance(raw, list) else True


@given(TREES.filter(is_plain))
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
def test_sql_finds_whom_python_finds(world: World, raw: Any) -> None:
    assert world.found(raw) == world.wanted(raw)


@pytest.mark.parametrize("operator", ["equals", "not_equals", "in", "contains", "starts_with"])
@pytest.mark.parametrize("field", ["name", "location_id", "fields.city", "fields.x"])
@pytest.mark.parametrize("value", [EVIL, "%", "_", "\\", "' OR '1'='1", "$1", "%(x)s", "1); DELETE FROM contacts; --"])
def test_sql_in_a_value_is_a_value(world: World, field: str, operator: str, value: str) -> None:
    raw = {"field": field, "op": operator, "value": [value] if operator == "in" else value}
    found = world.found(raw)
    assert found == world.wanted(raw)
    assert len(world.found({"field": "msisdn", "op": "is_set"})) == len(world.people)


def test_every_operator_of_every_kind_finds_somebody_and_not_everybody(world: World) -> None:
    """So that the comparison above is not one of empty sets."""
    samples: dict[Kind, Any] = {
        Kind.TEXT: "del",
        Kind.NUMBER: 5,
        Kind.DATE: "2026-02-28",
        Kind.MOMENT: "-100d",
        Kind.BOOLEAN: True,
        Kind.CHOICE: "gold",
    }
    fields = {Kind(kind): f"fields.{key}" for key, kind in KEYS.items() if key != "x"} | {Kind.MOMENT: "created_at"}
    for kind, operators in OPERATORS.items():
        for operator in operators:
            sample = samples[kind]
            value: Any = {
                Operator.IN: [sample],
                Operator.NOT_IN: [sample],
                Operator.BETWEEN: ["-200d", sample]
                if kind is Kind.MOMENT
                else [DAYS[0] if kind is Kind.DATE else 1, sample],
                Operator.IS_SET: True,
            }.get(operator, sample)
            found = world.found({"field": fields[kind], "op": operator.value, "value": value})
            everybody = kind is Kind.MOMENT and operator is Operator.IS_SET
            assert 0 < len(found) < len(world.people) or everybody, (kind, operator)
