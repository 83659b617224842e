"""Ids that tell the time: fresh ones sort by it, derived ones are the same however often they are asked for."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.ids import derived_uuid7, first_uuid7, time_of, uuid7

AT = datetime(2026, 3, 14, 15, 9, 26, 535_897, tzinfo=UTC)
MOMENTS = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(9999, 12, 31),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)
POSITIONS = st.integers(0, (1 << 26) - 1)


@given(MOMENTS)
def test_tells_its_time_to_the_millisecond(at: datetime) -> None:
    told = time_of(uuid7(at))
    assert timedelta() <= at - told < timedelta(milliseconds=1)


@given(MOMENTS, POSITIONS, st.binary(max_size=64))
def test_is_a_uuid_of_version_7(at: datetime, position: int, material: bytes) -> None:
    for id_ in (uuid7(at), derived_uuid7(at, position=position, material=material), first_uuid7(at)):
        assert id_.version == 7
        assert id_.variant == "specified in RFC 4122"


def test_moment_counts_not_its_zone() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert first_uuid7(AT) == first_uuid7(elsewhere)


def test_fresh_ones_of_one_millisecond_are_in_the_order_they_were_made() -> None:
    ids = [uuid7(at) for _ in range(1000) for at in (AT, AT + timedelta(seconds=1))]  # in turns, as requests overlap
    assert ids[::2] == sorted(ids[::2])
    assert ids[1::2] == sorted(ids[1::2])


def test_a_moment_that_is_still_asked_for_is_not_forgotten() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    made = []
    for others in range(200):
        made.append(uuid7(at))
        for place in range(20):
            uuid7(at + timedelta(milliseconds=1 + others * 20 + place))
    assert made == sorted(made)


def test_fresh_ones_differ() -> None:
    assert len({uuid7(AT) for _ in range(1000)}) == 1000


def test_fresh_one_is_of_now() -> None:
    before = datetime.now(UTC)
    assert abs(time_of(uuid7()) - before) < timedelta(seconds=5)


@given(MOMENTS, POSITIONS, st.binary(max_size=64))
def test_derived_one_is_the_same_again(at: datetime, position: int, material: bytes) -> None:
    assert derived_uuid7(at, position=position, material=material) == derived_uuid7(
        at, position=position, material=bytes(material)
    )


@given(st.lists(POSITIONS, min_size=2, max_size=20, unique=True), st.binary(max_size=16))
def test_derived_ones_sort_by_position(positions: list[int], material: bytes) -> None:
    made = [derived_uuid7(AT, position=position, material=material) for position in sorted(positions)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize(
    ("other", "differs_in"),
    [
        pytest.param(derived_uuid7(AT, position=1, material=b"b"), "material", id="material"),
        pytest.param(derived_uuid7(AT, position=2, material=b"a"), "position", id="position"),
        pytest.param(derived_uuid7(AT + timedelta(milliseconds=1), position=1, material=b"a"), "time", id="time"),
    ],
)
def test_derived_one_differs_with_each_of_the_three(other: UUID, differs_in: str) -> None:
    assert derived_uuid7(AT, position=1, material=b"a") != other, differs_in


@pytest.mark.parametrize("position", [-1, 1 << 26], ids=["negative", "too large"])
def test_position_beyond_its_bits_is_refused(position: int) -> None:
    with pytest.raises(ValueError, match=r"position must be in 0\.\."):
        derived_uuid7(AT, position=position, material=b"")


@given(MOMENTS, POSITIONS)
def test_first_one_bounds_its_moment(at: datetime, position: int) -> None:
    first = first_uuid7(at)
    assert first <= uuid7(at)
    assert first <= derived_uuid7(at, position=position, material=b"x")
    if at.year < 9999:
        assert uuid7(at) < first_uuid7(at + timedelta(milliseconds=1))
