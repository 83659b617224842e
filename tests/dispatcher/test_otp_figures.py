"""Figures of passwords: the same whether an hour is counted for good or not, and after all that forgets."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient
from sqlalchemy import func, select, text

from dispatcher.beside.housekeeping import keep_house
from dispatcher.beside.otp_figures import count_passwords
from shared.db import begin
from shared.domain.otp_figures import HOUR, hour_of
from shared.models import OtpSum
from tests.factories import make_gateway, make_otp
from tests.worlds import HandClock, HandWorker

BASES = ("+447700900", "+336399800", "+447700901")


@pytest.fixture
async def gateways(worker: HandWorker) -> list[UUID]:
    async with worker.transaction() as tx:
        return [await make_gateway(tx, worker.sealer, name) for name in ("first", "second")]


async def history(worker: HandWorker, gateways: list[UUID], *, count: int = 60, hours: float = 30) -> None:
    """Passwords of the last so many hours: some used, some tried in vain, some test numbers, some not sent yet."""
    async with worker.transaction() as tx:
        for place in range(count):
            at = worker.now() - timedelta(hours=hours) * place / count
            used = {"used_at": at + timedelta(seconds=5 + place % 40 + 0.25)} if place % 3 == 0 else {}
            more: dict[str, Any] = {"attempts": place % 4, "sends": 1 + place % 2, **used}
            if place % 20 == 19:
                more |= {"test_code": "123456"}
            profile = UUID(int=1 + place % 2)
            msisdn = f"{BASES[place % 3]}{place:03d}"
            _, message_id, _ = await make_otp(tx, worker.sealer, now=at, msisdn=msisdn, profile_id=profile, **more)
            if place % 7:
                given = {"gateway_id": gateways[place % 2], "id": message_id}
                await tx.execute(text("UPDATE messages SET gateway_id = :gateway_id WHERE id = :id"), given)


async def stats(client: AsyncClient, **params: Any) -> dict[str, Any]:
    answer = await client.get("/v1/otp/stats", params=params)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def count_all(worker: HandWorker) -> None:
    while await count_passwords(worker):
        pass


async def sums(worker: HandWorker) -> int:
    async with begin(worker.engine) as tx:
        return int((await tx.execute(select(func.count()).select_from(OtpSum))).scalar_one())


async def test_counted_or_not_the_figures_are_the_same(
    client: AsyncClient, worker: HandWorker, gateways: list[UUID]
) -> None:
    await history(worker, gateways)
    now = worker.now()
    spans = [
        {},
        {"since": now - timedelta(days=30)},
        {"since": now - timedelta(hours=20, minutes=13), "until": now - timedelta(hours=9, minutes=44)},
        {"since": hour_of(now) - 5 * HOUR, "until": hour_of(now) - 4 * HOUR},
        {"since": now - timedelta(minutes=30)},
    ]
    params = [{name: at.isoformat() for name, at in span.items()} for span in spans]
    before = [await stats(client, **each) for each in params]
    assert before[1]["started"] == 56
    assert before[1]["started"] == sum(part["started"] for part in before[1]["countries"])
    assert before[1]["started"] > sum(part["started"] for part in before[1]["gateways"]) > 0
    await count_all(worker)
    assert await sums(worker) > 0
    assert [await stats(client, **each) for each in params] == before


async def test_one_profile(client: AsyncClient, worker: HandWorker, gateways: list[UUID]) -> None:
    await history(worker, gateways)
    made = (await client.post("/v1/otp-profiles", json={"name": "splash"})).json()
    async with worker.transaction() as tx:
        await tx.execute(text("UPDATE otps SET profile_id = :id WHERE profile_id = :was"), made | {"was": UUID(int=1)})
    before = await stats(client, profile="splash")
    assert 0 < before["started"] < (await stats(client))["started"]
    await count_all(worker)
    assert await stats(client, profile="splash") == before


async def test_what_is_under_way_is_counted_as_it_is(
    client: AsyncClient, worker: HandWorker, gateways: list[UUID], by_hand: HandClock
) -> None:
    """An hour is counted when all of it is over: a code that is entered late is in it."""
    await history(worker, gateways, count=1)
    await count_all(worker)
    otp = (await client.post("/v1/otp", json={"msisdn": "+447700900999"})).json()["id"]
    await by_hand.advance(minutes=9)
    await count_all(worker)
    assert (await stats(client))["verified"] == 1
    async with worker.transaction() as tx:
        await tx.execute(text("UPDATE otps SET used_at = :now WHERE id = :id"), {"now": worker.now(), "id": otp})
    await by_hand.advance(hours=4)
    await count_all(worker)
    told = await stats(client)
    assert (told["started"], told["verified"]) == (2, 2)


async def test_retention_and_erasure_change_no_figure(
    client: AsyncClient, worker: HandWorker, gateways: list[UUID]
) -> None:
    await history(worker, gateways)
    await count_all(worker)
    window = {"until": (hour_of(worker.now()) - 4 * HOUR).isoformat()}
    before = await stats(client, **window)
    async with worker.transaction() as tx:
        await tx.execute(text("UPDATE otps SET msisdn = '', address_hash = NULL, cancelled_at = now()"))
        await tx.execute(text("DELETE FROM messages"))
    after = await stats(client, **window)
    for edge in ("since", "until"):
        assert after[edge] == before[edge]
    assert {name: after[name] for name in before if name != "gateways"} == {
        name: before[name] for name in before if name != "gateways"
    }
    assert after["gateways"]  # an hour keeps its gateways without their messages


async def test_sums_go_with_their_challenges(client: AsyncClient, worker: HandWorker, gateways: list[UUID]) -> None:
    await history(worker, gateways)
    async with worker.transaction() as tx:
        await tx.execute(text("UPDATE otps SET created_at = created_at - interval '32 days'"))
    await count_all(worker)
    assert await sums(worker) > 0
    await keep_house(worker)
    assert await sums(worker) == 0
    assert (await stats(client, since=(worker.now() - timedelta(days=31)).isoformat()))["started"] == 0


async def test_many_count_and_it_is_counted_once(
    client: AsyncClient, worker: HandWorker, gateways: list[UUID], another: Callable[..., HandWorker]
) -> None:
    await history(worker, gateways)
    before = await stats(client)
    await asyncio.gather(*(count_all(one) for one in (worker, another(), another())))
    await count_all(worker)
    assert await stats(client) == before


async def test_nothing_to_count(worker: HandWorker, by_hand: HandClock) -> None:
    assert await count_passwords(worker) == 0
    await by_hand.advance(hours=1)
    assert await count_passwords(worker) == 1
    assert await count_passwords(worker) == 0
