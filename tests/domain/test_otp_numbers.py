"""Whom a password may be sent to."""

import pytest

from shared.domain.msisdn import InvalidMsisdn
from shared.domain.otp_numbers import (
    InvalidTestNumber,
    OtpCountryNotAllowed,
    allowed_countries,
    check_country,
    check_reachable,
    check_test_number,
    country_of,
    prefix_of,
)


@pytest.mark.parametrize(
    "msisdn",
    [
        pytest.param("+447700900123", id="mobile"),
        pytest.param("+12025550142", id="a plan that does not tell mobiles from landlines"),
    ],
)
def test_reachable(msisdn: str) -> None:
    check_reachable(msisdn)


@pytest.mark.parametrize(
    "msisdn",
    [
        pytest.param("+442079460018", id="landline"),
        pytest.param("+449098790000", id="premium rate"),
        pytest.param("+448081570000", id="toll free"),
        pytest.param("+448431570000", id="shared cost"),
        pytest.param("+445600000000", id="internet telephony"),
        pytest.param("+447640123456", id="pager"),
        pytest.param("+447010000000", id="personal number"),
        pytest.param("+443001234567", id="company number"),
        pytest.param("+999123456789", id="no plan"),
    ],
)
def test_not_reachable(msisdn: str) -> None:
    with pytest.raises(InvalidMsisdn, match="mobile numbers only"):
        check_reachable(msisdn)


@pytest.mark.parametrize(
    ("allowed", "msisdn", "may"),
    [
        pytest.param((), "+447700900123", True, id="no list"),
        pytest.param(("GB",), "+447700900123", True, id="on the list"),
        pytest.param(("GB", "FR"), "+33639980123", True, id="on a longer one"),
        pytest.param(("FR",), "+447700900123", False, id="not on it"),
        pytest.param(("US",), "+881612345678", False, id="of no country"),
    ],
)
def test_countries(allowed: tuple[str, ...], msisdn: str, *, may: bool) -> None:
    if may:
        check_country(msisdn, frozenset(allowed))
        return
    with pytest.raises(OtpCountryNotAllowed, match=allowed[0]):
        check_country(msisdn, frozenset(allowed))


@pytest.mark.parametrize(
    ("listed", "region", "deployment", "allowed"),
    [
        pytest.param(["GB", "FR"], "ZA", "US", {"GB", "FR"}, id="the list decides"),
        pytest.param(None, "ZA", "US", {"ZA"}, id="the profile's country"),
        pytest.param(None, None, "US", {"US"}, id="the deployment's"),
        pytest.param(None, None, None, set(), id="nobody named one"),
    ],
)
def test_who_names_the_countries(
    listed: list[str] | None, region: str | None, deployment: str | None, allowed: set[str]
) -> None:
    assert allowed_countries(listed, region=region, deployment=deployment) == allowed


def test_country_and_prefix() -> None:
    assert (country_of("+447700900123"), country_of("+881612345678")) == ("GB", "001")
    assert prefix_of("+447700900123") == "+44770090"


@pytest.mark.parametrize("msisdn", ["+447700900123", "+12025550142", "+15551234567", "+33639980123"])
def test_test_numbers_are_fiction(msisdn: str) -> None:
    check_test_number(msisdn)


@pytest.mark.parametrize("msisdn", ["+12025550200", "+12125550100"[:-4] + "9999", "+447700901000"])
def test_numbers_that_somebody_may_have(msisdn: str) -> None:
    with pytest.raises(InvalidTestNumber):
        check_test_number(msisdn)
