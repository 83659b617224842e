"""Gateways as clients write and read them. Secrets go in and never come out."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, ValidationInfo, field_validator

from api.examples import shown
from api.gateways import examples
from api.schemas import Amount, Body, Out
from shared.domain.balance import SHORTEST_MINUTES, USUAL_MINUTES, State
from shared.domain.email_address import is_address

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
LocationId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
LocationIds = Annotated[list[LocationId], Field(max_length=1000)]

# Hints of 4 characters would give away too much of anything shorter.
_HINTED_FROM = 16


class Pace(Body):
    """How fast a gateway may be given messages, by all dispatchers together. What is left out is not limited."""

    segments_per_second: float | None = Field(
        default=None, gt=0, le=100_000, description="A message of three segments counts three times."
    )
    in_flight: int | None = Field(
        default=None, ge=1, le=10_000, description="Requests that may wait for its answer at once."
    )


Limit = Annotated[Amount, Field(max_digits=18, decimal_places=6, allow_inf_nan=False)]


def _address(text: str) -> str:
    if not is_address(text):
        raise ValueError("This is no e-mail address that can be written to; give one like name@example.com, in ASCII")
    return text


Address = Annotated[str, StringConstraints(strip_whitespace=True, max_length=254), AfterValidator(_address)]


class BalanceCheck(Body):
    """How often the credit is asked for, and what happens below which amount, in the gateway's own unit."""

    model_config = shown(examples.BALANCE_CHECK)

    enabled: bool = True
    every_minutes: int = Field(
        default=USUAL_MINUTES, ge=SHORTEST_MINUTES, le=1440, description="Usual are 5, 60 (hourly) and 1440 (daily)."
    )
    warn_below: Limit | None = Field(default=None, description="The minimum: a notice is given below it.")
    stop_below: Limit | None = Field(
        default=None, description="The floor: below it the gateway is skipped until its balance has recovered."
    )
    email: list[Address] = Field(
        default_factory=list, max_length=20, description="Who gets the notices about this gateway as e-mail, too."
    )

    @field_validator("stop_below")
    @classmethod
    def _floor_is_lower(cls, floor: Decimal | None, given: ValidationInfo) -> Decimal | None:
        minimum = given.data.get("warn_below")
        if floor is not None and minimum is not None and floor > minimum:
            raise ValueError("stop_below is above warn_below, so nobody would be warned; make it lower")
        return floor


class GatewayIn(Body):
    model_config = shown(examples.GIVEN)

    name: Name = Field(description="Your own name for it.")
    kind: str = Field(
        description="The dialect spoken: `twilio`, `smsportal`, `sandbox`, or `custom` for all that is described in "
        "settings or by a preset. A wrong one is answered with those known."
    )
    preset: str | None = Field(
        default=None,
        description="Of the kind `custom`: the preset whose settings those given here replace, name by name.",
    )
    enabled: bool = Field(default=True, description="False: only its tests are sent.")
    location_ids: LocationIds | None = Field(
        default=None, description="The locations it serves; none given serves all."
    )
    settings: dict[Key, Any] = Field(
        default_factory=dict,
        description="What the kind wants to know; one that is missing, or unknown to it, is refused by its name. "
        "docs/gateways has a page for each kind.",
    )
    secrets: dict[Key, SecretStr] = Field(default_factory=dict, description="Write-only.")
    pace: Pace | None = Field(
        default=None,
        description="How fast it is given messages, by all dispatchers together; without it, at full speed.",
    )
    balance_check: BalanceCheck | None = Field(default=None, description="Without it nobody watches the credit.")


class GatewayPatch(Body):
    """What is left out stays. Within `settings` and `secrets` too; there, null removes a key."""

    model_config = shown(examples.CHANGE)

    name: Name = ""
    enabled: bool = True
    location_ids: LocationIds | None = None
    settings: dict[Key, Any] = Field(default_factory=dict, description="Those that change; null removes one.")
    secrets: dict[Key, SecretStr | None] = Field(
        default_factory=dict, description="Those that change; null removes one. Write-only."
    )
    pace: Pace | None = Field(
        default=None,
        description="How fast it is given messages, by all dispatchers together; without it, at full speed.",
    )
    balance_check: BalanceCheck | None = Field(default=None, description="The whole check; null ends it.")


