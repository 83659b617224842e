"""The book of gateways: the operator's order, opened accounts, and a second's freshness."""

from decimal import Decimal
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from dispatcher.book import Book
from shared.db import begin
from shared.models import Gateway
from shared.sealing import Sealer, new_key
from tests.factories import GATEWAY_SECRET, make_gateway, make_sender_id
from tests.worlds import HandWorker


async def read(worker: HandWorker, book: Book | None = None) -> Book:
    book = book or worker.book
    async with begin(worker.engine) as tx:
        await book.read(tx)
    return book


async def change(worker: HandWorker, gateway_id: UUID, **values: object) -> None:
    async with begin(worker.engine) as tx:
        await tx.execute(update(Gateway).where(Gateway.id == gateway_id).values(**values))


async def test_routes_in_the_operators_order(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        last = await make_gateway(tx, worker.sealer, "last", priority=3, location_ids=["harbour"])
        first = await make_gateway(tx, worker.sealer, "first", priority=1)
        middle = await make_gateway(tx, worker.sealer, "middle", priority=2, health="withdrawn")
        await make_sender_id(tx, last, "LAPWING")
    book = await read(worker)
    assert [route.gateway_id for route in book.routes] == [first, middle, last]
    assert [route.withdrawn for route in book.routes] == [False, True, False]
    assert book.routes[2].location_ids == {"harbour"}
    assert book.routes[2].sender_ids == {"LAPWING"}
    assert (book.name_of(first), book.kind_of(first)) == ("first", "twilio")


@pytest.mark.parametrize(
    ("balance", "check", "empty"),
    [
        pytest.param("4.99", {"stop_below": "5"}, True, id="below the floor"),
        pytest.param("5", {"stop_below": "5"}, False, id="at the floor"),
        pytest.param("4.99", {"warn_below": "5"}, False, id="low is no reason"),
        pytest.param("4.99", {"stop_below": "5", "enabled": False}, False, id="nobody watches it"),
        pytest.param(None, {"stop_below": "5"}, False, id="never read"),
        pytest.param("-1", None, False, id="no check"),
    ],
)
async def test_credit_decides(
    worker: HandWorker, balance: str | None, check: dict[str, Any] | None, empty: bool
) -> None:
    async with worker.transaction() as tx:
        await make_gateway(
            tx, worker.sealer, balance=None if balance is None else Decimal(balance), balance_check=check
        )
    assert [route.empty for route in (await read(worker)).routes] == [empty]


async def test_account_is_opened(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer)
    book = await read(worker)
    account = book.accounts[gateway_id]
    assert account.secrets == {"api_secret": GATEWAY_SECRET}
    assert account.status_url == f"https://sms.example.com/callbacks/{gateway_id}/token-of-first/status"
    assert book.adapter_of(account).KIND == "twilio"
    assert GATEWAY_SECRET not in repr(account)


async def test_disabled_gateway_has_no_route_and_keeps_its_account(worker: HandWorker) -> None:
    """Look-ups and late answers of its messages still need it."""
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer, enabled=False)
    book = await read(worker)
    assert book.routes == []
    assert gateway_id in book.accounts


async def test_one_lost_key_hides_one_gateway(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        await make_gateway(tx, Sealer.from_texts([new_key()]), "locked")
        readable = await make_gateway(tx, worker.sealer, "readable", priority=2)
        await make_gateway(tx, worker.sealer, "unheard of", kind="carrier-pigeon", priority=3)
    book = await read(worker)
    assert [route.gateway_id for route in book.routes] == [readable]


async def test_unchanged_account_stays_the_same_object(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer)
    before = (await read(worker)).accounts[gateway_id]
    assert (await read(worker)).accounts[gateway_id] is before
    await change(worker, gateway_id, callback_token="another")
    assert (await read(worker)).accounts[gateway_id] is not before


async def test_is_fresh_for_a_second_and_not_once_forgotten(
    worker: HandWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = [worker.book.is_fresh]
    await read(worker)
    fresh.append(worker.book.is_fresh)
    worker.book.forget()
    fresh.append(worker.book.is_fresh)
    await read(worker)
    later = monotonic() + 1.01
    monkeypatch.setattr("dispatcher.book.monotonic", lambda: later)
    fresh.append(worker.book.is_fresh)
    assert fresh == [False, True, False, False]


def test_stranger_has_no_name(worker: HandWorker) -> None:
    assert worker.book.name_of(UUID(int=0)) == "unknown"
    assert worker.book.kind_of(UUID(int=0)) is None
