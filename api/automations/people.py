"""Whom an event is about, a contact or a number that may be one's; and whether its data can fill a template."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.resources import Resources
from shared.domain import msisdn as numbers
from shared.domain.automation_plan import Person
from shared.domain.tag_values import InvalidVariables, read_variables
from shared.errors import Invalid
from shared.queries.automations import list_people
from shared.queries.opt_outs import list_opted_out
from shared.queries.policy import get_policy
from shared.sealing import hash_msisdn


def check_data(data: Mapping[str, Any]) -> None:
    """Refuse an event's data that no template could be filled with."""
    try:
        read_variables(data)
    except InvalidVariables as refusal:
        raise refusal.at("/data") from None


async def number_of(tx: AsyncConnection, text: str, res: Resources) -> str:
    """The number as it is kept; refused by its field when it is none."""
    region = (await get_policy(tx)).default_region or res.default_region
    try:
        return numbers.parse(text, default_region=region)
    except Invalid as refusal:
        raise refusal.at("/msisdn") from None


async def person_of(
    tx: AsyncConnection, sender_id: str | None, *, contact_id: UUID | None, msisdn: str | None, res: Resources
) -> Person | None:
    """As `sender_id` would write to them. None when there is nobody under the id, and when nobody is named."""
    if contact_id is None and msisdn is None:
        return None
    number = None if msisdn is None else await number_of(tx, msisdn, res)
    people = await list_people(tx, [contact_id] if contact_id else [], [number] if number else [])
    contact = people.by_id.get(contact_id) if contact_id else people.by_msisdn.get(number or "")
    found = contact.msisdn if contact is not None else number
    if found is None:
        return None
    hashed = hash_msisdn(res.pepper, found)
    return Person(found, contact, hashed in await list_opted_out(tx, {hashed: found}, sender_id=sender_id))
