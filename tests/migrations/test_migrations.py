"""Migrations: up, down and up again; what they make is what the models say; and the months that rows fall into."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.local.servers import Postgres
from shared.clock import utc_now
from shared.db import begin, build_engine
from shared.ids import uuid7
from shared.models import Base
from shared.queries.partitions import PARTITIONED, ensure_partitions, month_after, month_of
from tests.factories import make_attempt, make_message, make_receipt

MIGRATIONS = Path(__file__).parents[2] / "migrations"


def configure(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[Config]:
    """A database with nothing in it."""
    postgres.create_database("migrated")
    yield configure(postgres.url("migrated"))
    postgres.drop_database("migrated")


def tables_of(postgres: Postgres) -> set[str]:
    question = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    return set(postgres.ask(question, database="migrated").splitlines())


def test_up_down_up(postgres: Postgres, empty: Config) -> None:
    command.upgrade(empty, "head")
    up = tables_of(postgres)
    assert {"messages", "attempts", "receipts", "campaigns", "tallies"} <= up
    command.downgrade(empty, "base")
    assert tables_of(postgres) <= {"alembic_version"}
    command.upgrade(empty, "head")
    assert tables_of(postgres) == up


def test_models_say_what_the_migrations_make(empty: Config) -> None:
    """As `alembic check` does: nothing to add, nothing to drop, nothing to alter."""
    command.upgrade(empty, "head")
    command.check(empty)


def test_check_sees_a_difference(postgres: Postgres, empty: Config) -> None:
    command.upgrade(empty, "head")
    postgres.ask("ALTER TABLE messages DROP COLUMN client_reference", database="migrated")
    with pytest.raises(Exception, match="New upgrade operations detected"):
        command.check(empty)


def test_partitions_are_no_difference(postgres: Postgres, empty: Config) -> None:
    command.upgrade(empty, "head")
    url = postgres.url("migrated")

    async def make_months() -> None:
        engine = build_engine(url, application_name="tests")
        async with begin(engine) as tx:
            await ensure_partitions(tx, utc_now())
        await engine.dispose()

    asyncio.run(make_months())
    command.check(empty)
    command.downgrade(empty, "base")
    assert tables_of(postgres) <= {"alembic_version"}


def test_one_head_and_the_file_names_it() -> None:
    """Two branches would be found in review: whoever adds a revision changes this line, and so do they."""
    heads = ScriptDirectory(str(MIGRATIONS)).get_heads()
    assert heads == [(MIGRATIONS / "HEAD").read_text().strip()]


@pytest.mark.parametrize("revision", list(ScriptDirectory(str(MIGRATIONS)).walk_revisions()), ids=lambda r: r.revision)
def test_revisions_do_not_wait_for_ever(revision: Any) -> None:
    source = Path(revision.path).read_text()
    assert Path(revision.path).name.startswith(f"{revision.revision}_")
    assert source.count("lock_timeout") == 2, "upgrade and downgrade set it"


# --- months


async def partition_of(engine: AsyncEngine, table: str, id_: object) -> str:
    column = "message_id" if table == "attempts" else "id"
    async with begin(engine) as tx:
        question = text(f"SELECT tableoid::regclass::text FROM {table} WHERE {column} = :id")
        return str((await tx.execute(question, {"id": id_})).scalar_one())


async def insert(engine: AsyncEngine, table: str, at: datetime) -> object:
    id_ = uuid7(at)
    async with begin(engine) as tx:
        if table == "messages":
            await make_message(tx, b"pepper", now=at, id=id_)
        elif table == "attempts":
            await make_attempt(tx, id_, uuid7(), now=at)
        else:
            await make_receipt(tx, uuid7(), now=at, id=id_)
    return id_


def months_ahead(count: int) -> datetime:
    month = month_of(utc_now())
    for _ in range(count):
        month = month_after(month)
    return month


@pytest.mark.parametrize("table", PARTITIONED)
@pytest.mark.parametrize("ahead", [0, 1, 2])
async def test_this_month_and_two_ahead_are_there(engine: AsyncEngine, table: str, ahead: int) -> None:
    month = months_ahead(ahead)
    last = month_after(month) - timedelta(milliseconds=1)
    for moment in (month, last):
        id_ = await insert(engine, table, moment)
        assert await partition_of(engine, table, id_) == f"{table}_{month:%Y%m}"


@pytest.mark.parametrize("table", PARTITIONED)
async def test_default_catches_what_falls_outside(engine: AsyncEngine, table: str) -> None:
    async with begin(engine) as tx:
        assert (await tx.execute(text(f"SELECT count(*) FROM {table}_default"))).scalar_one() == 0
    for moment in (months_ahead(3), month_of(utc_now()) - timedelta(milliseconds=1)):
        id_ = await insert(engine, table, moment)
        assert await partition_of(engine, table, id_) == f"{table}_default"


async def test_making_months_again_and_at_once_is_harmless(engine: AsyncEngine) -> None:
    async def make() -> None:
        async with begin(engine) as tx:
            await ensure_partitions(tx, utc_now())

    await asyncio.gather(*(make() for _ in range(4)))


@pytest.mark.parametrize(
    ("function", "at", "month"),
    [
        pytest.param(
            month_of, datetime(2026, 12, 31, 23, 59, tzinfo=UTC), (2026, 12), id="the month of its last minute"
        ),
        pytest.param(month_after, datetime(2026, 12, 1, tzinfo=UTC), (2027, 1), id="the month after December"),
        pytest.param(month_after, datetime(2026, 1, 31, tzinfo=UTC), (2026, 2), id="the month after January"),
    ],
)
def test_calendar(function: Callable[[datetime], datetime], at: datetime, month: tuple[int, int]) -> None:
    assert function(at) == datetime(*month, 1, tzinfo=UTC)


def test_indexes_and_defaults_are_those_of_the_models(postgres: Postgres, empty: Config) -> None:
    """What alembic does not compare: which rows an index holds, and what a column holds by itself."""
    command.upgrade(empty, "head")
    postgres.create_database("modelled")
    try:
        asyncio.run(_create_all(postgres.url("modelled")))
        for question in (_INDEXES, _DEFAULTS):
            migrated = postgres.ask(question, database="migrated").splitlines()
            modelled = postgres.ask(question, database="modelled").splitlines()
            assert migrated == modelled
            assert migrated
    finally:
        postgres.drop_database("modelled")


_INDEXES = (
    "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
    " AND tablename !~ '_default$' ORDER BY 1"
)
_DEFAULTS = (
    "SELECT table_name, column_name, column_default, is_nullable, data_type FROM information_schema.columns"
    " WHERE table_schema = 'public' AND table_name <> 'alembic_version' AND table_name !~ '_default$' ORDER BY 1, 2"
)


async def _create_all(url: str) -> None:
    engine = build_engine(url, application_name="tests")
    async with begin(engine) as tx:
        await tx.run_sync(Base.metadata.create_all)
    await engine.dispose()
