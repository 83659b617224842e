"""A worker on the test database, behind whose door stands what a test scripts; gateways and receivers for it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from uuid import UUID

import pytest

from dispatcher.beside.webhooks import Courier
from dispatcher.door.transport import Transport
from shared.domain.webhook_signature import secret_text
from tests.dispatcher.hook_receiver import SECRET, Receiver
from tests.factories import make_gateway
from tests.worlds import HandWorker, another, by_hand, router, worker

__all__ = ["another", "by_hand", "router", "worker"]


@pytest.fixture
async def first(worker: HandWorker) -> UUID:
    """The gateway that is asked first."""
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer, "first")


@pytest.fixture
async def second(worker: HandWorker, first: UUID) -> UUID:
    """The one that is asked after it."""
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer, "second", priority=2)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver(secret_text(SECRET))
    async with receiver.server:
        yield receiver


@pytest.fixture
async def door() -> AsyncIterator[Transport]:
    door = Transport(allowed_networks=(ip_network("127.0.0.0/8"),))
    yield door
    await door.aclose()


@pytest.fixture
def courier(worker: HandWorker, door: Transport) -> Courier:
    """A dispatcher that reaches receivers, and gateways only through the router."""
    return Courier(replace(worker, transport=door))
