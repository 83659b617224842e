"""The country of numbers without a country code: the request's, else the policy's, else the deployment's."""

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.msisdn import InvalidMsisdn, UnknownRegion, parse, parse_region
from shared.queries.policy import get_policy


def region_of(asked: str | None, setting: str | None) -> str | None:
    """The region to read numbers with; a wrong one is told as itself, not as the fault of a number."""
    try:
        return parse_region(asked) if asked else setting
    except UnknownRegion as refusal:
        raise refusal.at("/default_region") from None


async def asked_number(tx: AsyncConnection, raw: str, setting: str | None) -> str:
    """A number in the query of a list, in any notation; refused by its name.

    A plus that nobody escaped arrives as a space.
    """
    plus = "+" if raw.startswith(" ") and raw.strip()[:1].isdigit() else ""
    try:
        return parse(plus + raw.strip(), default_region=await usual_region(tx, setting))
    except InvalidMsisdn as refusal:
        raise refusal.at("?msisdn") from None


async def usual_region(tx: AsyncConnection, setting: str | None) -> str | None:
    """The region where a request names none: the policy's, else the deployment's setting."""
    return (await get_policy(tx)).default_region or setting
