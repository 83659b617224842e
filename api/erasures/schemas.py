"""The shape of an erasure."""

from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from pydantic import Field

from api import example_world as world
from api.examples import shown
from api.schemas import Out

PENDING: Final[dict[str, Any]] = {
    "id": world.ERASURE,
    "contact_id": world.OTHER_CONTACT,
    "status": "pending",
    "messages": 0,
    "requested_by": world.API_KEY,
    "requested_at": world.CREATED,
    "done_at": None,
}
DONE: Final[dict[str, Any]] = PENDING | {"status": "done", "messages": 12, "done_at": world.STARTED}


class ErasureOut(Out):
    """A person who is being forgotten, or was. It does not tell who."""

    model_config = shown(DONE)

    id: UUID
    contact_id: UUID = Field(description="What the contact's id was.")
    status: Literal["pending", "done"] = Field(
        description="`pending` while something of theirs is on its way to a gateway, or not emptied yet: seconds."
    )
    messages: int = Field(description="How many messages were emptied.")
    requested_by: str
    requested_at: datetime
    done_at: datetime | None
