"""The name that was probably meant by one that nobody knows."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

_LIKENESS: Final = 0.65


def find_nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like it, whatever the case of its letters."""
    by_lower = {each.lower(): each for each in known}
    lower = name.lower()
    if lower in by_lower:
        return by_lower[lower]
    close = get_close_matches(lower, by_lower, n=1, cutoff=_LIKENESS)
    return by_lower[close[0]] if close else None
