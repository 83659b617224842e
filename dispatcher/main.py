"""The dispatcher process: when each stage runs. What a stage does is in its own module.

A lane's bell wakes it, arq's clock makes it look every second, and neither carries anything. Every stage also looks by
itself, so nothing stops when Redis does.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import uvloop
from prometheus_client import start_http_server
from redis.exceptions import RedisError
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher import failpoints
from dispatcher.beside.automate import automate
from dispatcher.beside.balances import balances
from dispatcher.beside.erasures import erase
from dispatcher.beside.health import health
from dispatcher.beside.housekeeping import keep_house
from dispatcher.beside.mail import mail
from dispatcher.beside.otp_expiries import tell_expired
from dispatcher.beside.otp_figures import count_passwords
from dispatcher.beside.otp_watch import watch_passwords
from dispatcher.beside.quota import keep_quota
from dispatcher.beside.reconcile import reconcile
from dispatcher.beside.rescue import rescue
from dispatcher.beside.retention import retain
from dispatcher.beside.revive import revive
from dispatcher.beside.unserved import look_for_unserved
from dispatcher.beside.vouchers import tell_nearly_used
from dispatcher.beside.watch import look_first, watch
from dispatcher.beside.webhooks import Courier, fan_out
from dispatcher.book import FRESH_SECONDS, Book
from dispatcher.door.engine import Limits as DoorLimits
from dispatcher.door.mail_server import MailServer, mail_server
from dispatcher.door.transport import Transport
from dispatcher.ending import end
from dispatcher.imports.stage import run_imports
from dispatcher.path.due import due
from dispatcher.path.expand import expand
from dispatcher.path.finish import cancel_requested, empty_stopped, finish
from dispatcher.path.pump import Pump
from dispatcher.path.receipts import receipts
from dispatcher.path.trials import NAME as TRIALS
from dispatcher.path.trials import Trials
from dispatcher.ticks import tick
from dispatcher.witness import Witness
from dispatcher.worker import Limits, Worker, keep_book, leave
from shared import log as logs
from shared.clock import utc_now
from shared.db import build_engine, is_busy, is_outage
from shared.doorbell import LANES, hear
from shared.exits import refuse_to_start
from shared.metrics import dispatcher_metrics
from shared.queries.installation import open_pepper
from shared.queries.partitions import ensure_partitions
from shared.queries.revision import find_revision, standing_of
from shared.sealing import Sealer
from shared.settings import Settings

log = logging.getLogger(__name__)

OUTAGE_SECONDS: Final = 0.5
MIGRATION_SECONDS: Final = 2.0
# A process that only does campaigns steps back for passwords and requests where processors are short.
BULK_NICENESS: Final = 10
RECONNECT_SECONDS: Final = 1.0
GC_THRESHOLD: Final = 20_000  # objects; Python's own 700 walks the messages in flight many times a second


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage that looks every `seconds`, or at once when its bell rings; `belled` ones hear the lane's bell too."""

    name: str
    run: Callable[[Worker], Awaitable[int]]
    seconds: float
    belled: bool = False


STAGES: Final = (
    Stage("due", due, 0.5, belled=True),
    Stage("expand", expand, 1.0, belled=True),
    Stage("revive", revive, 1.0, belled=True),
    Stage("receipts", receipts, 0.25, belled=True),
    Stage("finish", finish, 0.5),
    Stage("empty_stopped", empty_stopped, 1.0, belled=True),
    Stage("cancel_requested", cancel_requested, 1.0, belled=True),
    Stage("watch", watch, 1.0),
    Stage("unserved", look_for_unserved, 2.0),
    Stage("reconcile", reconcile, 1.0),
    Stage("automate", automate, 1.0, belled=True),
    Stage("vouchers", tell_nearly_used, 5.0),
    Stage("imports", run_imports, 1.0, belled=True),
    Stage("balances", balances, 5.0, belled=True),
    Stage("otp_watch", watch_passwords, 5.0),
    Stage("otp_expiries", tell_expired, 2.0),
    Stage("otp_figures", count_passwords, 60.0),
    Stage("mail", mail, 5.0),
    Stage("erasures", erase, 2.0, belled=True),
    Stage("quota", keep_quota, 2.0),
    Stage("housekeeping", keep_house, 600.0),
    Stage("retention", retain, 600.0),
)
# What carries events to owners' systems, with a courier: as a lane of its own, it may have a process of its own.
WEBHOOKS: Final = "webhooks"
WEBHOOK_STAGES: Final = (Stage("fan_out", fan_out, 0.5, belled=True),)
# Whatever its lanes, a dispatcher needs the gateways (read here, no message has to wait for them) and their health.
EVERYWHERE: Final = (Stage("book", keep_book, FRESH_SECONDS / 2), Stage("health", health, 1.0))
# Whoever hands messages over looks after those of the dead, too: a password is not left to a process of another lane.
WITH_A_PUMP: Final = (Stage("rescue", rescue, 1.0),)
_STAGES_OF: Final = {"bulk": STAGES, WEBHOOKS: WEBHOOK_STAGES}
SERVABLE: Final = (*LANES, WEBHOOKS)


