"""How long a person's message takes from the request to the gateway: idle, and while a campaign saturates the pump."""

import statistics
import threading
import time
from dataclasses import replace
from typing import Any, Final

from deploy.simulator.ledger import accepted, read_ledger
from proof.bench import seeding
from proof.bench.sending import SHAPE
from proof.evidence import Stuck
from proof.numbers import fictional
from proof.world import World

EVERY_SECONDS: Final = 0.02
CALLERS: Final = 2


def measure(messages: int, *, samples: int = 400) -> dict[str, Any]:
    """urgent_p99_ratio: the 99th percentile under load over that at rest, in milliseconds each.

    The campaign's gateway asks for no receipts, so that the pump is what saturates. A second campaign, whose receipts
    all come to the api that also takes the urgent requests, is told beside it.
    """
    with World(replace(SHAPE, dispatchers=0)) as world:
        # As a deployment with large campaigns runs them: a process for each lane.
        for lane in ("urgent", "bulk"):
            world.start_dispatcher(LANES=lane)
        sender = _quiet_sender(world)
        group = seeding.add_people(world, messages, group="everyone")
        numbers = fictional(200)
        _latencies(world, numbers, count=100)  # warms the paths and the connections
        idle = _latencies(world, numbers, count=samples)
        busy, open_ = _under(world, numbers, group, count=samples, name="saturating", sender_id=sender)
        answered, _ = _under(world, numbers, group, count=samples, name="with receipts")
    return {
        "ratios": {"urgent_p99_ratio": p99(busy) / p99(idle)},
        "raw": {
            "urgent_idle_ms": figures(idle),
            "urgent_busy_ms": figures(busy),
            "urgent_busy_with_receipts_ms": figures(answered),
            "urgent_p99_ratio_with_receipts": round(p99(answered) / p99(idle), 2),
            "campaign_open_at_the_end": open_,
        },
    }


def _quiet_sender(world: World) -> str:
    """A sender of a second gateway, the same simulator without receipts; only who names it goes there."""
    quiet = world.add_gateway("quiet", **seeding.without_receipts(world))
    value = fictional(201)[-1]
    world.api.post("/v1/sender-ids", {"gateway_id": quiet["id"], "value": value})
    return value


def _under(
    world: World, numbers: list[str], group: str, *, count: int, name: str, **campaign: Any
) -> tuple[list[float], int]:
    """The latencies while a campaign flows, and how much of it was still open when they had been measured."""
    started = seeding.start_campaign(world, group, name=name, **campaign)
    await_flow(world, 1_000)
    busy = _latencies(world, numbers, count=count)
    report = world.api.get(f"/v1/campaigns/{started}/report")
    open_ = report["counts"]["queued"] + report["counts"]["sending"]
    if not open_:
        raise Stuck(f"the campaign {name} ended before the measurement did; take more messages, such as N=20000")
    seeding.await_status(world, started, "completed", seconds=600)
    return busy, open_


def _latencies(world: World, numbers: list[str], *, count: int) -> list[float]:
    """Seconds from the moment a request is sent to the moment the gateway accepts its message."""
    sent: dict[str, float] = {}

    def call(first: int) -> None:
        for n in range(first, count, CALLERS):
            begun = time.time()
            answer = world.api.post(
                "/v1/messages", {"msisdn": numbers[n % len(numbers)], "text": f"Your code is {n:06}"}
            )
            sent[answer["id"]] = begun
            time.sleep(max(0.0, EVERY_SECONDS * CALLERS - (time.time() - begun)))

    callers = [threading.Thread(target=call, args=(first,)) for first in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return _arrivals(world, sent)


def _arrivals(world: World, sent: dict[str, float]) -> list[float]:
    give_up = time.monotonic() + 30
    while True:
        arrived = {
            entry.m: entry.time
            for entry in accepted(read_ledger(world.simulator.ledger_path))
            if entry.m is not None and entry.m in sent
        }
        if len(arrived) == len(sent):
            return [at - sent[id_] for id_, at in arrived.items()]
        if time.monotonic() > give_up:
            raise Stuck(f"only {len(arrived)} of {len(sent)} messages reached the gateway")
        time.sleep(0.2)


def await_flow(world: World, count: int) -> None:
    before = world.simulator.stats()["accepted"]
    give_up = time.monotonic() + 60
    while world.simulator.stats()["accepted"] - before < count:
        if time.monotonic() > give_up:
            raise Stuck("the campaign does not flow")
        time.sleep(0.05)


def p99(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=100)[98]


def figures(seconds: list[float]) -> dict[str, float]:
    return {
        "p50": round(statistics.median(seconds) * 1000, 1),
        "p99": round(p99(seconds) * 1000, 1),
        "max": round(max(seconds) * 1000, 1),
    }
