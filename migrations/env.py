"""Alembic's entry: one connection, the address from LAPWING_DATABASE_URL or from the caller's config."""

import asyncio
import os
import re

from alembic import context
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from shared.models import Base

_PARTITION = re.compile(r"_(\d{6}|default)$")


def _include_name(name: str | None, type_: str, _parents: object) -> bool:
    """Partitions are made by the month, not by migrations."""
    return not (type_ == "table" and name is not None and _PARTITION.search(name))


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=_include_name,
        compare_server_default=False,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


async def _run() -> None:
    url = context.config.get_main_option("sqlalchemy.url") or os.environ.get("LAPWING_DATABASE_URL")
    if not url:
        raise SystemExit("LAPWING_DATABASE_URL is not set; it names the database to migrate.")
    engine = create_async_engine(url, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(_migrate)
        await connection.commit()
    await engine.dispose()


asyncio.run(_run())
