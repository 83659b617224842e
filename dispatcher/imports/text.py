"""A file's bytes as text, piece by piece: which encoding, without a byte order mark, with line feeds for line ends.

What is no text is refused. Holds no more than the piece at hand.
"""

import codecs
import io
from typing import Final

HEAD_BYTES: Final = 65_536

# The longer mark first: UTF-32's begins with UTF-16's.
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXTS: Final = (
    (b"PK\x03\x04", "an Excel workbook (.xlsx) or another zip archive"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls)"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
)
_REMEDY: Final = "Save it as CSV (UTF-8) and upload that."
_CODECS: Final = {"utf-8": "utf-8-sig", "utf-8-sig": "utf-8-sig"}


class UnreadableFile(Exception):
    """The file as a whole cannot be imported; the sentence says why, and what to do."""


def encoding_by_mark(head: bytes) -> str | None:
    """The encoding that a byte order mark announces."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


class EncodingSurvey:
    """Reads a whole file once to learn its encoding: by its mark, else UTF-8 if all of it is, else Windows-1252."""

    def __init__(self) -> None:
        self._begun = False
        self._marked: str | None = None
        self._is_utf8 = True
        self._utf8 = codecs.getincrementaldecoder("utf-8")()

    def feed(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            self._marked = encoding_by_mark(data)
            _refuse_other_formats(data)
        if self._marked in {"utf-16", "utf-32"}:
            return
        if b"\x00" in data:
            raise UnreadableFile(f"The file holds NUL bytes, so it is no CSV text. {_REMEDY}")
        if self._is_utf8:
            try:
                self._utf8.decode(data)
            except UnicodeDecodeError:
                self._is_utf8 = False

    @property
    def encoding(self) -> str:
        """The name for `TextReader`. A file cut off within its last character is still UTF-8."""
        return self._marked or ("utf-8" if self._is_utf8 else "cp1252")


def _refuse_other_formats(head: bytes) -> None:
    for magic, name in _NO_TEXTS:
        if head.startswith(magic):
            raise UnreadableFile(f"The file is {name}, not a CSV text. {_REMEDY}")


class TextReader:
    """Bytes to text, incrementally; a byte that means nothing in the encoding becomes U+FFFD."""

    def __init__(self, encoding: str) -> None:
        decoder = codecs.getincrementaldecoder(_CODECS.get(encoding, encoding))(errors="replace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)

    def feed(self, data: bytes, *, final: bool = False) -> str:
        text = self._decoder.decode(data, final)
        if "\x00" in text:
            raise UnreadableFile(f"The file holds NUL characters, so it is no CSV text. {_REMEDY}")
        return text
