"""Where somebody's clock hangs: the contact's own zone, else the location's, else those of the number.

A number tells its zones by its leading digits. Where a country has several and the number does not say which, all of
them count, and the strictest decides (`shared/domain/quiet_hours.py`).
"""

from functools import lru_cache
from typing import Final

from phonenumbers import NumberParseException, PhoneNumber, parse
from phonenumbers.timezone import time_zones_for_geographical_number

from shared.domain.contact import is_zone
from shared.domain.msisdn import kind
from shared.domain.numbering import Kind

UNKNOWN: Final = "Etc/Unknown"
UTC_ZONE: Final = "UTC"
# As many digits as any country's table of zones looks at.
_DIGITS: Final = 8
# Whose digits say where they are. A mobile number may be carried anywhere within its country.
_GEOGRAPHIC: Final = frozenset({Kind.FIXED_LINE, Kind.FIXED_LINE_OR_MOBILE})


def zones_of(msisdn: str, *, own: str | None, location: str | None, fallback: str | None) -> tuple[str, ...]:
    """The zones that a recipient may live in; `fallback` is the operator's, for numbers that tell none."""
    for zone in (own, location):
        if zone is not None and is_zone(zone):
            return (zone,)
    geographic = kind(msisdn) in _GEOGRAPHIC
    return _zones_of_prefix(msisdn[: _DIGITS + 1], geographic=geographic) or (fallback or UTC_ZONE,)


@lru_cache(maxsize=65_536)
def _zones_of_prefix(prefix: str, *, geographic: bool) -> tuple[str, ...]:
    """By the leading digits alone, so that a million numbers of one country are a few hundred questions."""
    try:
        number = parse(f"{prefix}0000")
    except NumberParseException:
        return ()
    if not geographic:
        number = PhoneNumber(country_code=number.country_code, national_number=0)
    return tuple(zone for zone in time_zones_for_geographical_number(number) if zone != UNKNOWN and is_zone(zone))
