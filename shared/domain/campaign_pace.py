"""A campaign's own pace: so many messages a minute, however many the gateways would take. Pure."""

from typing import Final

FASTEST: Final = 100_000
# A minute's messages are made in so many portions: few enough to be cheap, and none of them a wave.
_PORTIONS: Final = 12


def slice_of(per_minute: int | None) -> int | None:
    """How many recipients get their message at once; None without a pace."""
    return None if per_minute is None else max(1, per_minute // _PORTIONS)


def seconds_of(messages: int, *, per_minute: int | None) -> float:
    """How long so many messages take by the pace alone."""
    return 0.0 if per_minute is None else 60.0 * messages / per_minute
