"""A change of people's consent: written down as evidence, and acted upon."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, any_, bindparam, insert, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.contact import Consent
from shared.domain.message import Kind, Status
from shared.ids import uuid7
from shared.models import ConsentEvent, Message
from shared.sealing import hash_msisdn


@dataclass(frozen=True, slots=True)
class ChangedConsent:
    """What a contact's row says of their consent now; `was` is the status before."""

    contact_id: UUID
    msisdn: str = field(repr=False)
    status: str
    source: str | None
    at: datetime | None
    was: str

    @property
    def is_withdrawal(self) -> bool:
        return self.status == Consent.WITHDRAWN.value != self.was


async def keep_consents(
    tx: AsyncConnection, changed: Sequence[ChangedConsent], *, pepper: bytes, caller: str, now: datetime
) -> int:
    """Record what changed, and have what campaigns would still send to who withdrew called back; how many messages."""
    if not changed:
        return 0
    events = [
        {
            "id": uuid7(now),
            "contact_id": one.contact_id,
            "msisdn_hash": hash_msisdn(pepper, one.msisdn),
            "status": one.status,
            "source": one.source,
            "at": one.at,
            "recorded_at": now,
            "recorded_by": caller,
        }
        for one in changed
    ]
    await tx.execute(insert(ConsentEvent), events)
    withdrawn = [one.msisdn for one in changed if one.is_withdrawal]
    return await _call_back_campaigns(tx, withdrawn, now=now) if withdrawn else 0


async def _call_back_campaigns(tx: AsyncConnection, msisdns: Sequence[str], *, now: datetime) -> int:
    """Have every message of a campaign cancelled that waits for these numbers; how many were asked for."""
    statement = (
        update(Message)
        .where(
            Message.msisdn == any_(bindparam("msisdns", msisdns, type_=ARRAY(Text))),
            Message.status == Status.QUEUED,
            Message.kind == Kind.CAMPAIGN,
            Message.cancel_requested_at.is_(None),
        )
        .values(cancel_requested_at=now)
    )
    return (await tx.execute(statement)).rowcount
