"""Passwords from the splash page to the handset and back: what is proved of the whole, api and dispatcher together."""

import logging
import re
from collections.abc import Iterator
from urllib.parse import parse_qs

import httpx
import pytest
import respx
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.beside.otp_watch import watch_passwords
from dispatcher.codes import read_codes
from dispatcher.path.receipts import receipts
from shared.db import begin
from shared.log import JsonLines
from shared.models import Message, OtpBlock
from tests.dispatcher.answers import GATEWAY, at, refused
from tests.factories import make_gateway, make_receipt
from tests.stages import pump_once
from tests.worlds import HandClock, HandWorker, another, by_hand, router, worker

__all__ = ["another", "by_hand", "router", "worker"]

NUMBER = "+447700900123"
PUMPED = "+1555123"


@pytest.fixture
async def gateways(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "first")
        await make_gateway(tx, worker.sealer, "second", priority=2)


def code_in(route: respx.Route) -> str:
    """What the handset shows."""
    body = parse_qs(route.calls.last.request.content.decode())["Body"][0]
    found = re.search(r"\d{4,10}", body)
    assert found
    return found[0]


async def dump(engine: AsyncEngine) -> str:
    """Every row of every table."""
    found: list[str] = []
    async with begin(engine) as tx:
        tables = await tx.execute(
            text("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')")
        )
        for table in list(tables.scalars()):
            found += (await tx.execute(text(f'SELECT t::text FROM "{table}" t'))).scalars()
    return "\n".join(found)


async def test_what_the_handset_shows_is_what_is_right(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter, gateways: None, by_hand: HandClock
) -> None:
    """The code that a dispatcher fills in is the one that the api checks; sent again, it is the same."""
    route = at(router)
    otp_id = (await client.post("/v1/otp", json={"msisdn": NUMBER})).json()["id"]
    await pump_once(worker, "urgent")
    first = code_in(route)
    await by_hand.advance(seconds=30)
    assert (await client.post(f"/v1/otp/{otp_id}/resend")).status_code == 202
    await pump_once(worker, "urgent")
    assert (code_in(route), route.call_count) == (first, 2)
    answer = await client.post(f"/v1/otp/{otp_id}/verify", json={"code": first})
    assert answer.json() == {"verified": True, "attempts_left": 4}


async def test_with_the_first_gateway_refusing_it_goes_through_the_second_at_once(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter, gateways: None
) -> None:
    at(router, answer=refused(GATEWAY))
    second = at(router, "second")
    otp_id = (await client.post("/v1/otp", json={"msisdn": NUMBER})).json()["id"]
    await pump_once(worker, "urgent")
    await pump_once(worker, "urgent")  # no time has passed
    answer = await client.post(f"/v1/otp/{otp_id}/verify", json={"code": code_in(second)})
    assert answer.json()["verified"]


