"""Single messages over HTTP. The api inserts the fact and rings; the dispatcher sends."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import Bell, CanRead, CanSend, Now, Page, Reader, Res, Tx
from api.examples import answered
from api.idempotency import REPLAYED
from api.messages import examples, queries, references, views, vouchers
from api.messages.asked import with_number
from api.messages.outlook import with_outlook
from api.messages.schemas import MadeOut, MessageDetailOut, MessageFilter, MessageIn, MessageOut
from api.messages.values import TextTooManySegments, UnknownSender, fresh, measured
from api.messages.wait import Awaited, Goal, Wait, WaitFor, WaitingRoute, is_reached
from api.messages.words import REFUSED, warnings_of, words_of
from api.moments import find_past, find_too_far
from api.paging import PageOut, encode_cursor
from api.places import id_of
from api.problems import problems
from api.regions import region_of
from api.resources import Resources
from api.security import Caller
from shared.domain import message as law
from shared.domain import msisdn as numbers
from shared.domain import policy as rules
from shared.domain.attachment import AttachmentsNotResent
from shared.domain.message import Kind
from shared.domain.policy import Policy
from shared.domain.quota import QuotaExceeded
from shared.domain.voucher import VoucherEnded
from shared.errors import Invalid, NotFound
from shared.queries import audit
from shared.queries.policy import get_policy
from shared.queries.quota import hold_message
from shared.queries.sender_ids import find_sender
from shared.sealing import hash_msisdn

router = APIRouter(prefix="/messages", tags=["messages"], route_class=WaitingRoute)

DEFAULT_LIFE: Final = timedelta(hours=24)
_COPIED: Final = (
    *("msisdn", "msisdn_hash", "text", "encoding", "segments", "sender_id", "contact_id"),
    *("location_id", "client_reference"),
)
BY_POLICY: Final = (QuotaExceeded, rules.NotActivated, rules.CountryNotAllowed, rules.SenderNotAllowed)


@router.post(
    "",
    status_code=202,
    response_model=MadeOut,
    responses={
        **problems(
            404,
            references.ClientReferenceTaken,
            numbers.InvalidMsisdn,
            UnknownSender,
            TextTooManySegments,
            *REFUSED,
            *BY_POLICY,
        ),
        **answered(examples.MADE, status=202),
    },
)
async def create_message(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    wanted: MessageIn,
    request: Request,
    response: Response,
    tx: Tx,
    caller: CanSend,
    now: Now,
    res: Res,
    bell: Bell,
    wait: Wait = 0,
    wait_for: WaitFor = "submitted",
) -> Any:
    """Send one message to one person. It is accepted here, and handed to a gateway within moments."""
    row = await references.find_made(tx, wanted, caller, pepper=res.pepper)
    made = None if row is not None else await _make(tx, wanted, caller, now, res)
    if made is None:
        row = row or await references.find_made(tx, wanted, caller, pepper=res.pepper)
        response.headers[REPLAYED] = "true"
    else:
        row = made
        bell.ring("urgent")
    assert row is not None
    told = await warnings_of(tx, wanted)
    _await(request, row.id, wait, wait_for, lambda tx: views.read_made(tx, row.id, caller, res, told))
    return await views.made(tx, row, caller, res, told)


async def _make(tx: AsyncConnection, wanted: MessageIn, caller: Caller, now: datetime, res: Resources) -> Any:
    """The message as a new row, after all that may be refused; None if the same was made at this very moment."""
    policy = await get_policy(tx)
    rules.check_activated(policy, rules.Feature.PERSONAL)
    contact, msisdn = await _recipient(tx, wanted, policy.default_region or res.default_region)
    if told := rules.find_country_refused(policy, msisdn):
        raise rules.CountryNotAllowed(told, pointer="/msisdn" if wanted.contact_id is None else "/contact_id")
    sender_id = await _sender(tx, wanted.sender_id, policy)
    not_before, expires_at = _times(wanted, policy, now)
    text = await words_of(tx, wanted, contact=contact, msisdn=msisdn)
    begun = fresh(Kind(wanted.kind), caller.id, now)
    if not await references.take(tx, wanted, message_id=begun["id"], pepper=res.pepper, now=now):
        return None
    await hold_message(tx, begun["id"], text, policy=policy, now=now)
    await vouchers.keep(tx, begun["id"], wanted, not_before=not_before)
    return await queries.insert_message(
        tx,
        {
            **begun,
            **measured(text, policy, pointer="/text" if wanted.template_id is None else "/template_id"),
            "msisdn": msisdn,
            "msisdn_hash": hash_msisdn(res.pepper, msisdn),
            "sender_id": sender_id,
            "contact_id": contact.id if contact else None,
            "location_id": wanted.location_id or (contact.location_id if contact else None),
            "client_reference": wanted.client_reference,
            "not_before": not_before,
            "expires_at": expires_at,
            "valid_until": wanted.voucher.valid_until if wanted.voucher else None,
        },
    )


@router.get("", response_model=PageOut[MessageOut], responses=problems(422))
async def list_messages(
    tx: Reader, _caller: CanRead, page: Page, res: Res, wanted: Annotated[MessageFilter, Query()]
) -> dict[str, Any]:
    """The log of every message, of every kind, newest first.

    `q`, `kind`, `status`, `gateway_id` and `attempts` are looked for among the next 200,000 messages of the number, the
    campaign and the time that are named: a page may hold fewer than `limit`, or none. Read on while there is a
    `next_cursor`.
    """
    wanted = await with_number(tx, wanted, res.default_region)
    found = await queries.list_messages(tx, wanted, after=id_of(page), limit=page.limit)
    return {
        "items": found.rows,
        "next_cursor": None if found.further is None else encode_cursor({"id": str(found.further)}),
    }


@router.get("/{message_id}", response_model=MessageDetailOut, responses=problems(404))
async def get_message(
    message_id: UUID,
    request: Request,
    tx: Reader,
    _caller: CanRead,
    res: Res,
    wait: Wait = 0,
    wait_for: WaitFor = "submitted",
) -> dict[str, Any]:
    """One message with every hand-over of it and everything that gateways told about it."""
    message = await _whole(tx, message_id, res)
    if not is_reached(message["status"], wait_for):
        _await(request, message_id, wait, wait_for, lambda tx: _read_whole(tx, message_id, res))
    return message


async def _whole(tx: AsyncConnection, message_id: UUID, res: Resources) -> dict[str, Any]:
    message = await queries.get_message(tx, message_id)
    return {
        **await with_outlook(tx, message, res),
        "attempts": await queries.list_attempts(tx, message_id),
        "receipts": await queries.list_receipts(tx, message_id),
    }


async def _read_whole(tx: AsyncConnection, message_id: UUID, res: Resources) -> bytes:
    return MessageDetailOut.model_validate(await _whole(tx, message_id, res)).model_dump_json().encode()


def _await(
    request: Request, message_id: UUID, seconds: float, goal: Goal, read: Callable[[AsyncConnection], Awaitable[bytes]]
) -> None:
    """Have the answer wait, once the route's own transaction is over."""
    if seconds:
        request.state.awaited = Awaited(message_id, goal, seconds, request.app.state.watch, read)


