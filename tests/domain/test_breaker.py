"""Breaker: which outcomes speak against a gateway, and how many of them do."""

import pytest

from shared.domain.breaker import (
    AT_LEAST,
    IN_A_ROW,
    REFUSED_IN_A_ROW,
    REST_CAP_SECONDS,
    REST_SECONDS,
    WINDOW_SECONDS,
    Health,
    Mark,
    Window,
    mark_of,
    rest_of,
)
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused

MARKS: list[tuple[Outcome, Mark]] = [
    (Accepted("1"), Mark.GOOD),
    (Refused(Fault.MESSAGE, "x"), Mark.GOOD),
    (Refused(Fault.OPTED_OUT, "x"), Mark.GOOD),
    (Refused(Fault.GATEWAY, "x"), Mark.REFUSED),
    (Refused(Fault.ACCOUNT, "x"), Mark.SILENT),
    (Refused(Fault.THROTTLED, "x"), Mark.SILENT),
    (Lost(may_have_arrived=True, cause="read_timeout"), Mark.FAILED),
    (Lost(may_have_arrived=False, cause="refused_connection"), Mark.FAILED),
    (Lost(may_have_arrived=True, cause="unexplained_count", blameless=True), Mark.GOOD),
]


@pytest.mark.parametrize(("outcome", "mark"), MARKS, ids=str)
def test_marks(outcome: Outcome, mark: Mark) -> None:
    assert mark_of(outcome) is mark


def heard(*marks: Mark, slow: bool = False, every: float = 0.1) -> Window:
    window = Window()
    for at, mark in enumerate(marks):
        window.hear(mark, slow=slow and mark is Mark.GOOD, now=at * every)
    return window


GOOD, FAILED, REFUSED, SILENT = Mark.GOOD, Mark.FAILED, Mark.REFUSED, Mark.SILENT


@pytest.mark.parametrize(
    ("marks", "verdict"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([GOOD] * 100, None, id="all well"),
        pytest.param([FAILED] * (IN_A_ROW - 1), None, id="a few"),
        pytest.param([FAILED] * IN_A_ROW, Health.OPEN, id="a row of failures"),
        pytest.param([FAILED] * (IN_A_ROW - 1) + [GOOD] + [FAILED] * (IN_A_ROW - 1), None, id="a row broken, and few"),
        pytest.param([GOOD, FAILED] * (AT_LEAST // 2), Health.OPEN, id="every second one"),
        pytest.param([GOOD, GOOD, FAILED] * AT_LEAST, None, id="every third one"),
        pytest.param([SILENT] * 100, None, id="asked to wait"),
        pytest.param([FAILED] * 9 + [SILENT] * 5 + [FAILED], Health.OPEN, id="the silent ones do not break a row"),
        pytest.param([REFUSED] * (REFUSED_IN_A_ROW - 1), None, id="some refusals"),
        pytest.param([REFUSED] * REFUSED_IN_A_ROW, Health.OPEN, id="nothing but refusals"),
        pytest.param([*[REFUSED] * 40, GOOD, *[REFUSED] * 40], None, id="refusals, and one that was taken"),
    ],
)
def test_verdicts(marks: list[Mark], verdict: Health | None) -> None:
    told = heard(*marks).verdict()
    assert (told and told[0]) == verdict
    assert told is None or any(digit.isdigit() for digit in told[1])


def failed_by(*causes: str) -> Window:
    """Each a failure by its cause; nothing is one that was taken."""
    window = Window()
    for at, cause in enumerate(causes):
        window.hear(FAILED if cause else GOOD, slow=False, now=at * 0.1, cause=cause)
    return window


@pytest.mark.parametrize(
    ("causes", "reason"),
    [
        pytest.param(
            ["closed_unanswered"] * IN_A_ROW,
            f"{IN_A_ROW} hand-overs in a row failed, all by closed_unanswered. The gateway took the request and closed "
            "the line without an answer: ask its vendor",
            id="one cause",
        ),
        pytest.param(
            ["unheard_of"] * (IN_A_ROW - 1) + ["read_timeout"],
            f"{IN_A_ROW} hand-overs in a row failed, most of them by unheard_of",
            id="one that has no words, mostly",
        ),
        pytest.param(
            ["old"] * (IN_A_ROW - 1) + [""] + ["new"] * IN_A_ROW,
            f"{IN_A_ROW} hand-overs in a row failed, all by new",
            id="of those in a row alone",
        ),
        pytest.param(
            ["one", "", "two", ""] * 4 + ["one", "", "one", ""],
            f"{AT_LEAST // 2} of {AT_LEAST} hand-overs within a minute failed, most of them by one",
            id="within a minute",
        ),
    ],
)
def test_the_reason_names_the_cause(causes: list[str], reason: str) -> None:
    told = failed_by(*causes).verdict()
    assert told is not None
    assert told[1] == reason


def test_slow_answers() -> None:
    slow = heard(*[GOOD] * AT_LEAST, slow=True).verdict()
    assert slow is not None
    assert slow[0] is Health.SLOW
    assert heard(*[GOOD] * (AT_LEAST - 1), slow=True).verdict() is None


def test_what_is_older_than_a_minute_counts_no_more() -> None:
    window = heard(*[GOOD, FAILED] * (AT_LEAST // 2 - 1))
    window.hear(FAILED, slow=False, now=WINDOW_SECONDS + 60)
    assert window.verdict() is None
    assert (window.failed, window.causes.total()) == (1, 1)


def test_rests_grow_to_their_cap() -> None:
    rests = [rest_of(trips) for trips in range(1, 40)]
    assert rests[0] == REST_SECONDS
    assert rests == sorted(rests)
    assert rests[-1] == REST_CAP_SECONDS
