"""Keyset paging: a page ends with the place where the next one begins, so page 10,000 costs what page 1 does.

A query asks for `page.limit + 1` rows after `page.after`; `page_of` cuts the surplus row off and names the place.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from pydantic import Field

from api.schemas import Out
from shared.errors import Invalid

LARGEST_PAGE: Final = 200
USUAL_PAGE: Final = 50
_LONGEST_CURSOR: Final = 2000

T = TypeVar("T")
R = TypeVar("R")


class PageOut(Out, Generic[T]):
    items: list[T]
    next_cursor: str | None = Field(description="Give it as `cursor` to read on; null on the last page.")


@dataclass(frozen=True, slots=True)
class PageAsked:
    limit: int = USUAL_PAGE
    cursor: str | None = None

    @property
    def after(self) -> dict[str, Any] | None:
        """Where the last page ended, or None on the first; raises Invalid for a cursor that is none of ours."""
        return None if self.cursor is None else decode_cursor(self.cursor)


def encode_cursor(place: Mapping[str, Any]) -> str:
    text = json.dumps(dict(place), separators=(",", ":"), default=str)
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> dict[str, Any]:
    place = _read(cursor) if len(cursor) <= _LONGEST_CURSOR else None
    if not isinstance(place, dict):
        raise bad_cursor()
    return place


def _read(cursor: str) -> object:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON's")


def bad_cursor() -> Invalid:
    """For a cursor that can be read but names no place in this list, too."""
    return Invalid(
        "The cursor is not one that this list gave; take `next_cursor` from the page before, unchanged.",
        pointer="?cursor",
    )


def page_of(
    rows: Sequence[R], page: PageAsked, *, place: Callable[[R], Mapping[str, Any]]
) -> tuple[Sequence[R], str | None]:
    """The rows to show and the cursor after them, from up to `limit + 1` rows."""
    shown = rows[: page.limit]
    more = len(rows) > page.limit
    return shown, encode_cursor(place(shown[-1])) if more else None
