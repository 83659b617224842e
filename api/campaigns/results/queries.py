"""What a campaign's results ask of the database: its messages one by one in audience order, and counted."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.message import Status
from shared.models import CampaignMessage, Gateway, Message, Tally

AnyRow = Row[*tuple[Any, ...]]

# Enough of a number to tell its country, and few enough that numbers fall together.
_PREFIX = 8


async def list_messages(
    tx: AsyncConnection, campaign_id: UUID, *, status: Status | None, after: UUID | None, limit: int
) -> Sequence[AnyRow]:
    """A page of the campaign's messages: one message of the sequence after the other, each in audience order.

    Step by step, so that each page is a range of one index; over all steps at once, every page would sort them all. Of
    a status that few have, the tallies tell when all are found, so that nobody looks through a million for nothing.
    """
    steps = (
        await tx.execute(
            select(CampaignMessage.id, CampaignMessage.position)
            .where(CampaignMessage.campaign_id == campaign_id)
            .order_by(CampaignMessage.position)
        )
    ).all()
    begun = 0
    if after is not None:
        of = await tx.scalar(select(Message.campaign_message_id).where(Message.id == after))
        begun = next((place for place, step in enumerate(steps) if step.id == of), len(steps))
    most = {} if status is None else await _count(tx, [step.id for step in steps], status)
    found: list[AnyRow] = []
    for place, step in enumerate(steps[begun:], start=begun):
        wanted = limit - len(found)
        if status is not None and not (wanted := min(wanted, most.get(step.id, 0))):
            continue
        question = (
            select(Message, CampaignMessage.position)
            .join(CampaignMessage, CampaignMessage.id == Message.campaign_message_id)
            .where(Message.campaign_message_id == step.id)
            .order_by(Message.id)
            .limit(wanted)
        )
        if status is not None:
            question = question.where(Message.status == status)
        if after is not None and place == begun:
            question = question.where(Message.id > after)
        found += (await tx.execute(question)).all()
        if len(found) >= limit:
            break
    return found


async def _count(tx: AsyncConnection, steps: Sequence[UUID], status: Status) -> dict[UUID, int]:
    """How many messages of each step are this now, on the same snapshot as their rows."""
    mine = (Tally.campaign_message_id.in_(steps), Tally.status == status)
    rows = await tx.execute(
        select(Tally.campaign_message_id, func.sum(Tally.messages)).where(*mine).group_by(Tally.campaign_message_id)
    )
    return {row[0]: max(0, int(row[1])) for row in rows}


async def count_by_place(tx: AsyncConnection, campaign_id: UUID) -> Sequence[AnyRow]:
    """How many messages of each step went through which gateway, to numbers that begin how, and became what."""
    steps = select(CampaignMessage.id).where(CampaignMessage.campaign_id == campaign_id)
    prefix = func.left(Message.msisdn, _PREFIX)
    error = func.coalesce(Message.failure, Message.skip_reason)
    rows = await tx.execute(
        select(
            Message.campaign_message_id,
            Message.gateway_id,
            func.min(Message.msisdn).label("msisdn"),
            Message.status,
            error.label("error"),
            func.count().label("messages"),
        )
        .where(Message.campaign_message_id.in_(steps))
        .group_by(Message.campaign_message_id, Message.gateway_id, prefix, Message.status, error)
    )
    return rows.all()


async def list_gateway_names(tx: AsyncConnection) -> dict[UUID, str]:
    rows = await tx.execute(select(Gateway.id, Gateway.name))
    return {row.id: row.name for row in rows}
