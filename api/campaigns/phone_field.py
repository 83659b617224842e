"""Which of a contact's numbers a campaign writes to: their own, or one that a field of the owner's holds."""

from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.contact_field import FieldType
from shared.errors import FieldError
from shared.queries.contact_fields import find_fields

OWN = "msisdn"
_PREFIX = "fields."


async def check_phone_field(tx: AsyncConnection, wanted: str | None) -> tuple[str | None, list[FieldError]]:
    """The field's key, None for the contact's own number; and what is wrong with it."""
    if wanted is None or wanted == OWN:
        return None, []
    key = wanted.removeprefix(_PREFIX)
    known = await find_fields(tx, (key,))
    if key not in known.keys:
        told = f"There is no field {key!r}; `GET /v1/contact-fields` lists those that contacts have."
        return None, [FieldError("/phone_field", told)]
    definition = known.definitions.get(key)
    if definition is not None and definition.type is not FieldType.TEXT:
        told = f"The field {key!r} is a {definition.type}; a number with its country code is kept in a text."
        return None, [FieldError("/phone_field", told)]
    return key, []


def shown_phone_field(key: str | None) -> str:
    """As a client writes it."""
    return OWN if key is None else f"{_PREFIX}{key}"
