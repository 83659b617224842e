"""What imports ask of the database. The rows that the dispatcher writes are only read here."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Row, case, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import NotFound
from shared.models import Import, ImportChunk, ImportRejection, TargetGroup

AnyRow = Row[Any]
Rejected = Row[int, str | None, str]

_COLUMNS: Final = (
    *Import.__table__.columns,
    (Import.rows_imported + Import.rows_rejected).label("rows_done"),
    # Somebody who is deleted while the file is read, and comes again, is made twice.
    case(
        (Import.contacts_created.is_(None), None),
        else_=func.greatest(Import.rows_imported - Import.contacts_created - Import.rows_duplicate, 0),
    ).label("contacts_updated"),
)


async def insert_import(tx: AsyncConnection, values: Mapping[str, Any]) -> None:
    await tx.execute(insert(Import).values(**values))


async def insert_chunk(tx: AsyncConnection, import_id: UUID, *, position: int, data: bytes) -> None:
    statement = insert(ImportChunk)
    await tx.execute(statement.values(import_id=import_id, position=position, data=data))


async def find_kind_of_group(tx: AsyncConnection, group_id: UUID) -> str | None:
    """What kind of target group this is, held against its end; None if there is none."""
    question = select(TargetGroup.kind).where(TargetGroup.id == group_id)
    kind: str | None = await tx.scalar(question.with_for_update(read=True, key_share=True))
    return kind


async def get_import(tx: AsyncConnection, import_id: UUID) -> AnyRow:
    row = (await tx.execute(select(*_COLUMNS).where(Import.id == import_id))).one_or_none()
    if row is None:
        raise NotFound("There is no import with this id.")
    return row


async def list_imports(tx: AsyncConnection, *, before: UUID | None, limit: int) -> Sequence[AnyRow]:
    """A page of imports, the newest first."""
    question = select(*_COLUMNS).order_by(Import.id.desc()).limit(limit)
    if before is not None:
        question = question.where(Import.id < before)
    return (await tx.execute(question)).all()


async def list_rejections(tx: AsyncConnection, import_id: UUID, *, after_row: int, limit: int) -> Sequence[Rejected]:
    """A page of the rows that were not imported, in the order of the file."""
    question = (
        select(ImportRejection.row, ImportRejection.column, ImportRejection.reason)
        .where(ImportRejection.import_id == import_id, ImportRejection.row > after_row)
        .order_by(ImportRejection.row)
        .limit(limit)
    )
    return (await tx.execute(question)).all()
