"""Prices as clients write and read them."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field, StringConstraints

from api import example_world as world
from api.examples import shown
from api.schemas import Amount, Body, Out

Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class PriceIn(Body):
    model_config = shown({"price": "0.0079", "currency": "USD"})

    price: Decimal = Field(ge=0, max_digits=18, decimal_places=8, description="Of one segment.")
    currency: Currency = Field(description="ISO 4217.")


class PriceOut(Out):
    model_config = shown({"country": "US", "price": "0.0079", "currency": "USD", "updated_at": world.CREATED})

    country: str
    price: Amount
    currency: str
    updated_at: datetime


class PricesOut(Out):
    """Every price; there are no more than countries."""

    model_config = shown(
        {
            "items": [{"country": "US", "price": "0.0079", "currency": "USD", "updated_at": world.CREATED}],
            "next_cursor": None,
        }
    )

    items: list[PriceOut]
    next_cursor: None = None
