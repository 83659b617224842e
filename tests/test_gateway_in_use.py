"""A gateway stays while news of its messages may still come: seen through a real claim and a real answer."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx

from tests.conftest import Clock
from tests.dispatcher.answers import at, refused, taken
from tests.factories import make_gateway, make_message, make_msisdn
from tests.stages import pump_once
from tests.worlds import HandClock, HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]


@pytest.fixture
async def gateway(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer)


async def delete(client: httpx.AsyncClient, gateway: UUID) -> httpx.Response:
    assert (await client.post(f"/v1/gateways/{gateway}/disable")).status_code == 200
    return await client.delete(f"/v1/gateways/{gateway}")


async def queue_one(worker: HandWorker, clock: Clock) -> UUID:
    async with worker.transaction() as tx:
        return await make_message(tx, worker.pepper, now=clock.now, msisdn=make_msisdn(1))


async def test_stays_while_its_first_message_is_on_the_line(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter, gateway: UUID, clock: Clock
) -> None:
    asked: list[httpx.Response] = []

    async def answer(request: httpx.Request) -> httpx.Response:
        asked.append(await delete(client, gateway))
        return taken(request)

    at(router, answer=answer)
    await queue_one(worker, clock)
    assert await pump_once(worker, "urgent") == 1
    (refusal,) = asked
    assert refusal.status_code == 409
    assert "disabled" in refusal.json()["detail"]


@pytest.mark.parametrize(
    "answer", [taken, httpx.ReadTimeout("silence")], ids=["receipts are awaited", "nobody knows its fate"]
)
async def test_stays_while_there_may_be_news_and_not_for_ever(
    client: httpx.AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    gateway: UUID,
    clock: Clock,
    by_hand: HandClock,
    answer: Callable[[httpx.Request], httpx.Response] | Exception,
) -> None:
    at(router, answer=answer)
    await queue_one(worker, clock)
    await pump_once(worker, "urgent")
    assert (await delete(client, gateway)).status_code == 409
    await by_hand.advance(days=4)
    assert (await delete(client, gateway)).status_code == 204


async def test_goes_when_all_it_was_given_has_ended(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter, gateway: UUID, clock: Clock
) -> None:
    answer: Any = refused(21211)
    at(router, answer=answer)
    await queue_one(worker, clock)
    await pump_once(worker, "urgent")
    assert (await delete(client, gateway)).status_code == 204
