"""What few used passwords call for: how sure one can be, what is done about it, and for how long."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.otp_conversion import Block, Conversion, State, block_time, judge, next_block, upper_bound

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize(
    ("sent", "verified", "bound"),
    [
        pytest.param(0, 0, 1.0, id="nothing known"),
        pytest.param(1, 0, 0.7935, id="one unused"),
        pytest.param(20, 0, 0.1611, id="twenty unused"),
        pytest.param(50, 5, 0.2136, id="five of fifty"),
        pytest.param(100, 50, 0.5962, id="half of a hundred"),
        pytest.param(10, 10, 1.0, id="all"),
    ],
)
def test_the_most_that_it_could_be(sent: int, verified: int, bound: float) -> None:
    """As tables of Wilson's interval have it."""
    assert upper_bound(Conversion(sent, verified)) == pytest.approx(bound, abs=5e-4)


@given(st.integers(1, 500), st.data())
def test_the_bound_is_above_the_share_and_falls_with_more_of_the_same(sent: int, data: st.DataObject) -> None:
    verified = data.draw(st.integers(0, sent))
    bound = upper_bound(Conversion(sent, verified))
    assert verified / sent <= bound <= 1
    assert upper_bound(Conversion(2 * sent, 2 * verified)) <= bound + 1e-12


@pytest.mark.parametrize(
    ("sent", "verified", "state"),
    [
        pytest.param(19, 0, State.FINE, id="too few to say"),
        pytest.param(20, 0, State.THROTTLED, id="twenty and none used"),
        pytest.param(20, 3, State.FINE, id="three of twenty"),
        pytest.param(49, 0, State.THROTTLED, id="one less than fifty"),
        pytest.param(50, 0, State.BLOCKED, id="fifty and none used"),
        pytest.param(50, 4, State.BLOCKED, id="four of fifty"),
        pytest.param(50, 5, State.THROTTLED, id="five of fifty"),
        pytest.param(200, 50, State.THROTTLED, id="a quarter of many"),
        pytest.param(200, 60, State.FINE, id="a little more"),
        pytest.param(200, 180, State.FINE, id="honest people"),
    ],
)
def test_what_it_calls_for(sent: int, verified: int, state: State) -> None:
    assert judge(Conversion(sent, verified), is_home=False) is state
    home = {State.BLOCKED: State.ALARMED, State.THROTTLED: State.FINE, State.FINE: State.FINE}
    assert judge(Conversion(sent, verified), is_home=True) is home[state]


@pytest.mark.parametrize(("level", "time"), [(0, HOUR), (1, HOUR), (2, 2 * HOUR), (5, 16 * HOUR), (99, 7 * DAY)])
def test_blocks_last_twice_as_long_each_time(level: int, time: timedelta) -> None:
    assert block_time(level) == time


def blocked(level: int = 1, *, until: datetime = NOW + HOUR, lifted_at: datetime | None = None) -> Block:
    return Block(State.BLOCKED, level, until, lifted_at)


THROTTLED = Block(State.THROTTLED, 0, NOW + HOUR)


@pytest.mark.parametrize(
    ("before", "state", "after"),
    [
        pytest.param(None, State.FINE, None, id="nothing to do"),
        pytest.param(None, State.THROTTLED, THROTTLED, id="throttled"),
        pytest.param(None, State.BLOCKED, blocked(), id="blocked at once"),
        pytest.param(None, State.ALARMED, Block(State.ALARMED, 0, NOW + DAY), id="told"),
        pytest.param(THROTTLED, State.THROTTLED, None, id="throttled already"),
        pytest.param(THROTTLED, State.BLOCKED, blocked(), id="from a throttle to a block"),
        pytest.param(THROTTLED, State.FINE, None, id="a throttle ends by itself"),
        pytest.param(blocked(), State.BLOCKED, None, id="blocked already"),
        pytest.param(blocked(), State.THROTTLED, None, id="a block is no less for that"),
        pytest.param(blocked(until=NOW), State.BLOCKED, blocked(2, until=NOW + 2 * HOUR), id="a second time"),
        pytest.param(blocked(3, until=NOW - DAY), State.BLOCKED, blocked(4, until=NOW + 8 * HOUR), id="a fourth"),
        pytest.param(blocked(3, until=NOW - 7 * DAY), State.BLOCKED, blocked(), id="after a quiet week"),
        pytest.param(blocked(3, lifted_at=NOW), State.BLOCKED, blocked(), id="after it was lifted"),
        pytest.param(
            blocked(2, until=NOW), State.THROTTLED, Block(State.THROTTLED, 2, NOW + HOUR), id="a throttle remembers"
        ),
    ],
)
def test_what_follows(before: Block | None, state: State, after: Block | None) -> None:
    assert next_block(before, state, now=NOW) == after