async def repeat(worker: Worker, stage: Stage) -> None:
    """Run a stage for as long as the worker lives: again at once while it finds work, else at its next turn."""
    bell = worker.bells[stage.name]
    while not worker.stopping.is_set():
        bell.clear()
        pause = stage.seconds
        try:
            if await stage.run(worker):
                pause = 0.0
        except Exception as error:
            pause = max(OUTAGE_SECONDS, stage.seconds)
            if is_outage(error) or is_busy(error):  # such as a deadlock with a migration
                log.warning("stage paused", extra={"stage": stage.name, "cause": type(error).__name__})
            else:
                log.exception("stage failed", extra={"stage": stage.name})
        if pause:
            await worker.sleep(bell, pause)
        else:
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def open_worker(settings: Settings) -> AsyncIterator[Worker]:
    """A worker with everything open that it owns."""
    letters_to = _mail_server(settings)
    engine, key_engine = _engines(settings)
    sealer = Sealer.from_texts([key.get_secret_value() for key in settings.secret_keys])
    transport = Transport(
        settings.gateway_http_engine,
        allowed_networks=settings.allowed_networks,
        limits=DoorLimits(
            # Well below the deadline: a connection that never stood must not look like one that was cut short.
            connect_timeout=min(5.0, settings.gateway_deadline_seconds / 2),
            max_connections=settings.bulk_slots + settings.urgent_slots,
        ),
    )
    async with contextlib.AsyncExitStack() as closing:
        closing.push_async_callback(engine.dispose)
        closing.push_async_callback(key_engine.dispose)
        closing.push_async_callback(transport.aclose)
        worker = Worker(
            engine=engine,
            key_engine=key_engine,
            book=Book(sealer=sealer, public_url=settings.url_for_callbacks),
            transport=transport,
            sealer=sealer,
            pepper=await _first_contact(engine, sealer),
            metrics=dispatcher_metrics(),
            limits=limits_of(settings),
            mail_server=letters_to,
            redis_url=settings.redis_url,
            witness=Witness(settings.redis_url),
        )
        closing.push_async_callback(worker.aclose)
        yield worker


def limits_of(settings: Settings) -> Limits:
    return Limits(
        deadline=settings.gateway_deadline_seconds,
        lease=settings.lease_seconds,
        bulk_slots=settings.bulk_slots,
        urgent_slots=settings.urgent_slots,
    )


def _mail_server(settings: Settings) -> MailServer | None:
    """Where notices are mailed to; without the setting they are only shown."""
    if settings.smtp_url is None:
        return None
    url = settings.smtp_url.get_secret_value()
    try:
        return mail_server(url, sender=settings.mail_from, ca_file=settings.smtp_ca_file)
    except ValueError as error:
        refuse_to_start(f"{error}.")


