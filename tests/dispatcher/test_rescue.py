"""Rescue: a lease that ran out leaves its message unconfirmed, and nothing else."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from dispatcher.beside.rescue import rescue
from shared.domain.message import Status, after_lease
from tests.factories import make_attempt, make_gateway, make_message
from tests.stages import attempts_of, message_of, statuses
from tests.worlds import HandClock, HandWorker


async def leased(worker: HandWorker, gateway_id: UUID, *, seconds: float = 30, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        message_id = await make_message(
            tx,
            worker.pepper,
            now=worker.now(),
            **{
                "status": Status.SENDING,
                "attempt": 1,
                "lease_until": worker.now() + timedelta(seconds=seconds),
                "leased_by": "the dead one",
            }
            | over,
        )
        await make_attempt(tx, message_id, gateway_id, now=worker.now())
    return message_id


@pytest.fixture
async def gateway(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer)


async def test_not_before_the_lease_ends(worker: HandWorker, gateway: UUID, by_hand: HandClock) -> None:
    message_id = await leased(worker, gateway)
    await by_hand.advance(seconds=30)
    assert await rescue(worker) == 0
    await by_hand.advance(seconds=1)
    assert await rescue(worker) == 1
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.lease_until, row.attempt) == (Status.UNCONFIRMED, None, 1)
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.lookup_at) == ("lost", worker.now() + timedelta(seconds=15))
    assert await rescue(worker) == 0


async def test_sql_moves_what_the_law_moves(worker: HandWorker, gateway: UUID) -> None:
    ids = {status: await leased(worker, gateway, seconds=-1, status=status) for status in Status}
    assert await rescue(worker) == 1
    found = {status: (await message_of(worker.engine, message_id)).status for status, message_id in ids.items()}
    assert found == {status: after_lease(status) for status in Status}


async def test_two_at_once_rescue_each_message_once(
    worker: HandWorker, another: Any, gateway: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.beside.rescue.BATCH", 3)
    for _ in range(10):
        await leased(worker, gateway, seconds=-1)
    workers = [worker, another(), another()]
    counts = await asyncio.gather(*(rescue(one) for one in workers for _ in range(4)))
    assert sum(counts) == 10
    assert await statuses(worker.engine) == {"unconfirmed": 10}
