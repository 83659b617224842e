"""Limits as they are usual, as an operator sets them, and what an address is counted by."""

import pytest

from shared.domain.otp_limits import USUAL, InvalidAddress, Scope, limits_of, read_address
from shared.domain.speed import Speed

ONE = [{"count": 1, "seconds": 60}]


def test_usual() -> None:
    limits = limits_of({}, {})
    assert dict(limits.speeds) == dict(USUAL)
    assert all(len(speeds) > 1 for speeds in limits.speeds.values()), "each stops a burst and a slow drip"


def test_the_deployment_s_and_then_the_profile_s() -> None:
    deployment = {"number": ONE, "ip": ONE, "hour_segments": 7, "failures": 9}
    limits = limits_of(deployment, {"ip": [{"count": 2, "seconds": 60}]})
    assert limits.speeds[Scope.NUMBER] == (Speed(1, 60),)
    assert limits.speeds[Scope.IP] == (Speed(2, 60),)
    assert limits.speeds[Scope.PREFIX] == USUAL[Scope.PREFIX]
    assert (limits.hour_segments, limits.failures) == (7, 9)


def test_a_profile_does_not_change_what_is_everybody_s() -> None:
    """Neither the deployment's speeds nor what may be spent."""
    limits = limits_of({}, {"deployment": ONE, "hour_segments": 1_000_000, "failures": 1_000})
    assert limits == limits_of({}, {})


@pytest.mark.parametrize(
    ("raw", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        (" 203.0.113.7 ", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:0001:0002::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("10.0.0.9", "10.0.0.9"),
    ],
)
def test_an_address_is_counted_by_its_subscriber(raw: str, counted: str) -> None:
    assert read_address(raw) == counted


@pytest.mark.parametrize(
    "raw", ["", "host", "203.0.113.7:80", "203.0.113.0/24", "1.2.3", "[::1]", "\u0661.\u0661.\u0661.\u0661"]
)
def test_no_address(raw: str) -> None:
    with pytest.raises(InvalidAddress):
        read_address(raw)
