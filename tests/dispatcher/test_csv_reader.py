"""CSV text as rows: what spreadsheets, databases and people write, whole and in pieces, and what nobody should."""

import csv
import io
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatcher.imports.reader import MAX_ROW_CHARACTERS, CsvReader, Row
from dispatcher.imports.text import EncodingSurvey, TextReader, UnreadableFile

LONG = "x" * (MAX_ROW_CHARACTERS + 1)


def rows(text: str, *, delimiter: str = ",", piece: int | None = None) -> list[Row]:
    reader = CsvReader(delimiter)
    size = piece or max(len(text), 1)
    found: list[Row] = []
    for start in range(0, len(text), size):
        found += reader.feed(text[start : start + size])
    return found + list(reader.close())


def cells(text: str, *, delimiter: str = ",", piece: int | None = None) -> list[list[str]]:
    return [row.cells for row in rows(text, delimiter=delimiter, piece=piece)]


CELLS = [
    pytest.param("", [], id="nothing"),
    pytest.param("a,b", [["a", "b"]], id="no line end"),
    pytest.param("a,b\n", [["a", "b"]], id="line end"),
    pytest.param("a,b\n\nc,d\n", [["a", "b"], [""], ["c", "d"]], id="blank row counts"),
    pytest.param("a,,\n", [["a", "", ""]], id="empty cells"),
    pytest.param('"a,b",c\n', [["a,b", "c"]], id="delimiter in quotes"),
    pytest.param('"a\nb",c\nd,e\n', [["a\nb", "c"], ["d", "e"]], id="line end in quotes"),
    pytest.param('"say ""hi""",c\n', [['say "hi"', "c"]], id="quotes in quotes"),
    pytest.param('"",""\n', [["", ""]], id="empty quotes"),
    pytest.param('""""\n', [['"']], id="only a quote"),
    pytest.param('"a", "b c"\n', [["a", "b c"]], id="space before a quote"),
    pytest.param('5" pipe,6"\n', [['5" pipe', '6"']], id="inches"),
    pytest.param('"Bob" Smith,c\n', [["Bob Smith", "c"]], id="words after the quote"),
    pytest.param('"a","b"', [["a", "b"]], id="quoted to the end"),
    pytest.param("a\u2028b,c\x0bd\n", [["a\u2028b", "c\x0bd"]], id="other line separators"),
]


@pytest.mark.parametrize("piece", [None, 1, 2, 3])
@pytest.mark.parametrize(("text", "expected"), CELLS)
def test_reads_cells(text: str, expected: list[list[str]], piece: int | None) -> None:
    assert cells(text, piece=piece) == expected


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_reads_other_delimiters(delimiter: str) -> None:
    text = f'a{delimiter}"b{delimiter}c"\n'
    assert cells(text, delimiter=delimiter) == [["a", f"b{delimiter}c"]]


def test_rows_are_counted_as_a_spreadsheet_shows_them() -> None:
    found = rows('a\n\n"b\nc"\nd\n')
    assert [(row.number, row.cells) for row in found] == [(1, ["a"]), (2, [""]), (3, ["b\nc"]), (4, ["d"])]


HOPELESS = [
    pytest.param(f"a,{LONG}\nb,c\n", id="a long cell"),
    pytest.param(f'a,"{LONG}"\nb,c\n', id="a long quoted cell"),
    pytest.param(f'"a",{LONG}\nb,c\n', id="a long cell beside a quoted one"),
    pytest.param('a,"open\nb,c\n', id="a quote that is never closed"),
    pytest.param('"open\nb,c\n', id="a quote at the beginning"),
]


@pytest.mark.parametrize("piece", [None, 7, 5000])
@pytest.mark.parametrize("text", HOPELESS)
def test_a_hopeless_row_costs_one_row(text: str, piece: int | None) -> None:
    hopeless, after = rows(text, piece=piece)
    assert hopeless.number == 1
    assert hopeless.problem
    assert after == Row(2, ["b", "c"])


