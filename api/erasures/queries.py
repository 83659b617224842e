"""What erasures ask of the database."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import NotFound
from shared.models import Erasure, OptOut

AnyRow = Row[Any]


async def insert_erasure(tx: AsyncConnection, values: Mapping[str, Any]) -> None:
    await tx.execute(insert(Erasure).values(**values))


async def forget_number_of_opt_out(tx: AsyncConnection, msisdn_hash: bytes) -> None:
    """A standing no stays, by its hash alone."""
    await tx.execute(update(OptOut).where(OptOut.msisdn_hash == msisdn_hash).values(msisdn=None))


async def get_erasure(tx: AsyncConnection, erasure_id: UUID) -> AnyRow:
    row = (await tx.execute(select(Erasure).where(Erasure.id == erasure_id))).one_or_none()
    if row is None:
        raise NotFound("There is no erasure with this id.")
    return row


async def list_erasures(tx: AsyncConnection, *, before: UUID | None, limit: int) -> Sequence[AnyRow]:
    """A page of erasures, the newest first."""
    question = select(Erasure).order_by(Erasure.id.desc()).limit(limit)
    if before is not None:
        question = question.where(Erasure.id < before)
    return (await tx.execute(question)).all()
