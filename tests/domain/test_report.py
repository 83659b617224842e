"""The arithmetic of a report: recipients times messages is the sum over all statuses, made or not made yet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.campaign import StepStatus
from shared.domain.message import OPEN, Status
from shared.domain.report import CHARGEABLE, Counted, add_up, count_step, segments_of

COUNTED = st.lists(st.builds(Counted, st.sampled_from(Status), st.integers(0, 1000), st.integers(0, 3000)), max_size=20)


@given(COUNTED, st.sampled_from(StepStatus), st.integers(0, 500))
def test_adds_up_to_the_recipients(counted: list[Counted], status: StepStatus, unmade: int) -> None:
    expanded = sum(one.messages for one in counted)
    counts = count_step(counted, status=status, recipients=expanded + unmade, expanded=expanded)
    assert set(counts) == set(Status)
    assert sum(counts.values()) == expanded + unmade


@pytest.mark.parametrize(
    ("status", "counted_as"),
    [
        pytest.param(status, Status.CANCELLED if status is StepStatus.CANCELLED else Status.QUEUED, id=status.value)
        for status in StepStatus
    ],
)
def test_who_has_no_message_yet(status: StepStatus, counted_as: Status) -> None:
    counts = count_step([], status=status, recipients=7, expanded=0)
    assert counts[counted_as] == sum(counts.values()) == 7


@pytest.mark.parametrize("status", Status)
def test_segments_that_may_be_charged(status: Status) -> None:
    charged = segments_of([Counted(status, 2, 6)])
    assert charged == (6 if status in CHARGEABLE else 0)


def test_nothing_is_charged_that_no_gateway_was_given() -> None:
    assert Status.UNCONFIRMED in CHARGEABLE
    assert Status.SENDING in CHARGEABLE
    assert not CHARGEABLE & {
        Status.FAILED,
        Status.SKIPPED,
        Status.EXPIRED,
        Status.CANCELLED,
        *(OPEN - {Status.SENDING}),
    }


@given(st.lists(COUNTED, max_size=5))
def test_whole_campaign_is_the_sum_of_its_steps(steps: list[list[Counted]]) -> None:
    each = [count_step(one, status=StepStatus.SENDING, recipients=0, expanded=0) for one in steps]
    total = add_up(each)
    assert set(total) == set(Status)
    assert total == {status: sum(counts[status] for counts in each) for status in Status}
