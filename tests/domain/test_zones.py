"""Where a recipient's clock hangs: contact, then location, then number."""

import pytest

from shared.domain.zones import zones_of


@pytest.mark.parametrize(
    ("msisdn", "own", "location", "fallback", "zones"),
    [
        pytest.param("+27711234567", "Europe/Berlin", "Asia/Tokyo", None, ("Europe/Berlin",), id="the contact's own"),
        pytest.param("+27711234567", None, "Asia/Tokyo", None, ("Asia/Tokyo",), id="the location's"),
        pytest.param("+27711234567", "Mars/Base", None, None, ("Africa/Johannesburg",), id="one that is none"),
        pytest.param("+27711234567", None, None, "Asia/Tokyo", ("Africa/Johannesburg",), id="the number's"),
        pytest.param("+12025550142", None, None, None, ("America/New_York",), id="the area code's"),
        pytest.param("+88216123456", None, None, "Asia/Tokyo", ("Asia/Tokyo",), id="no country: the operator's"),
        pytest.param("+88216123456", None, None, None, ("UTC",), id="no country, no operator"),
    ],
)
def test_zones_of(msisdn: str, own: str | None, location: str | None, fallback: str | None, zones: object) -> None:
    assert zones_of(msisdn, own=own, location=location, fallback=fallback) == zones


def test_a_country_of_many_zones_has_all_of_them() -> None:
    zones = zones_of("+61491570156", own=None, location=None, fallback=None)
    assert {"Australia/Perth", "Australia/Sydney"} <= set(zones)
