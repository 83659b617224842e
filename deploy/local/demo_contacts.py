"""The demo's sample file: 1,000 people as a spreadsheet exports them, with what goes wrong in such files.

All numbers are fictional: 555-0100 to 555-0199 of North American area codes, and 07700 900000 to 900999 in the
United Kingdom, which are kept free for stories.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

FILE_NAME: Final = "spring_guests.csv"
REGION: Final = "US"  # of the numbers without a country code
PEOPLE: Final = 1_000
REPEATED: Final = 5

_AREA_CODES: Final = (206, 212, 213, 305, 312, 404, 415, 503, 617, 713)
_BRITONS: Final = 40
_HEADER: Final = ("Name", "Phone", "city", "voucher", "visits", "time_zone")
# fmt: off
_NAMES: Final = (
    "Amara Abbott", "Ben Brown", "Chiara Costa", "Thandi Dlamini", "Elif Evans", "Jonas Fischer", "Grace Garcia",
    "Farid Haddad", "Ines Ito", "Hana Jensen", "Kofi Kruger", "Lena Lopez", "Mateo Meyer", "Noor Nasser",
    "Rosa O'Neill", "Priya Patel", "Quentin Roy", "Sanjay Singh", "Uma Turner", "Victor Umar", "Wei Wang",
    "Yusuf Yilmaz", "José Ávila", "Łukasz Zając",
)
# fmt: on
_PLACES: Final = (
    ("Seattle", "America/Los_Angeles"),
    ("New York", "America/New_York"),
    ("San Juan, Old Town", "America/Puerto_Rico"),
    ("Chicago", "America/Chicago"),
    ("Boston", ""),
)
# One number, as people write it.
_SPELLINGS: Final[Sequence[Callable[[str], str]]] = (
    lambda msisdn: f"({msisdn[2:5]}) {msisdn[5:8]}-{msisdn[8:]}",
    lambda msisdn: f"{msisdn[2:5]}.{msisdn[5:8]}.{msisdn[8:]}",
    lambda msisdn: f"1-{msisdn[2:5]}-{msisdn[5:8]}-{msisdn[8:]}",
    lambda msisdn: f"{msisdn[2:]}.0",  # a column that was a decimal number once
    lambda msisdn: f'="{msisdn}"',  # and one that had to stay a text
    lambda msisdn: f"+1 {msisdn[2:5]} {msisdn[5:8]} {msisdn[8:]}",
    lambda msisdn: msisdn,
)
_UNUSABLE: Final = (
    ("Ana", "2.12556E+9", "New York", "SPRING-A", "1", ""),
    ("Bo", "555-0123", "Boston", "SPRING-B", "2", ""),
    ("Cem", "ask at the desk", "Seattle", "SPRING-C", "3", ""),
    ("Dora", "", "Chicago", "SPRING-D", "4", ""),
    ("Emil", "+12125550101 / +12125550102", "New York", "SPRING-E", "5", ""),
    ("Fay", "+12125550103", "New York", "SPRING-F", "6", "Mars/Olympus"),
    ("Gus", "+12125550104", "San Juan", "Old Town", "SPRING-G", "7", "America/Puerto_Rico"),
)
REJECTED: Final = len(_UNUSABLE)


@dataclass(frozen=True, slots=True)
class Sample:
    """The file, and whom it holds: `msisdns` are the people in E.164, each once."""

    data: bytes
    rows: int
    msisdns: Sequence[str]


def make_sample() -> Sample:
    """The same file each time: 1,000 people, five of them twice, and seven rows that nobody could send to."""
    americans = [f"+1{area}5550{line}" for line in range(100, 200) for area in _AREA_CODES]
    msisdns = [*americans[: PEOPLE - _BRITONS], *(f"+447700900{line:03}" for line in range(_BRITONS))]
    rows = [_row(number, msisdn) for number, msisdn in enumerate(msisdns)]
    again = [(rows[number][0], msisdns[number], *rows[number][2:]) for number in range(REPEATED)]
    for number, extra in enumerate((*_UNUSABLE, *again)):
        rows.insert(25 + number * 80, extra)
    return Sample(_as_excel_writes(rows), len(rows), msisdns)


def _row(number: int, msisdn: str) -> tuple[str, ...]:
    name = _NAMES[number % len(_NAMES)] if number % 9 != 5 else ""
    city, zone = _PLACES[number % len(_PLACES)]
    if msisdn.startswith("+44"):
        city, zone = "London", "Europe/London"
        spelled = f"+44 {msisdn[3:7]} {msisdn[7:]}"
    else:
        spelled = _SPELLINGS[number % len(_SPELLINGS)](msisdn)
    return name, spelled, city, f"SPRING-{number:04}", str(2 + number % 7), zone


def _as_excel_writes(rows: Sequence[Sequence[str]]) -> bytes:
    """With a byte order mark, and lines that end in CRLF."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_HEADER)
    writer.writerows(rows)
    return text.getvalue().encode("utf-8-sig")
