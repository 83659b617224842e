"""The shapes of imports: how far one is, and how its file was understood."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.examples import shown
from api.imports import examples
from api.schemas import Out


class ColumnOut(Out):
    header: str = Field(description="The column's name in the file.")
    goes_to: str = Field(
        description="What it means: `msisdn`, `name`, ... or `fields.<key>`; of opt-outs `msisdn` or `sender_id`. "
        "`ignored`: nothing is read of it.",
        examples=["fields.city"],
    )


class LayoutOut(Out):
    encoding: str
    delimiter: str
    header_row: int
    columns: list[ColumnOut]
    name_from: list[int] = Field(
        default_factory=list,
        description="Where no column is the whole name: which of `columns`, counted from 0, make it up, in this order.",
    )


class ImportOut(Out):
    """One uploaded file. Rows that are blank count nowhere; numbers of rows count from 1, as in a spreadsheet."""

    model_config = shown(examples.IMPORT)

    id: UUID
    kind: Literal["contacts", "opt_outs"] = Field(description="What the rows of the file become.")
    status: Literal["queued", "running", "completed", "failed"]
    file_name: str | None
    size_bytes: int
    target_group_id: UUID | None
    default_region: str | None
    rows_total: int | None = Field(
        description="Known once the file has been read through, before the first row is stored."
    )
    rows_done: int = Field(description="Imported or rejected so far.")
    rows_imported: int = Field(description="Of contacts: those that made one, changed one, or named one once more.")
    rows_rejected: int
    contacts_created: int | None = Field(description="How many contacts are new by it; null of opt-outs.")
    contacts_updated: int | None = Field(description="How many there were already, each once.")
    rows_duplicate: int | None = Field(
        description="Of the rows imported, those whose number stood in a row before: what the later row says counts."
    )
    error: str | None = Field(description="Why the file as a whole could not be read.")
    layout: LayoutOut | None = Field(description="How the file was understood.")
    created_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
