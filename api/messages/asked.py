"""What the log is asked for, as the database has it."""

from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from api.messages.schemas import MessageFilter
from api.regions import asked_number

Filter = TypeVar("Filter", bound=MessageFilter)


async def with_number(tx: AsyncConnection, wanted: Filter, region: str | None) -> Filter:
    """The filter with its number in E.164, whatever its notation; `region` is that of the deployment."""
    if wanted.msisdn is None:
        return wanted
    return wanted.model_copy(update={"msisdn": await asked_number(tx, wanted.msisdn, region)})
