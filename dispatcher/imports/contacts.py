"""Rows of a CSV as contacts to store, or as rejections with a reason; gathered into batches, ready as JSON.

Nothing here touches a database: a batch is what one transaction will write, and it knows the row it reaches to.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from dispatcher.imports.columns import FIELD_PREFIX, Column, Layout, says_no
from dispatcher.imports.reader import Row
from shared.clock import utc_now
from shared.domain import msisdn
from shared.domain.consent import PLACES, Statement, read_moment, read_no, read_status, standing_of, statement_of
from shared.domain.contact import Consent, Scalar, problem_of_field, problem_of_size, read_text, read_time_zone
from shared.domain.contact_field import Definition, FieldType
from shared.domain.written import read_day, read_number
from shared.errors import Invalid
from shared.ids import uuid7

BATCH_ROWS: Final = 2_000
BATCH_CHARACTERS: Final = 1_000_000  # so that a few long rows make as large a statement as many short ones

# What spreadsheets wrap a value in so that it stays a text: ="0831234567", and our own '+27831234567.
_FORMULA: Final = re.compile(r'=\s*"(.*)"', re.DOTALL)
_GUARDED: Final = re.compile(r"'[=+\-@\t\r']")

# What spreadsheets put between cells where the comma stands in numbers.
_OF_DECIMAL_COMMAS: Final = ";"

Contact = dict[str, Any]


class RejectedRow(Exception):
    """One row cannot be imported."""

    def __init__(self, reason: str, *, column: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.column = column


def unwrapped(cell: str) -> str:
    """The value without what a spreadsheet needed to keep it a text."""
    value = cell.strip()
    formula = _FORMULA.fullmatch(value)
    if formula:
        return formula[1].replace('""', '"').strip()
    return value[1:] if _GUARDED.match(value) else value


def fitted(cells: Sequence[str], columns: int) -> Sequence[str]:
    """The cells of a row that has as many as there are columns: those it lacks are empty."""
    if len(cells) == columns:
        return cells
    if any(cell.strip() for cell in cells[columns:]):
        raise RejectedRow(
            f"The row has {len(cells)} cells, but the first row names {columns} columns; "
            "put a value that holds the delimiter in quotes."
        )
    return [*cells, *[""] * (columns - len(cells))]


class ContactReader:
    """Reads the rows of one file."""

    def __init__(
        self, layout: Layout, *, default_region: str | None, definitions: Mapping[str, Definition] | None = None
    ) -> None:
        texts = ("name", "external_id", "location_id")
        readers: dict[str, Callable[[str], str | None]] = {
            "msisdn": lambda value: msisdn.parse(value, default_region=default_region),
            "time_zone": read_time_zone,
            **{name: _text_reader(name) for name in texts},
        }
        self._known = [
            (index, column.header, column.goes_to, readers[column.goes_to])
            for index, column in enumerate(layout.columns)
            if column.goes_to in readers
        ]
        self._consents = [
            (index, column.header, column.goes_to, _consent_reader(column))
            for index, column in enumerate(layout.columns)
            if column.goes_to in PLACES
        ]
        self._fields = [
            (index, column.header, column.goes_to.removeprefix(FIELD_PREFIX))
            for index, column in enumerate(layout.columns)
            if column.goes_to.startswith(FIELD_PREFIX)
        ]
        self._name_from = layout.name_from
        self._name_header = " ".join(layout.columns[index].header for index in layout.name_from)
        self._columns = len(layout.columns)
        self._definitions = definitions or {}
        self._decimal_comma = layout.delimiter == _OF_DECIMAL_COMMAS

    def read(self, row: Row) -> Contact:
        """The contact of a row: empty cells are left out, and so are cells that a short row lacks."""
        if row.problem:
            raise RejectedRow(row.problem)
        cells = fitted(row.cells, self._columns)
        contact: Contact = {}
        for index, header, name, read in self._known:
            value = unwrapped(cells[index])
            try:
                contact[name] = read(value) if value or name == "msisdn" else None
            except Invalid as refusal:
                raise RejectedRow(refusal.detail, column=header) from None
        if self._name_from:
            contact["name"] = self._read_name(cells)
        contact["fields"] = self._read_fields(cells)
        if self._consents:
            contact["consent"] = self._read_consent(cells)
        return contact

    def _read_name(self, cells: Sequence[str]) -> str | None:
        given, *rest = (unwrapped(cells[index]) for index in self._name_from)
        is_whole = set(given.lower().split()) <= set(" ".join(rest).lower().split())
        try:
            return read_text(" ".join(rest if rest and is_whole else (given, *rest)), name="name")
        except Invalid as refusal:
            raise RejectedRow(refusal.detail, column=self._name_header) from None

    def _read_consent(self, cells: Sequence[str]) -> Statement | None:
        said: dict[str, Any] = {}
        for index, header, place, reader in self._consents:
            value = unwrapped(cells[index])
            try:
                read = reader(value) if value else None
            except Invalid as refusal:
                raise RejectedRow(refusal.detail, column=header) from None
            if read not in {None, Consent.UNKNOWN} and said.setdefault(place, read) != read:
                raise RejectedRow(f"Two columns of the row disagree on {place}; leave one of them.", column=header)
        return statement_of(said.get("consent_status"), source=said.get("consent_source"), at=said.get("consent_at"))

    def _read_fields(self, cells: Sequence[str]) -> dict[str, Scalar]:
        fields: dict[str, Scalar] = {}
        for index, header, key in self._fields:
            value = unwrapped(cells[index])
            if not value:
                continue
            if problem := problem_of_field(key, value):
                raise RejectedRow(problem, column=header)
            read = self._read_typed(key, value, header)
            if read is not None:
                fields[key] = read
        if problem := problem_of_size(fields):
            raise RejectedRow(problem)
        return fields

    def _read_typed(self, key: str, value: str, header: str) -> Scalar | None:
        definition = self._definitions.get(key)
        if definition is None:
            return value
        name = f"The field {key}"
        try:
            if definition.type is FieldType.DATE:
                value = read_day(value, name=name)
            elif definition.type is FieldType.NUMBER:
                value = read_number(value, name=name, decimal_comma=self._decimal_comma)
            return definition.read(value)
        except Invalid as refusal:
            raise RejectedRow(refusal.detail, column=header) from None


def _text_reader(name: str) -> Callable[[str], str | None]:
    return lambda value: read_text(value, name=name)


_CONSENT_READERS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "consent_status": read_status,
    "consent_source": _text_reader("consent_source"),
    "consent_at": lambda value: read_moment(read_day(value, name="consent_at"), now=utc_now()),
}


def _consent_reader(column: Column) -> Callable[[str], str | None]:
    return read_no if says_no(column.header) else _CONSENT_READERS[column.goes_to]


class Batch:
    """What the next transaction writes. A number that comes twice is one contact, on which the later row wins."""

    def __init__(self, reader: ContactReader) -> None:
        self._reader = reader
        self._contacts: dict[str, Contact] = {}
        self._rejections: list[dict[str, Any]] = []
        self._imported = 0
        self._characters = 0
        self._last_row = 0

    @property
    def is_full(self) -> bool:
        rows = self._imported + len(self._rejections)
        return rows >= BATCH_ROWS or self._characters >= BATCH_CHARACTERS

    @property
    def is_empty(self) -> bool:
        return not self._last_row

    def add(self, row: Row) -> None:
        self._last_row = row.number
        self._characters += sum(map(len, row.cells))
        try:
            contact = self._reader.read(row)
        except RejectedRow as rejected:
            self._rejections.append({"row": row.number, "column": rejected.column, "reason": rejected.reason})
            return
        self._imported += 1
        known = self._contacts.setdefault(contact["msisdn"], contact)
        if known is not contact:
            _overlay(known, contact)

    def as_json(self) -> bytes:
        """Three lines: what it amounts to, the contacts, the rejections."""
        # in order, so that lists by id show the contacts as the file did
        ids = sorted(uuid7() for _ in self._contacts)
        contacts = [{"id": str(id_), **contact} for id_, contact in zip(ids, self._contacts.values(), strict=True)]
        outline = {"last_row": self._last_row, "imported": self._imported, "rejected": len(self._rejections)}
        return b"\n".join(map(_dump, (outline, contacts, self._rejections)))


def _overlay(known: Contact, later: Contact) -> None:
    """What the later row says wins; where it says nothing, the earlier one stands."""
    known["fields"] |= later["fields"]
    if "consent" in later:
        known["consent"] = standing_of(known["consent"], later["consent"])
    for name, value in later.items():
        if name not in {"fields", "consent"} and value is not None:
            known[name] = value


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
