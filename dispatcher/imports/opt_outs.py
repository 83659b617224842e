"""Rows of a CSV as opt-outs to keep, or as rejections with a reason; gathered into batches, ready as JSON.

A row is a number and, where the file has a column for it, the sender that it says no to; an empty cell is all of them.
All other columns are passed over: our own export comes back as it was.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from dispatcher.imports.columns import IGNORED, Layout
from dispatcher.imports.contacts import BATCH_ROWS, RejectedRow, fitted, unwrapped
from dispatcher.imports.reader import Row
from shared.domain import msisdn
from shared.domain.sender_id import parse
from shared.errors import Invalid

SENDER: Final = "sender_id"
_OWN_FIELD: Final = "fields.sender_id"


def as_opt_outs(layout: Mapping[str, Any]) -> dict[str, Any]:
    """What the columns of a file mean that was laid out as contacts."""
    columns = [{**column, "goes_to": _meaning(column["goes_to"])} for column in layout["columns"]]
    return {**layout, "columns": columns, "name_from": []}


def _meaning(goes_to: str) -> str:
    if goes_to == "msisdn":
        return goes_to
    return SENDER if goes_to.lower() == _OWN_FIELD else IGNORED


class OptOutBatch:
    """What the next transaction writes."""

    def __init__(self, layout: Layout, *, default_region: str | None) -> None:
        places = {column.goes_to: index for index, column in enumerate(layout.columns)}
        self._layout = layout
        self._region = default_region
        self._number = places["msisdn"]
        self._sender = places.get(SENDER)
        self._opt_outs: dict[tuple[str, str | None], None] = {}
        self._rejections: list[dict[str, Any]] = []
        self._imported = 0
        self._last_row = 0

    @property
    def is_full(self) -> bool:
        return self._imported + len(self._rejections) >= BATCH_ROWS

    @property
    def is_empty(self) -> bool:
        return not self._last_row

    def add(self, row: Row) -> None:
        self._last_row = row.number
        try:
            self._opt_outs[self._read(row)] = None
        except RejectedRow as rejected:
            self._rejections.append({"row": row.number, "column": rejected.column, "reason": rejected.reason})
        else:
            self._imported += 1

    def _read(self, row: Row) -> tuple[str, str | None]:
        if row.problem:
            raise RejectedRow(row.problem)
        cells = fitted(row.cells, len(self._layout.columns))
        column = self._number
        try:
            number = msisdn.parse(unwrapped(cells[column]), default_region=self._region)
            column = self._number if self._sender is None else self._sender
            sender = "" if self._sender is None else unwrapped(cells[column])
            return number, parse(sender).value if sender else None
        except Invalid as refusal:
            raise RejectedRow(refusal.detail, column=self._layout.columns[column].header) from None

    def as_json(self) -> bytes:
        """Three lines: what it amounts to, pairs of number and sender, the rejections."""
        outline = {"last_row": self._last_row, "imported": self._imported, "rejected": len(self._rejections)}
        lines = (outline, list(self._opt_outs), self._rejections)
        return b"\n".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() for line in lines)
