"""What webhooks want to be told of, as this process knows it: read beside the path, so that a move asks nobody.

A webhook that is new gets the events from then on: the api answers its owner when every dispatcher has read of it
(`api/webhooks/known.py`). One that is gone or disabled costs events that nobody is sent.
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.webhooks import list_choices
from shared.domain.event import wanted_statuses
from shared.domain.message import Status


class Subscriptions:
    """The statuses of messages that some webhook wants to hear of; none where there is no webhook."""

    def __init__(self) -> None:
        self.statuses: frozenset[Status] = frozenset()

    async def read(self, tx: AsyncConnection) -> None:
        self.statuses = wanted_statuses(await list_choices(tx))
