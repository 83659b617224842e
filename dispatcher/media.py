"""What goes with campaigns' messages, as this process knows it.

Read once for each campaign message, when its first message is claimed: what it has is settled before it begins, so what
was read stays true. A message without attachments costs a look into a dictionary.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.claims import Claimed
from dispatcher.queries.media import list_media
from shared.domain.attachment import Media
from shared.domain.attachment_link import expiry, key_of, link

MOST_KNOWN: Final = 10_000  # campaign messages; beyond that those without attachments are forgotten, and read again

Links = tuple[str, ...]


class MediaBook:
    """The attachments of campaign messages, and the links by which gateways fetch them."""

    def __init__(self, *, public_url: str, pepper: bytes) -> None:
        self._public_url = public_url
        self._key = key_of(pepper)
        self._known: set[UUID] = set()
        self._of: dict[UUID, Sequence[Media]] = {}  # of those that have any
        self._links: dict[UUID, tuple[int, Links]] = {}

    async def read(self, tx: AsyncConnection, claimed: Sequence[Claimed]) -> None:
        """Get to know what goes with messages that were claimed, where that is not known yet."""
        steps = {one.campaign_message_id for one in claimed if one.campaign_message_id is not None}
        if steps <= self._known:
            return
        if len(self._known) > MOST_KNOWN:
            # Only those that have nothing: a message between its claim and its call must not lose what goes with it.
            self._known = set(self._of)
        found = await list_media(tx, steps - self._known)
        self._of |= {step: media for step, media in found.items() if media}
        self._known |= steps

    def goes_with(self, step_id: UUID | None) -> bool:
        """Whether anything goes with the messages of a campaign message."""
        return step_id in self._of

    def links(self, step_id: UUID | None, *, now_seconds: float) -> Links:
        """Where a gateway fetches what goes with a message; the same for all that leave within an hour."""
        if step_id is None or step_id not in self._of:
            return ()
        expires = expiry(datetime.fromtimestamp(now_seconds, UTC))
        known = self._links.get(step_id)
        if known is None or known[0] != expires:
            made = tuple(link(self._public_url, self._key, one, expires=expires) for one in self._of[step_id])
            known = self._links[step_id] = expires, made
        return known[1]
