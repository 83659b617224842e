"""A receipt as a row: its id is derived from what it says, so the same news told twice is one row.

The gateway comes from the address that was called, never from what was sent there, so nobody can bring news of
another's messages.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final
from uuid import UUID

from api.callbacks.redaction import redacted_fields
from shared.adapter import Callback, Receipt
from shared.domain.message import Status
from shared.ids import derived_uuid7, time_of

_LARGEST_SMALL: Final = 32_767
_LONGEST: Final = 255
# A row lies in its message's month for as long as that is certain to exist; later news lies in the day it came.
_OLDEST: Final = timedelta(days=35)
_AHEAD: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of the inbox of receipts."""

    id: UUID
    gateway_id: UUID
    message_id: UUID | None
    attempt: int | None
    reference: str | None
    status: Status
    code: str | None
    opted_out: bool
    segments: int | None
    raw: str | None = field(repr=False)
    received_at: datetime


def facts_of(receipts: Sequence[Receipt], *, gateway_id: UUID, callback: Callback, now: datetime) -> list[Fact]:
    if not receipts:
        return []
    fields = json.dumps(redacted_fields(callback), ensure_ascii=False, separators=(",", ":"))
    return [_fact(receipt, gateway_id=gateway_id, raw=fields, now=now) for receipt in receipts]


def _fact(receipt: Receipt, *, gateway_id: UUID, raw: str, now: datetime) -> Fact:
    attempt, reference = _small(receipt.attempt), _text(receipt.reference)
    code = _text(receipt.code)
    said = (
        str(gateway_id),
        str(receipt.message_id),
        attempt,
        reference,
        receipt.status,
        code,
        receipt.at.isoformat() if receipt.at else None,
    )
    return Fact(
        id=_derived_id(receipt.message_id, json.dumps(said).encode(), now=now),
        gateway_id=gateway_id,
        message_id=receipt.message_id,
        attempt=attempt,
        reference=reference,
        status=receipt.status,
        code=code,
        opted_out=receipt.opted_out,
        segments=_small(receipt.segments),
        raw=raw,
        received_at=now,
    )


def _derived_id(message_id: UUID | None, said: bytes, *, now: datetime) -> UUID:
    place = int.from_bytes(blake2b(said, digest_size=4, person=b"place").digest()) >> 6
    return derived_uuid7(_moment(message_id, now=now), position=place, material=said)


def _moment(message_id: UUID | None, *, now: datetime) -> datetime:
    """The message's own moment, or the day: the same for news told twice."""
    if message_id is not None and message_id.version == 7:
        try:
            moment = time_of(message_id)
        except OverflowError:  # an id of the year 10,000: none of ours
            moment = now - 2 * _OLDEST
        if now - _OLDEST < moment < now + _AHEAD:
            return moment
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _small(number: int | None) -> int | None:
    return number if number is not None and 0 <= number <= _LARGEST_SMALL else None


def _text(value: str | None) -> str | None:
    """Postgres keeps neither NUL nor half a character."""
    if value is None:
        return None
    return value.replace("\0", "").encode("utf-8", "replace").decode()[:_LONGEST]