def test_a_stray_quote_in_a_long_file_costs_one_row() -> None:
    lines = [f"{n},x" for n in range(50_000)]
    lines[10] = '10,"x'
    found = rows("\n".join(lines), piece=4096)
    assert len(found) == 50_000
    assert [row.number for row in found if row.problem] == [11]


@pytest.mark.parametrize("quote", ["", '"'])
def test_memory_stays_flat_in_a_cell_of_megabytes(quote: str) -> None:
    reader = CsvReader(",")
    piece = "x" * 65_536
    tracemalloc.start()
    found = list(reader.feed(f"a,{quote}"))
    for _ in range(160):
        found += reader.feed(piece)
    found += reader.feed(f"{quote}\nb,c\n")
    found += reader.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(row.number, bool(row.problem)) for row in found] == [(1, True), (2, False)]
    assert peak < 2_000_000


words = st.text(st.characters(exclude_characters="\r\x00", exclude_categories=["Cs"]))


@given(st.lists(st.lists(words, min_size=2), max_size=5), st.integers(1, 9))
def test_reads_what_the_csv_module_writes(table: list[list[str]], piece: int) -> None:
    file = io.StringIO()
    csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(table)
    assert cells(file.getvalue(), piece=piece) == table


def text_of(data: bytes, *, piece: int) -> tuple[str, str]:
    survey = EncodingSurvey()
    pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
    for part in pieces:
        survey.feed(part)
    reader = TextReader(survey.encoding)
    return survey.encoding, "".join(map(reader.feed, pieces)) + reader.feed(b"", final=True)


ENCODED = [
    pytest.param("Zoë,1\r\n".encode(), "utf-8", id="utf-8"),
    pytest.param("Zoë,1\r\n".encode("utf-8-sig"), "utf-8", id="utf-8 with a mark"),
    pytest.param("Zoë,1\r".encode("utf-16"), "utf-16", id="utf-16, old Mac line ends"),
    pytest.param(b"\xfe\xff" + "Zoë,1\n".encode("utf-16-be"), "utf-16", id="utf-16, big end"),
    pytest.param("Zoë,1\n".encode("utf-32"), "utf-32", id="utf-32"),
    pytest.param("Zoë,1\r\n".encode("cp1252"), "cp1252", id="windows-1252"),
]


@pytest.mark.parametrize("piece", [4, 5, 1000])
@pytest.mark.parametrize(("data", "encoding"), ENCODED)
def test_finds_the_encoding(data: bytes, encoding: str, piece: int) -> None:
    assert text_of(data, piece=piece) == (encoding, "Zoë,1\n")


def test_one_foreign_byte_late_in_the_file_settles_the_encoding_of_all_of_it() -> None:
    data = b"a,b\n" * 50_000 + "Zoë\n".encode("cp1252")
    assert text_of(data, piece=4096)[0] == "cp1252"


def test_a_file_cut_off_within_its_last_character_is_still_utf8() -> None:
    encoding, text = text_of("Zoë,Zoë".encode()[:-1], piece=3)
    assert encoding == "utf-8"
    assert text == "Zoë,Zo\ufffd"


NO_TEXTS = [
    pytest.param(b"PK\x03\x04rest", ".xlsx", id="xlsx"),
    pytest.param(b"\xd0\xcf\x11\xe0rest", ".xls", id="xls"),
    pytest.param(b"%PDF-1.7", "PDF", id="pdf"),
    pytest.param(b"\x1f\x8b\x08rest", "gzip", id="gzip"),
    pytest.param(b"msisdn\n\x00\x01\x02", "NUL", id="binary"),
    pytest.param("msisdn\n".encode("utf-16-le"), "NUL", id="utf-16 without a mark"),
]


@pytest.mark.parametrize(("data", "reason"), NO_TEXTS)
def test_refuses_what_is_no_text(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableFile, match=reason):
        EncodingSurvey().feed(data)


def test_refuses_nul_characters_in_wide_encodings() -> None:
    with pytest.raises(UnreadableFile, match="NUL"):
        TextReader("utf-16").feed("a\x00b".encode("utf-16"))
