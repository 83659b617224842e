"""The words of a single message: as they were given, or filled from a template or from tags in the text itself."""

import re
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from api.messages.schemas import MessageIn
from api.messages.vouchers import told_of
from shared.domain import strange_tags
from shared.domain.tag_values import InvalidVariables, Values, values_of
from shared.domain.template import TEMPLATE_TAGS, VOUCHER_TAGS, InvalidTemplate, Known, TextTooLong, compile_template
from shared.errors import FieldError, Invalid, NotFound
from shared.queries.templates import find_text

__all__ = ["REFUSED", "MissingVariable", "StrangeTag", "warnings_of", "words_of"]


class MissingVariable(Invalid):
    """A tag of the text has neither a value for this recipient nor a default."""


class StrangeTag(Invalid):
    """The text names a value that is told with the message, in another service's manner, and would not show it."""


REFUSED: Final = (MissingVariable, InvalidVariables, InvalidTemplate, StrangeTag, TextTooLong)
_TAG: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_MOST_TOLD: Final = 5
_LONGEST: Final = 70


async def words_of(tx: AsyncConnection, wanted: MessageIn, *, contact: Any, msisdn: str) -> str:
    """What is sent. Nobody gets a text with a hole in it: what is missing is refused by its name."""
    source, field = await _source(tx, wanted)
    _refuse_strange(source, wanted, field)
    if wanted.template_id is None and not wanted.is_filled:
        return source
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


async def warnings_of(tx: AsyncConnection, wanted: MessageIn) -> list[str]:
    """What looks like a tag in the text that was given, and is sent as it stands."""
    try:
        source, _ = await _source(tx, wanted)
    except NotFound:  # gone since the message was made that is asked for again
        return []
    filled = wanted.template_id is not None or wanted.is_filled
    unfilled = [] if filled else list(dict.fromkeys(_TAG.findall(source)))[:_MOST_TOLD]
    told = [
        f"`{tag[:_LONGEST]}` goes out as it stands: add `variables` (`{{}}` will do) to fill it." for tag in unfilled
    ]
    return [*told, *strange_tags.warnings(source, known=_known(wanted), filled=filled)]


def _known(wanted: MessageIn) -> Known:
    return TEMPLATE_TAGS | Known.of(*(f"variables.{key}" for key in wanted.variables))


def _refuse_strange(source: str, wanted: MessageIn, field: str) -> None:
    """Refuse another service's tag for a value that is told with this very message: nobody means to hand that out."""
    told = {f"variables.{key}" for key in wanted.variables} | set(wanted.variables)
    if wanted.kind == "voucher":
        told |= set(VOUCHER_TAGS.names)
    for written, name, sure in strange_tags.find_strange(source, known=_known(wanted)):
        if sure and name in told:
            raise StrangeTag(
                f"The text shows `{written}` as it stands, not the value that it means; write {{{{ {name} }}}}.",
                pointer=field,
            )


async def _source(tx: AsyncConnection, wanted: MessageIn) -> tuple[str, str]:
    """The text with its tags, and the field that it came by."""
    if wanted.template_id is None:
        return wanted.text or "", "/text"
    found = await find_text(tx, wanted.template_id)
    if found is None:
        raise NotFound(f"There is no template {wanted.template_id}.")
    return found.text, "/template_id"


def _values(wanted: MessageIn, *, contact: Any, msisdn: str) -> Values:
    voucher = told_of(wanted.voucher)
    variables = {**wanted.variables, **({"voucher": voucher} if voucher else {})}
    return values_of(msisdn=msisdn, contact=contact, variables=variables)


def _pointer_of(name: str) -> str:
    root, _, rest = name.partition(".")
    if root == "voucher":
        return f"/voucher/{rest}"
    return f"/variables/{rest if root == 'variables' else name}"


def _told(name: str) -> str:
    return f"The text's `{name}` has no value here; tell it, or give the tag a default in the text."