@router.post(
    "/{message_id}/cancel",
    response_model=MessageOut,
    responses={**problems(404, law.MessageNotCancellable), **answered(examples.CANCELLING)},
)
async def cancel_message(message_id: UUID, tx: Tx, caller: CanSend, now: Now, res: Res, bell: Bell) -> Any:
    """Call a message back that is still queued; it becomes `cancelled` within a second."""
    message = await queries.lock_message(tx, message_id)
    _check_reach(message, caller)
    law.check_cancellable(message.status)
    row = await queries.request_cancel(tx, message_id, now)
    await _record(tx, caller.id, "message.cancelled", message_id, {}, now)
    bell.ring("bulk")
    return await views.shown(tx, row, caller, res)


@router.post(
    "/{message_id}/resend",
    status_code=202,
    response_model=MessageOut,
    responses={
        **problems(
            *(404, law.MessageNotResendable, law.MessageAlreadyResent, law.MessageErased, QuotaExceeded),
            *(AttachmentsNotResent, VoucherEnded, rules.NotActivated, rules.CountryNotAllowed, rules.SenderNotAllowed),
        ),
        **answered(examples.RESENT, status=202),
    },
)
async def resend_message(message_id: UUID, tx: Tx, caller: CanSend, now: Now, res: Res, bell: Bell) -> Any:
    """Send the same text again as a new message, knowing that an unconfirmed one may have arrived."""
    first = await queries.lock_first(tx, message_id)
    message = await queries.lock_message(tx, message_id)
    _check_reach(message, caller)
    law.check_resendable(message.status, message.kind)
    law.check_known(message.msisdn)
    policy = await get_policy(tx)
    await _check_wanted(tx, first, message, policy)
    if await queries.carries_attachments(tx, message.campaign_message_id):
        raise AttachmentsNotResent(
            "The message carried attachments; send it again with its campaign, POST /v1/campaigns/{id}/resend."
        )
    others = await queries.list_others(tx, first, besides=message_id)
    law.check_resent_once([(one.id, one.status) for one in others])
    # A dispatcher that wakes up late may prove that one of them never left, and queue it again: that would ring twice.
    await queries.forbid_return(tx, first, now)
    row = await _copy(tx, message, caller, now)
    await hold_message(tx, row.id, row.text, policy=policy, now=now)
    await _record(tx, caller.id, "message.resent", message_id, {"as": str(row.id)}, now)
    bell.ring("urgent")
    return await views.shown(tx, row, caller, res)