class OrderIn(Body):
    model_config = shown(examples.ORDER)

    ids: list[UUID] = Field(max_length=10_000, description="Every gateway once, the first choice first.")


class CallbackUrlsOut(Out):
    """To be pasted at the vendor's. They hold a token: treat them as secrets."""

    status: str
    inbound: str


class CapabilitiesOut(Out):
    largest_batch: int
    receipts: bool
    client_reference: bool
    lookup: bool
    attachments: bool
    balance: bool
    alphanumeric_senders: bool


class HealthOut(Out):
    """`reason` says why it is not `ok`, and `until` how long that lasts at least.

    `withdrawn`: it refuses everything of ours, and nothing is handed to it until it is enabled again. `empty`: nothing
    is until its balance has recovered, or could not be read for a day. `open`: it fails, and is left alone until
    `until`; then, `half_open`, single messages try it out. `slow`: it comes after the others.
    `resting`: it asked to be given time.
    """

    state: Literal["ok", "slow", "open", "half_open", "resting", "withdrawn", "empty"]
    reason: str | None
    at: datetime | None
    until: datetime | None = None
    retries_held_at: datetime | None = Field(
        default=None, description="When failed retries were last too many, and others of them had to wait."
    )


class HealthChangeOut(Out):
    model_config = shown(examples.HEALTH_CHANGE)

    at: datetime
    was: str
    health: str
    reason: str | None
    by: str = Field(description="The dispatcher that found it, or the key of who enabled the gateway.")


class BalanceOut(Out):
    """The last reading, and how the asking goes."""

    model_config = shown(examples.BALANCE)

    amount: Amount | None = Field(description="As it was read last; null if it never was.")
    unit: str | None = Field(description="A currency code, or `credits`.", examples=["USD"])
    at: datetime | None
    state: State = Field(description="`unknown` while nobody watches it.")
    failures: int = Field(description="How often in a row it could not be read, up to now.")
    failure: str | None = Field(description="Why not, the last time.")
    next_at: datetime | None = Field(description="When it is asked for next.")


class BalanceAnswerOut(BalanceOut):
    model_config = shown(examples.BALANCE_READ)

    status: Literal["read", "failed", "asked"] = Field(
        description="`read`: this is fresh. `failed`: the gateway did not tell, and `failure` says why. "
        "`asked`: no answer yet; look at the gateway again in a moment."
    )


class ReadingOut(Out):
    model_config = shown(examples.READING)

    at: datetime
    amount: Amount
    unit: str


class GatewayOut(Out):
    model_config = shown(examples.GATEWAY)

    id: UUID
    name: str
    kind: str
    enabled: bool
    priority: int
    location_ids: list[str] | None
    settings: dict[str, Any]
    secrets: dict[str, str] = Field(description="Which are set, with their last 4 characters.")
    pace: Pace | None
    balance_check: BalanceCheck | None
    callback_urls: CallbackUrlsOut | None = Field(
        description="Whoever knows these may speak for the gateway: told to keys with `admin` only."
    )
    old_callback_urls_until: datetime | None = Field(
        description="Until when the addresses before the last rotation are heard as well."
    )
    capabilities: CapabilitiesOut | None
    warnings: list[str] = Field(description="What is allowed in these settings and may not be what is wanted.")
    health: HealthOut
    balance: BalanceOut | None
    created_at: datetime
    updated_at: datetime


class PresetOut(Out):
    """A vendor's gateway as settings; what is wanted besides has to come with the request that makes it."""

    model_config = shown(examples.PRESET)

    name: str
    title: str
    documentation: str = Field(description="The vendor's page.")
    kind: str
    settings: dict[str, Any]
    settings_wanted: dict[str, str] = Field(description="Settings without which it cannot be made, and what they are.")
    secrets: dict[str, str] = Field(description="The secrets it needs, and where the vendor shows them.")


class OrderOut(Out):
    model_config = shown(examples.ORDER)

    ids: list[UUID]


def hint(secret: str) -> str:
    """Enough of a secret for its owner to recognise it, and for nobody to use it."""
    return f"…{secret[-4:]}" if len(secret) >= _HINTED_FROM else "…"
