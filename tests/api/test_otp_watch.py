"""Limits, blocks and figures over HTTP: how many passwords for whom, what is refused, and how that looks."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from api.resources import Resources
from deploy.local.servers import Valkey
from shared.db import begin
from shared.ids import uuid7
from shared.models import AuditEntry, Message, NoticeRow, OtpBlock
from shared.speeds import Speeds
from tests.conftest import Clock
from tests.factories import make_api_key, make_gateway, make_otp

PREFIX = "+44770090"


def number(place: int, *, prefix: str = PREFIX) -> str:
    return f"{prefix}0{place:03d}"


async def start(client: httpx.AsyncClient, place: int = 0, **over: Any) -> httpx.Response:
    return await client.post("/v1/otp", json={"msisdn": number(place)} | over)


async def set_limits(client: httpx.AsyncClient, **limits: Any) -> None:
    answer = await client.put("/v1/otp/limits", json=limits)
    assert answer.status_code == 200, answer.text


def speeds(count: int, seconds: int = 600) -> list[dict[str, int]]:
    return [{"count": count, "seconds": seconds}]


async def insert_block(engine: AsyncEngine, clock: Clock, **over: Any) -> Any:
    row = {
        "id": uuid7(clock.now),
        "scope": "prefix",
        "value": PREFIX,
        "state": "blocked",
        "level": 1,
        "until": clock.now + timedelta(hours=1),
        "sent": 50,
        "verified": 0,
        "created_at": clock.now,
        "updated_at": clock.now,
    }
    async with begin(engine) as tx:
        await tx.execute(insert(OtpBlock).values(row | over))
    return (row | over)["id"]


# --- speeds


@pytest.mark.parametrize(
    ("limits", "asked"),
    [
        pytest.param({"number": speeds(2)}, [{"session": str(n)} for n in range(3)], id="number"),
        pytest.param({"prefix": speeds(2)}, [{"msisdn": number(n)} for n in range(3)], id="prefix"),
        pytest.param(
            {"ip": speeds(2)}, [{"msisdn": number(n), "client_ip": "203.0.113.7"} for n in range(3)], id="address"
        ),
        pytest.param(
            {"ip": speeds(2)},
            [
                {"msisdn": number(0), "client_ip": "2001:db8:1:2::1"},
                {"msisdn": number(1), "client_ip": "2001:db8:1:2:ffff::9"},
                {"msisdn": number(2), "client_ip": "2001:DB8:1:2:a:b:c:d"},
            ],
            id="IPv6 by its /64",
        ),
        pytest.param(
            {"ip": speeds(2)},
            [
                {"msisdn": number(0), "client_ip": "203.0.113.7"},
                {"msisdn": number(1), "client_ip": "::ffff:203.0.113.7"},
                {"msisdn": number(2), "client_ip": " 203.0.113.7 "},
            ],
            id="IPv4 in three spellings",
        ),
        pytest.param({"session": speeds(2)}, [{"msisdn": number(n), "session": "s"} for n in range(3)], id="session"),
        pytest.param({"profile": speeds(2)}, [{"msisdn": number(n)} for n in range(3)], id="profile"),
        pytest.param({"deployment": speeds(2)}, [{"msisdn": number(n)} for n in range(3)], id="deployment"),
        pytest.param(
            {"deployment": [*speeds(100, 1), *speeds(2, 3600)]},
            [{"msisdn": number(n)} for n in range(3)],
            id="the slower of two speeds",
        ),
    ],
)
async def test_a_limit_for_each(
    client: httpx.AsyncClient, engine: AsyncEngine, limits: dict[str, Any], asked: list[dict[str, Any]]
) -> None:
    await set_limits(client, **limits)
    answers = [await start(client, **one) for one in asked]
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    told = answers[2].json()
    assert (told["type"], told["detail"]) == (
        "/problems/otp-limited",
        "No more passwords can be sent for now; try again later.",
    )
    assert int(answers[2].headers["retry-after"]) > 0
    async with begin(engine) as tx:
        assert len((await tx.execute(select(Message.id))).all()) == 2


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({"client_ip": "2001:db8:1:3::1"}, id="the next /64"),
        pytest.param({"client_ip": "203.0.113.8"}, id="the next address"),
        pytest.param({}, id="no address"),
    ],
)
async def test_others_are_not_counted_with_them(client: httpx.AsyncClient, others: dict[str, str]) -> None:
    await set_limits(client, ip=speeds(1))
    assert (await start(client, 0, client_ip="2001:db8:1:2::1")).status_code == 202
    assert (await start(client, 1, client_ip="203.0.113.7")).status_code == 202
    assert (await start(client, 2, **others)).status_code == 202


async def test_when_it_says_it_may_be_asked_again_it_may(client: httpx.AsyncClient, clock: Clock) -> None:
    await set_limits(client, prefix=speeds(3))
    for place in range(3):
        assert (await start(client, place)).status_code == 202
    refused = await start(client, 3)
    wait = int(refused.headers["retry-after"])
    clock.advance(timedelta(seconds=wait - 2))
    assert (await start(client, 3)).status_code == 429
    clock.advance(timedelta(seconds=2))
    assert (await start(client, 3)).status_code == 202


async def test_parallel_requests_do_not_slip_through(client: httpx.AsyncClient) -> None:
    await set_limits(client, deployment=speeds(7))
    answers = await asyncio.gather(*(start(client, place) for place in range(29)))
    assert sorted(answer.status_code for answer in answers) == [202] * 7 + [429] * 22


async def test_one_that_is_refused_counts_nowhere(client: httpx.AsyncClient) -> None:
    """What an attacker is refused takes nothing from everybody's share."""
    await set_limits(client, number=speeds(1), deployment=speeds(2))
    assert (await start(client, 0, session="first")).status_code == 202
    for turn in range(10):
        assert (await start(client, 0, session=str(turn))).status_code == 429
    assert (await start(client, 1)).status_code == 202


