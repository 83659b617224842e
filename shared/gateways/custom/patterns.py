"""Owners' regular expressions, on an engine that cannot backtrack: RE2 reads each character once.

Python's own would let one careless pattern hold up every message of a process. What RE2 leaves out (look-around,
back-references) is refused when the settings are saved.
"""

from functools import lru_cache
from typing import Any, Final

import re2

LONGEST: Final = 500
_MEMORY: Final = 1 << 20  # of one compiled pattern; a larger one is refused


class BadPattern(ValueError):
    """The engine does not take it; says why."""


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Any:
    if len(pattern) > LONGEST:
        raise BadPattern(f"must have at most {LONGEST} characters")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        why = error.args[0] if isinstance(error, re2.error) else "half a character"
        words = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        raise BadPattern(f"is no pattern that RE2 takes: {words[:100]}") from None


def holds(pattern: str, text: str) -> bool:
    return compiled(pattern).search(text) is not None


def captured(pattern: str, text: str) -> str | None:
    """What the first group took, or the whole match of a pattern without groups."""
    match = compiled(pattern).search(text)
    if match is None:
        return None
    found: str | None = match.group(1 if match.re.groups else 0)
    return found
