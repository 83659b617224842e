"""A message as the caller may see it."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.messages import queries
from api.messages.outlook import warnings_now, with_outlook
from api.messages.schemas import MadeOut
from api.resources import Resources
from api.security import Caller

_OF_CONTACTS: Final = ("msisdn", "contact_id", "text", "location_id")


async def made(tx: AsyncConnection, row: Any, caller: Caller, res: Resources, warnings: list[str]) -> dict[str, Any]:
    """A new message, with what is to be known of it before it goes."""
    told = await shown(tx, row, caller, res)
    return {**told, "warnings": [*warnings, *warnings_now(told)]}


async def shown(tx: AsyncConnection, row: Any, caller: Caller, res: Resources) -> dict[str, Any]:
    """A key that may only send learns nothing of a contact, nor who is one.

    A tag in the text would read their name or any field; what is hidden of everybody tells of nobody.
    """
    told = await with_outlook(tx, row, res)
    return told if caller.may_read else {**told, **dict.fromkeys(_OF_CONTACTS)}


async def read_made(
    tx: AsyncConnection, message_id: UUID, caller: Caller, res: Resources, warnings: list[str]
) -> bytes:
    """The answer to whoever made the message, as it would be by now."""
    told = await made(tx, await queries.get_message(tx, message_id), caller, res, warnings)
    return MadeOut.model_validate(told).model_dump_json().encode()
