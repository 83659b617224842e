"""The GSM 7-bit default alphabet (3GPP TS 23.038) and the look-alikes of its characters, as tables.

No national shift tables: most gateways do not speak them. What is counted with these tables is in
`segments.py`.
"""

from collections.abc import Iterator, Mapping
from typing import Final

# In the order of the standard: the row is the high digit of the septet, the column its low one.
# 0x1B, the escape, is no character of its own and left out.
BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)
EXTENSION: Final = "\f^{}\\[~]|€"  # escape and code: two septets each

# What stands for a character outside the alphabet, with its code points: `201C-201F` is a range.
# After the replacement map of Twilio's message segment calculator, but for U+2039 and U+203A, which
# are swapped there; with the dashes, primes and invisible marks that it leaves out.
_LOOK_ALIKES: Final[Mapping[str, str]] = {
    '"': "00AB 00BB 02BA 02EE 201C-201F 2033 275D 275E 301D 301E FF02",
    "'": ("0060 00B4 02B9 02BB-02BD 02C8 02CA 02CB 0313 0314 2018 2019 201B 2032 275B 275C FE10 FE11 FF07"),
    "/": "00F7 0337 0338 2044 2215 29F8 FF0F",
    "1/4": "00BC",
    "1/2": "00BD",
    "3/4": "00BE",
    "\\": "20E5 29F5 29F9 FE68 FF3C",
    "_": "0332 2017 FF3F",
    "|": "20D2 20D3 2223 239C 239F 23B8 23B9 23D0 FF5C",
    "-": "2010-2015 2022 2043 2212 23BC 23BD FE63 FF0D",
    "@": "FE6B FF20",
    "$": "FE69 FF04",
    "!": "01C3 FE15 FE57 FF01",
    "#": "FE5F FF03",
    "%": "FE6A FF05",
    "&": "FE60 FF06",
    ",": "0326 201A 3001 FE50 FE51 FF0C FF64",
    "(": "2768 276A 27EE 2985 FE59 FF08",
    ")": "2769 276B 27EF 2986 FE5A FF09",
    "*": ("204E 2217 229B 2722-2725 2731-2733 273A-273D 2743 2749-274B 29C6 FE61 FF0A"),
    "+": "02D6 FE62 FF0B",
    ".": "3002 FE52 FF0E FF61",
    ":": "02D0 02F8 2982 A789 FE13 FF1A",
    ";": "204F FE14 FE54 FF1B",
    "<": "2039 FE64 FF1C",
    "=": "0347 A78A FE66 FF1D",
    ">": "203A FE65 FF1E",
    "?": "FE16 FE56 FF1F",
    "^": "02C6 0302 1DCD FF3E",
    "{": "2774 FE5B FF5B",
    "}": "2775 FE5C FF5D",
    "[": "FF3B",
    "]": "FF3D",
    "~": "02DC 02F7 0303 0330 0334 223C FF5E",
    " ": ("0009 0080 008D 0090 009B 009F 00A0 2000-200A 2028 2029 202F 205F 3000"),
    "": "0000 0003 0004 0010-0014 0017 0019 00AD 200B-200F 202A-202E 2060 2066-2069 FEFF",
    "!!": "203C",
    "...": "2026",
}
_SMALL_CAPITALS: Final = (
    "1D00 0299 1D04 1D05 1D07 A730 0262 029C 026A 1D0A 1D0B 029F 1D0D "
    "0274 1D0F 1D18 - 0280 A731 1D1B 1D1C 1D20 1D21 - 028F 1D22"
)


def _code_points(ranges: str) -> Iterator[str]:
    for item in ranges.split():
        first, _, last = item.partition("-")
        for code in range(int(first, 16), int(last or first, 16) + 1):
            yield chr(code)


def _look_alikes() -> Iterator[tuple[str, str]]:
    for replacement, ranges in _LOOK_ALIKES.items():
        for character in _code_points(ranges):
            yield character, replacement
    for offset in range(10):
        yield chr(0xFF10 + offset), chr(ord("0") + offset)
    for offset, small_capital in enumerate(_SMALL_CAPITALS.split()):
        letter = chr(ord("A") + offset)
        yield chr(0xFF21 + offset), letter
        if small_capital != "-":
            yield chr(int(small_capital, 16)), letter


LOOK_ALIKES: Final[Mapping[str, str]] = dict(_look_alikes())

# Letters of other alphabets that nobody can tell from a Latin one. They are strangers in a Latin word only: in a
# word of their own they are that language.
_CYRILLIC: Final = ("АВЕЅІЈКМНОРСТХаеорсухѕіј", "ABESIJKMHOPCTXaeopcyxsij")  # noqa: RUF001 - they are the point
_GREEK: Final = ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEZHIKMNOPTYXo")  # noqa: RUF001 - they are the point
HOMOGLYPHS: Final[Mapping[str, str]] = {
    theirs: latin for alphabet in (_CYRILLIC, _GREEK) for theirs, latin in zip(*alphabet, strict=True)
}
