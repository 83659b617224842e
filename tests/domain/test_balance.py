"""Credit at a gateway: every reading has a state, every crossing is told once."""

from datetime import timedelta
from decimal import Decimal
from itertools import product
from typing import Any
from uuid import UUID

import pytest

from shared.domain.balance import (
    FAILURES_TOLD,
    OUTLIVED_AFTER,
    Check,
    State,
    check_of,
    crossing,
    is_outlived,
    is_told,
    notice_of,
    state_of,
    storable,
    unreadable,
    used_again,
    wait_before_next,
    why_empty,
)
from shared.domain.notice import Kind, Severity

HOUR = timedelta(hours=1)
GATEWAY = UUID(int=1)


def check(warn: str | None = "25", stop: str | None = "5", **over: Any) -> Check:
    minimum, floor = (None if limit is None else Decimal(limit) for limit in (warn, stop))
    return Check(HOUR, minimum, floor, **over)


@pytest.mark.parametrize(
    ("amount", "limits", "state"),
    [
        pytest.param("25", check(), State.OK, id="at the minimum"),
        pytest.param("24.9999", check(), State.LOW, id="a hair below the minimum"),
        pytest.param("5", check(), State.LOW, id="at the floor"),
        pytest.param("4.9999", check(), State.EMPTY, id="a hair below the floor"),
        pytest.param("0", check(), State.EMPTY, id="nothing left"),
        pytest.param("-3.5", check(), State.EMPTY, id="debts"),
        pytest.param("-3.5", check("0", None), State.LOW, id="debts, and no floor"),
        pytest.param("-0.01", check(None, "0"), State.EMPTY, id="debts, and a floor of nothing"),
        pytest.param("-50", check("-40", "-90"), State.LOW, id="limits below nothing, where there is credit"),
        pytest.param("1000000", check(), State.OK, id="a post-paid account, which always says this"),
        pytest.param("0", check(None, None), State.OK, id="no limits"),
        pytest.param("0", check(enabled=False), State.UNKNOWN, id="not watched"),
        pytest.param("0", None, State.UNKNOWN, id="no check"),
        pytest.param(None, check(), State.UNKNOWN, id="never read"),
    ],
)
def test_state(amount: str | None, limits: Check | None, state: State) -> None:
    read = None if amount is None else Decimal(amount)
    assert state_of(read, limits) is state
    assert (why_empty(read, "USD", limits) is not None) is (state is State.EMPTY)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(State.UNKNOWN, State.OK, None, id="first reading, all is well"),
        pytest.param(State.UNKNOWN, State.LOW, Kind.BALANCE_LOW, id="low from the start"),
        pytest.param(State.UNKNOWN, State.EMPTY, Kind.BALANCE_EMPTY, id="empty from the start"),
        pytest.param(State.OK, State.LOW, Kind.BALANCE_LOW, id="below the minimum"),
        pytest.param(State.OK, State.EMPTY, Kind.BALANCE_EMPTY, id="below both at once"),
        pytest.param(State.LOW, State.EMPTY, Kind.BALANCE_EMPTY, id="below the floor, too"),
        pytest.param(State.EMPTY, State.LOW, Kind.BALANCE_LOW, id="used again, but low"),
        pytest.param(State.LOW, State.OK, Kind.BALANCE_RECOVERED, id="topped up"),
        pytest.param(State.EMPTY, State.OK, Kind.BALANCE_RECOVERED, id="topped up from nothing"),
    ],
)
def test_crossing(before: State, after: State, told: Kind | None) -> None:
    assert crossing(before, after) is told


def test_every_pair_has_an_answer_and_standing_still_is_no_news() -> None:
    silent = {pair for pair in product(State, State) if crossing(*pair) is None}
    still = {(one, one) for one in State}
    unwatched = {(one, State.UNKNOWN) for one in State}
    assert silent == still | unwatched | {(State.UNKNOWN, State.OK)}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        pytest.param("0.05", "0.05", id="as it is"),
        pytest.param("-12.3456", "-12.3456", id="debts"),
        pytest.param("1E+6", "1000000", id="an exponent"),
        pytest.param("24.99999999", "24.999999", id="too fine, and never rounded up"),
        pytest.param("-0.00000001", "-0.000001", id="too fine, below nothing"),
        pytest.param("1E-999999", "0.000000", id="far too fine"),
        pytest.param("NaN", None, id="no number"),
        pytest.param("sNaN", None, id="a number that shouts"),
        pytest.param("Infinity", None, id="endless"),
        pytest.param("1E+15", None, id="beyond belief"),
        pytest.param("-1E+999999", None, id="beyond belief, below nothing"),
        pytest.param("9" * 60, None, id="digits without end"),
    ],
)
def test_storable(said: str, kept: str | None) -> None:
    found = storable(Decimal(said))
    assert found == (None if kept is None else Decimal(kept))
    assert found is None or state_of(found, check()) in State


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        pytest.param(None, None, id="none"),
        pytest.param({}, None, id="nothing in it"),
        pytest.param(
            {"every_minutes": 1440, "warn_below": "0.1234", "stop_below": "0.0001", "email": ["a@example.com"]},
            Check(timedelta(days=1), Decimal("0.1234"), Decimal("0.0001"), ("a@example.com",)),
            id="all of it, four decimals",
        ),
        pytest.param({"every_minutes": 1, "warn_below": None}, Check(timedelta(minutes=5)), id="of an older version"),
        pytest.param({"enabled": False}, Check(HOUR, enabled=False), id="switched off"),
    ],
)
def test_check_as_it_is_stored(stored: dict[str, Any] | None, read: Check | None) -> None:
    assert check_of(stored) == read


