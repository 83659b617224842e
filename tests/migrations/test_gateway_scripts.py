"""The migration that begins to keep scripts: those in force before it become their first versions."""

from collections.abc import Iterator
from hashlib import sha256

import pytest
from alembic import command
from alembic.config import Config

from deploy.local.servers import Postgres
from tests.migrations.test_migrations import configure

SCRIPT = 'function build(sms) return "é\'" end'
BEFORE, AFTER = "0011", "0012"


@pytest.fixture
def scripted(postgres: Postgres) -> Iterator[Config]:
    """The schema before, with one gateway that has a script and one that has none."""
    postgres.create_database("scripted")
    config = configure(postgres.url("scripted"))
    command.upgrade(config, BEFORE)
    for number, settings in enumerate((f"jsonb_build_object('script', $s${SCRIPT}$s$)", "'{}'::jsonb")):
        postgres.ask(
            "INSERT INTO gateways (id, name, kind, priority, settings, secrets_sealed, callback_token, created_at,"
            f" updated_at) VALUES (gen_random_uuid(), 'g{number}', 'custom', 1, {settings}, '', '', now(), now())",
            database="scripted",
        )
    yield config
    postgres.drop_database("scripted")


def test_scripts_in_force_are_kept(postgres: Postgres, scripted: Config) -> None:
    command.upgrade(scripted, AFTER)
    rows = postgres.ask(
        "SELECT version, sha256, text = settings ->> 'script', created_by IS NULL"
        " FROM gateway_scripts JOIN gateways ON id = gateway_id",
        database="scripted",
    )
    assert rows.splitlines() == [f"1|{sha256(SCRIPT.encode()).hexdigest()}|t|t"]
