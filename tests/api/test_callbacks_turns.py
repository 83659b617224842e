"""Turns: a burst of callbacks lets others through, and each of them is served in its turn."""

import asyncio

from api.callbacks.turns import Turns


async def burst(turns: Turns, count: int, served: list[int]) -> list[asyncio.Task[None]]:
    async def one(number: int) -> None:
        await turns.take()
        served.append(number)

    return [asyncio.create_task(one(number)) for number in range(count)]


async def test_a_few_pass_in_each_round() -> None:
    served: list[int] = []
    tasks = await burst(Turns(a_round=4), 100, served)
    most = 0
    while len(served) < 100:
        before = len(served)
        await asyncio.sleep(0)  # one round: what somebody else waits for his next step
        most = max(most, len(served) - before)
    assert most <= 2 * 4
    assert served == list(range(100))
    await asyncio.gather(*tasks)


async def test_who_comes_alone_does_not_wait() -> None:
    turns = Turns()
    for _ in range(3):
        async with asyncio.timeout(10):
            await turns.take()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_one_that_was_given_up_takes_no_turn() -> None:
    served: list[int] = []
    tasks = await burst(Turns(a_round=1), 10, served)
    await asyncio.sleep(0)
    for task in tasks[3:8]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert served == [0, 1, 2, 8, 9]
