"""API keys as clients write and read them."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import AwareDatetime, Field, StringConstraints, field_validator

from api import example_world as world
from api.examples import shown
from api.schemas import Body, Out
from api.security import Scope

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]

_KEY: Final[dict[str, Any]] = {
    "id": world.API_KEY,
    "name": "splash page",
    "scopes": ["send"],
    "created_by": "admin",
    "created_at": world.DAY_BEFORE,
    "expires_at": None,
    "revoked_at": None,
    "last_used_at": world.SEND_AT,
}


class ApiKeyIn(Body):
    model_config = shown({"name": "splash page", "scopes": ["send"]})

    name: Name = Field(description="Where it is used, so that you know it again.")
    scopes: list[Scope] = Field(min_length=1, max_length=4)
    expires_at: AwareDatetime | None = Field(
        default=None, description="When it stops working by itself; never, unless given."
    )

    @field_validator("scopes")
    @classmethod
    def _each_once(cls, scopes: list[Scope]) -> list[Scope]:
        return sorted(set(scopes))


class ApiKeyOut(Out):
    model_config = shown(_KEY)

    id: str = Field(description="The part of the key that may be known; it names the caller elsewhere.")
    name: str
    scopes: list[str]
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")


class NewApiKeyOut(ApiKeyOut):
    model_config = shown(_KEY | {"key": "lw_" + world.API_KEY + "..."})

    key: str = Field(description="The whole key. It is shown this once and kept nowhere here.")
