"""A gateway's health in its row, each change of it written down with its reason, and told who wants to know."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.breaker import Health
from shared.domain.event import EVENT_OF_HEALTH
from shared.ids import uuid7
from shared.models import Gateway, HealthChange
from shared.queries.events import Event, tell


async def record_change(  # noqa: PLR0913 - what a row of it holds
    tx: AsyncConnection, gateway_id: UUID, *, was: str, health: Health, reason: str | None, by: str, now: datetime
) -> None:
    await tx.execute(
        insert(HealthChange).values(
            id=uuid7(now), gateway_id=gateway_id, at=now, was=was, health=health.value, reason=reason, by=by
        )
    )
    if (told := EVENT_OF_HEALTH.get(health)) is not None:
        await tell(tx, Event(told, gateway_id, {"was": was, "health": health.value, "reason": reason}), now=now)


async def set_health(  # noqa: PLR0913 - a change is told whole
    tx: AsyncConnection, gateway_id: UUID, *, was: str, health: Health, reason: str | None, by: str, now: datetime
) -> None:
    """Change a row that is locked already, and write down why; `trips` and probes begin anew."""
    await tx.execute(
        update(Gateway)
        .where(Gateway.id == gateway_id)
        .values(
            health=health.value,
            health_reason=reason,
            health_at=now,
            health_until=None,
            health_by=None,
            trips=0,
            resting_until=None,
        )
    )
    await record_change(tx, gateway_id, was=was, health=health, reason=reason, by=by, now=now)


async def list_changes(tx: AsyncConnection, gateway_id: UUID, *, after: UUID | None, limit: int) -> Sequence[Row[Any]]:
    """A page of changes, the newest first."""
    question = select(HealthChange).where(HealthChange.gateway_id == gateway_id)
    if after is not None:
        question = question.where(HealthChange.id < after)
    return (await tx.execute(question.order_by(HealthChange.id.desc()).limit(limit))).all()
