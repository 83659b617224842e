"""The process: stages have their turns, bells are heard, Redis may go, and a stop drains."""

import asyncio
import logging
import os
import pickle
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
import respx
from asyncpg import DeadlockDetectedError
from pydantic import SecretStr
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from deploy.local.servers import Valkey
from dispatcher import failpoints
from dispatcher.beside.webhooks import Courier
from dispatcher.main import SERVABLE, STAGES, WEBHOOKS, Stage, limits_of, main, repeat, serve
from dispatcher.path.pump import Pump
from dispatcher.ticks import queue_of
from dispatcher.worker import Limits, Worker
from shared.db import begin
from shared.domain.message import Kind, Status
from shared.doorbell import Doorbell, bell_of
from shared.queries.installation import open_pepper
from shared.sealing import Sealer, new_key
from shared.settings import Settings
from tests.dispatcher.answers import at
from tests.factories import make_attempt, make_campaign, make_gateway, make_message, make_msisdn
from tests.stages import message_of, statuses
from tests.worlds import HandWorker

PROMISED_SECONDS = 1.0  # to owners and recipients, in the README
NOWHERE = "redis://127.0.0.1:1/0"


@pytest.fixture
async def gateway(worker: HandWorker, router: respx.MockRouter) -> UUID:
    at(router)
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer)


@pytest.fixture
async def own_valkey(tmp_path: Path) -> AsyncIterator[Valkey]:
    """One of our own, to be killed."""
    server = Valkey(tmp_path / "valkey")
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.close)


async def until(check: Any, *, seconds: float = 10.0) -> float:
    """Wait until an awaited check holds; how long it took."""
    begun = monotonic()
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.01)
    return monotonic() - begun


