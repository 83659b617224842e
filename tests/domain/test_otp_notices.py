"""What an operator is told about passwords, once, at the right moment."""

from datetime import timedelta
from uuid import UUID

import pytest

from shared.domain.notice import Kind
from shared.domain.otp_conversion import Conversion
from shared.domain.otp_limits import limits_of
from shared.domain.otp_notices import Booked, Failures, alarmed, blocked, guessing, is_alarming, of_spending

LIMITS = limits_of({"hour_segments": 10, "day_segments": 100}, {})
NEAR, REACHED = Kind.OTP_SPEND_NEAR, Kind.OTP_SPEND_REACHED


@pytest.mark.parametrize(
    ("booked", "segments", "kinds"),
    [
        pytest.param(Booked(1, 1), 1, [], id="the first"),
        pytest.param(Booked(7, 7), 1, [], id="not near"),
        pytest.param(Booked(8, 8), 1, [NEAR], id="near"),
        pytest.param(Booked(9, 9), 1, [], id="near, and told already"),
        pytest.param(Booked(10, 10), 1, [REACHED], id="reached"),
        pytest.param(Booked(9, 9), 2, [REACHED], id="the next of that size would not fit"),
        pytest.param(Booked(1, 80), 1, [NEAR], id="near a day's"),
        pytest.param(Booked(10, 100), 1, [REACHED, REACHED], id="both at once"),
    ],
)
def test_spending(booked: Booked, segments: int, kinds: list[Kind]) -> None:
    assert [notice.kind for notice in of_spending(booked, segments=segments, limits=LIMITS)] == kinds


def test_a_cap_is_told_once_on_the_way_up() -> None:
    told = [n.kind for spent in range(1, 11) for n in of_spending(Booked(spent, spent), segments=1, limits=LIMITS)]
    assert told == [NEAR, REACHED]


@pytest.mark.parametrize(
    ("failures", "alarming"),
    [
        (Failures(100, 60, 50), True),
        (Failures(100, 50, 50), True),
        (Failures(100, 49, 49), False),
        (Failures(1000, 400, 300), False),
        (Failures(0, 0, 0), False),
    ],
)
def test_guessing_across_numbers(failures: Failures, *, alarming: bool) -> None:
    assert is_alarming(failures) is alarming


def test_words() -> None:
    conversion = Conversion(50, 2)
    told = blocked(UUID(int=1), scope="prefix", value="+4477009", conversion=conversion, time=timedelta(hours=2))
    assert "Of the last 50 passwords to the prefix +4477009, 2 were used" in told.text
    assert "for 2 hours" in told.text
    home = alarmed(UUID(int=1), scope="country", value="GB", conversion=conversion)
    assert "nothing is stopped" in home.text
    assert "60 of 100 codes were wrong, for 50 numbers" in guessing(Failures(100, 60, 50)).text
