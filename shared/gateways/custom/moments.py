"""When something was said, in whatever way a gateway writes times. Data only: nothing is put into order by it."""

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from shared.adapter import http_date

_UNIX: Final = re.compile(r"[0-9]{9,10}(?:\.[0-9]{1,9})?|[0-9]{12,13}")
_SECONDS_DIGITS: Final = 10
_YEARS: Final = range(2000, 2200)


def moment_of(text: str | None, *, time_zone: str | None) -> datetime | None:
    """A moment in Unix seconds or milliseconds, by ISO 8601 or RFC 2822; None where it cannot be told.

    One without an offset is in that zone (an IANA name); without a zone nobody knows when it was.
    """
    text = (text or "").strip()
    try:
        moment = _unix(text) if _UNIX.fullmatch(text) else _written(text)
        if moment is None:
            return None
        if moment.tzinfo is None:
            if time_zone is None:
                return None
            moment = moment.replace(tzinfo=ZoneInfo(time_zone))
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year in _YEARS else None


def _unix(text: str) -> datetime:
    whole = text.partition(".")[0]
    seconds = float(text) if len(whole) <= _SECONDS_DIGITS else int(text) / 1000
    return datetime.fromtimestamp(seconds, UTC)


def _written(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return http_date(text) if "," in text else None
