"""The shapes of contacts as clients send and see them."""

from datetime import datetime
from uuid import UUID

from pydantic import AwareDatetime, Field

from api.contacts import examples
from api.examples import shown
from api.schemas import Body, Out
from shared.domain.contact import Consent, Scalar

_REGION = "ISO country (ZA) that a number without a country code belongs to."
_FIELDS = (
    "Values of your own for tags: `{{ fields.city }}`. Keys are names of letters, digits and _; "
    "values are texts, numbers, true or false."
)


class ContactIn(Body):
    """A person to store."""

    model_config = shown(examples.GIVEN)

    msisdn: str = Field(max_length=200, description="In any notation.", examples=["+12025550142"])
    default_region: str | None = Field(default=None, max_length=10, description=_REGION)
    name: str | None = Field(default=None, max_length=1000)
    external_id: str | None = Field(default=None, max_length=1000, description="Your own id of this person.")
    fields: dict[str, Scalar | None] = Field(
        default_factory=dict, description=_FIELDS, examples=[{"city": "Delft", "visits": 3}]
    )
    location_id: str | None = Field(default=None, max_length=1000)
    time_zone: str | None = Field(
        default=None, max_length=100, description="IANA name.", examples=["Africa/Johannesburg"]
    )
    consent_status: Consent = Consent.UNKNOWN
    consent_source: str | None = Field(default=None, max_length=1000, description="Where they agreed, or withdrew.")
    consent_at: AwareDatetime | None = Field(default=None, description="When; left out with a status given, now.")


class ContactPatch(Body):
    """What is left out stays; null empties. Within `fields` too, where null deletes a key."""

    model_config = shown(examples.CHANGE)

    msisdn: str = Field(default="", max_length=200, description="In any notation.")
    default_region: str | None = Field(default=None, max_length=10, description=_REGION)
    name: str | None = Field(default=None, max_length=1000)
    external_id: str | None = Field(default=None, max_length=1000)
    fields: dict[str, Scalar | None] = Field(default_factory=dict, description=_FIELDS)
    location_id: str | None = Field(default=None, max_length=1000)
    time_zone: str | None = Field(default=None, max_length=100)
    consent_status: Consent = Consent.UNKNOWN
    consent_source: str | None = Field(default=None, max_length=1000)
    consent_at: AwareDatetime | None = None


class StandingNoOut(Out):
    """The opt-out of the contact's number; `DELETE /v1/opt-outs/{id}` takes it back."""

    id: UUID
    sender_ids: list[str] | None = Field(description="Whose messages it holds back; null is everybody's.")
    source: str = Field(description="Who said so last: inbound, gateway, api or import.")
    at: datetime


class ContactOut(Out):
    model_config = shown(examples.CONTACT)

    id: UUID
    msisdn: str
    name: str | None
    external_id: str | None
    fields: dict[str, Scalar]
    location_id: str | None
    time_zone: str | None
    consent_status: Consent
    consent_source: str | None
    consent_at: datetime | None
    opt_out: StandingNoOut | None = Field(description="Their standing no, by the number; null where there is none.")
    created_at: datetime
    updated_at: datetime
