"""Which revision the database's schema is at."""

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

_UNDEFINED_TABLE = "42P01"


async def find_revision(tx: AsyncConnection) -> str | None:
    """None for a database that was never migrated."""
    try:
        revision: str | None = await tx.scalar(text("SELECT version_num FROM alembic_version"))
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) == _UNDEFINED_TABLE:
            return None
        raise
    return revision
