"""Opt-outs as clients write and read them."""

from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field, StringConstraints

from api import example_world as world
from api.examples import shown
from api.schemas import Body, Out

Msisdn = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Region = Annotated[str, StringConstraints(min_length=2, max_length=2)]


Senders = Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=64)]], Field(min_length=1)]
MOST_SENDERS: Final = 100
HELD_BACK: Final = (
    "Whose messages: numbers, short codes or names as they stand as `sender_id`; null is everybody's. A message that "
    "names no sender is held back by a no to any."
)


class OptOutIn(Body):
    model_config = shown({"msisdn": world.OTHER_MSISDN, "sender_ids": None})

    msisdn: Msisdn
    sender_ids: Senders | None = Field(default=None, max_length=MOST_SENDERS, description=HELD_BACK)
    default_region: Region | None = Field(
        default=None, description="The country of a number written without its country code."
    )


class OptOutOut(Out):
    model_config = shown(
        {
            "id": world.OPT_OUT,
            "msisdn": world.OTHER_MSISDN,
            "sender_ids": [world.OUR_NUMBER],
            "source": "inbound",
            "gateway_id": world.GATEWAY,
            "at": world.DAY_AFTER,
        }
    )

    id: UUID
    msisdn: str | None = Field(description="null once the person was erased; the no stands.")
    sender_ids: list[str] | None = Field(description="Whose messages it holds back; null is everybody's.")
    source: str = Field(description="Who said so last: inbound, gateway, api or import.")
    gateway_id: UUID | None
    at: datetime = Field(description="When it was said last.")


class OptOutsIn(Body):
    """A list of people who said no elsewhere."""

    model_config = shown({"msisdns": [world.OTHER_MSISDN, "12"]})

    msisdns: list[Msisdn] = Field(min_length=1, max_length=10_000)
    sender_ids: Senders | None = Field(default=None, max_length=MOST_SENDERS, description=HELD_BACK)
    default_region: Region | None = None


class RejectedOut(Out):
    place: int = Field(description="In the list, the first is 0.")
    reason: str


class OptOutsOut(Out):
    model_config = shown(
        {"added": 1, "already": 0, "rejected": [{"place": 1, "reason": "12 is too short for a phone number."}]}
    )

    added: int
    already: int = Field(description="Numbers that had opted out before, or stand in the list twice.")
    rejected: list[RejectedOut]