def _engines(settings: Settings) -> tuple[AsyncEngine, AsyncEngine]:
    """For what is done beside the path, and for the path, which has two thirds of the connections."""
    open_engine = partial(
        build_engine,
        settings.database_url,
        application_name="lapwing-dispatcher",
        ping=False,  # a stage that meets a dead connection tries again by itself
        command_timeout=120,
    )
    beside = max(1, settings.database_pool // 3)
    return open_engine(pool_size=beside), open_engine(pool_size=settings.database_pool - beside, by_key=True)


async def _first_contact(engine: AsyncEngine, sealer: Sealer) -> bytes:
    """Wait for the database and for the migrations, make the partitions of these months, and open the pepper.

    On a schema behind this code a message would be claimed, and handed over, that cannot be written down afterwards.
    """
    while True:
        try:
            async with engine.begin() as tx:
                revision = await find_revision(tx)
                if standing_of(revision) != "behind":
                    await ensure_partitions(tx, utc_now())
                    return await open_pepper(tx, sealer, utc_now())
            log.warning("waiting for the migrations", extra={"revision": revision})
            await asyncio.sleep(MIGRATION_SECONDS)
        except Exception as error:
            if not (is_outage(error) or is_busy(error)):
                raise
            log.warning("waiting for the database", extra={"cause": type(error).__name__})
            await asyncio.sleep(OUTAGE_SECONDS)


async def listen(worker: Worker, lane: str, redis_url: str, woken: Sequence[str]) -> None:
    """Hear one lane's bell for as long as the worker lives."""

    def rung() -> None:
        for name in woken:
            worker.ring(name)

    await _with_redis(worker, "no bell", lambda: hear(redis_url, lane, rung=rung))


async def keep_time(worker: Worker, redis_url: str, woken: Sequence[str]) -> None:
    """Have every lane look once a second for as long as the worker lives."""

    def ticked() -> None:
        for name in woken:
            worker.ring(name)

    await _with_redis(worker, "no clock", lambda: tick(redis_url, worker.name, ticked=ticked))


async def _with_redis(worker: Worker, event: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run until the worker stops; without Redis, say `event` and try again and again."""
    stopping = asyncio.create_task(worker.stopping.wait())
    while not worker.stopping.is_set():
        running = asyncio.create_task(run())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await end(running)
        error = None if running.cancelled() else running.exception()
        if isinstance(error, RedisError | OSError | TimeoutError):
            log.warning(event, extra={"cause": type(error).__name__})
            await worker.sleep(worker.stopping, RECONNECT_SECONDS)
        elif error is not None:
            raise error
    stopping.cancel()


async def serve(worker: Worker, *, lanes: tuple[str, ...], redis_url: str) -> None:
    """Run the lanes' pumps with their stages, most with the bulk lane, until `worker.stopping` is set; then drain."""
    await look_first(worker)
    tasks: list[asyncio.Task[None]] = []
    all_woken: list[str] = []
    for lane in lanes:
        stages = _STAGES_OF.get(lane, ())
        woken = [lane, *(stage.name for stage in stages if stage.belled)]
        if lane == "urgent":
            woken.append(TRIALS)
            tasks.append(asyncio.create_task(Trials(worker).run(), name=TRIALS))
        runner = Courier(worker) if lane == WEBHOOKS else Pump(worker, lane)
        tasks.append(asyncio.create_task(runner.run(), name=f"runner-{lane}"))
        tasks.append(asyncio.create_task(listen(worker, lane, redis_url, woken)))
        all_woken += woken
        tasks += [asyncio.create_task(repeat(worker, stage), name=stage.name) for stage in stages]
    beside = (*EVERYWHERE, *(WITH_A_PUMP if set(lanes) & set(LANES) else ()))
    tasks += [asyncio.create_task(repeat(worker, stage), name=stage.name) for stage in beside]
    tasks.append(asyncio.create_task(keep_time(worker, redis_url, all_woken)))
    tasks.append(asyncio.create_task(_wake_at_the_end(worker)))
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    worker.stop()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        if not task.cancelled() and task.exception() is not None:
            raise task.exception() or RuntimeError(task.get_name())


async def _wake_at_the_end(worker: Worker) -> None:
    """A stage sleeps for up to its whole turn; a stop does not wait for that."""
    await worker.stopping.wait()
    for stage in (*STAGES, *WEBHOOK_STAGES, *WITH_A_PUMP, *EVERYWHERE):
        worker.ring(stage.name)


async def run(settings: Settings) -> None:
    # The first process of a container does not hear a signal that it has no handler for.
    _at_a_stop(_leave_at_once)
    async with open_worker(settings) as worker:
        _at_a_stop(worker.stop)
        if settings.metrics_port is not None:
            start_http_server(settings.metrics_port, addr=settings.host, registry=worker.metrics.registry)
        log.info("dispatcher is ready", extra={"dispatcher": worker.name, "lanes": list(settings.lanes)})
        await serve(worker, lanes=tuple(settings.lanes), redis_url=settings.redis_url)
        with contextlib.suppress(Exception):  # it would be counted out by itself soon
            await leave(worker)
        log.info("dispatcher has drained", extra={"dispatcher": worker.name})


def _at_a_stop(call: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, call)


def _leave_at_once() -> None:
    """Nothing has been claimed yet."""
    raise SystemExit(0)


def main() -> None:
    settings = Settings.from_environment()
    logs.configure("dispatcher")
    unknown = set(settings.lanes) - set(SERVABLE)
    if unknown or not settings.lanes:
        refuse_to_start(f"LAPWING_LANES: {', '.join(sorted(unknown)) or 'empty'}; lanes are {', '.join(SERVABLE)}.")
    if settings.lease_seconds * 5 / 6 <= settings.gateway_deadline_seconds:
        refuse_to_start(
            f"LAPWING_LEASE_SECONDS: {settings.lease_seconds:g} leaves no time for a hand-over of up to "
            f"{settings.gateway_deadline_seconds:g} s (LAPWING_GATEWAY_DEADLINE_SECONDS); set it to twice that."
        )
    failpoints.arm(settings.failpoints)
    if "urgent" not in settings.lanes:
        os.nice(BULK_NICENESS)
    collect_seldom()
    uvloop.run(run(settings))


def collect_seldom() -> None:
    """What is loaded by now stays; and a hand-over makes no cycles, so looking for them seldom is enough."""
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 20, 20)


if __name__ == "__main__":
    main()
