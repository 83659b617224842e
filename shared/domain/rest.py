"""When somebody may be disturbed, by the windows that count and the clocks that the policy knows. Pure."""

from datetime import datetime

from shared.domain.policy import Policy
from shared.domain.quiet_hours import QuietWindow, next_open
from shared.domain.zones import zones_of

# The number, the zone that its contact named, the location.
Recipient = tuple[str, str | None, str | None]


def first_open(
    policy: Policy, windows: tuple[QuietWindow, ...], recipient: Recipient, moment: datetime
) -> datetime | None:
    """The first moment, this one (to the second) or later, that no window holds; None if there is none in a week."""
    msisdn, own, location_id = recipient
    zones = zones_of(
        msisdn,
        own=own,
        location=None if location_id is None else policy.location_time_zones.get(location_id),
        fallback=policy.time_zone,
    )
    return next_open(windows, zones, moment.replace(microsecond=0))
