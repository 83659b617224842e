"""The migration that keeps which keys followed each other: those of before find their lines."""

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.config import Config

from deploy.local.servers import Postgres
from tests.migrations.test_migrations import configure

BEFORE, AFTER = "0030", "0031"
MADE = {"c": "b", "a": None, "b": "a", "alone": None}  # by what they follow


@pytest.fixture
def rotated(postgres: Postgres) -> Iterator[Config]:
    """The schema before, with a key that was rotated twice and one that never was."""
    postgres.create_database("rotated")
    config = configure(postgres.url("rotated"))
    command.upgrade(config, BEFORE)
    for key, followed in MADE.items():
        before = "NULL" if followed is None else f"'{followed}'"
        postgres.ask(
            "INSERT INTO api_keys (id, public_id, digest, name, scopes, successor_of, created_at)"
            f" VALUES (gen_random_uuid(), '{key}', '', 'x', '{{send}}', {before}, now())",
            database="rotated",
        )
    yield config
    postgres.drop_database("rotated")


def test_each_key_is_of_the_line_of_the_first(postgres: Postgres, rotated: Config) -> None:
    command.upgrade(rotated, AFTER)
    rows = postgres.ask("SELECT public_id, line FROM api_keys ORDER BY public_id", database="rotated")
    assert rows.splitlines() == ["a|a", "alone|alone", "b|a", "c|a"]


def test_of_several_successors_the_latest_is_left_on_the_way_down(postgres: Postgres, rotated: Config) -> None:
    command.upgrade(rotated, "0043")
    postgres.ask(
        "INSERT INTO api_keys (id, public_id, digest, name, scopes, successor_of, created_at)"
        " VALUES ('ffffffff-ffff-7fff-bfff-ffffffffffff', 'd', '', 'x', '{send}', 'b', now())",
        database="rotated",
    )
    command.downgrade(rotated, "0042")
    rows = postgres.ask(
        "SELECT public_id, successor_of FROM api_keys WHERE successor_of IS NOT NULL ORDER BY public_id",
        database="rotated",
    )
    assert rows.splitlines() == ["b|a", "d|b"]
