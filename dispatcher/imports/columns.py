"""How a CSV is laid out: its delimiter, and what each column of the first row means for a contact.

Names are matched by their letters and digits alone: `Time Zone`, `time-zone` and `timeZone` are one, and so are their
words in other languages (`names.py`). Of several columns for one thing the first one counts; the others become
fields with a number behind their name (`name_2`). Columns of consent are never passed over in this manner: all of them
are read, and a row in which they disagree is rejected.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Final, Self

from dispatcher.imports.names import FAMILY_NAMES, GIVEN_NAMES, NUMBER_NAMES, OTHER_NAMES, form_of
from dispatcher.imports.reader import CsvReader
from dispatcher.imports.text import UnreadableFile
from shared.domain.contact import MAX_FIELDS, MAX_KEY_CHARACTERS, key_of

DELIMITERS: Final = (",", ";", "\t", "|")
FIELD_PREFIX: Final = "fields."
MAX_COLUMNS: Final = MAX_FIELDS

KNOWN_NAMES: Final = ("name", "external_id", "location_id", "time_zone")
NO_NAMES: Final = ("opt_out", "opted_out", "unsubscribed")  # in which a yes withdraws
CONSENT_NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("consent_status", "consent", "opt_in", "opted_in"), "consent_status"),
    **dict.fromkeys(NO_NAMES, "consent_status"),
    **dict.fromkeys(("consent_source", "opt_in_source"), "consent_source"),
    **dict.fromkeys(("consent_at", "consent_date", "opt_in_at", "opt_in_date", "opt_in_time"), "consent_at"),
}
IGNORED: Final = "ignored"
# A contact as we show it, made into a table by somebody: what is ours to give is no field of theirs.
_OURS: Final = ("id", "created_at", "updated_at")
_SHOWN_BY_US: Final = frozenset({*_OURS, "msisdn", "external_id", "location_id"})

_QUOTED: Final = re.compile(r'"(?:[^"]++|"")*+"?')
_SEPARATOR_LINE: Final = re.compile(r"sep=(.)\n", re.IGNORECASE)
_NO_LETTERS: Final = re.compile(r"[\W_]+")
_LIKE_A_NUMBER: Final = re.compile(r"[\s'\"+(]*[0-9][0-9\s().\-/]{5,}")


@dataclass(frozen=True, slots=True)
class Column:
    """A column's name in the file, and where its cells go: `msisdn`, `name`, ... or `fields.<key>`."""

    header: str
    goes_to: str


@dataclass(frozen=True, slots=True)
class Layout:
    """All there is to know before the rows: kept with the import, so that a later reader reads it the same way."""

    encoding: str
    delimiter: str
    header_row: int
    separator_line: bool  # Excel's `sep=;` before the first row, which is no row
    columns: tuple[Column, ...]
    # Columns that make up the name in this order, where none is the whole of it; parts are fields all the same.
    name_from: tuple[int, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, layout: Mapping[str, Any]) -> Self:
        columns = tuple(Column(**column) for column in layout["columns"])
        return cls(**{**layout, "columns": columns, "name_from": tuple(layout.get("name_from", ()))})


def separator_line(text: str) -> str:
    """Excel's first line that names the delimiter, as it stands; empty if there is none."""
    found = _SEPARATOR_LINE.match(text)
    return found[0] if found and found[1] in DELIMITERS else ""


def find_delimiter(head: str) -> str:
    """The delimiter by the evidence of the first line: it sets the number's column apart, and there are many of it."""
    line = separator_line(head)
    if line:
        return line[-2]
    first = _QUOTED.sub(_without_delimiters, head.lstrip("\n ")).split("\n", 1)[0]
    return max(
        DELIMITERS,
        key=lambda delimiter: (
            first.count(delimiter) > 0 and _has_number_column(first.split(delimiter)),
            first.count(delimiter),
        ),
    )


def _without_delimiters(quoted: re.Match[str]) -> str:
    return _NO_LETTERS.sub("_", quoted[0])


def _has_number_column(headers: Sequence[str]) -> bool:
    return any(form_of(header) in _NUMBER_FORMS for header in headers)


def find_layout(head: str, *, encoding: str, whole: bool, defined: Sequence[str] = ()) -> Layout:
    """The layout of the file that begins with `head`, or the refusal of a file without a column for numbers.

    `defined` are the keys of the owner's fields that have a type: a column that names one in any case is that field.
    """
    delimiter = find_delimiter(head)
    skipped = separator_line(head)
    reader = CsvReader(delimiter)
    rows = reader.feed(head[len(skipped) :])
    for row in chain(rows, reader.close() if whole else ()):
        if row.problem:
            break
        if any(cell.strip() for cell in row.cells):
            columns = read_header(row.cells, defined=defined)
            return Layout(encoding, delimiter, row.number, bool(skipped), columns, name_columns(columns))
    else:
        if whole:
            raise UnreadableFile("The file holds no rows; its first row must name the columns, such as msisdn,name.")
    raise UnreadableFile("The first row cannot be read; it must name the columns, such as msisdn,name.")


