"""What callbacks write: receipts by the hundred, inbound messages one by one. Told twice is written once."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Boolean, DateTime, SmallInteger, Text, Uuid, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.callbacks.facts import Fact
from shared.ids import first_uuid7
from shared.models import Contact, InboundRow, Message

_REPLY_WINDOW: Final = timedelta(days=30)

_COLUMNS: Final[Mapping[str, Any]] = {
    "id": Uuid(),
    "gateway_id": Uuid(),
    "message_id": Uuid(),
    "attempt": SmallInteger(),
    "reference": Text(),
    "status": Text(),
    "code": Text(),
    "opted_out": Boolean(),
    "segments": SmallInteger(),
    "raw": Text(),
    "received_at": DateTime(timezone=True),
}
_INSERT_RECEIPTS: Final = text(
    "INSERT INTO receipts (id, gateway_id, message_id, attempt, reference, status, code, opted_out, segments, raw,"
    " received_at, next_at)"
    " SELECT id, gateway_id, message_id, attempt, reference, status, code, opted_out, segments, CAST(raw AS jsonb),"
    " received_at, received_at"
    " FROM unnest(CAST(:id AS uuid[]), CAST(:gateway_id AS uuid[]), CAST(:message_id AS uuid[]),"
    " CAST(:attempt AS smallint[]), CAST(:reference AS text[]), CAST(:status AS text[]), CAST(:code AS text[]),"
    " CAST(:opted_out AS boolean[]), CAST(:segments AS smallint[]), CAST(:raw AS text[]),"
    " CAST(:received_at AS timestamptz[]))"
    " AS said (id, gateway_id, message_id, attempt, reference, status, code, opted_out, segments, raw, received_at)"
    " ON CONFLICT DO NOTHING"
).bindparams(*(bindparam(name, type_=ARRAY(type_)) for name, type_ in _COLUMNS.items()))


async def insert_receipts(tx: AsyncConnection, facts: Sequence[Fact]) -> int:
    """Keep these receipts, and return how many were news."""
    # In one order everywhere: two processes told the same things must not wait for each other in a ring.
    ordered = sorted(facts, key=lambda fact: fact.id)
    columns = {name: [getattr(fact, name) for fact in ordered] for name in _COLUMNS}
    return (await tx.execute(_INSERT_RECEIPTS, columns)).rowcount


def is_fault_of_row(error: Exception) -> bool:
    """Whether a row cannot be stored as it is, rather than the database being away."""
    return isinstance(error, DataError | IntegrityError)


async def insert_inbound(tx: AsyncConnection, row: Mapping[str, Any]) -> bool:
    """Keep an inbound message; False if it was told before."""
    statement = (
        insert(InboundRow)
        .values(**row)
        .on_conflict_do_nothing(
            index_elements=[InboundRow.gateway_id, InboundRow.reference], index_where=InboundRow.reference.is_not(None)
        )
        .returning(InboundRow.id)
    )
    return await tx.scalar(statement) is not None


async def ask_for_review(tx: AsyncConnection, inbound_id: UUID) -> None:
    """Have a person read an inbound message."""
    await tx.execute(update(InboundRow).where(InboundRow.id == inbound_id).values(review=True))


async def find_contact_id(tx: AsyncConnection, msisdn: str) -> UUID | None:
    found: UUID | None = await tx.scalar(select(Contact.id).where(Contact.msisdn == msisdn))
    return found


async def find_last_campaign_id(tx: AsyncConnection, msisdn: str, *, now: datetime) -> UUID | None:
    """The campaign that last wrote to this number in recent weeks: what a reply is likely about."""
    found: UUID | None = await tx.scalar(
        select(Message.campaign_id)
        .where(
            Message.msisdn == msisdn,
            Message.id >= first_uuid7(now - _REPLY_WINDOW),
            Message.campaign_id.is_not(None),
            Message.attempt > 0,
        )
        .order_by(Message.id.desc())
        .limit(1)
    )
    return found