async def _copy(tx: AsyncConnection, message: Any, caller: Caller, now: datetime) -> Any:
    """The message as a new row, which carries its voucher from now on; refused where that has ended."""
    begun = fresh(Kind.PERSONAL if message.kind is Kind.CAMPAIGN else message.kind, caller.id, now)
    ends = await vouchers.hand_on(tx, message, begun["id"], now=now)
    return await queries.insert_message(
        tx,
        {
            **begun,
            **{name: getattr(message, name) for name in _COPIED},
            "resend_of": message.id,
            "not_before": now,
            "expires_at": vouchers.earliest(now + DEFAULT_LIFE, ends),
            "valid_until": ends,
        },
    )


async def _check_wanted(tx: AsyncConnection, first: UUID, message: Any, policy: Policy) -> None:
    """What holds for a new message holds for one that is sent again; what a campaign wrote needs consent, as it did."""
    rules.check_activated(policy, rules.Feature.PERSONAL)
    if told := rules.find_country_refused(policy, message.msisdn):
        raise rules.CountryNotAllowed(told)
    if told := rules.find_sender_refused(policy, message.sender_id):
        raise rules.SenderNotAllowed(told)
    consents = await queries.list_consents(tx, first, message)
    if consents is not None:
        law.check_agreed(consents, required=policy.require_consent)


def _check_reach(message: Any, caller: Caller) -> None:
    """A key that may only send knows of its own messages and those of its line, and of no others."""
    if not caller.may_read and message.created_by not in caller.keys:
        raise NotFound(f"There is no message {message.id}.")


def _times(wanted: MessageIn, policy: Policy, now: datetime) -> tuple[datetime, datetime]:
    """Not before, and not after."""
    if told := find_past("send_at", wanted.send_at, now=now):
        raise Invalid(told, pointer="/send_at")
    for field, moment in (("send_at", wanted.send_at), ("expires_at", wanted.expires_at)):
        if told := find_too_far(field, moment, now=now):
            raise Invalid(told, pointer=f"/{field}")
    not_before = max(wanted.send_at or now, now)
    # What has a time is not sent late without its owner's word; what is for now may wait for a gateway.
    life = DEFAULT_LIFE if wanted.send_at is None else timedelta(minutes=max(1, policy.late_after_minutes))
    ends = vouchers.end_of(wanted, not_before=not_before, now=now)
    expires_at = vouchers.earliest(wanted.expires_at or not_before + life, ends)
    if expires_at <= not_before:
        raise Invalid("expires_at must be ahead of now and later than send_at.", pointer="/expires_at")
    return not_before, expires_at


async def _sender(tx: AsyncConnection, wanted: str | None, policy: Policy) -> str | None:
    if wanted is None:
        return None
    found = await find_sender(tx, wanted)
    if found is None:
        raise UnknownSender(
            f"There is no sender {wanted!r}; register it under /v1/sender-ids, or leave it out.", pointer="/sender_id"
        )
    if told := rules.find_sender_refused(policy, found):
        raise rules.SenderNotAllowed(told, pointer="/sender_id")
    return found


async def _recipient(tx: AsyncConnection, wanted: MessageIn, default_region: str | None) -> tuple[Any, str]:
    """Whom it is for: the contact, if there is one, and the number."""
    if wanted.contact_id is not None:
        contact = await queries.find_contact(tx, wanted.contact_id)
        if contact is None:
            raise NotFound(f"There is no contact {wanted.contact_id}.")
        return contact, contact.msisdn
    region = region_of(wanted.default_region, default_region)
    try:
        msisdn = numbers.parse(wanted.msisdn or "", default_region=region)
    except Invalid as error:
        raise error.at("/msisdn") from None
    return await queries.find_contact_of(tx, msisdn), msisdn


async def _record(
    tx: AsyncConnection, caller: str, action: str, message_id: UUID, detail: dict[str, Any], now: datetime
) -> None:
    await audit.record(tx, caller=caller, action=action, subject=("message", str(message_id)), detail=detail, now=now)
