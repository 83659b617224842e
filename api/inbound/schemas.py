"""Inbound messages as clients read them."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api import example_world as world
from api.examples import shown
from api.schemas import Body, Out
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
            "sent_at": None,
            "review": False,
            "reviewed_at": None,
            "reviewed_by": None,
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
    sent_at: datetime | None = Field(description="When it was sent, as the gateway tells; null where it does not.")
    review: bool = Field(description="It is no keyword, but may mean stop: somebody should read it.")
    reviewed_at: datetime | None
    reviewed_by: str | None


class ResolveIn(Body):
    """What somebody made of a message that may have meant stop."""

    model_config = shown({"opt_out": True})

    opt_out: bool = Field(description="The person wants no more messages: keep their no.")
