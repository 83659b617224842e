"""Webhooks as clients write and read them."""

from datetime import datetime
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from api.examples import shown
from api.schemas import Body, Out, check_one_of
from api.webhooks import examples
from shared.domain.event import CHOICES
from shared.domain.webhook import DeliveryStatus, DisabledReason

Description = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
_LONGEST_ROTATION: Final = 168
_MOST_EVENTS: Final = 50
_EVENTS: Final = "Types of events, as `message.delivered`; `message.*` is all of a noun, `*` everything."
Events = Annotated[
    list[Annotated[str, Field(json_schema_extra={"enum": sorted(CHOICES)})]],
    Field(min_length=1, max_length=_MOST_EVENTS, description=_EVENTS),
]


class WebhookIn(Body):
    model_config = shown(examples.GIVEN)

    url: str = Field(description="Where events are posted to: https, or http. What answers there answers with 2xx.")
    events: Events
    enabled: bool = Field(default=True, description="False: it is told nothing of what happens.")
    description: Description | None = Field(default=None, description="What it is for, in your own words.")


class WebhookPatch(Body):
    """What is left out stays."""

    model_config = shown(examples.CHANGE)

    url: str | None = None
    events: Events | None = None
    enabled: bool | None = Field(default=None, description="True begins anew after it was disabled.")
    description: Description | None = None


class WebhookOut(Out):
    model_config = shown(examples.WEBHOOK)

    id: UUID
    url: str
    events: list[str]
    enabled: bool
    description: str | None
    disabled_reason: DisabledReason | None = Field(
        description="`owner`; `gone` after an answer of 410; `failing` after five days without a success."
    )
    disabled_at: datetime | None
    failing_since: datetime | None = Field(description="Since when nothing was taken.")
    retry_at: datetime | None = Field(description="While the receiver is away or wants a pause: when it is asked next.")
    old_secret_until: datetime | None = Field(description="Until when the secret before signs, too.")
    older_secrets_until: list[datetime] = Field(
        description="Until when each of the secrets before that one signs, too; the one replaced last is first."
    )
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class NewWebhookOut(WebhookOut):
    model_config = shown(examples.NEW)

    secret: str = Field(description="What checks the signatures. It is shown this once.")


class SecretRotationIn(Body):
    model_config = shown(examples.ROTATION)

    keep_old_hours: int = Field(
        default=24,
        ge=0,
        le=_LONGEST_ROTATION,
        description="For so long the old secret signs beside the new one; what was promised to earlier ones stays. "
        "0: no old one signs any more, none of the earlier either.",
    )


class TryOut(Out):
    model_config = shown(examples.TRY)

    at: datetime
    http_status: int | None
    error: str | None = Field(
        description="Why there was no answer, as `read_timeout` or `forbidden_address`, or what was amiss in its body."
    )


class DeliveryOut(Out):
    """One event on its way to one webhook. No texts are shown, and of numbers only both ends."""

    model_config = shown(examples.DELIVERY)

    id: UUID = Field(description="The event's id: the receiver had it as `webhook-id`.")
    type: str
    subject_id: UUID
    at: datetime = Field(description="When it happened.")
    status: DeliveryStatus
    attempts: int
    next_try_at: datetime | None = Field(description="Null when it is over, or behind an earlier one of its subject.")
    closed_at: datetime | None
    tries: list[TryOut] = Field(description="The latest ones.")
    data: dict[str, Any]


class RedeliverIn(Body):
    """One event, or all that have died since a time."""

    model_config = shown(examples.AGAIN)

    event_id: UUID | None = None
    dead_since: AwareDatetime | None = Field(
        default=None, description="Those that died then or later, whenever they happened."
    )

    @model_validator(mode="after")
    def one_of_both(self) -> Self:
        check_one_of(self, "event_id", "dead_since")
        return self


class RedeliveredOut(Out):
    model_config = shown(examples.SENT_AGAIN)

    redelivered: int
    more: bool = Field(description="True where there were more than one request takes: ask again.")
