"""The child process that reads CSV files for the dispatcher, so that no password waits for a file's arithmetic.

It has bytes on its standard input and batches on its standard output, in frames (see `child.py`), and neither
database nor network. It gives way to other processes, and dies with its parent.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final, Protocol

from dispatcher.imports.columns import Layout, find_delimiter, find_layout, separator_line
from dispatcher.imports.contacts import Batch, ContactReader
from dispatcher.imports.opt_outs import OptOutBatch
from dispatcher.imports.reader import CsvReader, Row
from dispatcher.imports.text import HEAD_BYTES, EncodingSurvey, TextReader, UnreadableFile, encoding_by_mark
from shared.children.frames import Frame, read_frame, write_frame
from shared.children.manners import obey_the_parent_only
from shared.domain.contact_field import Definition

# To the child:
SURVEY, READ, CHUNK, END = b"S", b"R", b"C", b"E"
# From the child; it sends nothing unasked, and after each chunk says that it wants the next one.
WANTED, BATCH, SURVEYED, DONE, REFUSED = b"W", b"B", b"Y", b"D", b"X"

# What a file may hold; anything else is contacts.
OPT_OUTS: Final = "opt_outs"


class Work(Protocol):
    """Reading a file through, once: `feed` and `end` give the frames to send back."""

    def feed(self, data: bytes) -> Iterator[Frame]: ...
    def end(self) -> Iterator[Frame]: ...


def is_blank(row: Row) -> bool:
    return not row.problem and not any(map(str.strip, row.cells))


@dataclass(slots=True)
class Survey:
    """The first reading: what the file is, and how many rows it has. Nothing is stored before it has succeeded."""

    encoding: EncodingSurvey = field(default_factory=EncodingSurvey)
    head: bytes = b""
    text: TextReader | None = None
    reader: CsvReader | None = None
    rows: int = 0
    defined: tuple[str, ...] = ()  # keys of the owner's fields that have a type

    def feed(self, data: bytes) -> Iterator[Frame]:
        self.encoding.feed(data)
        if self.text is not None:
            self._count(self.text.feed(data))
        else:
            self.head += data
            if len(self.head) >= HEAD_BYTES:
                self._begin()
        return iter(())

    def end(self) -> Iterator[Frame]:
        whole = self.text is None
        if whole:
            self._begin()
        if self.text is not None:
            self._count(self.text.feed(b"", final=True))
        if self.reader is not None:
            self.rows += sum(not is_blank(row) for row in self.reader.close())
        encoding = self.encoding.encoding
        head = TextReader(encoding).feed(self.head, final=whole)
        layout = find_layout(head, encoding=encoding, whole=whole, defined=self.defined)
        yield SURVEYED, json.dumps({"layout": layout.as_json(), "rows": self.rows - 1}).encode()

    def _begin(self) -> None:
        # The marks of CSV are ASCII: rows are the same in every encoding that has it, so one may do for all.
        self.text = TextReader(encoding_by_mark(self.head) or "latin-1")
        text = self.text.feed(self.head)
        self.reader = CsvReader(find_delimiter(text))
        self._count(text[len(separator_line(text)) :])

    def _count(self, text: str) -> None:
        if self.reader is not None:
            self.rows += sum(not is_blank(row) for row in self.reader.feed(text))


class BatchOfRows(Protocol):
    """What one transaction will write."""

    @property
    def is_full(self) -> bool: ...
    @property
    def is_empty(self) -> bool: ...
    def add(self, row: Row) -> None: ...
    def as_json(self) -> bytes: ...


def _batches_of(given: Mapping[str, Any], layout: Layout) -> Callable[[], BatchOfRows]:
    """Where the next batch comes from, for what the file holds."""
    region = given["default_region"]
    if given["kind"] == OPT_OUTS:
        return lambda: OptOutBatch(layout, default_region=region)
    definitions = {each["key"]: Definition.of(**each) for each in given["definitions"]}
    reader = ContactReader(layout, default_region=region, definitions=definitions)
    return lambda: Batch(reader)


class Reading:
    """The second reading: batches of contacts, or of opt-outs, from the row after `after_row` on."""

    def __init__(self, order: bytes) -> None:
        given = json.loads(order)
        layout = Layout.from_json(given["layout"])
        self._text = TextReader(layout.encoding)
        self._reader = CsvReader(layout.delimiter)
        self._new_batch = _batches_of(given, layout)
        self._after_row = max(given["after_row"], layout.header_row)
        self._before_rows: str | None = "" if layout.separator_line else None
        self._batch = self._new_batch()

    def feed(self, data: bytes) -> Iterator[Frame]:
        text = self._text.feed(data)
        if self._before_rows is not None:
            line, newline, text = (self._before_rows + text).partition("\n")
            self._before_rows = None if newline else line
        yield from self._take(self._reader.feed(text))

    def end(self) -> Iterator[Frame]:
        yield from self._take(self._reader.feed(self._text.feed(b"", final=True)))
        yield from self._take(self._reader.close())
        if not self._batch.is_empty:
            yield BATCH, self._batch.as_json()
        yield DONE, b""

    def _take(self, rows: Iterator[Row]) -> Iterator[Frame]:
        for row in rows:
            if row.number <= self._after_row or is_blank(row):
                continue
            self._batch.add(row)
            if self._batch.is_full:
                yield BATCH, self._batch.as_json()
                self._batch = self._new_batch()


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    """Answer frames until the parent has no more."""
    work: Work | None = None
    while frame := read_frame(source):
        kind, payload = frame
        try:
            if kind == SURVEY:
                work = Survey(defined=tuple(json.loads(payload)))
            elif kind == READ:
                work = Reading(payload)
            elif work is not None:
                for answer in work.end() if kind == END else work.feed(payload):
                    write_frame(sink, answer)
        except UnreadableFile as refusal:
            write_frame(sink, (REFUSED, str(refusal).encode()))
            work = None
            continue
        if kind != END:
            write_frame(sink, (WANTED, b""))


def main() -> None:
    obey_the_parent_only()
    with suppress(OSError):
        os.nice(10)
    with suppress(BrokenPipeError):
        serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
