"""The country that numbers without a country code belong to: the request's, else the deployment's."""

from shared.domain.msisdn import UnknownRegion, parse_region


def region_of(asked: str | None, setting: str | None) -> str | None:
    """The region to read numbers with; a wrong one is told as itself, not as the fault of a number."""
    try:
        return parse_region(asked) if asked else setting
    except UnknownRegion as refusal:
        raise refusal.at("/default_region") from None