async def queue_one(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_message(tx, worker.pepper, now=worker.now())


def submitted(worker: HandWorker, message_id: UUID) -> Any:
    async def check() -> bool:
        return (await message_of(worker.engine, message_id)).status is Status.SUBMITTED

    return check


# --- turns


class Counted:
    """A stage that finds work so many times, after it fails so many."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.turns: list[float] = []

    async def __call__(self, _worker: Worker) -> int:
        self.turns.append(monotonic())
        answer = self.answers.pop(0) if self.answers else 0
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_runs_again_at_once_while_it_finds_work(worker: HandWorker) -> None:
    run = Counted(5, 5, 5, 0)
    running = asyncio.create_task(repeat(worker, Stage("counted", run, 600.0)))
    await until(_turns(run, 4))
    await asyncio.sleep(0.05)
    assert len(run.turns) == 4
    worker.ring("counted")
    await until(_turns(run, 5))
    worker.stop()
    await running


def _turns(run: Counted, number: int) -> Any:
    async def check() -> bool:
        return len(run.turns) >= number

    return check


@pytest.mark.parametrize(
    ("error", "level"),
    [
        pytest.param(ConnectionError("away"), logging.WARNING, id="outage"),
        pytest.param(DBAPIError("", None, DeadlockDetectedError("a migration's")), logging.WARNING, id="deadlock"),
        pytest.param(ValueError("a bug"), logging.ERROR, id="bug"),
    ],
)
async def test_survives_what_its_stage_raises(
    worker: HandWorker, error: Exception, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    run = Counted(error, 0)
    running = asyncio.create_task(repeat(worker, Stage("counted", run, 0.01)))
    await until(_turns(run, 2))
    worker.stop()
    await running
    assert run.turns[1] - run.turns[0] >= 0.5
    told = {(getattr(record, "stage", None), record.levelno) for record in caplog.records}
    assert ("counted", level) in told


async def test_bell_during_the_turn_is_not_lost(worker: HandWorker) -> None:
    """What happened after the stage looked needs another look, however long its pause."""
    looked = 0

    async def look(_worker: Worker) -> int:
        nonlocal looked
        looked += 1
        if looked == 1:
            worker.ring("looking")
        return 0

    running = asyncio.create_task(repeat(worker, Stage("looking", look, 600.0)))

    async def twice() -> bool:
        return looked == 2

    await until(twice, seconds=2)
    worker.stop()
    await running


async def test_stop_wakes_a_stage_that_sleeps_for_minutes(worker: HandWorker) -> None:
    running = asyncio.create_task(repeat(worker, Stage("sleeper", Counted(), 600.0)))
    await asyncio.sleep(0.05)
    worker.stop()
    async with asyncio.timeout(10):
        await running


# --- the whole process, in this one


async def test_bell_brings_a_password_within_a_moment(
    worker: HandWorker, gateway: UUID, valkey: Valkey, doorbell: Doorbell
) -> None:
    serving = asyncio.create_task(serve(worker, lanes=("urgent", "bulk"), redis_url=valkey.url))
    await asyncio.sleep(0.3)
    message_id = await queue_one(worker)
    doorbell.ring("urgent")
    assert await until(submitted(worker, message_id)) < 0.9
    worker.stop()
    async with asyncio.timeout(3):
        await serving


async def test_without_redis_it_takes_a_second_longer(worker: HandWorker, gateway: UUID) -> None:
    serving = asyncio.create_task(serve(worker, lanes=("urgent", "bulk"), redis_url=NOWHERE))
    await asyncio.sleep(0.3)
    message_id = await queue_one(worker)
    async with worker.transaction() as tx:
        await make_campaign(tx, [make_msisdn(number) for number in range(3)], now=worker.now())

    async def all_sent() -> bool:
        return await statuses(worker.engine) == {"submitted": 4}

    assert await until(all_sent) < 4
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED
    worker.stop()
    async with asyncio.timeout(3):
        await serving


async def test_redis_dies_and_comes_back(worker: HandWorker, gateway: UUID, own_valkey: Valkey) -> None:
    serving = asyncio.create_task(serve(worker, lanes=("urgent",), redis_url=own_valkey.url))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(own_valkey.kill)
    assert await until(submitted(worker, await queue_one(worker))) < 3
    await asyncio.to_thread(own_valkey.start)
    doorbell = Doorbell(own_valkey.url)
    async with Redis.from_url(own_valkey.url) as redis:
        await redis.flushall()

        async def listening() -> bool:
            doorbell.ring("urgent")
            await asyncio.sleep(0.05)
            return bool(await redis.exists(bell_of("urgent")) == 0)

        await until(listening)
    await doorbell.close()
    assert not serving.done()
    worker.stop()
    async with asyncio.timeout(3):
        await serving


class Bomb:
    """What a pickle can do to whoever loads it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (Path(self.path),))


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(pickle.dumps, id="a pickle"),
        pytest.param(
            lambda bomb: pickle.dumps({"t": 1, "f": "ring", "a": [bomb], "k": {}, "et": 1}), id="a job's pickle"
        ),
        pytest.param(lambda _bomb: b"\xff\x00 no JSON", id="noise"),
        pytest.param(lambda _bomb: b"[1, 2]", id="JSON of another shape"),
    ],
)
async def test_what_others_put_into_the_queue_is_not_executed(
    worker: HandWorker, gateway: UUID, valkey: Valkey, tmp_path: Path, payload: Any
) -> None:
    trap = tmp_path / "sprung"
    serving = asyncio.create_task(serve(worker, lanes=("urgent",), redis_url=valkey.url))
    async with Redis.from_url(valkey.url) as redis:
        await redis.set("arq:job:mine", payload(Bomb(str(trap))))
        await redis.zadd(queue_of(worker.name), {"mine": 1})

        async def taken() -> bool:
            return await redis.zscore(queue_of(worker.name), "mine") is None

        await until(taken)
    assert not trap.exists()
    assert await until(submitted(worker, await queue_one(worker))) < 3  # and the lane lives on
    worker.stop()
    async with asyncio.timeout(3):
        await serving


