"""The country that numbers without a country code belong to: the request's, else the deployment's."""

from shared.domain.msisdn import UnknownRegion, parse_region


def region_of(asked: str | None, setting: str | None) -> str | None:
    """The region to read numbers with; a wrong one is told as itself, not as the fault of a number."""
    try:
        region = asked or setting
        return parse_region(region) if region else None
    except UnknownRegion as refusal:
        if asked:
            raise refusal.at("/default_region") from None
        raise UnknownRegion(
            "The deployment's LAPWING_DEFAULT_REGION is not a known country; give default_region with the request, "
            "or have the setting mended.",
            pointer="/default_region",
        ) from None