@pytest.mark.parametrize("scope", ["number", "prefix", "ip", "session", "profile", "deployment"])
async def test_sending_again_counts_as_sending(client: httpx.AsyncClient, clock: Clock, scope: str) -> None:
    await set_limits(client, **{scope: speeds(2)})
    otp_id = (await start(client, client_ip="203.0.113.7", session="s")).json()["id"]
    clock.advance(timedelta(seconds=30))
    assert (await client.post(f"/v1/otp/{otp_id}/resend")).status_code == 202
    clock.advance(timedelta(seconds=60))
    answer = await client.post(f"/v1/otp/{otp_id}/resend")
    assert (answer.status_code, answer.json()["type"]) == (429, "/problems/otp-limited")


async def test_a_profile_may_have_limits_of_its_own(client: httpx.AsyncClient) -> None:
    await set_limits(client, prefix=speeds(1))
    await client.post("/v1/otp-profiles", json={"name": "stadium", "limits": {"prefix": speeds(3)}})
    answers = [await start(client, place, profile="stadium") for place in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]


async def test_no_number_and_no_address_stands_in_redis(client: httpx.AsyncClient, valkey: Valkey) -> None:
    await start(client, 7, client_ip="203.0.113.7", session="canary-session")
    async with Redis.from_url(valkey.url) as redis:
        keys = [key.decode() async for key in redis.scan_iter("*otp*")]
    assert len(keys) >= 6
    assert not [key for key in keys if "7700900" in key or "203.0" in key or "canary" in key]


async def test_without_redis_there_are_still_limits(
    client: httpx.AsyncClient, resources: Resources, valkey: Valkey
) -> None:
    """Half of them, for there may be a second process that counts for itself."""
    object.__setattr__(resources, "speeds", Speeds("redis://127.0.0.1:1"))
    await set_limits(client, prefix=speeds(6))
    answers = [await start(client, place) for place in range(5)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429, 429]


# --- money


