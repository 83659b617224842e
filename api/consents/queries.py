"""What consent asks of the database."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.models import Campaign, ConsentEvent, Contact, Message, OptOut

AnyRow = Row[Any]
_MOST = 200


async def list_statements(tx: AsyncConnection, contact_id: UUID, msisdn_hash: bytes) -> Sequence[AnyRow]:
    """What was said of this contact, or of this number before, the latest first."""
    mine = or_(ConsentEvent.contact_id == contact_id, ConsentEvent.msisdn_hash == msisdn_hash)
    question = select(ConsentEvent).where(mine).order_by(ConsentEvent.id.desc()).limit(_MOST)
    return (await tx.execute(question)).all()


async def find_opt_out(tx: AsyncConnection, msisdn_hash: bytes) -> AnyRow | None:
    return (await tx.execute(select(OptOut).where(OptOut.msisdn_hash == msisdn_hash))).one_or_none()


async def list_campaigns(tx: AsyncConnection, msisdn: str) -> Sequence[Any]:
    """The campaigns that wrote to a number, the latest first, with who vouched for its consent."""
    reached = select(Message.campaign_id).where(Message.msisdn == msisdn, Message.campaign_id.is_not(None))
    question = (
        select(
            Campaign.id.label("campaign_id"),
            Campaign.name,
            Campaign.started_at,
            Campaign.opt_in_acknowledged_at,
            Campaign.opt_in_acknowledged_by,
        )
        .where(Campaign.id.in_(reached))
        .order_by(Campaign.id.desc())
        .limit(_MOST)
    )
    return (await tx.execute(question)).all()


async def list_all_statements(tx: AsyncConnection, *, after: UUID | None, limit: int) -> Sequence[Any]:
    """A page of everything that was ever said, oldest first, with the number of whoever is still a contact."""
    question = (
        select(ConsentEvent, Contact.msisdn)
        .outerjoin(Contact, Contact.id == ConsentEvent.contact_id)
        .order_by(ConsentEvent.id)
        .limit(limit)
    )
    if after is not None:
        question = question.where(ConsentEvent.id > after)
    return (await tx.execute(question)).all()
