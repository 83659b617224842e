"""What a batch of an import says of consents, once its contacts are stored; the law is `shared/domain/consent.py`."""

from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.queries.consents import ChangedConsent, keep_consents


async def write_consents(tx: AsyncConnection, contacts: str, *, pepper: bytes, caller: str, now: datetime) -> None:
    """Have the contacts (JSON) that this transaction stored say what their rows did, and keep the evidence."""
    rows = await tx.execute(_STATE_CONSENTS, {"rows": contacts, "now": now})
    await keep_consents(tx, [ChangedConsent(*row) for row in rows], pepper=pepper, caller=caller, now=now)


# The contacts are this transaction's already, so nobody waits for anybody here. A status that is said again keeps
# the time and the source that it has, unless the row has its own; another does not inherit the source of the old one.
_STATE_CONSENTS: Final = text("""
WITH said AS (
  SELECT msisdn, consent->>'status' AS status, consent->>'source' AS source,
         CAST(consent->>'at' AS timestamptz) AS at
  FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS incoming(msisdn text, consent jsonb)
  WHERE jsonb_typeof(consent) = 'object'
), told AS (
  SELECT c.id, c.consent_status AS was, coalesce(s.status, c.consent_status) AS status,
         CASE WHEN coalesce(s.status, c.consent_status) = c.consent_status THEN coalesce(s.source, c.consent_source)
              ELSE s.source END AS source,
         CASE WHEN s.status IS NULL THEN coalesce(s.at, c.consent_at)
              WHEN s.status = c.consent_status THEN coalesce(s.at, c.consent_at, :now)
              ELSE coalesce(s.at, :now) END AS at
  FROM said s JOIN contacts c ON c.msisdn = s.msisdn
  WHERE c.consent_status = 'unknown'
     OR (s.status IS NOT NULL AND (s.at IS NULL OR c.consent_at IS NULL OR s.at >= c.consent_at))
)
UPDATE contacts c SET consent_status = t.status, consent_source = t.source, consent_at = t.at
FROM told t
WHERE c.id = t.id AND (c.consent_status, c.consent_source, c.consent_at) IS DISTINCT FROM (t.status, t.source, t.at)
RETURNING c.id, c.msisdn, c.consent_status, c.consent_source, c.consent_at, t.was
""")
