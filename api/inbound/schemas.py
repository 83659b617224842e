"""Inbound messages as clients read them."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api import example_world as world
from api.examples import shown
from api.schemas import Out
from shared.domain.keywords import Keyword


class InboundOut(Out):
    model_config = shown(
        {
            "id": world.INBOUND,
            "gateway_id": world.GATEWAY,
            "msisdn": world.OTHER_MSISDN,
            "to": world.OUR_NUMBER,
            "text": "Stop",
            "keyword": "stop",
            "reference": world.INBOUND_REFERENCE,
            "contact_id": world.OTHER_CONTACT,
            "campaign_id": world.CAMPAIGN,
            "received_at": world.DAY_AFTER,
        }
    )

    id: UUID
    gateway_id: UUID
    msisdn: str = Field(description="Who wrote.")
    to: str = Field(description="The number or short code that was written to.")
    text: str
    keyword: Keyword | None = Field(description="stop, start or help, where the text is that word.")
    reference: str | None = Field(description="The gateway's id.")
    contact_id: UUID | None
    campaign_id: UUID | None = Field(description="The campaign that last wrote to this number, in the 30 days before.")
    received_at: datetime
