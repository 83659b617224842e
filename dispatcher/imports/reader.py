"""CSV text as rows, piece by piece, in flat memory: nothing is held but the row at hand, and that is capped.

Rows are counted as a spreadsheet shows them: the first is 1, blank ones count, line ends within quotes do not. Python's
csv module would hold a cell of any length, and take everything after a stray quote for one cell; here such a row is
given up at its first line end, and the next line is read again.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

MAX_ROW_CHARACTERS: Final = 65_536
_QUOTED: Final = re.compile(r' *"((?:[^"]++|"")*+)"')
_OPENING: Final = re.compile(r' *"')

_TOO_LONG: Final = (
    f"The row is longer than {MAX_ROW_CHARACTERS:,} characters; "
    "shorten its cells, or leave out columns that are not needed."
)
_STRAY_QUOTE: Final = (
    f'A cell begins with a " that is not closed within {MAX_ROW_CHARACTERS:,} characters; '
    'write " at its end, or "" for a quote that is meant.'
)


class Row(NamedTuple):
    """One row: its cells, or why it has none."""

    number: int
    cells: list[str]
    problem: str | None = None


class CsvReader:
    """Feed it text whose lines end in line feeds; `feed` gives the rows that are complete, `close` the last one."""

    def __init__(self, delimiter: str) -> None:
        self._delimiter = delimiter
        self._plain = re.compile(rf"[^{re.escape(delimiter)}\n]*")
        self._buffer = ""
        self._number = 0
        self._skipping = False  # within a row that was given up before its end was seen

    def feed(self, text: str) -> Iterator[Row]:
        self._buffer += text
        return self._rows(final=False)

    def close(self) -> Iterator[Row]:
        return self._rows(final=True)

    def _rows(self, *, final: bool) -> Iterator[Row]:
        buffer, at = self._buffer, 0
        size = len(buffer)
        try:
            while at < size:
                newline = buffer.find("\n", at)
                end = size if newline < 0 else newline
                if self._skipping:
                    self._skipping = newline < 0
                    at = end + 1
                    continue
                row, after = self._row(buffer, at, end, final=final)
                if row is None:
                    break
                at = after
                yield row
        finally:
            self._buffer = buffer[at:]

    def _row(self, buffer: str, at: int, end: int, *, final: bool) -> tuple[Row | None, int]:
        """The row that begins at `at`, and where the next one does; None while its end is not in sight."""
        size = len(buffer)
        if buffer.find('"', at, end) < 0:
            if end - at > MAX_ROW_CHARACTERS:
                return self._give_up(buffer, at, _TOO_LONG)
            if end == size and not final:
                return None, at
            self._number += 1
            return Row(self._number, buffer[at:end].split(self._delimiter)), end + 1
        limit = min(size, at + MAX_ROW_CHARACTERS + 1)
        cells, after = self._cells(buffer, at, limit, complete=final and limit == size)
        if cells is not None:
            self._number += 1
            return Row(self._number, cells), after
        if limit == size and not final:
            return None, at
        return self._give_up(buffer, at, self._why(buffer, after, limit))

    def _cells(self, buffer: str, at: int, limit: int, *, complete: bool) -> tuple[list[str] | None, int]:
        """A row with quotes and where the next begins; without cells, where reading stood when the text ended."""
        cells: list[str] = []
        while True:
            quoted = _QUOTED.match(buffer, at, limit)
            value, rest_at = "", at
            if quoted:
                value, rest_at = quoted[1].replace('""', '"'), quoted.end()
            elif _OPENING.match(buffer, at, limit):
                return None, at
            rest = self._plain.match(buffer, rest_at, limit)
            value += rest[0] if rest else ""
            after = rest.end() if rest else rest_at
            if after == limit and not complete:
                return None, at
            cells.append(value)
            if after == limit or buffer[after] == "\n":
                return cells, after + 1
            at = after + 1

    @staticmethod
    def _why(buffer: str, cell_at: int, limit: int) -> str:
        """Why a row had to be given up, its last cell having begun at `cell_at`."""
        opened = _OPENING.match(buffer, cell_at, limit)
        closed = _QUOTED.match(buffer, cell_at, limit)
        return _STRAY_QUOTE if opened and not closed else _TOO_LONG

    def _give_up(self, buffer: str, at: int, problem: str) -> tuple[Row, int]:
        self._number += 1
        newline = buffer.find("\n", at)
        self._skipping = newline < 0
        after = len(buffer) if newline < 0 else newline + 1
        return Row(self._number, [], problem), after
