"""A change of one contact's consent, as a request makes it."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.contact import Consent
from shared.queries.consents import ChangedConsent, keep_consents

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
    changed = ChangedConsent(
        contact.id,
        contact.msisdn,
        contact.consent_status,
        contact.consent_source,
        contact.consent_at,
        was=Consent.UNKNOWN.value if was is None else was.consent_status,
    )
    return await keep_consents(tx, [changed], pepper=pepper, caller=caller, now=now) > 0