async def test_the_code_is_found_nowhere(
    client: httpx.AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    gateways: None,
    by_hand: HandClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither in rows, nor in logs, nor in answers: with a gateway that quotes it, a wrong guess and a resend."""
    caplog.set_level(logging.DEBUG)

    def quoting(request: httpx.Request) -> httpx.Response:
        words = parse_qs(request.content.decode())["Body"][0]
        return httpx.Response(400, json={"code": GATEWAY, "message": f"Not here: {words}", "status": 400})

    at(router, answer=quoting)
    second = at(router, "second")
    await client.post("/v1/otp-profiles", json={"name": "long", "length": 10, "web_domain": "wifi.example.com"})
    key = {"Idempotency-Key": "once"}
    told = [await client.post("/v1/otp", json={"msisdn": NUMBER, "profile": "long"}, headers=key)]
    otp_id = told[0].json()["id"]
    await pump_once(worker, "urgent")
    await pump_once(worker, "urgent")
    code = code_in(second)
    async with worker.transaction() as tx:
        message = (await tx.execute(select(Message))).one()
        raw = {"fields": {"Status": "delivered"}}
        await make_receipt(tx, message.gateway_id, now=worker.now(), message_id=message.id, attempt=2, raw=raw)
    await receipts(worker)
    await by_hand.advance(seconds=30)
    told.append(await client.post(f"/v1/otp/{otp_id}/verify", json={"code": "0" * 10}))
    told.append(await client.post(f"/v1/otp/{otp_id}/resend"))
    told.append(await client.post(f"/v1/otp/{otp_id}/verify", json={"code": code}))
    assert told[-1].json()["verified"]
    for path in ("/v1/messages", f"/v1/messages/{message.id}", f"/v1/otp/{otp_id}", "/v1/audit", "/v1/otp/stats"):
        told.append(await client.get(path))
        assert told[-1].status_code == 200
    assert (await client.get("/v1/messages", params={"q": code})).json()["items"] == []
    assert not [answer for answer in told if code in answer.text]
    assert code not in await dump(worker.engine)
    lines = [JsonLines("test").format(record) for record in caplog.records if not record.name.startswith("httpx")]
    assert not [line for line in lines if code in line]
    assert any("password not verified" in line and '"reason":"wrong"' in line for line in lines)


def honest() -> Iterator[str]:
    """People of another country, one after the other."""
    yield from (f"+44770090{place:04d}" for place in range(1_000))


async def test_pumping_is_throttled_within_a_hundred_and_honest_people_are_not(
    client: httpx.AsyncClient, worker: HandWorker, router: respx.MockRouter, gateways: None, by_hand: HandClock
) -> None:
    """Two thousand numbers of one prefix, from as many addresses, over fifty minutes; beside them everybody else."""
    sent: list[float] = []
    honestly: list[bool] = []
    people = honest()
    for turn in range(2_000):
        body = {"msisdn": f"{PUMPED}{turn:04d}", "client_ip": f"198.51.{turn // 250}.{turn % 250}"}
        if (await client.post("/v1/otp", json=body)).status_code == 202:
            sent.append(turn * 1.5)
        if turn % 40 == 0:
            honestly.append(await _log_in(client, next(people), worker))
            await watch_passwords(worker)
        await by_hand.advance(seconds=1.5)
    assert len(sent) <= 100
    assert all(honestly)
    assert len(honestly) == 50
    async with begin(worker.engine) as tx:
        found = {row.value: row.state for row in await tx.execute(select(OtpBlock))}
        (spent,) = (await tx.execute(text("SELECT sum(segments) FROM otp_hours"))).one()
    assert found[PUMPED] in {"throttled", "blocked"}
    assert not {"+44770090", "GB"} & set(found)
    assert spent == len(sent) + len(honestly)


async def _log_in(client: httpx.AsyncClient, msisdn: str, worker: HandWorker) -> bool:
    answer = await client.post("/v1/otp", json={"msisdn": msisdn, "client_ip": "203.0.113.7"})
    if answer.status_code != 202:
        return False
    otp_id = answer.json()["id"]
    code = await _code_of(worker, otp_id)
    verified: bool = (await client.post(f"/v1/otp/{otp_id}/verify", json={"code": code})).json()["verified"]
    return verified


async def _code_of(worker: HandWorker, otp_id: str) -> str:
    async with worker.transaction() as tx:
        message_id = await tx.scalar(text("SELECT message_id FROM otp_messages WHERE otp_id = :id"), {"id": otp_id})
        return (await read_codes(worker, tx, [message_id]))[message_id]


async def test_a_cap_in_money_holds_against_any_number_of_prefixes(client: httpx.AsyncClient) -> None:
    """Who rents a thousand prefixes gets past conversion, and stops at what may be spent."""
    await client.put("/v1/otp/limits", json={"hour_segments": 40, "deployment": [{"count": 10_000, "seconds": 60}]})
    told = [await client.post("/v1/otp", json={"msisdn": f"+1555{prefix:03d}0000"}) for prefix in range(100)]
    assert [answer.status_code for answer in told] == [202] * 40 + [429] * 60