def read_header(cells: Sequence[str], *, defined: Sequence[str] = ()) -> tuple[Column, ...]:
    """What each column means."""
    headers = [cell.strip() for cell in cells]
    while headers and not headers[-1]:
        headers.pop()
    if len(headers) > MAX_COLUMNS:
        raise UnreadableFile(f"The file has {len(headers)} columns; leave at most {MAX_COLUMNS}.")
    places = _known_places(headers, defined={key.lower() for key in defined})
    reserved = {"msisdn", *KNOWN_NAMES, *(key_of(headers[index]).lower() for index in places)}
    keys: set[str] = set()
    own_case = {key.lower(): key for key in defined}
    columns = []
    ours = _OURS if {form_of(name) for name in _SHOWN_BY_US} <= {form_of(header) for header in headers} else ()
    for index, header in enumerate(headers):
        if index in places:
            goes_to = places[index]
        elif header in ours:
            goes_to = IGNORED
        elif header.startswith(FIELD_PREFIX):  # as our own exports write it
            named = header.removeprefix(FIELD_PREFIX)
            goes_to = FIELD_PREFIX + _free_key(named, index=index, taken=keys)
        else:
            goes_to = FIELD_PREFIX + _free_key(header, index=index, taken=keys | reserved)
        if goes_to.startswith(FIELD_PREFIX):
            key = goes_to.removeprefix(FIELD_PREFIX)
            goes_to = FIELD_PREFIX + own_case.get(key.lower(), key)
            keys.add(key.lower())
        columns.append(Column(header[:MAX_KEY_CHARACTERS], goes_to))
    return tuple(columns)


def name_columns(columns: Sequence[Column]) -> tuple[int, ...]:
    """The places of the first name and of the rest of it, in a file that tells it in parts; each where there is one.

    A `name` beside a first name alone is that of the family, or the whole: a row shows which.
    """
    forms = [form_of(column.header) for column in columns]
    given, family = (_first_of(forms, names) for names in (_GIVEN_FORMS, _FAMILY_FORMS))
    whole = next((place for place, column in enumerate(columns) if column.goes_to == "name"), None)
    if whole is not None and (given is None or family is not None):
        return ()
    return tuple(place for place in (given, family if whole is None else whole) if place is not None)


def says_no(header: str) -> bool:
    """Whether a yes in this column of consents is a no."""
    return form_of(header) in _NO_FORMS


_NUMBER_FORMS: Final = tuple(map(form_of, NUMBER_NAMES))
_GIVEN_FORMS: Final = tuple(map(form_of, GIVEN_NAMES))
_FAMILY_FORMS: Final = tuple(map(form_of, FAMILY_NAMES))
_NO_FORMS: Final = frozenset(map(form_of, NO_NAMES))
_CONSENT_FORMS: Final = {form_of(name): place for name, place in CONSENT_NAMES.items()}


def _first_of(forms: Sequence[str], names: Sequence[str]) -> int | None:
    """Where the first of these names stands."""
    return next((forms.index(name) for name in names if name in forms), None)


def _known_places(headers: Sequence[str], *, defined: Container[str]) -> dict[int, str]:
    forms = [form_of(header) for header in headers]
    number = _first_of(forms, _NUMBER_FORMS)
    if number is None:
        raise UnreadableFile(_no_number_column(headers))
    places = {number: "msisdn"}
    for name in KNOWN_NAMES:
        place = _first_of(forms, [form_of(each) for each in (name, *OTHER_NAMES.get(name, ()))])
        if place is not None and (forms[place] == form_of(name) or key_of(headers[place]).lower() not in defined):
            places[place] = name
    for index, form in enumerate(forms):
        said = _CONSENT_FORMS.get(form)
        # `opt_in` may be a field that the owner has defined; `consent_status` is the contact's, whatever is defined
        if said and (form == form_of(said) or key_of(headers[index]).lower() not in defined):
            places[index] = said
    return places


def _no_number_column(headers: Sequence[str]) -> str:
    if any(_LIKE_A_NUMBER.fullmatch(header) for header in headers):
        return "The first row must name the columns, but it holds a number; put a row such as msisdn,name above it."
    seen = ", ".join(header[:40] for header in headers[:20])
    more = f" and {len(headers) - 20} more" if len(headers) > 20 else ""
    return (
        "No column holds the phone numbers; name one of them msisdn (or phone, mobile, cell, "
        f"number). The columns found are: {seen}{more}."
    )


def _free_key(header: str, *, index: int, taken: Container[str]) -> str:
    """A key that no other column has, by any case."""
    key = key_of(header) or f"column_{index + 1}"
    free, count = key, 1
    while free.lower() in taken:
        count += 1
        suffix = f"_{count}"
        free = key[: MAX_KEY_CHARACTERS - len(suffix)] + suffix
    return free
