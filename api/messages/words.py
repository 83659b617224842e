"""The words of a single message: as they were given, or filled from a template or from tags in the text itself."""

from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from api.messages.schemas import MessageIn
from shared.domain.tag_values import InvalidVariables, Values, values_of
from shared.domain.template import TEMPLATE_TAGS, InvalidTemplate, TextTooLong, compile_template
from shared.errors import FieldError, Invalid, NotFound
from shared.queries.templates import find_text

__all__ = ["REFUSED", "MissingVariable", "words_of"]


class MissingVariable(Invalid):
    """A tag of the text has neither a value for this recipient nor a default."""


REFUSED: Final = (MissingVariable, InvalidVariables, InvalidTemplate, TextTooLong)


async def words_of(tx: AsyncConnection, wanted: MessageIn, *, contact: Any, msisdn: str) -> str:
    """What is sent. Nobody gets a text with a hole in it: what is missing is refused by its name."""
    if wanted.template_id is None and not wanted.is_filled:
        return wanted.text or ""
    source, field = await _source(tx, wanted)
    try:
        filled = compile_template(source, known=TEMPLATE_TAGS).fill(_values(wanted, contact=contact, msisdn=msisdn))
    except InvalidVariables as refusal:
        raise refusal.at("/variables") from None
    except Invalid as refusal:
        raise refusal.at(field) from None
    if filled.missing:
        errors = [FieldError(_pointer_of(name), _told(name)) for name in filled.missing]
        raise MissingVariable(errors[0].detail, errors=errors)
    return filled.text


async def _source(tx: AsyncConnection, wanted: MessageIn) -> tuple[str, str]:
    """The text with its tags, and the field that it came by."""
    if wanted.template_id is None:
        return wanted.text or "", "/text"
    found = await find_text(tx, wanted.template_id)
    if found is None:
        raise NotFound(f"There is no template {wanted.template_id}.")
    return found.text, "/template_id"


def _values(wanted: MessageIn, *, contact: Any, msisdn: str) -> Values:
    voucher = wanted.voucher.model_dump(exclude_none=True) if wanted.voucher else {}
    variables = {**wanted.variables, **({"voucher": voucher} if voucher else {})}
    return values_of(msisdn=msisdn, contact=contact, variables=variables)


def _pointer_of(name: str) -> str:
    root, _, rest = name.partition(".")
    if root == "voucher":
        return f"/voucher/{rest}"
    return f"/variables/{rest if root == 'variables' else name}"


def _told(name: str) -> str:
    return f"The text's `{name}` has no value here; tell it, or give the tag a default in the text."