@pytest.mark.parametrize(
    ("limits", "failures", "wait"),
    [
        pytest.param(check(), 0, HOUR, id="read"),
        pytest.param(check(), 1, timedelta(minutes=5), id="failed once"),
        pytest.param(check(), 2, timedelta(minutes=10), id="failed twice"),
        pytest.param(check(), 30_000, HOUR, id="fails for months"),
        pytest.param(check(enabled=False), 0, None, id="not watched"),
        pytest.param(None, 3, None, id="no check"),
    ],
)
def test_wait(limits: Check | None, failures: int, wait: timedelta | None) -> None:
    assert wait_before_next(limits, failures=failures) == wait


def test_failures_are_told_once_a_streak() -> None:
    assert [is_told(check(), failures=count) for count in range(6)] == [count == FAILURES_TOLD for count in range(6)]
    assert FAILURES_TOLD > 1
    assert not is_told(check(enabled=False), failures=FAILURES_TOLD)


@pytest.mark.parametrize(
    ("kind", "severity", "words"),
    [
        pytest.param(Kind.BALANCE_LOW, Severity.WARNING, "below 25 USD", id="low"),
        pytest.param(Kind.BALANCE_EMPTY, Severity.CRITICAL, "below 5 USD", id="empty"),
        pytest.param(Kind.BALANCE_RECOVERED, Severity.INFO, "above its limits", id="recovered"),
    ],
)
def test_words(kind: Kind, severity: Severity, words: str) -> None:
    notice = notice_of(kind, GATEWAY, name="Main", amount=Decimal("4.20"), unit="USD", check=check())
    assert (notice.kind, notice.severity, notice.subject) == (kind, severity, ("gateway", GATEWAY))
    assert words in notice.text
    assert "Main" in notice.title
    assert "4.20 USD" in notice.title
    assert notice.data == {"name": "Main", "amount": "4.20", "unit": "USD", "warn_below": "25", "stop_below": "5"}


def test_large_amounts_are_told_in_full() -> None:
    limits = check_of({"warn_below": "1E+7", "stop_below": "1e5"})
    assert limits is not None
    notice = notice_of(Kind.BALANCE_LOW, GATEWAY, name="Main", amount=Decimal("1.00E+6"), unit="USD", check=limits)
    told = {"name": "Main", "amount": "1000000", "unit": "USD", "warn_below": "10000000", "stop_below": "100000"}
    assert notice.data == told
    assert "E+" not in notice.title + notice.text


def test_words_for_what_cannot_be_read() -> None:
    notice = unreadable(GATEWAY, name="Main", state=State.OK, failures=3, reason="It gave no answer (read_timeout).")
    assert (notice.kind, notice.severity) == (Kind.BALANCE_UNREADABLE, Severity.WARNING)
    assert "3 times in a row" in notice.text
    assert "skipped" not in notice.text


def test_words_for_an_empty_one_that_cannot_be_read() -> None:
    reason = "It gave no answer (read_timeout)."
    notice = unreadable(GATEWAY, name="Main", state=State.EMPTY, failures=3, reason=reason)
    assert "stays skipped" in notice.text
    assert "take stop_below out" in notice.text
    again = used_again(GATEWAY, name="Main", failures=9, reason=reason)
    assert (again.kind, again.severity) == (Kind.BALANCE_UNREADABLE, Severity.WARNING)
    assert "9 times in a row" in again.text
    assert reason in again.text
    assert (notice.data["used_again"], again.data["used_again"]) == (False, True)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("failures", [0, FAILURES_TOLD - 1, FAILURES_TOLD, 40])
@pytest.mark.parametrize(
    "age", [timedelta(0), OUTLIVED_AFTER - timedelta(seconds=1), OUTLIVED_AFTER, 9 * OUTLIVED_AFTER]
)
def test_only_an_empty_one_is_forgotten_and_only_when_it_is_old_and_cannot_be_read(
    state: State, failures: int, age: timedelta
) -> None:
    outlived = state is State.EMPTY and failures >= FAILURES_TOLD and age >= OUTLIVED_AFTER
    assert is_outlived(state, age=age, failures=failures) is outlived
