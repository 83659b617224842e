"""What callbacks need over and over, made once an app: the known gateways, and the inbox that receipts go through."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from starlette.applications import Starlette

from api.callbacks.facts import Fact
from api.callbacks.inbox import Inbox
from api.callbacks.known import KnownGateways
from api.callbacks.queries import insert_receipts, is_fault_of_row
from api.resources import Resources
from shared.db import begin, is_outage, reading
from shared.errors import Unavailable
from shared.queries.gateways import ConfiguredGateway, list_configured

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    resources: Resources
    known: KnownGateways
    inbox: Inbox[Fact]

    @classmethod
    def of(cls, resources: Resources) -> Self:
        async def read() -> Sequence[ConfiguredGateway]:
            with _outages_named():
                async with reading(resources.engine) as tx:
                    return await list_configured(tx, sealer=resources.sealer, public_url=resources.public_url)

        async def write(facts: Sequence[Fact]) -> None:
            with _outages_named():
                async with begin(resources.engine) as tx:
                    await insert_receipts(tx, facts)
            resources.doorbell.ring("bulk")

        return cls(resources, KnownGateways(read), Inbox(write, at_fault=is_fault_of_row))


def desk_of(app: Starlette) -> Desk:
    """The app's desk, set up by the first callback; a new one where the app was given other resources."""
    desk: Desk | None = getattr(app.state, "callbacks", None)
    if desk is None or desk.resources is not app.state.resources:
        desk = app.state.callbacks = Desk.of(app.state.resources)
    return desk


@contextmanager
def _outages_named() -> Iterator[None]:
    """Away is not broken: the gateway may come again."""
    try:
        yield
    except Exception as error:
        if not is_outage(error):
            raise
        log.warning("callbacks cannot be kept", extra={"cause": type(error).__name__})
        raise Unavailable("The database is away for the moment; send this again.") from error
