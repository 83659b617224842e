"""The shapes of evidence."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import Field

from api import example_world as world
from api.examples import shown
from api.schemas import Out
from shared.domain.contact import Consent

_STATEMENT: Final[dict[str, Any]] = {
    "status": "granted",
    "source": "splash page",
    "at": world.DAY_BEFORE,
    "recorded_at": world.DAY_BEFORE,
    "recorded_by": world.API_KEY,
}
_EVIDENCE: Final[dict[str, Any]] = {
    "contact_id": world.CONTACT,
    "msisdn": world.MSISDN,
    "consent_status": "granted",
    "consent_source": "splash page",
    "consent_at": world.DAY_BEFORE,
    "statements": [_STATEMENT],
    "opted_out_at": None,
    "opted_out_of": None,
    "campaigns": [
        {
            "campaign_id": world.CAMPAIGN,
            "name": world.CAMPAIGN_NAME,
            "started_at": world.SEND_AT,
            "opt_in_acknowledged_at": world.CREATED,
            "opt_in_acknowledged_by": world.API_KEY,
        }
    ],
}
EXPORTED: Final = (
    "contact_id,msisdn,status,source,at,recorded_at,recorded_by\r\n"
    f"{world.CONTACT},{world.MSISDN},granted,splash page,{world.DAY_BEFORE},{world.DAY_BEFORE},"
    f"{world.API_KEY}\r\n"
)


class StatementOut(Out):
    """What a contact agreed to or took back, as it was told to us."""

    status: Consent
    source: str | None
    at: datetime | None = Field(description="When they said so.")
    recorded_at: datetime
    recorded_by: str = Field(description="The key that told us.")


class AcknowledgedOut(Out):
    """A campaign that wrote to them, and who vouched that its recipients had agreed."""

    campaign_id: UUID
    name: str
    started_at: datetime | None
    opt_in_acknowledged_at: datetime | None
    opt_in_acknowledged_by: str | None


class EvidenceOut(Out):
    model_config = shown(_EVIDENCE)

    contact_id: UUID
    msisdn: str
    consent_status: Consent
    consent_source: str | None
    consent_at: datetime | None
    statements: list[StatementOut] = Field(
        description="The latest 200, newest first; those of contacts before with this number as well."
    )
    opted_out_at: datetime | None = Field(description="Of a standing no.")
    opted_out_of: list[str] | None = Field(description="The senders it holds back; null is all, where there is a no.")
    campaigns: list[AcknowledgedOut] = Field(description="The latest 200 that wrote to this number, newest first.")
