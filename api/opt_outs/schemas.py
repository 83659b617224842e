"""Opt-outs as clients write and read them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from api import example_world as world
from api.examples import shown
from api.schemas import Body, Out

Msisdn = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Region = Annotated[str, StringConstraints(min_length=2, max_length=2)]


class OptOutIn(Body):
    model_config = shown({"msisdn": world.OTHER_MSISDN})

    msisdn: Msisdn
    default_region: Region | None = Field(
        default=None, description="The country of a number written without its country code."
    )


class OptOutOut(Out):
    model_config = shown(
        {
            "id": world.OPT_OUT,
            "msisdn": world.OTHER_MSISDN,
            "source": "inbound",
            "gateway_id": world.GATEWAY,
            "at": world.DAY_AFTER,
        }
    )

    id: UUID
    msisdn: str | None = Field(description="null once the person was erased; the no stands.")
    source: str = Field(description="inbound, gateway, api or import.")
    gateway_id: UUID | None
    at: datetime