async def test_bug_in_a_pump_ends_the_process_in_good_order(
    worker: HandWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a dispatcher would hide that it is broken; its supervisor starts a whole one."""

    async def broken(_pump: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("dispatcher.main.Pump.run", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        async with asyncio.timeout(5):
            await serve(worker, lanes=("urgent", "bulk"), redis_url=NOWHERE)
    assert worker.stopping.is_set()


def test_every_stage_has_a_name_of_its_own() -> None:
    names = [stage.name for stage in STAGES]
    assert len(set(names)) == len(names)
    assert {"due", "expand", "receipts", "finish", "empty_stopped", "cancel_requested", "reconcile"} <= set(names)


@pytest.mark.parametrize("lanes", [("urgent",), ("bulk",), ("urgent", "bulk", "webhooks")], ids="+".join)
async def test_whoever_hands_over_rescues_what_a_dead_dispatcher_had(
    worker: HandWorker, gateway: UUID, lanes: tuple[str, ...]
) -> None:
    """A password waits for its second try, whose process may serve its lane alone; and once is enough."""
    dead = {"attempt": 1, "leased_by": "the dead one", "lease_until": worker.now() - timedelta(seconds=1)}
    async with worker.transaction() as tx:
        message_id = await make_message(
            tx, worker.pepper, now=worker.now(), kind=Kind.OTP, status=Status.SENDING, **dead
        )
        await make_attempt(tx, message_id, gateway, now=worker.now())
    serving = asyncio.create_task(serve(worker, lanes=lanes, redis_url=NOWHERE))

    async def rescued() -> bool:
        return (await message_of(worker.engine, message_id)).status is Status.UNCONFIRMED

    await until(rescued, seconds=30)
    assert [task.get_name() for task in asyncio.all_tasks()].count("rescue") == 1
    worker.stop()
    async with asyncio.timeout(30):
        await serving


async def test_who_only_carries_events_rescues_nothing(worker: HandWorker) -> None:
    serving = asyncio.create_task(serve(worker, lanes=("webhooks",), redis_url=NOWHERE))

    async def begun() -> bool:
        return "fan_out" in {task.get_name() for task in asyncio.all_tasks()}

    await until(begun, seconds=30)
    assert "rescue" not in {task.get_name() for task in asyncio.all_tasks()}
    worker.stop()
    async with asyncio.timeout(30):
        await serving


@pytest.mark.parametrize("lane", SERVABLE)
async def test_lane_that_is_served_is_told_before_its_first_message(worker: HandWorker, lane: str) -> None:
    """Alerts call for a lane that nobody tells of."""
    _ = Courier(worker) if lane == WEBHOOKS else Pump(worker, lane)
    assert worker.metrics.registry.get_sample_value("lapwing_in_flight", {"lane": lane}) == 0


# --- limits


def test_what_a_claim_looked_at_holds_for_less_than_the_second_that_is_promised() -> None:
    """A STOP, a stop and an end are kept to a second later: with the limits built in, and with those of settings."""
    settings = Settings(database_url="", redis_url="", secret_keys=(SecretStr("key"),), lease_seconds=600)
    for limits in (Limits(), limits_of(settings)):
        assert 0 < limits.fresh < PROMISED_SECONDS


def test_settings_are_the_limits() -> None:
    settings = Settings(
        database_url="",
        redis_url="",
        secret_keys=(SecretStr("key"),),
        gateway_deadline_seconds=7,
        lease_seconds=21,
        bulk_slots=11,
        urgent_slots=12,
    )
    assert limits_of(settings) == replace(Limits(), deadline=7, lease=21, bulk_slots=11, urgent_slots=12)


# --- the process itself


def environment(**over: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "LAPWING_SECRET_KEYS": new_key(),
        "LAPWING_DATABASE_URL": "postgresql+asyncpg://nobody@127.0.0.1:1/none",
        "LAPWING_REDIS_URL": NOWHERE,
        **over,
    }


async def start(**over: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "dispatcher.main",
        cwd=Path(__file__).parents[2],
        env=environment(**over),
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize(
    ("over", "words"),
    [
        pytest.param({"LAPWING_LANES": "urgent,express"}, "LAPWING_LANES: express", id="unknown lane"),
        pytest.param({"LAPWING_FAILPOINTS": "lunch"}, "LAPWING_FAILPOINTS: 'lunch' is no step", id="unknown step"),
        pytest.param({"LAPWING_LEASE_SECONDS": "10"}, "LAPWING_LEASE_SECONDS: 10", id="lease without room"),
    ],
)
def test_settings_that_cannot_work_stop_it_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], over: dict[str, str], words: str
) -> None:
    for name, value in environment(**over).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("dispatcher.main.logs.configure", lambda _name: None)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(words)


@pytest.mark.parametrize(
    ("over", "words"),
    [
        pytest.param({"LAPWING_SMTP_URL": "mail.example.com"}, "LAPWING_SMTP_URL: is no address", id="no address"),
        pytest.param({"LAPWING_SMTP_URL": "smtps://mail.example.com"}, "LAPWING_MAIL_FROM: ", id="no sender"),
    ],
)
def test_mail_settings_that_cannot_work_stop_it_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], over: dict[str, str], words: str
) -> None:
    for name, value in environment(**over).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("dispatcher.main.logs.configure", lambda _name: None)
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert words in capsys.readouterr().err


async def test_ctrl_c_drains_and_exits_0(worker: HandWorker, migrated_url: str, valkey: Valkey) -> None:
    """A dispatcher of its own: it sends what waits, and a signal ends it at once and well."""
    key = new_key()
    sealer = Sealer.from_texts([key])
    async with begin(worker.engine) as tx:
        pepper = await _reseal(tx, sealer, worker)
        await make_gateway(tx, sealer, kind="sandbox")
        message_id = await make_message(tx, pepper, now=worker.now())
    process = await start(LAPWING_SECRET_KEYS=key, LAPWING_DATABASE_URL=migrated_url, LAPWING_REDIS_URL=valkey.url)
    try:

        async def sent() -> bool:
            return (await message_of(worker.engine, message_id)).status is Status.DELIVERED

        await until(sent, seconds=20)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(3):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    assert b"dispatcher has drained" in errors
    assert make_msisdn(0).encode() not in errors


async def _reseal(tx: Any, sealer: Sealer, worker: HandWorker) -> bytes:
    """The pepper of this test's own key, in place of the fixture's."""
    await tx.execute(text("DELETE FROM installation"))
    return await open_pepper(tx, sealer, worker.now())


async def test_failpoint_kills_it_exactly_there(worker: HandWorker, migrated_url: str) -> None:
    key = new_key()
    sealer = Sealer.from_texts([key])
    async with begin(worker.engine) as tx:
        pepper = await _reseal(tx, sealer, worker)
        await make_gateway(tx, sealer, kind="sandbox")
        message_id = await make_message(tx, pepper, now=worker.now())
    process = await start(
        LAPWING_SECRET_KEYS=key, LAPWING_DATABASE_URL=migrated_url, LAPWING_FAILPOINTS="after_claim_commit"
    )
    async with asyncio.timeout(20):
        await process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert (await message_of(worker.engine, message_id)).status is Status.SENDING


def test_failpoint_counts_how_often_it_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[int] = []
    monkeypatch.setattr("dispatcher.failpoints.os.kill", lambda _pid, number: killed.append(number))
    monkeypatch.setattr("dispatcher.failpoints._armed", {})
    failpoints.hit("before_send")
    failpoints.arm(["before_send:3", "after_answer"])
    for _ in range(2):
        failpoints.hit("before_send")
    assert killed == []
    failpoints.hit("before_send")
    failpoints.hit("before_send")
    failpoints.hit("after_answer")
    assert killed == [signal.SIGKILL, signal.SIGKILL]
