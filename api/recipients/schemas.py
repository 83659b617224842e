"""The shapes of recipients and exclusions."""

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from api.campaigns.schemas import MAX_TARGETS
from api.examples import shown
from api.recipients import examples
from api.schemas import Body, Out
from shared.domain.message import SkipReason

Search = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class RecipientOut(Out):
    model_config = shown(examples.RECIPIENT)

    position: int | None = Field(description="In the frozen audience, in which messages are made; null before.")
    msisdn: str = Field(description="The number that is written to; of somebody left out, the contact's own.")
    contact_id: UUID | None
    name: str | None
    skip_reason: SkipReason | None = Field(
        description="Why nobody writes to them: `excluded` by the owner, `invalid_msisdn` for one without a number "
        "with its country code in the campaign's `phone_field`, `no_consent`. null for recipients."
    )
    excluded_by: str | None = Field(description="The key that excluded them.")


class ExclusionsIn(Body):
    """Whom to leave out, or to take in again: contacts, numbers, and everybody that a search finds."""

    model_config = shown(examples.EXCLUSION)

    contact_ids: list[UUID] = Field(default_factory=list, max_length=MAX_TARGETS)
    msisdns: list[str] = Field(default_factory=list, max_length=MAX_TARGETS)
    default_region: str | None = Field(
        default=None, description="ISO country that numbers without a country code belong to."
    )
    q: Search | None = Field(
        default=None,
        description="A part of the name in any case, or of the number: everybody in the audience of whom that is one.",
    )

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not (self.contact_ids or self.msisdns or self.q):
            raise ValueError("Nobody is named: give contact_ids, msisdns or a search `q`.")
        return self


class ExclusionsOut(Out):
    model_config = shown(examples.EXCLUDED)

    changed: int = Field(description="How many this request left out, or took in again.")
    excluded: int = Field(description="How many are left out by the owner now.")
