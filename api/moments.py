"""Which moments a message may be sent at: neither in the past nor out of sight."""

from datetime import datetime, timedelta
from typing import Final

# A dispatcher claims what is due now; a moment this far back is a slip of the clock, not of the pen.
PAST: Final = timedelta(seconds=60)
LONGEST_AHEAD: Final = timedelta(days=365)


def find_past(field: str, moment: datetime | None, *, now: datetime) -> str | None:
    """What is wrong with a moment that has gone by; None while it has not."""
    if moment is None or now - moment <= PAST:
        return None
    return f"{field} {moment.isoformat()} is in the past; name a time ahead, or leave it out."


def find_too_far(field: str, moment: datetime | None, *, now: datetime) -> str | None:
    """What is wrong with a moment that is too far ahead; None for any other."""
    if moment is None or moment - now <= LONGEST_AHEAD:
        return None
    return f"{field} is more than {LONGEST_AHEAD.days} days ahead; name an earlier one."
