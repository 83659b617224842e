"""How often within how long: what fits, how long the next one waits, and that both counters say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.speed import Counted, Speed, counted_once_more, rolled, seconds_to_wait

SPEED = Speed(5, 600)


@pytest.mark.parametrize(
    ("counted", "at", "wait"),
    [
        pytest.param(Counted(1, 0, 0), 600, 0, id="nothing yet"),
        pytest.param(Counted(1, 4, 0), 600, 0, id="the last one that fits"),
        pytest.param(Counted(1, 5, 0), 600, 720, id="full: until a fifth of it has faded in the next window"),
        pytest.param(Counted(1, 5, 0), 1199, 121, id="full, at its end"),
        pytest.param(Counted(1, 0, 5), 600, 120, id="the last window was full"),
        pytest.param(Counted(1, 0, 5), 720, 0, id="and has faded by a fifth"),
        pytest.param(Counted(1, 1, 5), 840, 0, id="by two fifths, one taken"),
        pytest.param(Counted(1, 2, 5), 840, 120, id="two taken"),
    ],
)
def test_waits(counted: Counted, at: float, wait: float) -> None:
    assert seconds_to_wait(counted, SPEED, at=at) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("counted", "at", "after"),
    [
        pytest.param(Counted(1, 3, 2), 700, Counted(1, 3, 2), id="the same window"),
        pytest.param(Counted(1, 3, 2), 1200, Counted(2, 0, 3), id="the next one"),
        pytest.param(Counted(1, 3, 2), 1800, Counted(3, 0, 0), id="one between them"),
        pytest.param(Counted(5, 3, 2), 1200, Counted(5, 3, 2), id="a clock that is behind"),
    ],
)
def test_windows(counted: Counted, at: float, after: Counted) -> None:
    assert rolled(counted, SPEED, at=at) == after


moments = st.lists(st.floats(min_value=0, max_value=400), min_size=1, max_size=80).map(sorted)


@given(moments, st.integers(1, 6), st.integers(1, 60))
def test_never_more_than_twice_the_count_and_rarely_more_than_it(times: list[float], count: int, seconds: int) -> None:
    """No window of the clock ever holds more than its count; who waits as told is served."""
    speed, counted, taken = Speed(count, seconds), Counted(), []
    for at in times:
        counted = rolled(counted, speed, at=at)
        wait = seconds_to_wait(counted, speed, at=at)
        if wait == 0:
            counted = counted_once_more(counted)
            taken.append(at)
        else:
            later = at + wait + 1e-6 * seconds
            assert seconds_to_wait(rolled(counted, speed, at=later), speed, at=later) == 0
    for window in {int(at // seconds) for at in taken}:
        assert sum(int(at // seconds) == window for at in taken) <= count
