"""Answers in CSV, streamed page by page: no export is ever held in memory, nor a connection while a client is slow.

A value that begins with = + - @ tab or CR is a formula to a spreadsheet, and every msisdn begins with a +. The style
`spreadsheet` therefore writes such a value behind an apostrophe (our import takes it off again); `machine` writes all
values as they are.
"""

import csv
import io
import re
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from fastapi import Query
from fastapi.responses import StreamingResponse

Style = Literal["spreadsheet", "machine"]
Value = str | int | float | bool | None
Line = Sequence[Value]

StyleAsked = Annotated[
    Style,
    Query(
        description="`spreadsheet` is safe to open in one: what would be a formula, as every msisdn "
        "would, stands behind an apostrophe. `machine` writes values as they are."
    ),
]

PAGE: Final = 1_000

# An apostrophe is marked as well: whoever reads the file takes one off, and has what was there.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "'")
_NOT_OF_A_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")


async def _encoded(head: Line, pages: AsyncIterator[Iterable[Line]], *, style: Style) -> AsyncIterator[bytes]:
    # Excel takes a file without the mark for Windows-1252
    mark = "\ufeff" if style == "spreadsheet" else ""
    yield (mark + _written([head], style=style)).encode()
    async for page in pages:
        yield _written(page, style=style).encode()


def _written(lines: Iterable[Line], *, style: Style) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([_cell(value, style=style) for value in line] for line in lines)
    return out.getvalue()


def _cell(value: Value, *, style: Style) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "" if value is None else str(value)
    # a negative number is no formula
    if style == "spreadsheet" and isinstance(value, str) and text.startswith(_FORMULA):
        return f"'{text}"
    return text


def moment_text(at: datetime | None) -> str | None:
    """A moment as a cell."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


class CsvResponse(StreamingResponse):
    media_type = "text/csv"


def csv_answer(head: Line, pages: AsyncIterator[Iterable[Line]], *, style: Style, file_name: str) -> CsvResponse:
    """The table as a file to save."""
    name = _NOT_OF_A_FILE_NAME.sub("-", file_name).strip("-.")[:100] or "export"
    return CsvResponse(
        _encoded(head, pages, style=style), headers={"Content-Disposition": f'attachment; filename="{name}.csv"'}
    )
