"""What a list may say of consent, and which of two statements stands."""

from datetime import UTC, datetime

import pytest

from shared.domain.consent import Statement, read_moment, read_no, read_status, standing_of, statement_of
from shared.domain.contact import Consent, InvalidContact

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
EARLY, LATE = "2026-01-01T00:00:00.000000+00:00", "2026-02-01T00:00:00.000000+00:00"

WORDS = [
    *(
        (word, Consent.GRANTED)
        for word in ("granted", "Granted", "YES", "y", "true", "1", "opt-in", "Opted in", "OptIn")
    ),
    *(
        (word, Consent.WITHDRAWN)
        for word in ("withdrawn", "No", "n", "FALSE", "0", "opt-out", "opted_out", "Unsubscribed")
    ),
    ("unknown", Consent.UNKNOWN),
    *((word, None) for word in ("maybe", "ja", "2", "granted?no", "-", "none")),
]


@pytest.mark.parametrize(("word", "meaning"), WORDS)
def test_words(word: str, meaning: Consent | None) -> None:
    if meaning is not None:
        assert read_status(word) is meaning
        return
    with pytest.raises(InvalidContact, match="consent_status must be granted"):
        read_status(word)


NOES = [
    *((word, Consent.WITHDRAWN) for word in ("yes", "TRUE", "1", "opted out")),
    *((word, Consent.UNKNOWN) for word in ("no", "False", "0", "unknown")),
    *((word, None) for word in ("granted", "opt-in", "2026-03-02", "maybe")),
]


@pytest.mark.parametrize(("word", "meaning"), NOES)
def test_words_for_a_no(word: str, meaning: Consent | None) -> None:
    if meaning is not None:
        assert read_no(word) is meaning
        return
    with pytest.raises(InvalidContact, match="must be yes or no"):
        read_no(word)


MOMENTS = [
    ("2026-03-02", "2026-03-02T00:00:00.000000+00:00"),
    ("2026-03-02 14:05", "2026-03-02T14:05:00.000000+00:00"),
    ("2026-03-02T14:05:09Z", "2026-03-02T14:05:09.000000+00:00"),
    ("2026-03-02T14:05:09.123456z", "2026-03-02T14:05:09.123456+00:00"),
    ("2026-03-02 14:05:09 +0200", "2026-03-02T12:05:09.000000+00:00"),
    ("2026-11-26T11:00:00Z", "2026-11-26T11:00:00.000000+00:00"),  # a clock that is a little ahead
    *(
        (value, None)
        for value in ("2.3.2026", "3/2/2026", "2026-02-30", "2026-W10-1", "20260302", "0001-01-01T00:00+05:00")
    ),
    *((value, None) for value in ("2026-11-27", "2062-03-02", "yes", "2026-03-02T25:00Z")),
]


@pytest.mark.parametrize(("value", "moment"), MOMENTS)
def test_moments(value: str, moment: str | None) -> None:
    if moment is not None:
        assert read_moment(value, now=NOW) == moment
        return
    with pytest.raises(InvalidContact, match="consent_at"):
        read_moment(value, now=NOW)


def said(status: str | None, source: str | None = None, at: str | None = None) -> Statement:
    return {"status": status, "source": source, "at": at}


def test_what_says_nothing_is_no_statement() -> None:
    assert statement_of(None, source=None, at=None) is None
    assert statement_of(Consent.UNKNOWN, source=None, at=None) is None
    assert statement_of(Consent.UNKNOWN, source="form", at=None) == said(None, "form")
    assert statement_of(Consent.GRANTED, source=None, at=EARLY) == said("granted", at=EARLY)


STANDING = [
    pytest.param(None, said("granted"), said("granted"), id="the first"),
    pytest.param(said("granted"), None, said("granted"), id="a row that says nothing"),
    pytest.param(said("granted", "form"), said("withdrawn"), said("withdrawn"), id="the later, without the old source"),
    pytest.param(said("granted", "form", EARLY), said("granted"), said("granted", "form", EARLY), id="said again"),
    pytest.param(said("granted", at=EARLY), said("withdrawn", at=LATE), said("withdrawn", at=LATE), id="dated later"),
    pytest.param(said("withdrawn", at=LATE), said("granted", at=EARLY), said("withdrawn", at=LATE), id="dated earlier"),
    pytest.param(said("withdrawn"), said("granted", at=EARLY), said("withdrawn"), id="no date is now"),
    pytest.param(said("withdrawn", at=LATE), said("granted"), said("granted"), id="now is later"),
    pytest.param(said("withdrawn"), said(None, "form"), said("withdrawn"), id="a source alone"),
    pytest.param(said(None, "form"), said("granted", at=EARLY), said("granted", "form", EARLY), id="a status at last"),
]


@pytest.mark.parametrize(("known", "later", "standing"), STANDING)
def test_which_row_stands(known: Statement | None, later: Statement | None, standing: Statement) -> None:
    assert standing_of(known, later) == standing
