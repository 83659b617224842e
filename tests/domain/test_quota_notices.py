"""The quota's news: most of a period is used, all of it is, and what makes it news again."""

from datetime import date

import pytest

from shared.domain.notice import Kind, Severity
from shared.domain.quota import Limit, Period
from shared.domain.quota_notices import QUOTA, SAME, of_limits

TODAY = date(2026, 3, 14)
LOW, EXHAUSTED = Kind.QUOTA_LOW, Kind.QUOTA_EXHAUSTED


@pytest.mark.parametrize(
    ("granted", "used", "kinds"),
    [
        pytest.param(10, 0, [], id="untouched"),
        pytest.param(10, 7, [], id="below four fifths"),
        pytest.param(10, 8, [LOW], id="four fifths"),
        pytest.param(10, 9, [LOW], id="one left"),
        pytest.param(10, 10, [EXHAUSTED], id="all"),
        pytest.param(10, 12, [EXHAUSTED], id="more than all, for a grant was taken back"),
        pytest.param(0, 0, [EXHAUSTED], id="everything was taken back"),
        pytest.param(1, 0, [], id="a single one"),
    ],
)
def test_what_is_told(granted: int, used: int, kinds: list[Kind]) -> None:
    assert [one.kind for one in of_limits([Limit(Period.TOTAL, granted, used)], today=TODAY)] == kinds


def test_each_period_tells_for_itself() -> None:
    limits = [Limit(Period.TOTAL, 1_000, 10), Limit(Period.DAY, 10, 10), Limit(Period.MONTH, 100, 90)]
    day, month = of_limits(limits, today=TODAY)
    assert (day.kind, day.severity, day.subject) == (EXHAUSTED, Severity.CRITICAL, QUOTA)
    assert (month.kind, month.severity, month.subject) == (LOW, Severity.WARNING, QUOTA)
    assert day.data == {"period": "day", "since": "2026-03-14", "granted": 10, "used": 10, "available": 0}
    assert month.data["since"] == "2026-03-01"
    assert "until the next day begins" in day.text
    assert "10 are left" in month.text


def test_the_sum_of_all_begins_never_anew() -> None:
    (all_used,) = of_limits([Limit(Period.TOTAL, 5, 5)], today=TODAY)
    assert all_used.data["since"] is None
    assert "until" not in all_used.text


def test_a_new_day_and_a_new_grant_are_news() -> None:
    """And another unit that is used is none."""

    def news(used: int, *, granted: int = 10, today: date = TODAY) -> dict[str, object]:
        (one,) = of_limits([Limit(Period.DAY, granted, used)], today=today)
        return {name: one.data[name] for name in SAME}

    assert news(8) == news(9)
    assert news(8) != news(8, today=date(2026, 3, 15))
    assert news(8) != news(16, granted=20)
