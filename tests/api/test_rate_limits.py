"""How many requests a key may make: by one process, by several, and without Redis."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from api.main import equip
from api.rate_limits import RateLimits
from api.resources import Resources
from deploy.local.servers import Valkey
from shared.db import begin
from shared.doorbell import redis_of
from tests.factories import make_api_key


@dataclass(slots=True)
class HandClock:
    """Seconds since anywhere."""

    at: float = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    redis = redis_of(valkey.url)
    await redis.flushall()
    yield redis
    await redis.aclose()


@pytest.fixture
def by_hand() -> HandClock:
    return HandClock()


async def allowed_of(limits: RateLimits, count: int, limit: int, key: str = "a") -> int:
    """How many of so many requests at once were allowed."""
    answers = await asyncio.gather(*(limits.take(key, limit) for _ in range(count)))
    return sum(answer.allowed for answer in answers if answer is not None)


@pytest.mark.parametrize("limit", [1, 7, 600, 1800])
async def test_several_processes_share_one_limit(redis: Redis, limit: int) -> None:
    processes = [RateLimits(redis) for _ in range(4)]

    async def ask(limits: RateLimits) -> int:
        return sum([answer.allowed for _ in range(limit) if (answer := await limits.take("a", limit))])

    counts = await asyncio.gather(*map(ask, processes))
    # What one process holds in its hand is lost to the others, and what flows back meanwhile is gained.
    assert limit - 4 * max(1, limit // 600) <= sum(counts) <= limit * 1.2 + 1


async def test_a_small_limit_is_exact(redis: Redis) -> None:
    processes = [RateLimits(redis) for _ in range(2)]
    counts = await asyncio.gather(*(allowed_of(each, 10, 2) for each in processes))
    assert sum(counts) == 2


async def test_a_key_s_limit_is_its_own(redis: Redis) -> None:
    limits = RateLimits(redis)
    assert await allowed_of(limits, 5, 2, key="a") == 2
    assert await allowed_of(limits, 5, 2, key="b") == 2


async def test_a_busy_key_asks_seldom(redis: Redis, by_hand: HandClock) -> None:
    limits = RateLimits(redis, clock=by_hand)
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0)
    for _ in range(1000):
        assert (await limits.take("a", 60_000)).allowed  # type: ignore[union-attr]  # there is a limit
    asked = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"] - before
    assert asked < 30


async def test_left_goes_down_and_is_told(redis: Redis) -> None:
    limits = RateLimits(redis)
    told = [await limits.take("a", 60) for _ in range(3)]
    assert [each.left for each in told if each] == [59, 58, 57]
    assert told[2] is not None
    assert told[2].headers == {"RateLimit-Policy": '"key";q=60;w=60', "RateLimit": '"key";r=57;t=3'}


async def test_who_is_refused_is_told_when_to_come_back(redis: Redis) -> None:
    limits = RateLimits(redis)
    assert await allowed_of(limits, 1, 1) == 1
    refused = await limits.take("a", 1)
    assert refused is not None
    assert not refused.allowed
    assert 55 < refused.wait <= 60


@pytest.fixture
def gone() -> Iterator[Redis]:
    """A Redis that nobody answers for."""
    return iter([redis_of("unix:///nonexistent/valkey.sock")])


async def test_without_redis_each_process_keeps_the_limit(
    by_hand: HandClock, gone: Iterator[Redis], caplog: pytest.LogCaptureFixture
) -> None:
    limits = RateLimits(next(gone), clock=by_hand)
    assert await allowed_of(limits, 50, 10) == 10
    by_hand.at += 6.0
    assert await allowed_of(limits, 50, 10) == 1
    by_hand.at += 3600.0
    assert await allowed_of(limits, 50, 10) == 10
    assert 1 <= caplog.text.count("rate limits are kept by this process alone") <= 3
    await limits.close()


async def test_a_redis_that_hangs_delays_one_request(
    by_hand: HandClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is asked once in five seconds, and given a second."""
    path = tmp_path_factory.mktemp("silent") / "s"
    asked = []

    async def listen(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(writer)

    server = await asyncio.start_unix_server(listen, str(path))
    limits = RateLimits(redis_of(f"unix://{path}"), clock=by_hand)
    for _ in range(20):
        assert (await limits.take("a", 600)) is not None
    assert len(asked) == 1
    await limits.close()
    for writer in asked:
        writer.close()
    server.close()


async def test_a_handful_grows_stale(redis: Redis, by_hand: HandClock) -> None:
    limits = RateLimits(redis, clock=by_hand)
    for _ in range(40):
        await limits.take("a", 60_000)
    assert limits._handfuls["a"].held > 1
    by_hand.at += 10
    await limits.take("a", 60_000)
    assert limits._handfuls["a"].held == 0


async def test_a_limit_that_was_lowered_counts_at_once(redis: Redis) -> None:
    limits = RateLimits(redis)
    await allowed_of(limits, 40, 60_000)
    assert await allowed_of(limits, 40, 3) == 3


@pytest.mark.parametrize(("usual", "limit"), [(0, None), (5, 0)])
async def test_without_a_limit(usual: int, limit: int | None) -> None:
    assert await RateLimits(usual=usual).take("a", limit) is None


async def test_over_http(app: FastAPI, resources: Resources, redis: Redis, engine: AsyncEngine) -> None:
    equip(app, replace(resources, rate_limits=RateLimits(redis)))
    async with begin(engine) as tx:
        key = await make_api_key(tx, "read", rate_limit=3)
        other = await make_api_key(tx, "read")
    async with AsyncClient(transport=ASGITransport(app), base_url="https://sms.example.com") as client:
        answers = [await client.get("/v1/contacts", headers={"Authorization": f"Bearer {key.text}"}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["ratelimit"].split(";")[1] for answer in answers] == ["r=2", "r=1", "r=0", "r=0"]
        assert answers[0].headers["ratelimit-policy"] == '"key";q=3;w=60'
        refused = answers[3]
        assert refused.json()["type"] == "/problems/rate-limit-reached"
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        fine = await client.get("/v1/contacts", headers={"Authorization": f"Bearer {other.text}"})
        assert fine.headers["ratelimit-policy"] == '"key";q=60000;w=60'
        nobody = await client.get("/v1/contacts")
        assert (nobody.status_code, "ratelimit" in nobody.headers) == (401, False)
