"""Quiet hours by the recipient's clock: over midnight, on some days, in several zones, when clocks are moved."""

from datetime import UTC, datetime, time

import pytest

from shared.domain.quiet_hours import QuietWindow, next_open

NIGHT = QuietWindow(time(20), time(8))
NOON = QuietWindow(time(12), time(13))
SUNDAY = QuietWindow(time(0), time(0), ("sun",))
SMALL_HOURS = QuietWindow(time(1, 30), time(2, 30))
BERLIN, NEW_YORK, LOS_ANGELES, JOHANNESBURG = (
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
    "Africa/Johannesburg",
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("windows", "zones", "moment", "opens"),
    [
        pytest.param((), (BERLIN,), "2026-03-02T03:00", "2026-03-02T03:00", id="no window"),
        pytest.param((NIGHT,), (BERLIN,), "2026-03-02T12:00", "2026-03-02T12:00", id="by day"),
        pytest.param((NIGHT,), (BERLIN,), "2026-03-02T20:00", "2026-03-03T07:00", id="before midnight"),
        pytest.param((NIGHT,), (BERLIN,), "2026-03-03T03:00", "2026-03-03T07:00", id="after midnight"),
        pytest.param((NIGHT,), (BERLIN,), "2026-03-02T19:00", "2026-03-03T07:00", id="the first moment of it"),
        pytest.param((NIGHT,), (BERLIN,), "2026-03-03T07:00", "2026-03-03T07:00", id="the first moment after it"),
        pytest.param((NOON,), (JOHANNESBURG,), "2026-03-02T10:30", "2026-03-02T11:00", id="within a day"),
        pytest.param((SUNDAY,), (JOHANNESBURG,), "2026-03-01T10:00", "2026-03-01T22:00", id="a whole day"),
        pytest.param((SUNDAY,), (JOHANNESBURG,), "2026-02-28T21:59", "2026-02-28T21:59", id="the minute before it"),
        pytest.param(
            (SUNDAY, NIGHT), (JOHANNESBURG,), "2026-02-28T19:00", "2026-03-02T06:00", id="windows that meet are one"
        ),
        pytest.param((NIGHT,), (NEW_YORK, LOS_ANGELES), "2026-03-02T14:00", "2026-03-02T16:00", id="strictest: west"),
        pytest.param((NIGHT,), (NEW_YORK, LOS_ANGELES), "2026-03-03T01:30", "2026-03-03T16:00", id="strictest: east"),
        # Berlin, 29 March 2026: 02:00 becomes 03:00 at 01:00 UTC.
        pytest.param((NIGHT,), (BERLIN,), "2026-03-28T21:00", "2026-03-29T06:00", id="a night that loses an hour"),
        pytest.param((SMALL_HOURS,), (BERLIN,), "2026-03-29T00:45", "2026-03-29T01:00", id="its end is skipped"),
        pytest.param(
            (QuietWindow(time(2, 30), time(4)),), (BERLIN,), "2026-03-29T01:00", "2026-03-29T02:00", id="start skipped"
        ),
        pytest.param(
            (QuietWindow(time(2, 15), time(2, 45)),), (BERLIN,), "2026-03-29T01:00", "2026-03-29T01:00", id="all of it"
        ),
        # Berlin, 25 October 2026: 03:00 becomes 02:00 at 01:00 UTC, so 02:00 to 03:00 comes twice.
        pytest.param((NIGHT,), (BERLIN,), "2026-10-24T21:00", "2026-10-25T07:00", id="a night that gains an hour"),
        pytest.param((SMALL_HOURS,), (BERLIN,), "2026-10-25T00:15", "2026-10-25T01:30", id="its end comes twice"),
        pytest.param((SMALL_HOURS,), (BERLIN,), "2026-10-25T01:15", "2026-10-25T01:30", id="the second time"),
    ],
)
def test_next_open(windows: tuple[QuietWindow, ...], zones: tuple[str, ...], moment: str, opens: str) -> None:
    assert next_open(windows, zones, at(moment)) == at(opens)


def test_what_never_opens_is_said_to_be_so() -> None:
    east = "Pacific/Kiritimati"  # UTC+14
    west = "Pacific/Pago_Pago"  # UTC-11: when one has its open hour, the other has not
    narrow = QuietWindow(time(9), time(8))
    assert next_open((narrow,), (east, west), at("2026-03-02T12:00")) is None


def test_a_window_is_what_was_written() -> None:
    for stored in ({"start": "20:00", "end": "08:00", "days": ["fri", "sat"]}, {"start": "12:00", "end": "13:30"}):
        assert QuietWindow.read(QuietWindow.read(stored).write()) == QuietWindow.read(stored)
    assert QuietWindow.read({"start": "12:00", "end": "13:30"}).write()["days"] is None
