"""When a voucher is nearly used by its time, and whom that is told of."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.message import Status
from shared.domain.voucher import Verdict, judge, nearly_used_at

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lasts", "before"),
    [
        pytest.param(timedelta(hours=1), timedelta(minutes=6), id="an hour"),
        pytest.param(timedelta(days=1), timedelta(hours=2, minutes=24), id="a day"),
        pytest.param(timedelta(days=10), timedelta(days=1), id="ten days"),
        pytest.param(timedelta(days=365), timedelta(days=1), id="a year"),
    ],
)
def test_last_tenth_and_a_day_at_most(lasts: timedelta, before: timedelta) -> None:
    assert nearly_used_at(NOW + lasts, begins=NOW) == NOW + lasts - before


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        pytest.param([], Verdict.FORGET, id="no longer kept"),
        pytest.param([Status.FAILED, Status.DELIVERED], Verdict.TELL, id="sent again"),
        pytest.param([Status.UNCONFIRMED, Status.QUEUED], Verdict.TELL, id="may have it"),
        pytest.param([Status.FAILED, Status.QUEUED], Verdict.WAIT, id="on its way again"),
    ],
)
def test_two_messages_of_one_voucher(statuses: list[Status], verdict: Verdict) -> None:
    assert judge(statuses, valid_until=NOW + timedelta(hours=1), now=NOW) is verdict


TOLD = {Status.SUBMITTED, Status.SENT, Status.DELIVERED, Status.UNCONFIRMED}
AWAITED = {Status.QUEUED, Status.SENDING}


@pytest.mark.parametrize("status", Status)
def test_every_status(status: Status) -> None:
    expected = Verdict.TELL if status in TOLD else Verdict.WAIT if status in AWAITED else Verdict.FORGET
    assert judge([status], valid_until=NOW + timedelta(hours=1), now=NOW) is expected
    assert judge([status], valid_until=NOW, now=NOW) is Verdict.FORGET  # what is over is not nearly used
