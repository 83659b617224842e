"""The operator's prices, by country."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import NotFound
from shared.models import Price


async def list_prices(tx: AsyncConnection) -> Sequence[Any]:
    return (await tx.execute(select(Price).order_by(Price.country))).all()


async def find_price(tx: AsyncConnection, country: str) -> Any | None:
    return (await tx.execute(select(Price).where(Price.country == country))).one_or_none()


async def write_price(tx: AsyncConnection, country: str, price: Decimal, currency: str, *, now: datetime) -> Any:
    values: Mapping[str, Any] = {"price": price, "currency": currency, "updated_at": now}
    write = insert(Price).values(country=country, **values)
    write = write.on_conflict_do_update(index_elements=[Price.country], set_=values)
    return (await tx.execute(write.returning(Price))).one()


async def delete_price(tx: AsyncConnection, country: str) -> None:
    gone = await tx.execute(delete(Price).where(Price.country == country))
    if not gone.rowcount:
        raise NotFound(f"There is no price for {country}.")
