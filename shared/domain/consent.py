"""What a list says of a person's consent: its words, its moments, and which of two statements stands.

A list is often older than what we know, so it says less than a request does: a blank or `unknown` takes nothing back,
and a statement that is dated before the one we have does not replace it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final, TypedDict

from shared.domain.contact import Consent, InvalidContact

# What a row of a list may say of it: the columns of a contact.
PLACES: Final = frozenset({"consent_status", "consent_source", "consent_at"})

_WORDS: Final[Mapping[Consent, tuple[str, ...]]] = {
    Consent.GRANTED: ("granted", "yes", "y", "true", "1", "opt-in", "opted-in", "subscribed"),
    Consent.WITHDRAWN: ("withdrawn", "no", "n", "false", "0", "opt-out", "opted-out", "unsubscribed"),
    Consent.UNKNOWN: ("unknown",),
}
_NOES: Final = ("yes", "y", "true", "1", "withdrawn", "opt-out", "opted-out", "unsubscribed")
_NO_NOES: Final = ("no", "n", "false", "0", "unknown")
_NO_LETTERS: Final = re.compile(r"[\W_]+")
_MOMENT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+ ?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?", re.IGNORECASE
)
_CLOCKS_MAY_DIFFER: Final = timedelta(days=1)


def _form(word: str) -> str:
    """`Opt-In`, `opt in` and `OptIn` are one."""
    return _NO_LETTERS.sub("", word.lower())


_MEANINGS: Final = {_form(word): consent for consent, words in _WORDS.items() for word in words}


_MEANINGS_OF_A_NO: Final = {
    **{_form(word): Consent.WITHDRAWN for word in _NOES},
    **{_form(word): Consent.UNKNOWN for word in _NO_NOES},
}


class Statement(TypedDict):
    """What one row says. Without a status, source and time belong to whatever is known."""

    status: str | None
    source: str | None
    at: str | None  # in UTC, always as long: these texts sort as the moments do


def read_status(value: str) -> Consent:
    """A word for a consent, in any case."""
    meaning = _MEANINGS.get(_form(value))
    if meaning is None:
        raise InvalidContact(
            "consent_status must be granted, withdrawn or unknown (yes, no, true, false, 1, 0, opt-in and opt-out "
            "will do); leave it empty where nobody has said."
        )
    return meaning


def read_no(value: str) -> Consent:
    """What a column says that asks the other way round: `opt_out`. Who has not said no has not said yes by that."""
    meaning = _MEANINGS_OF_A_NO.get(_form(value))
    if meaning is None:
        raise InvalidContact("The opt-out must be yes or no (true, false, 1 and 0 will do).")
    return meaning


def read_moment(value: str, *, now: datetime) -> str:
    """A day or a moment; one without a zone is in UTC."""
    moment = _moment_of(value)
    if moment is None:
        raise InvalidContact(
            "consent_at must be a day or a moment, written as 2026-03-02 or 2026-03-02T14:05:00Z (UTC without a zone)."
        )
    if moment > now + _CLOCKS_MAY_DIFFER:
        raise InvalidContact("consent_at lies in the future; write when they agreed or withdrew.")
    return moment.isoformat(timespec="microseconds")


def _moment_of(value: str) -> datetime | None:
    if not _MOMENT.fullmatch(value):
        return None
    day, _, time = value.upper().partition(value[10:11] or "T")
    try:
        moment = datetime.fromisoformat(f"{day}T{time.replace(' ', '') or '00'}")
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def statement_of(status: Consent | None, *, source: str | None, at: str | None) -> Statement | None:
    """What the cells of a row say together; None for nothing. A status of unknown says as little as an empty cell."""
    said = None if status is Consent.UNKNOWN else status
    if said is None and source is None and at is None:
        return None
    return {"status": said, "source": source, "at": at}


def standing_of(known: Statement | None, later: Statement | None) -> Statement | None:
    """Which of two rows about one person stands: the later row, unless it has no status or an earlier date."""
    if known is None or later is None:
        return later or known
    if later["status"] is None and known["status"] is not None:
        return known
    # a statement without a time is of now, and so after every dated one
    is_earlier = later["at"] is not None and (known["at"] is None or later["at"] < known["at"])
    if known["status"] is not None and is_earlier:
        return known
    if known["status"] not in {None, later["status"]}:
        return later
    return {"status": later["status"], "source": later["source"] or known["source"], "at": later["at"] or known["at"]}