async def test_nothing_is_sent_beyond_the_cap(client: httpx.AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    await set_limits(client, hour_segments=5, prefix=speeds(1000))
    answers = await asyncio.gather(*(start(client, place) for place in range(20)))
    assert sorted(answer.status_code for answer in answers) == [202] * 5 + [429] * 15
    async with begin(engine) as tx:
        assert len((await tx.execute(select(Message.id))).all()) == 5
        kinds = (await tx.execute(select(NoticeRow.kind).order_by(NoticeRow.id))).scalars().all()
    assert sorted(kinds) == ["otp_spend_near", "otp_spend_reached"]
    clock.advance(timedelta(hours=1))
    assert (await start(client, 21)).status_code == 202


async def test_a_day_has_a_cap_as_well(client: httpx.AsyncClient, clock: Clock) -> None:
    await set_limits(client, hour_segments=2, day_segments=3, prefix=speeds(1000))
    told = []
    for place in range(6):
        told.append((await start(client, place)).status_code)
        if place % 2:
            clock.advance(timedelta(hours=1))
    assert told == [202, 202, 202, 429, 429, 429]
    clock.advance(timedelta(hours=22))
    assert (await start(client, 7)).status_code == 202


async def test_long_texts_cost_what_they_cost(client: httpx.AsyncClient) -> None:
    await set_limits(client, hour_segments=3)
    await client.post("/v1/otp-profiles", json={"name": "long", "text": "{{ code }}" + "x" * 200})
    assert (await start(client, 0, profile="long")).status_code == 202
    assert (await start(client, 1, profile="long")).status_code == 429
    assert (await start(client, 2)).status_code == 202


async def test_a_cap_of_nothing_stops_everything(client: httpx.AsyncClient) -> None:
    await set_limits(client, day_segments=0)
    assert (await start(client)).status_code == 429


async def test_what_money_refuses_counts_in_no_limit(client: httpx.AsyncClient, clock: Clock) -> None:
    """Who asks again and again while nothing goes out is not locked out when something does."""
    every = {scope: speeds(2) for scope in ("number", "prefix", "ip", "session", "profile", "deployment")}
    asked = {"client_ip": "203.0.113.7", "session": "s"}
    await set_limits(client, **every, hour_segments=0)
    assert [(await start(client, 0, **asked)).status_code for _ in range(5)] == [429] * 5
    await set_limits(client, **every, hour_segments=1)
    otp_id = (await start(client, 0, **asked)).json()["id"]
    clock.advance(timedelta(seconds=30))
    for _ in range(5):
        assert (await client.post(f"/v1/otp/{otp_id}/resend")).status_code == 429
    await set_limits(client, **every, hour_segments=9)
    assert (await client.post(f"/v1/otp/{otp_id}/resend")).status_code == 202


async def test_what_is_refused_is_not_spent(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await set_limits(client, number=speeds(1))
    for turn in range(5):
        await start(client, 0, session=str(turn))
    async with begin(engine) as tx:
        assert await tx.scalar(text("SELECT sum(segments) FROM otp_hours")) == 1


# --- blocks


@pytest.mark.parametrize(
    ("over", "status"),
    [
        pytest.param({}, 429, id="its prefix"),
        pytest.param({"scope": "country", "value": "GB"}, 429, id="its country"),
        pytest.param({"value": "+44770091"}, 202, id="another prefix"),
        pytest.param({"scope": "country", "value": "FR"}, 202, id="another country"),
        pytest.param({"until": timedelta(0)}, 202, id="over"),
        pytest.param({"lifted_at": timedelta(0)}, 202, id="lifted"),
        pytest.param({"state": "alarmed", "scope": "country", "value": "GB"}, 202, id="only told of"),
    ],
)
async def test_blocked(
    client: httpx.AsyncClient, engine: AsyncEngine, clock: Clock, over: dict[str, Any], status: int
) -> None:
    moments = {name: clock.now + value if isinstance(value, timedelta) else value for name, value in over.items()}
    await insert_block(engine, clock, **moments)
    answer = await start(client)
    assert answer.status_code == status
    if status == 429:
        assert (answer.json()["type"], answer.headers["retry-after"]) == ("/problems/otp-limited", "600")


async def test_throttled_gets_one_now_and_then(client: httpx.AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    await insert_block(engine, clock, state="throttled")
    told = []
    for place in range(6):
        told.append((await start(client, place)).status_code)
        clock.advance(timedelta(seconds=40))
    assert told.count(202) in {2, 3}
    assert told[:2] == [202, 429]


async def test_a_block_is_shown_and_lifted(client: httpx.AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    block_id = await insert_block(engine, clock)
    (shown,) = (await client.get("/v1/otp/blocks", params={"active": True})).json()["items"]
    assert (shown["id"], shown["scope"], shown["value"], shown["is_active"]) == (str(block_id), "prefix", PREFIX, True)
    lifted = (await client.post(f"/v1/otp/blocks/{block_id}/unblock")).json()
    assert (lifted["is_active"], lifted["lifted_by"]) == (False, "admin")
    assert (await client.post(f"/v1/otp/blocks/{block_id}/unblock")).json() == lifted
    assert (await client.get("/v1/otp/blocks", params={"active": True})).json()["items"] == []
    assert len((await client.get("/v1/otp/blocks")).json()["items"]) == 1
    async with begin(engine) as tx:
        entries = (await tx.execute(select(AuditEntry).where(AuditEntry.action == "otp_block.lifted"))).all()
    assert [entry.detail for entry in entries] == [{"scope": "prefix", "value": PREFIX, "state": "blocked"}]
    assert (await start(client)).status_code == 202
    assert (await client.post(f"/v1/otp/blocks/{uuid4()}/unblock")).status_code == 404


# --- limits over HTTP


async def test_limits_are_as_usual_until_set(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    usual = (await client.get("/v1/otp/limits")).json()
    assert (usual["hour_segments"], usual["failures"], usual["updated_at"]) == (2000, 20, None)
    await set_limits(client, failures=30, ip=speeds(9))
    now = (await client.get("/v1/otp/limits")).json()
    assert (now["failures"], now["ip"], now["number"], now["updated_by"]) == (30, speeds(9), usual["number"], "admin")
    await set_limits(client, failures=30, ip=speeds(9))
    await set_limits(client)
    assert (await client.get("/v1/otp/limits")).json()["failures"] == 20
    async with begin(engine) as tx:
        entries = (await tx.execute(select(AuditEntry).order_by(AuditEntry.id))).all()
    told = [entry.detail["failures"] for entry in entries]
    assert len(told) == 2
    assert {"from": None, "to": 30} in told
    assert {"from": 30, "to": None} in told


@pytest.mark.parametrize(
    ("limits", "pointer"),
    [
        ({"failures": 0}, "/failures"),
        ({"failures": 101}, "/failures"),
        ({"hour_segments": -1}, "/hour_segments"),
        ({"number": [{"count": 1}]}, "/number/0/seconds"),
        ({"number": speeds(1) * 5}, "/number"),
        ({"everybody": speeds(1)}, "/everybody"),
    ],
)
async def test_limits_that_are_none(client: httpx.AsyncClient, limits: dict[str, Any], pointer: str) -> None:
    answer = await client.put("/v1/otp/limits", json=limits)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_limits_are_an_admins(anonymous: httpx.AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    block_id = await insert_block(engine, clock)
    async with begin(engine) as tx:
        manage, read = await make_api_key(tx, "manage"), await make_api_key(tx, "read")
    manager, reader = [{"Authorization": f"Bearer {key.text}"} for key in (manage, read)]
    assert (await anonymous.put("/v1/otp/limits", json={}, headers=manager)).status_code == 403
    assert (await anonymous.get("/v1/otp/limits", headers=reader)).status_code == 200
    assert (await anonymous.post(f"/v1/otp/blocks/{block_id}/unblock", headers=reader)).status_code == 403
    assert (await anonymous.post(f"/v1/otp/blocks/{block_id}/unblock", headers=manager)).status_code == 200


# --- figures


async def test_conversion(client: httpx.AsyncClient, engine: AsyncEngine, resources: Resources, clock: Clock) -> None:
    async with begin(engine) as tx:
        gateway_id = await make_gateway(tx, resources.sealer)
        for place in range(4):
            used = {"used_at": clock.now - timedelta(minutes=1, seconds=-10 * place), "attempts": 2} if place else {}
            began = clock.now - timedelta(minutes=1)
            _, message_id, _ = await make_otp(tx, resources.sealer, now=began, msisdn=number(place), **used)
            await tx.execute(
                text("UPDATE messages SET gateway_id = :gateway_id WHERE id = :id"),
                {"gateway_id": gateway_id, "id": message_id},
            )
        await make_otp(tx, resources.sealer, now=began, msisdn="+33639980123")
        await make_otp(tx, resources.sealer, now=clock.now - timedelta(days=2))
    stats = (await client.get("/v1/otp/stats")).json()
    assert (stats["started"], stats["verified"], stats["conversion"]) == (5, 3, 0.6)
    assert (stats["sends"], stats["wrong_codes"], stats["median_seconds_to_verify"]) == (5, 3, 20.0)
    share = {"started": 4, "verified": 3, "conversion": 0.75}
    assert stats["countries"] == [
        {"value": "GB", **share},
        {"value": "FR", "started": 1, "verified": 0, "conversion": 0.0},
    ]
    assert stats["prefixes"][0] == {"value": PREFIX, **share}
    assert stats["gateways"] == [{"value": str(gateway_id), **share}]


async def test_figures_of_nothing(client: httpx.AsyncClient) -> None:
    stats = (await client.get("/v1/otp/stats")).json()
    assert (stats["started"], stats["conversion"], stats["median_seconds_to_verify"]) == (0, None, None)


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        ({"since": "2026-01-01T00:00:00Z", "until": "2026-03-01T00:00:00Z"}, "?since"),
        ({"since": "2026-03-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "?since"),
        ({"until": "0001-01-01T00:00:00Z"}, "?since"),
        ({"since": "9999-12-31T23:59:59Z"}, "?since"),
        ({"profile": "none"}, "?profile"),
        ({"since": "yesterday"}, "?since"),
        ({"since": "1772442004"}, "?since"),
        ({"until": "1772442004"}, "?until"),
        ({"until": "9999-12-31T23:59:59-14:00"}, "?until"),
    ],
)
async def test_figures_of_no_time(client: httpx.AsyncClient, params: dict[str, str], pointer: str) -> None:
    answer = await client.get("/v1/otp/stats", params=params)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_figures_of_a_profile(client: httpx.AsyncClient) -> None:
    await client.post("/v1/otp-profiles", json={"name": "bar"})
    await start(client, 0, profile="bar")
    await start(client, 1)
    assert (await client.get("/v1/otp/stats", params={"profile": "bar"})).json()["started"] == 0  # until is now
