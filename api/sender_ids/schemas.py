"""Sender IDs as clients write and read them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from api import example_world as world
from api.examples import shown
from api.schemas import Body, Out
from shared.domain.sender_id import SenderKind

Value = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=64),
    Field(description="A number in E.164, a short code, or a name of up to 11 characters."),
]


class SenderIdIn(Body):
    model_config = shown({"gateway_id": world.GATEWAY, "value": world.SENDER})

    gateway_id: UUID = Field(description="The gateway it is registered with.")
    value: Value


class SenderIdPatch(Body):
    model_config = shown({"value": world.SENDER})

    value: Value


class SenderIdOut(Out):
    model_config = shown(
        {
            "id": world.SENDER_ID,
            "gateway_id": world.GATEWAY,
            "value": world.SENDER,
            "kind": "alphanumeric",
            "created_at": world.DAY_BEFORE,
            "warnings": [],
        }
    )

    id: UUID
    gateway_id: UUID
    value: str
    kind: SenderKind
    created_at: datetime
    warnings: list[str] = Field(description="Why nothing can be sent as it now: names may be switched off (policy).")
