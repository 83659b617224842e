"""What single messages and the log ask of the database."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import Select, exists, insert, or_, select, update
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import ColumnElement

from api.messages.schemas import MessageFilter
from shared.domain.automation import CREATED_BY
from shared.domain.contact import Consent
from shared.domain.message import MAY_LEAVE, Kind, Status
from shared.errors import NotFound
from shared.ids import first_uuid7
from shared.models import Attempt, CampaignMessage, ClientReference, Contact, Message, ReceiptRow, Voucher

AnyRow = Row[*tuple[Any, ...]]

# Of the log, for what no index finds: half a second of looking.
MOST_LOOKED_AT: Final = 200_000


async def insert_message(tx: AsyncConnection, values: dict[str, Any]) -> AnyRow:
    return (await tx.execute(insert(Message).values(**values).returning(Message))).one()


async def insert_voucher(tx: AsyncConnection, message_id: UUID, values: dict[str, Any]) -> None:
    await tx.execute(insert(Voucher).values(id=message_id, message_id=message_id, **values))


async def hand_on_voucher(tx: AsyncConnection, was: UUID, now: UUID) -> datetime | None:
    """The voucher that a message carried is carried by another one now, as long as its end is to be told of.

    When it ends; None where nobody is to be told of it any more.
    """
    handed = update(Voucher).where(Voucher.message_id == was).values(message_id=now).returning(Voucher.valid_until)
    ends: datetime | None = await tx.scalar(handed)
    return ends


async def take_reference(
    tx: AsyncConnection, reference: str, *, message_id: UUID, fingerprint: bytes, now: datetime
) -> bool:
    """Make a client's reference this message's own; False where it is another's. Waits for whoever tries the same."""
    taken = await tx.execute(
        postgresql.insert(ClientReference)
        .values(reference=reference, message_id=message_id, fingerprint=fingerprint, created_at=now)
        .on_conflict_do_nothing()
    )
    return taken.rowcount == 1


async def find_reference(tx: AsyncConnection, reference: str) -> AnyRow | None:
    """Which message a client's reference stands for, and the fingerprint of its request."""
    question = select(ClientReference).where(ClientReference.reference == reference)
    return (await tx.execute(question)).one_or_none()


async def find_time_zone(tx: AsyncConnection, contact_id: UUID) -> str | None:
    """The zone that a contact named; None where it names none, or is gone."""
    zone: str | None = await tx.scalar(select(Contact.time_zone).where(Contact.id == contact_id))
    return zone


async def find_message(tx: AsyncConnection, message_id: UUID) -> AnyRow | None:
    return (await tx.execute(select(Message).where(Message.id == message_id))).one_or_none()


async def list_statuses(tx: AsyncConnection, message_ids: Sequence[UUID]) -> Sequence[AnyRow]:
    """Ids and statuses of these messages."""
    return (await tx.execute(select(Message.id, Message.status).where(Message.id.in_(message_ids)))).all()


