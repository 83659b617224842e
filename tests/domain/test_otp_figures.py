"""Which hours of passwords are counted already, and the median of what was counted by the second."""

from datetime import UTC, datetime, timedelta
from random import Random
from statistics import median

import pytest

from shared.domain.otp_figures import HOUR, Span, Took, countable_until, hour_of, median_of, span_of

NINE = datetime(2026, 3, 1, 9, tzinfo=UTC)
HALF = timedelta(minutes=30)


@pytest.mark.parametrize(
    ("since", "until", "counted", "expected"),
    [
        pytest.param(NINE, NINE + 3 * HOUR, None, None, id="nothing is counted"),
        pytest.param(NINE, NINE + 3 * HOUR, NINE + 9 * HOUR, (0, 3), id="full hours"),
        pytest.param(NINE + HALF, NINE + 3.5 * HOUR, NINE + 9 * HOUR, (1, 3), id="both edges"),
        pytest.param(NINE, NINE + 3 * HOUR, NINE + HOUR, (0, 1), id="counted in part"),
        pytest.param(NINE, NINE + 3 * HOUR, NINE, None, id="counted up to there"),
        pytest.param(NINE + HALF, NINE + HALF + HALF, NINE + 9 * HOUR, None, id="no full hour"),
        pytest.param(
            datetime(9999, 12, 31, 23, 30, tzinfo=UTC), datetime.max.replace(tzinfo=UTC), NINE, None, id="no later hour"
        ),
        pytest.param(NINE + timedelta(microseconds=1), NINE + HOUR, NINE + 9 * HOUR, None, id="one microsecond"),
    ],
)
def test_span(since: datetime, until: datetime, counted: datetime | None, expected: tuple[int, int] | None) -> None:
    found = span_of(since, until, counted_until=counted)
    hours = (until, until) if expected is None else (NINE + expected[0] * HOUR, NINE + expected[1] * HOUR)
    assert found == Span(since, until, *hours)


def test_hours_are_those_of_the_epoch() -> None:
    assert hour_of(NINE + timedelta(minutes=59)) == NINE
    assert hour_of(datetime(1969, 12, 31, 23, 30, tzinfo=UTC)) == datetime(1969, 12, 31, 23, tzinfo=UTC)
    assert countable_until(NINE + 2 * HOUR + HALF) == NINE


def test_median() -> None:
    assert median_of([]) is None
    assert median_of([Took(4, 1, 4.25)]) == 4.25
    assert median_of([Took(9, 1, 9.5), Took(4, 1, 4.5)]) == 7.0
    times = [Random(7).expovariate(0.03) for _ in range(1_001)]
    seconds = {int(time) for time in times}
    took = [
        Took(second, len(inside), sum(inside))
        for second in seconds
        for inside in [[time for time in times if int(time) == second]]
    ]
    found = median_of(took)
    assert found is not None
    assert abs(found - median(times)) < 1
