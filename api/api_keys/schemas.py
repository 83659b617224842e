"""API keys as clients write and read them."""

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Any, Final

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from api import example_world as world
from api.examples import shown
from api.schemas import Body, Out
from api.security import Scope

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]

_KEY: Final[dict[str, Any]] = {
    "id": world.API_KEY,
    "name": "splash page",
    "scopes": ["send"],
    "networks": ["192.0.2.0/24", "2001:db8:7::/48"],
    "rate_limit": 600,
    "successor_of": None,
    "created_by": "admin",
    "created_at": world.DAY_BEFORE,
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": world.SEND_AT,
}


def _each_once(scopes: list[Scope]) -> list[Scope]:
    return sorted(set(scopes))


def _network(text: str) -> str:
    try:
        return str(ip_network(text.strip()))
    except ValueError as error:
        hint = "its address has bits beyond the prefix" if "host bits" in str(error) else "it cannot be read"
        raise ValueError(
            f"Give an address or a network in CIDR notation, such as 192.0.2.7 or 192.0.2.0/24: {hint}."
        ) from None


def _networks_once(networks: list[str]) -> list[str]:
    return list(dict.fromkeys(networks))


Scopes = Annotated[list[Scope], Field(min_length=1, max_length=4), AfterValidator(_each_once)]
Network = Annotated[str, StringConstraints(min_length=2, max_length=50), AfterValidator(_network)]
Networks = Annotated[
    list[Network],
    Field(max_length=50, description="The addresses and networks that it may be used from; none means any."),
    AfterValidator(_networks_once),
]
RateLimit = Annotated[int, Field(ge=1, le=10_000_000)]
LIMIT_TOLD = "Requests that it may make in a minute; without it the deployment's usual limit counts."


class ApiKeyIn(Body):
    model_config = shown({"name": "splash page", "scopes": ["send"], "networks": ["192.0.2.0/24"], "rate_limit": 600})

    name: Name = Field(description="Where it is used, so that you know it again.")
    scopes: Scopes
    networks: Networks = Field(default_factory=list)
    rate_limit: RateLimit | None = Field(default=None, description=LIMIT_TOLD)
    expires_at: AwareDatetime | None = Field(
        default=None, description="When it stops working by itself; never, unless given."
    )


class ApiKeyPatch(Body):
    model_config = shown({"rate_limit": 1200, "networks": ["192.0.2.0/24"]})

    name: Name | None = None
    scopes: Scopes | None = None
    networks: Networks | None = None
    rate_limit: RateLimit | None = Field(default=None, description=LIMIT_TOLD + " null takes it back.")
    expires_at: AwareDatetime | None = Field(default=None, description="null: it does not expire any more.")


class KeyRotationIn(Body):
    model_config = shown({"old_until": world.SEND_AT})

    old_until: AwareDatetime | None = Field(
        default=None, description="Until when the old key works beside the new one; for a day, unless given."
    )
    expires_at: AwareDatetime | None = Field(
        default=None, description="When the new key stops working by itself; never, unless given."
    )


class ApiKeyOut(Out):
    model_config = shown(_KEY)

    id: str = Field(description="The part of the key that may be known; it names the caller elsewhere.")
    name: str
    scopes: list[str]
    networks: list[str]
    rate_limit: int | None = Field(description=LIMIT_TOLD)
    successor_of: str | None = Field(description="The key that this one was made to replace.")
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class NewApiKeyOut(ApiKeyOut):
    model_config = shown(_KEY | {"key": "lw_" + world.API_KEY + "..."})

    key: str = Field(description="The whole key. It is shown this once and kept nowhere here.")