async def get_message(tx: AsyncConnection, message_id: UUID) -> AnyRow:
    row = (await tx.execute(select(Message).where(Message.id == message_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no message {message_id}.")
    return row


async def lock_message(tx: AsyncConnection, message_id: UUID) -> AnyRow:
    row = (await tx.execute(select(Message).where(Message.id == message_id).with_for_update())).one_or_none()
    if row is None:
        raise NotFound(f"There is no message {message_id}.")
    return row


async def request_cancel(tx: AsyncConnection, message_id: UUID, now: datetime) -> AnyRow:
    """Write down the owner's wish; the dispatcher honours it before the next hand-over."""
    return (
        await tx.execute(
            update(Message)
            .where(Message.id == message_id, Message.status == Status.QUEUED)
            .values(cancel_requested_at=now)
            .returning(Message)
        )
    ).one()


async def request_cancel_of(tx: AsyncConnection, msisdn: str, now: datetime) -> int:
    """The same for every message to a number that may leave yet; how many of them are queued.

    One that is being handed over is called back if the gateway does not take it.
    """
    wish = update(Message).where(
        Message.msisdn == msisdn, Message.status.in_(MAY_LEAVE), Message.cancel_requested_at.is_(None)
    )
    asked = await tx.execute(wish.values(cancel_requested_at=now).returning(Message.status))
    return sum(status is Status.QUEUED for status in asked.scalars())


async def forbid_return(tx: AsyncConnection, message_id: UUID, now: datetime) -> None:
    """Have a message in doubt called back if it should ever come back to the queue: another one goes in its place.

    So are the resends of it that are in doubt.
    """
    await tx.execute(
        update(Message)
        .where(
            or_(Message.id == message_id, Message.id.in_(_resends_of(message_id))), Message.status == Status.UNCONFIRMED
        )
        .values(cancel_requested_at=now)
    )


async def lock_first(tx: AsyncConnection, message_id: UUID) -> UUID:
    """The message in whose place all this began, locked, so that one resend of any of them is decided at a time."""
    line = select(Message.id, Message.resend_of).where(Message.id == message_id).cte("line", recursive=True)
    line = line.union(select(Message.id, Message.resend_of).where(Message.id == line.c.resend_of))
    # Where the very first one went with its month, the one that was sent in its place stands for it.
    known = select(line.c.id).scalar_subquery()
    eldest = select(line.c.id).where(or_(line.c.resend_of.is_(None), line.c.resend_of.not_in(known)))
    first = (await tx.execute(eldest)).scalar_one_or_none() or message_id
    await tx.execute(select(Message.id).where(Message.id == first).with_for_update())
    return first


async def list_consents(tx: AsyncConnection, first: UUID, message: AnyRow) -> Sequence[Consent] | None:
    """What the contact of a campaign's words, and whoever has the number now, say to them; None for others' words.

    An automation's words need no consent, but go to nobody who took it back: of theirs, only those who did are told.

    `first` is the message in whose place all this began. Where that one went with its month, and a campaign may have
    written it, it is taken for one.
    """
    question = select(Message.kind, Message.resend_of, Message.created_by).where(Message.id == first)
    began = (await tx.execute(question)).one_or_none()
    lost = began is None or (began.kind is Kind.PERSONAL and began.resend_of is not None)
    automated = began is not None and began.created_by == CREATED_BY
    if began is not None and began.kind is not Kind.CAMPAIGN and not lost and not automated:
        return None
    theirs = or_(Contact.id == message.contact_id, Contact.msisdn == message.msisdn)
    found = [Consent(one) for one in (await tx.execute(select(Contact.consent_status).where(theirs))).scalars()]
    return [one for one in found if one is Consent.WITHDRAWN] or None if automated else found


async def list_others(tx: AsyncConnection, first: UUID, *, besides: UUID) -> Sequence[AnyRow]:
    """All that was sent in the place of one message, and that one: ids and statuses, newest first."""
    rows = await tx.execute(
        select(Message.id, Message.status)
        .where(or_(Message.id == first, Message.id.in_(_resends_of(first))), Message.id != besides)
        .order_by(Message.id.desc())
    )
    return rows.all()


def _resends_of(message_id: UUID) -> Select[tuple[UUID]]:
    resends = select(Message.id).where(Message.resend_of == message_id).cte("resends", recursive=True)
    resends = resends.union(select(Message.id).where(Message.resend_of == resends.c.id))
    return select(resends.c.id)


async def carries_attachments(tx: AsyncConnection, campaign_message_id: UUID | None) -> bool:
    """Whether files went with the messages of this campaign message."""
    question = select(CampaignMessage.attachments).where(CampaignMessage.id == campaign_message_id)
    return bool(await tx.scalar(question))


async def list_attempts(tx: AsyncConnection, message_id: UUID) -> Sequence[AnyRow]:
    rows = await tx.execute(select(Attempt).where(Attempt.message_id == message_id).order_by(Attempt.attempt))
    return rows.all()


async def list_receipts(tx: AsyncConnection, message_id: UUID) -> Sequence[AnyRow]:
    """What its gateways told of a message; whoever else names it is not heard.

    What was applied is its own, whosever address it came to: gateways that share an account have one vendor.
    """
    handed_over = exists().where(
        Attempt.message_id == message_id,
        Attempt.gateway_id == ReceiptRow.gateway_id,
        or_(ReceiptRow.attempt.is_(None), Attempt.attempt == ReceiptRow.attempt),
    )
    rows = await tx.execute(
        select(ReceiptRow)
        .where(ReceiptRow.message_id == message_id, or_(ReceiptRow.verdict == "applied", handed_over))
        .order_by(ReceiptRow.received_at, ReceiptRow.id)
    )
    return rows.all()


async def find_contact(tx: AsyncConnection, contact_id: UUID) -> AnyRow | None:
    return (await tx.execute(select(Contact).where(Contact.id == contact_id))).one_or_none()


async def find_contact_of(tx: AsyncConnection, msisdn: str) -> AnyRow | None:
    return (await tx.execute(select(Contact).where(Contact.msisdn == msisdn))).one_or_none()


class Found(NamedTuple):
    """Messages of the log, newest first, and where to look on: None at its end."""

    rows: Sequence[AnyRow]
    further: UUID | None


async def list_messages(tx: AsyncConnection, wanted: MessageFilter, *, after: UUID | None, limit: int) -> Found:
    """A page of the log, newest first. Ids sort by time, so a range of time is a range of ids.

    What no index finds is looked for among the next `MOST_LOOKED_AT` messages: the page may then hold fewer than
    `limit`, or none, and yet there is more. So no question goes through the whole log at once, however rare the answer.
    """
    within = _indexed(wanted)
    if wanted.campaign_id is not None:
        steps = select(CampaignMessage.id).where(CampaignMessage.campaign_id == wanted.campaign_id)
        within.append(Message.campaign_message_id.in_(steps))
    if after is not None:
        within.append(Message.id < after)
    newest = select(Message).where(*within).order_by(Message.id.desc())
    looked_at = newest.limit(MOST_LOOKED_AT).subquery("looked_at")
    sought = _sought(wanted, looked_at.c)
    question = select(looked_at).where(*sought).order_by(looked_at.c.id.desc()) if sought else newest
    rows = (await tx.execute(question.limit(limit + 1))).all()
    if len(rows) > limit:
        return Found(rows[:limit], rows[limit - 1].id)
    last = select(Message.id).where(*within).order_by(Message.id.desc()).offset(MOST_LOOKED_AT - 1).limit(1)
    return Found(rows, await tx.scalar(last) if sought else None)


def _indexed(wanted: MessageFilter) -> list[ColumnElement[bool]]:
    """What an index finds."""
    conditions: list[ColumnElement[bool]] = []
    if wanted.msisdn is not None:
        conditions.append(Message.msisdn == wanted.msisdn)
    if wanted.client_reference is not None:
        # An erasure takes it off the message, and whoever was erased is not found by it any more.
        conditions += [
            Message.id.in_(_named_by(wanted.client_reference)),
            Message.client_reference == wanted.client_reference,
        ]
    if wanted.from_ is not None:
        conditions.append(Message.id >= first_uuid7(wanted.from_))
    if wanted.to is not None:
        conditions.append(Message.id < first_uuid7(wanted.to))
    return conditions


def _named_by(reference: str) -> Select[tuple[UUID]]:
    """The message that a client's reference stands for, and all that was sent in its place."""
    named = select(ClientReference.message_id.label("id")).where(ClientReference.reference == reference)
    line = named.cte("named", recursive=True)
    line = line.union(select(Message.id).where(Message.resend_of == line.c.id))
    return select(line.c.id)


def _sought(wanted: MessageFilter, column: ReadOnlyColumnCollection[str, Any]) -> list[ColumnElement[bool]]:
    """What each message has to be looked at for."""
    equal = {
        column.kind: wanted.kind,
        column.status: wanted.status,
        column.gateway_id: wanted.gateway_id,
        column.attempt: wanted.attempts,
    }
    conditions: list[ColumnElement[bool]] = [each == value for each, value in equal.items() if value is not None]
    if wanted.q:
        conditions.append(column.text.icontains(wanted.q, autoescape=True))
    return conditions
