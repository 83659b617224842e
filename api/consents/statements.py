"""A change of a contact's consent: written down as evidence, and acted upon."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from api.consents import queries
from shared.domain.contact import Consent
from shared.sealing import hash_msisdn

_TOLD: Final = ("consent_status", "consent_source", "consent_at")


async def keep_consent(
    tx: AsyncConnection, contact: Any, was: Any | None, *, pepper: bytes, caller: str, now: datetime
) -> bool:
    """Record what changed; whether messages have to be called back, because the contact took their consent back.

    `was` is the contact before; None for a new one, whose consent nobody knows unless they say so.
    """
    before = [Consent.UNKNOWN.value, None, None] if was is None else [getattr(was, name) for name in _TOLD]
    if before == [getattr(contact, name) for name in _TOLD]:
        return False
    msisdn_hash = hash_msisdn(pepper, contact.msisdn)
    await queries.record_statement(tx, contact, msisdn_hash=msisdn_hash, caller=caller, now=now)
    if contact.consent_status != Consent.WITHDRAWN.value or before[0] == Consent.WITHDRAWN.value:
        return False
    return await queries.call_back_campaigns(tx, contact.msisdn, now=now) > 0
