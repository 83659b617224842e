"""Prices over HTTP: a table of the operator's, for the cost in an estimate. Nothing is ever charged by it."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.admission import GuardedRoute
from api.deps import CanManage, CanRead, Deeds, Now, Reader, Tx
from api.prices import queries
from api.prices.schemas import PriceIn, PriceOut, PricesOut
from api.problems import problems
from shared.domain.msisdn import UnknownRegion, parse_region

router = APIRouter(prefix="/prices", tags=["prices"], route_class=GuardedRoute)

Country = Annotated[str, Path(description="ISO country code.", examples=["US"], max_length=10)]


@router.get("")
async def list_prices(tx: Reader, _: CanRead) -> PricesOut:
    """What a segment to each country costs."""
    return PricesOut(items=[PriceOut.model_validate(row) for row in await queries.list_prices(tx)])


@router.put("/{country}", responses=problems(404, UnknownRegion))
async def set_price(country: Country, body: PriceIn, tx: Tx, _: CanManage, now: Now, deeds: Deeds) -> PriceOut:
    """Set what a segment to a country costs."""
    code = _read(country)
    was = await queries.find_price(tx, code)
    row = await queries.write_price(tx, code, body.price, body.currency, now=now)
    before = {} if was is None else {"price": f"{was.price:f}", "currency": was.currency}
    after = {"price": f"{row.price:f}", "currency": row.currency}
    await deeds.write("price.set", ("price", code), {"from": before, "to": after})
    return PriceOut.model_validate(row)


@router.delete("/{country}", status_code=204, responses=problems(404, UnknownRegion))
async def delete_price(country: Country, tx: Tx, _: CanManage, deeds: Deeds) -> Response:
    """Forget a country's price."""
    code = _read(country)
    await queries.delete_price(tx, code)
    await deeds.write("price.deleted", ("price", code), {})
    return Response(status_code=204)


def _read(country: str) -> str:
    try:
        return parse_region(country)
    except UnknownRegion:
        raise UnknownRegion(
            "This is not a known country; give its two-letter code, such as ZA or GB.", pointer="{country}"
        ) from None
