"""What a caller is told about its own key."""

from datetime import datetime

from pydantic import Field

from api import example_world as world
from api.examples import shown
from api.schemas import Out


class LimitOut(Out):
    requests_per_minute: int
    remaining: int


class MeOut(Out):
    model_config = shown(
        {
            "id": world.API_KEY,
            "name": "splash page",
            "scopes": ["send"],
            "networks": ["192.0.2.0/24"],
            "address": "192.0.2.7",
            "expires_at": None,
            "rate_limit": {"requests_per_minute": 600, "remaining": 599},
            "version": "0.1.0",
        }
    )

    id: str = Field(description="The key's id; `admin` is the bootstrap key.")
    name: str
    scopes: list[str] = Field(description="All that the key reaches, those that others include among them.")
    networks: list[str] = Field(description="Where the key may be used from; none means anywhere.")
    address: str | None = Field(description="Where this request came from, as it is seen here.")
    expires_at: datetime | None
    rate_limit: LimitOut | None = Field(description="null without a limit.")
    version: str = Field(description="Of the service.")
