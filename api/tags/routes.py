"""The tags over HTTP: what a text may name."""

from typing import Final

from fastapi import APIRouter

from api.deps import CanRead, Reader
from api.tags import queries
from api.tags.schemas import TagOut, TagsOut
from shared.domain.tags import TAGS, tag_of_field
from shared.domain.template_values import WITHOUT_ARGUMENT

router = APIRouter(prefix="/tags", tags=["templates"])

FILTERS: Final = ("default", "truncate", *WITHOUT_ARGUMENT)


@router.get("")
async def list_tags(tx: Reader, _caller: CanRead) -> TagsOut:
    """Every tag that a text may hold: the contact's columns and fields, the campaign's, the voucher's.

    Fields are those that are defined or that some contact has; a text may name others, which everybody lacks then.
    """
    fields = [
        tag_of_field(row.key, description=row.description, example=row.example) for row in await queries.list_fields(tx)
    ]
    return TagsOut(items=[TagOut.model_validate(tag) for tag in (*TAGS, *fields)], filters=list(FILTERS))
