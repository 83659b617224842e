"""The opt-outs' rows, found by id or by the keyed hash of a number."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import NotFound
from shared.models import OptOut

OptOutRow = Row[Any]


async def list_opt_outs(
    tx: AsyncConnection, *, msisdn_hash: bytes | None, before: UUID | None, limit: int
) -> Sequence[OptOutRow]:
    """A page of opt-outs, the latest first."""
    question = select(OptOut).order_by(OptOut.id.desc()).limit(limit)
    if msisdn_hash is not None:
        question = question.where(OptOut.msisdn_hash == msisdn_hash)
    if before is not None:
        question = question.where(OptOut.id < before)
    return (await tx.execute(question)).all()


async def get_opt_out_of(tx: AsyncConnection, msisdn_hash: bytes) -> OptOutRow:
    question = select(OptOut).where(OptOut.msisdn_hash == msisdn_hash)
    return _there((await tx.execute(question)).one_or_none())


async def lock_opt_out(tx: AsyncConnection, opt_out_id: UUID) -> OptOutRow:
    """The opt-out, held so that what is left of it can be decided."""
    question = select(OptOut).where(OptOut.id == opt_out_id).with_for_update()
    return _there((await tx.execute(question)).one_or_none())


def _there(row: OptOutRow | None) -> OptOutRow:
    if row is None:
        raise NotFound("There is no opt-out with this id.")
    return row
