"""Stored texts by their id: asked wherever a client may name one instead of writing it."""

from collections.abc import Collection, Mapping
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.models import TemplateRow


class StoredText(NamedTuple):
    """A template's newest wording, to be copied: a later change of the template changes nothing that was copied."""

    template_id: UUID
    version: int
    text: str


async def find_text(tx: AsyncConnection, template_id: UUID) -> StoredText | None:
    """The newest wording of one template; None if there is no such template."""
    return (await find_texts(tx, (template_id,))).get(template_id)


async def find_texts(tx: AsyncConnection, template_ids: Collection[UUID]) -> Mapping[UUID, StoredText]:
    """The newest wordings of those of the ids that are templates'."""
    rows = await tx.execute(
        select(TemplateRow.id, TemplateRow.version, TemplateRow.text).where(TemplateRow.id.in_(template_ids))
    )
    return {row.id: StoredText(*row) for row in rows}
