"""Pace: what is granted over any ten seconds, however it is asked for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.pace import AHEAD_SECONDS, BURST_SECONDS, SLICE_SECONDS, Bucket, Pace, kept_for_urgent, slice_of

WINDOW = 10.0


@pytest.mark.parametrize(
    ("settings", "pace"),
    [
        (None, None),
        ({}, None),
        ({"segments_per_second": None, "in_flight": None}, None),
        ({"segments_per_second": 10}, Pace(10.0, None)),
        ({"in_flight": 5}, Pace(None, 5)),
        ({"segments_per_second": 0.5, "in_flight": 1}, Pace(0.5, 1)),
    ],
)
def test_pace_of_a_row(settings: dict[str, float] | None, pace: Pace | None) -> None:
    assert Pace.of(settings) == pace


@pytest.mark.parametrize(
    ("pace", "among", "share"),
    [
        (Pace(10.0, 10), 1, Pace(10.0, 10)),
        (Pace(10.0, 10), 4, Pace(2.5, 2)),
        (Pace(1.0, 1), 3, Pace(1 / 3, 1)),
        (Pace(None, 8), 0, Pace(None, 8)),
    ],
)
def test_share_of_one_among_many(pace: Pace, among: int, share: Pace) -> None:
    assert pace.share(among) == share


@pytest.mark.parametrize(("requests", "kept"), [(0, 0), (1, 0), (2, 1), (10, 1), (11, 2), (100, 10)])
def test_requests_kept_for_urgent(requests: int, kept: int) -> None:
    assert kept_for_urgent(requests) == kept


@pytest.mark.parametrize(("rate", "among", "size"), [(1, 1, 1), (1000, 1, 50), (1000, 2, 25), (0, 1, 1), (10, 0, 1)])
def test_slices_are_small(rate: float, among: int, size: int) -> None:
    assert slice_of(rate, among) == size


def test_what_nobody_used_is_not_kept() -> None:
    bucket = Bucket(100)
    granted = bucket.take(1000, now=1000.0) + bucket.take(1000, now=1000.0)
    assert granted == 11  # 100 a second for 0.1 s, and the one that is due
    assert bucket.take(1000, now=1000.0) == 0
    assert bucket.wait(now=1000.0) == pytest.approx(0.01)
    assert bucket.take(1000, now=1000.01) == 1


def test_urgent_goes_ahead_and_campaigns_pay() -> None:
    bucket = Bucket(100)
    while bucket.take(1000, now=5.0):
        pass
    assert bucket.take(1000, now=5.0, ahead=AHEAD_SECONDS) in {4, 5}
    assert bucket.take(1, now=5.0 + AHEAD_SECONDS / 2) == 0
    assert bucket.take(1, now=5.0 + AHEAD_SECONDS + 0.02) == 1


@given(
    rate=st.floats(0.5, 5_000),
    asked=st.lists(
        st.tuples(st.floats(0, 3), st.integers(0, 3_000), st.sampled_from([0.0, AHEAD_SECONDS])), max_size=60
    ),
)
def test_any_ten_seconds_keep_the_pace(rate: float, asked: list[tuple[float, int, float]]) -> None:
    """To 2 %, slices that wait for their use included, and one segment for the grain of it."""
    bucket, now = Bucket(rate), 100.0
    granted: list[tuple[float, int]] = []
    for pause, wanted, ahead in asked:
        now += pause
        granted.append((now, bucket.take(wanted, now=now, ahead=ahead)))
    most = rate * (WINDOW + BURST_SECONDS + AHEAD_SECONDS) + 1.001
    for begin, _ in granted:
        assert sum(count for at, count in granted if begin <= at < begin + WINDOW) <= most
    assert (BURST_SECONDS + AHEAD_SECONDS + SLICE_SECONDS) / WINDOW <= 0.02


def test_full_speed_is_the_pace() -> None:
    bucket = Bucket(70)
    granted = sum(bucket.take(10, now=50 + turn / 50) for turn in range(50 * 20))
    assert granted == pytest.approx(70 * 20, abs=70 * BURST_SECONDS + 2)
