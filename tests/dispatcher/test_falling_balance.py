"""A credit that falls while messages are sent: read from the simulator, told once a crossing, skipped when empty."""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from ipaddress import ip_network

import pytest
from sqlalchemy import select

from deploy.simulator.launch import Simulator
from dispatcher.beside.balances import balances
from dispatcher.book import Book
from dispatcher.door.transport import Transport
from shared.db import begin
from shared.metrics import dispatcher_metrics
from shared.models import BalanceReading, NoticeRow
from tests.factories import make_gateway, make_message, make_msisdn
from tests.stages import pump_once
from tests.worlds import SMALL, HandClock, HandWorker

CHECK = {"every_minutes": 60, "warn_below": "9", "stop_below": "8.5", "enabled": True}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(dials={"balance": "10.00", "price": "0.75", "callbacks": False}) as running:
        yield running


@pytest.fixture
async def sending(worker: HandWorker, simulator: Simulator) -> AsyncIterator[HandWorker]:
    """The worker, with a real door to a gateway of the simulator's."""
    transport = Transport(allowed_networks=[ip_network("127.0.0.0/8")])
    sending = HandWorker(
        engine=worker.engine,
        key_engine=worker.key_engine,
        book=Book(sealer=worker.sealer, public_url="https://sms.example.com"),
        transport=transport,
        sealer=worker.sealer,
        pepper=worker.pepper,
        metrics=dispatcher_metrics(),
        limits=SMALL,
        clock=worker.clock,
    )
    settings = {"base_url": simulator.base_url, "account_sid": simulator.account_sid, "from": "+12025550100"}
    async with worker.transaction() as tx:
        await make_gateway(
            tx, worker.sealer, settings=settings, secrets={"api_secret": simulator.auth_token}, balance_check=CHECK
        )
    yield sending
    await sending.aclose()
    await transport.aclose()


async def test_it_is_told_and_then_the_gateway_is_skipped(
    sending: HandWorker, simulator: Simulator, by_hand: HandClock
) -> None:
    for number in range(4):
        await balances(sending)
        async with sending.transaction() as tx:
            await make_message(tx, sending.pepper, now=sending.now(), msisdn=make_msisdn(number))
        await pump_once(sending, "urgent")
        await by_hand.advance(hours=1)
    async with begin(sending.engine) as tx:
        amounts = list((await tx.execute(select(BalanceReading.amount).order_by(BalanceReading.at))).scalars())
        kinds = list((await tx.execute(select(NoticeRow.kind).order_by(NoticeRow.at))).scalars())
    assert amounts == [Decimal("10.00"), Decimal("9.25"), Decimal("8.50"), Decimal("7.75")]
    assert kinds == ["balance_low", "balance_empty"]
    assert simulator.stats()["accepted"] == 3
