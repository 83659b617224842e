"""Fictional phone numbers in any quantity the proof needs: 555-0100 to 555-0199 of every North American area code."""

from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Final

from phonenumbers import PhoneNumberType, is_valid_number, number_type, parse, region_code_for_number

from shared.domain.msisdn import InvalidMsisdn
from shared.domain.msisdn import parse as read

SENDER: Final = "+12025550199"
_LINES: Final = range(100, 199)  # 0199 is kept for the sender


@cache
def area_codes() -> tuple[int, ...]:
    """Those that the service takes texts for."""
    return tuple(code for code in range(201, 1000) if _is_taken(f"+1{code}5550100"))


def fictional(count: int, *, skip: int = 0) -> list[str]:
    """`count` different numbers, the same ones each time; `skip` leaves out the first."""
    numbers = (f"+1{code}5550{line}" for line in _LINES for code in area_codes())
    found = list(islice(numbers, skip, skip + count))
    if len(found) < count:
        most = len(_LINES) * len(area_codes())
        raise ValueError(f"there are only {most} fictional numbers; make the campaign of several messages instead")
    return found


def mobiles(*, region: str | None = None) -> Iterator[str]:
    """Those that passwords may go to: area codes of personal and free numbers have fictional ones, too."""
    for number in fictional(len(_LINES) * len(area_codes())):
        found = parse(number)
        if number_type(found) == PhoneNumberType.FIXED_LINE_OR_MOBILE and (
            region is None or region_code_for_number(found) == region
        ):
            yield number


def _is_taken(msisdn: str) -> bool:
    if not is_valid_number(parse(msisdn)):
        return False
    try:
        read(msisdn, default_region=None)
    except InvalidMsisdn:
        return False
    return True
