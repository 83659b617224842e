"""Which revision the database's schema is at, and whether that is enough for the code beside it."""

from pathlib import Path
from typing import Final, Literal

from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection

_UNDEFINED_TABLE = "42P01"
_MIGRATIONS: Final = Path(__file__).parents[2] / "migrations"


async def find_revision(tx: AsyncConnection) -> str | None:
    """None for a database that was never migrated."""
    try:
        revision: str | None = await tx.scalar(text("SELECT version_num FROM alembic_version"))
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) == _UNDEFINED_TABLE:
            return None
        raise
    return revision


def standing_of(revision: str | None) -> Literal["ok", "newer", "behind"]:
    """A schema newer than the code is well: migrations run ahead of the code that needs them. One behind it is not."""
    if revision == (_MIGRATIONS / "HEAD").read_text().strip():
        return "ok"
    known = {path.name.split("_")[0] for path in (_MIGRATIONS / "versions").glob("*.py")}
    return "behind" if revision is None or revision in known else "newer"
