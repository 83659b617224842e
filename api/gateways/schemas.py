"""Gateways as clients write and read them. Secrets go in and never come out."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, SecretStr, StringConstraints

from api.schemas import Body, Out

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
LocationId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Key = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
LocationIds = Annotated[list[LocationId], Field(max_length=1000)]

# Hints of 4 characters would give away too much of anything shorter.
_HINTED_FROM = 16


class Pace(Body):
    """How fast a gateway may be given messages. What is left out is not limited."""

    segments_per_second: float | None = Field(default=None, gt=0, le=100_000)
    in_flight: int | None = Field(default=None, ge=1, le=10_000)


class BalanceCheck(Body):
    """How often the credit is asked for, and below which amount a notice is given."""

    every_minutes: int = Field(default=15, ge=1, le=1440)
    warn_below: Decimal | None = Field(default=None, ge=0, max_digits=18, decimal_places=6)


class GatewayIn(Body):
    name: Name
    kind: str = Field(description="The dialect spoken; a wrong one is answered with those known.")
    preset: str | None = Field(
        default=None,
        description="Of the kind `custom`: the preset whose settings those given here replace, name by name.",
    )
    enabled: bool = True
    location_ids: LocationIds | None = Field(
        default=None, description="The locations it serves; none given serves all."
    )
    settings: dict[Key, Any] = Field(default_factory=dict)
    secrets: dict[Key, SecretStr] = Field(default_factory=dict, description="Write-only.")
    pace: Pace | None = Field(default=None, description="Kept for later: the dispatcher does not slow down for it yet.")
    balance_check: BalanceCheck | None = Field(default=None, description="Kept for later: nobody asks for it yet.")


class GatewayPatch(Body):
    """What is left out stays. Within `settings` and `secrets` too; there, null removes a key."""

    name: Name = ""
    enabled: bool = True
    location_ids: LocationIds | None = None
    settings: dict[Key, Any] = Field(default_factory=dict)
    secrets: dict[Key, SecretStr | None] = Field(default_factory=dict, description="Write-only.")
    pace: Pace | None = Field(default=None, description="Kept for later: the dispatcher does not slow down for it yet.")
    balance_check: BalanceCheck | None = Field(default=None, description="Kept for later: nobody asks for it yet.")


class OrderIn(Body):
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
    """`withdrawn` means that nothing is handed to it until it is enabled again; `reason` says why."""

    state: Literal["ok", "withdrawn"]
    reason: str | None
    at: datetime | None


class BalanceOut(Out):
    amount: Decimal
    unit: str | None
    at: datetime | None


class GatewayOut(Out):
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
    callback_urls: CallbackUrlsOut
    capabilities: CapabilitiesOut | None
    warnings: list[str] = Field(description="What is allowed in these settings and may not be what is wanted.")
    health: HealthOut
    balance: BalanceOut | None
    created_at: datetime
    updated_at: datetime


class PresetOut(Out):
    """A vendor's gateway as settings; what is wanted besides has to come with the request that makes it."""

    name: str
    title: str
    documentation: str = Field(description="The vendor's page.")
    kind: str
    settings: dict[str, Any]
    settings_wanted: dict[str, str] = Field(description="Settings without which it cannot be made, and what they are.")
    secrets: dict[str, str] = Field(description="The secrets it needs, and where the vendor shows them.")


class OrderOut(Out):
    ids: list[UUID]


def hint(secret: str) -> str:
    """Enough of a secret for its owner to recognise it, and for nobody to use it."""
    return f"…{secret[-4:]}" if len(secret) >= _HINTED_FROM else "…"
