"""What somebody was told before a start, kept until it is used."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.estimate import ConfirmationRefused
from shared.models import Estimate

_PREFIX: Final = "confirm_"


def confirmation_of(estimate_id: UUID) -> str:
    """What a client gives back; it means nothing to anybody else."""
    return f"{_PREFIX}{estimate_id.hex}"


async def insert_estimate(tx: AsyncConnection, values: dict[str, Any]) -> None:
    await tx.execute(insert(Estimate).values(**values))


async def lock_estimate(tx: AsyncConnection, campaign_id: UUID, confirmation: str) -> Any:
    """The estimate that a confirmation stands for, held so that it is used once."""
    found = None
    estimate_id = _read(confirmation)
    if estimate_id is not None:
        question = select(Estimate).where(Estimate.id == estimate_id, Estimate.campaign_id == campaign_id)
        found = (await tx.execute(question.with_for_update())).one_or_none()
    if found is None:
        raise ConfirmationRefused("This confirmation is none of this campaign; ask for a new estimate.")
    return found


def _read(confirmation: str) -> UUID | None:
    try:
        return UUID(hex=confirmation.removeprefix(_PREFIX)) if confirmation.startswith(_PREFIX) else None
    except ValueError:
        return None


async def use_estimate(tx: AsyncConnection, estimate_id: UUID, *, now: datetime) -> None:
    await tx.execute(update(Estimate).where(Estimate.id == estimate_id).values(used_at=now))
