"""One message for one Idempotency-Key, when two hundred ask at once and when the process dies at the worst moment."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import utc_now
from shared.db import begin, build_engine
from shared.models import IdempotencyKey, Message
from shared.queries.partitions import ensure_partitions
from tests.api_process import AUTHORIZED, Api, database, start_api

__all__ = ["database", "start_api"]

pytestmark = pytest.mark.timeout(170)

BODY = {"msisdn": "+12025550142", "text": "Your table waits."}
MANY = 200


@pytest.fixture
async def own(database: str) -> AsyncIterator[AsyncEngine]:
    engine = build_engine(database, application_name="tests")
    async with begin(engine) as tx:
        await ensure_partitions(tx, utc_now())
    yield engine
    await engine.dispose()


async def post(client: httpx.AsyncClient, key: str) -> httpx.Response:
    headers = {**AUTHORIZED, "Idempotency-Key": key}
    return await client.post("/v1/messages", json=BODY, headers=headers)


async def counts(engine: AsyncEngine) -> tuple[int, int]:
    """How many messages and how many keys there are."""
    async with begin(engine) as tx:
        messages = await tx.scalar(select(func.count()).select_from(Message))
        keys = await tx.scalar(select(func.count()).select_from(IdempotencyKey))
    return messages or 0, keys or 0


def open_client(api: Api) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=MANY)
    return httpx.AsyncClient(base_url=api.url, timeout=90, limits=limits)


async def test_two_hundred_at_once_make_one_message(own: AsyncEngine, start_api: Callable[..., Api]) -> None:
    """At two processes, as a balancer would spread them."""
    apis = await asyncio.gather(*(asyncio.to_thread(start_api) for _ in range(2)))
    async with open_client(apis[0]) as one, open_client(apis[1]) as other:
        answers = await asyncio.gather(*(post((one, other)[number % 2], "order-7") for number in range(MANY)))
        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) <= {202, 409}, statuses
        assert statuses[202] >= 1
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
        assert {answer.json()["type"] for answer in answers if answer.status_code == 409} <= {
            "/problems/idempotency-key-busy"
        }
        first_hand = [a for a in answers if a.status_code == 202 and "idempotent-replayed" not in a.headers]
        assert len(first_hand) == 1
        again = await post(other, "order-7")
        assert (again.status_code, again.headers["idempotent-replayed"]) == (202, "true")
    assert await counts(own) == (1, 1)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param("messages", id="before the message is written"),
        pytest.param("idempotency_keys", id="between the message and its key"),
    ],
)
async def test_a_kill_in_between_leaves_neither(own: AsyncEngine, start_api: Callable[..., Api], table: str) -> None:
    api = await asyncio.to_thread(start_api)
    async with open_client(api) as client, begin(own) as tx:
        await tx.execute(text(f"LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE"))
        asking = asyncio.create_task(post(client, "order-7"))
        await _someone_waits(own)
        api.process.kill()
        with pytest.raises(httpx.TransportError):
            await asking
    # What the dead process had begun ends with its connection, not with ours.
    async with asyncio.timeout(60), open_client(await asyncio.to_thread(start_api)) as client:
        assert await counts(own) == (0, 0)
        while (answer := await post(client, "order-7")).status_code == 409:
            await asyncio.sleep(0.1)
    assert answer.status_code == 202
    assert "idempotent-replayed" not in answer.headers
    assert await counts(own) == (1, 1)


async def test_kills_at_random_moments(own: AsyncEngine, start_api: Callable[..., Api]) -> None:
    """Whoever repeats until there is an answer has one message for each key, wherever the process died."""
    chance = random.Random(7)
    told: dict[str, UUID] = {}
    for turn in range(4):
        api = await asyncio.to_thread(start_api)
        wanted = [f"order-{turn}-{number}" for number in range(30)]
        async with open_client(api) as client:
            asking = [asyncio.create_task(post(client, key)) for key in wanted]
            await asyncio.sleep(chance.uniform(0.02, 0.4))
            api.process.kill()
            answers = await asyncio.gather(*asking, return_exceptions=True)
        for key, answer in zip(wanted, answers, strict=True):
            if isinstance(answer, httpx.Response):
                assert answer.status_code == 202
                told[key] = answer.json()["id"]
    keys = [f"order-{turn}-{number}" for turn in range(4) for number in range(30)]
    async with open_client(await asyncio.to_thread(start_api)) as client:
        for key in keys:
            answer = await post(client, key)
            assert answer.status_code == 202, answer.text
            assert told.setdefault(key, answer.json()["id"]) == answer.json()["id"]
    assert await counts(own) == (len(keys), len(keys))


async def _someone_waits(engine: AsyncEngine) -> None:
    """Until a transaction of an api stands before the lock that we hold."""
    question = text(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'lapwing-api' AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(30):
        while True:
            async with begin(engine) as tx:
                if await tx.scalar(question):
                    return
            await asyncio.sleep(0.05)
