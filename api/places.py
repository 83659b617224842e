"""What a cursor says, read part by part: one that says anything else than its list writes is refused, and nothing more.

Cursors come back from clients, who may have made them up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from api.paging import PageAsked, bad_cursor

_LEAST: Final = -(2**31)
_MOST: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Mark:
    """Where the page before ended. Each part raises Invalid unless it is what it has to be."""

    parts: Mapping[str, Any]

    def id(self, name: str = "id") -> UUID:
        try:
            return UUID(self.text(name))
        except ValueError:
            raise bad_cursor() from None

    def text(self, name: str) -> str:
        """One that can be looked for in the database."""
        value = self.parts.get(name)
        if not isinstance(value, str) or "\0" in value:
            raise bad_cursor()
        try:
            value.encode()
        except UnicodeEncodeError:
            raise bad_cursor() from None
        return value

    def number(self, name: str, *, least: int = _LEAST, most: int = _MOST) -> int:
        """Within what the database's integers hold, unless told otherwise."""
        value = self.parts.get(name)
        if type(value) is not int or not least <= value <= most:
            raise bad_cursor()
        return value

    def moment(self, name: str) -> datetime:
        """In UTC, where it has to be in the calendar as well."""
        try:
            return datetime.fromisoformat(self.text(name)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise bad_cursor() from None


def mark_of(page: PageAsked) -> Mark | None:
    """Where the list goes on; None at its beginning."""
    return None if page.after is None else Mark(page.after)


def id_of(page: PageAsked) -> UUID | None:
    """The same, of a list that is ordered by one id: most of them."""
    mark = mark_of(page)
    return None if mark is None else mark.id()


def version_of(page: PageAsked) -> int | None:
    """The same, of a list of versions."""
    mark = mark_of(page)
    return None if mark is None else mark.number("version")
