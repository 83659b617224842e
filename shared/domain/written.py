"""Days and numbers as people write them in files: read where there is one way to, refused where there are two. Pure.

What comes out is the form that fields take everywhere else: 2026-03-02 and 1234.5. What is neither stays as it is.
"""

import re
from typing import Final

from shared.domain.contact import InvalidContact

_MIDNIGHT: Final = r"(?:[T ]0{1,2}:00(?::00(?:\.0+)?)?)?"  # what spreadsheets add to a day
_DAY_FIRST: Final = re.compile(rf"([0-9]{{1,2}})\.\s?([0-9]{{1,2}})\.\s?([0-9]{{4}}){_MIDNIGHT}")
_YEAR_FIRST: Final = re.compile(rf"([0-9]{{4}})([-/.])([0-9]{{1,2}})\2([0-9]{{1,2}}){_MIDNIGHT}")
_EITHER_FIRST: Final = re.compile(r"[0-9]{1,2}[/-][0-9]{1,2}[/-](?:[0-9]{4}|[0-9]{2})")
_SHORT_YEAR: Final = re.compile(r"[0-9]{1,2}\.\s?[0-9]{1,2}\.\s?[0-9]{2}")

_SPACES: Final = re.compile("[\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{RIGHT SINGLE QUOTATION MARK}' ]")
_GROUPS: Final = r"[+-]?[1-9][0-9]{0,2}"
_SPACED: Final = re.compile(rf"({_GROUPS}(?: [0-9]{{3}})+)([.,][0-9]+)?")
_POINTS: Final = re.compile(rf"({_GROUPS}(?:\.[0-9]{{3}})+)(,[0-9]+)?")
_COMMAS: Final = re.compile(rf"({_GROUPS}(?:,[0-9]{{3}})+)(\.[0-9]+)?")
_ONE_GROUP: Final = re.compile(rf"{_GROUPS}[.,][0-9]{{3}}")
_DECIMAL_COMMA: Final = re.compile(r"([+-]?[0-9]+),([0-9]+)")


def read_day(text: str, *, name: str) -> str:
    """31.12.2026 as 2026-12-31. `name` is what a refusal calls it."""
    if found := _DAY_FIRST.fullmatch(text):
        day, month, year = found.groups()
        return f"{year}-{month:0>2}-{day:0>2}"
    if found := _YEAR_FIRST.fullmatch(text):
        year, _, month, day = found.groups()
        return f"{year}-{month:0>2}-{day:0>2}"
    if _EITHER_FIRST.fullmatch(text):
        raise InvalidContact(f"{name} may begin with the day or with the month; write it as 2026-12-31 or 31.12.2026.")
    if _SHORT_YEAR.fullmatch(text):
        raise InvalidContact(f"{name} has a year of two digits; write it as 2026-12-31 or 31.12.2026.")
    return text


def read_number(text: str, *, name: str, decimal_comma: bool) -> str:
    """1.234,56 as 1234.56. `decimal_comma`: the file is of a country that writes 3,5, by its delimiter.

    A single group of three digits is the doubt: 1.234 is a thousand and more to one, and one and a bit to another.
    """
    plain = _SPACES.sub(" ", text)
    if _ONE_GROUP.fullmatch(plain):
        return _read_one_group(plain, name=name, decimal_comma=decimal_comma)
    for form, group in ((_SPACED, " "), (_POINTS, "."), (_COMMAS, ",")):
        if found := form.fullmatch(plain):
            return found[1].replace(group, "") + (found[2] or "").replace(",", ".")
    if found := _DECIMAL_COMMA.fullmatch(plain):
        return f"{found[1]}.{found[2]}"
    return text


def _read_one_group(text: str, *, name: str, decimal_comma: bool) -> str:
    """By the file's delimiter, where it says what the sign is; a point is one everywhere else."""
    if "," in text and decimal_comma:
        return text.replace(",", ".")
    if "." in text and not decimal_comma:
        return text
    raise InvalidContact(
        f"{name} can be read in two ways, with a sign for thousands or with three decimals; write it as 1234, or as "
        "1.2340 with another number of decimals."
    )
