"""The log of messages as a file: CSV in two styles, or JSON, one message a line. Streamed by pages, newest first."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field

from api.deps import CanRead, Res
from api.examples import answered
from api.exports import PAGE, CsvResponse, Line, Style, csv_answer
from api.messages import examples, queries
from api.messages.asked import with_number
from api.messages.schemas import MessageFilter
from api.problems import problems
from api.resources import Resources
from shared.db import reading

router = APIRouter(prefix="/messages", tags=["messages"])

COLUMNS: Final = (
    *("id", "created_at", "kind", "status", "skip_reason", "failure", "msisdn", "sender_id", "text", "encoding"),
    *("segments", "attempt", "gateway_id", "campaign_id", "campaign_message_id", "contact_id", "location_id"),
    *("client_reference", "resend_of", "not_before", "expires_at", "status_at"),
)


class StyledFilter(MessageFilter):
    """What a table holds, and how."""

    style: Style = Field(
        default="spreadsheet",
        description="Of a CSV: `spreadsheet` is safe to open in one, `machine` writes values as they are.",
    )


class ExportAsked(StyledFilter):
    """What the file holds, and how."""

    format: Literal["csv", "ndjson"] = Field(default="csv", description="A table, or one JSON object a line.")


class NdjsonResponse(StreamingResponse):
    media_type = "application/x-ndjson"


@router.get(
    "/export",
    response_class=CsvResponse,
    responses={
        **problems(422),
        200: {
            "description": "The file, as a table or as one JSON object a line.",
            "content": {
                **answered(examples.EXPORTED_CSV, media_type="text/csv")[200]["content"],
                **answered(examples.EXPORTED_NDJSON, media_type="application/x-ndjson")[200]["content"],
            },
        },
    },
)
async def export_messages(res: Res, _caller: CanRead, wanted: Annotated[ExportAsked, Query()]) -> StreamingResponse:
    """Every message that the log shows for the same filters, as a file to save.

    The table is at `/export.csv`, too, as that of other exports.
    """
    if wanted.format == "csv":
        return await export_messages_as_csv(res, _caller, wanted)
    headers = {"Content-Disposition": 'attachment; filename="messages.ndjson"'}
    return NdjsonResponse(_as_json(await _asked(res, wanted)), headers=headers)


@router.get(
    "/export.csv",
    response_class=CsvResponse,
    responses={**problems(422), **answered(examples.EXPORTED_CSV, media_type="text/csv")},
)
async def export_messages_as_csv(res: Res, _caller: CanRead, wanted: Annotated[StyledFilter, Query()]) -> CsvResponse:
    """Every message that the log shows for the same filters, as a table."""
    pages = await _asked(res, wanted)
    return csv_answer(COLUMNS, pages, style=wanted.style, file_name="messages")


async def _asked(res: Resources, wanted: MessageFilter) -> AsyncIterator[Sequence[Line]]:
    async with reading(res.engine) as tx:
        return _pages(res, await with_number(tx, wanted, res.default_region))


async def _pages(resources: Resources, wanted: MessageFilter) -> AsyncIterator[Sequence[Line]]:
    """Each page on a snapshot of its own: no connection is held while the client is slow."""
    after = None
    while True:
        async with reading(resources.engine) as tx:
            found = await queries.list_messages(tx, wanted, after=after, limit=PAGE)
        if found.rows:
            yield [[shown_value(getattr(row, column)) for column in COLUMNS] for row in found.rows]
        if found.further is None:
            return
        after = found.further


async def _as_json(pages: AsyncIterator[Sequence[Line]]) -> AsyncIterator[bytes]:
    async for page in pages:
        lines = (json.dumps(dict(zip(COLUMNS, line, strict=True)), ensure_ascii=False) for line in page)
        yield "".join(f"{line}\n" for line in lines).encode()


def shown_value(value: Any) -> str | int | None:
    """As the API shows it in JSON."""
    if value is None or isinstance(value, int):
        return value
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else str(value)
