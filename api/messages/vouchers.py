"""The end of a voucher, where it is told: kept, so that somebody can be told that it is near."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.messages import queries
from api.messages.schemas import MessageIn, VoucherIn
from shared.domain.voucher import LONGEST_VALID, check_valid, nearly_used_at
from shared.errors import Invalid

_MOMENTS: Final = frozenset({"valid_until", "nearly_used_at"})


def told_of(voucher: VoucherIn | None) -> dict[str, Any]:
    """What fills the tags of a voucher."""
    return {} if voucher is None else voucher.model_dump(exclude_none=True, exclude=set(_MOMENTS))


def end_of(wanted: MessageIn, *, not_before: datetime, now: datetime) -> datetime | None:
    """When the voucher ends; None where that is not told. Refused where it could not be, or is over before it goes."""
    voucher = wanted.voucher
    if voucher is None or voucher.valid_until is None:
        return None
    if voucher.valid_until <= not_before:
        raise Invalid("valid_until must be ahead of now and later than send_at.", pointer="/voucher/valid_until")
    if voucher.valid_until - now > LONGEST_VALID:
        raise Invalid("valid_until is more than ten years ahead; leave it out.", pointer="/voucher/valid_until")
    near = voucher.nearly_used_at
    if near is not None and not not_before < near < voucher.valid_until:
        raise Invalid(
            "nearly_used_at must be later than the message and earlier than valid_until; leave it out for the usual "
            "moment.",
            pointer="/voucher/nearly_used_at",
        )
    return voucher.valid_until


async def hand_on(tx: AsyncConnection, message: queries.AnyRow, again: UUID, *, now: datetime) -> datetime | None:
    """When the voucher ends that a message carried and another one carries from now on; refused where it has."""
    handed = await queries.hand_on_voucher(tx, message.id, again)
    # The message has it from its making on; the row beside it stands in for messages of versions before.
    ends: datetime | None = message.valid_until or handed
    check_valid(ends, now=now)
    return ends


def earliest(expires_at: datetime, ends: datetime | None) -> datetime:
    """When a message is handed over no more: nobody gets a voucher that has ended."""
    return expires_at if ends is None else min(expires_at, ends)


async def keep(tx: AsyncConnection, message_id: UUID, wanted: MessageIn, *, not_before: datetime) -> None:
    """Have somebody told in time that the voucher of this message ends; nothing is kept where nobody knows when."""
    voucher = wanted.voucher
    if voucher is None or voucher.valid_until is None:
        return
    near = voucher.nearly_used_at or nearly_used_at(voucher.valid_until, begins=not_before)
    values = {"nearly_used_at": near, "valid_until": voucher.valid_until, "data": told_of(voucher)}
    await queries.insert_voucher(tx, message_id, values)
