"""The places of lists that are ordered by one id: most of them."""

from uuid import UUID

from api.paging import PageAsked, bad_cursor


def id_of(page: PageAsked, *, key: str = "id") -> UUID | None:
    """Where the list goes on; None at its beginning."""
    place = page.after
    if place is None:
        return None
    try:
        return UUID(place[key])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise bad_cursor() from None
