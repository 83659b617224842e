"""How long a password takes from the request to the gateway: idle, beside a campaign, and past a dead gateway."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from deploy.local.run import free_port
from deploy.simulator.ledger import accepted, read_ledger
from proof.bench import seeding, urgent
from proof.bench.sending import SHAPE
from proof.evidence import Stuck
from proof.numbers import fictional, mobiles
from proof.world import World

EVERY_SECONDS: Final = 0.02
CALLERS: Final = 2
# Ten failures in a row open a gateway's breaker; then it is not asked any more, and nothing is measured.
FALLBACKS: Final = 8
_FREE: Final = [{"count": 100_000, "seconds": 60}]
_LIMITS: Final = dict.fromkeys(("number", "prefix", "ip", "session", "profile", "deployment"), _FREE)


def measure(messages: int, *, samples: int = 300) -> dict[str, Any]:
    """otp_p99_ratio: the 99th percentile under load over that at rest; and the longest way past a dead gateway."""
    with World(replace(SHAPE, dispatchers=0)) as world:
        for lane in ("urgent", "bulk"):
            world.start_dispatcher(LANES=lane)
        world.api.request("PUT", "/v1/otp/limits", _LIMITS | {"hour_segments": 100_000, "day_segments": 100_000})
        quiet = world.add_gateway("quiet", **seeding.without_receipts(world))
        sender = fictional(1)[0]
        world.api.post("/v1/sender-ids", {"gateway_id": quiet["id"], "value": sender})
        group = seeding.add_people(world, messages, group="everyone")
        numbers = mobiles()
        next(numbers)  # the sender's, below
        _latencies(world, numbers, count=50)  # warms the paths and the connections
        idle = _latencies(world, numbers, count=samples)
        campaign = seeding.start_campaign(world, group, name="saturating", sender_id=sender)
        urgent.await_flow(world, 1_000)
        busy = _latencies(world, numbers, count=samples)
        counts = world.api.get(f"/v1/campaigns/{campaign}/report")["counts"]
        open_ = counts["queued"] + counts["sending"]
        if not open_:
            raise Stuck("the campaign ended before the measurement did; take more messages, such as N=20000")
        seeding.await_status(world, campaign, "completed", seconds=600)
        past = _past_one_that_is_down(world, numbers)
    return {
        "ratios": {"otp_p99_ratio": urgent.p99(busy) / urgent.p99(idle), "otp_fallback_seconds": max(past)},
        "raw": {
            "otp_idle_ms": urgent.figures(idle),
            "otp_busy_ms": urgent.figures(busy),
            "otp_fallback_ms": [round(seconds * 1000, 1) for seconds in past],
            "campaign_open_at_the_end": open_,
        },
    }


def _past_one_that_is_down(world: World, numbers: Iterator[str]) -> list[float]:
    """The first gateway refuses every connection: each password goes to the second one."""
    dead = f"http://127.0.0.1:{free_port('127.0.0.1', 0)}"
    given = seeding.without_receipts(world)
    down = world.add_gateway("down", **(given | {"settings": given["settings"] | {"base_url": dead}}))
    others = [gateway["id"] for gateway in world.api.get("/v1/gateways")["items"] if gateway["id"] != down["id"]]
    world.api.request("PUT", "/v1/gateways/order", {"ids": [down["id"], *others]})
    seeding.await_book()
    return _latencies(world, numbers, count=FALLBACKS)


def _latencies(world: World, numbers: Iterator[str], *, count: int) -> list[float]:
    """Seconds from the moment a password is asked for to the moment the gateway accepts its message."""
    asked = [next(numbers) for _ in range(count)]
    sent: dict[str, float] = {}

    def call(first: int) -> None:
        for msisdn in asked[first::CALLERS]:
            begun = time.time()
            world.api.post("/v1/otp", {"msisdn": msisdn, "session": f"bench-{msisdn}"})
            sent[msisdn] = begun
            time.sleep(max(0.0, EVERY_SECONDS * CALLERS - (time.time() - begun)))

    callers = [threading.Thread(target=call, args=(first,)) for first in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    give_up = time.monotonic() + 30
    while True:
        taken = accepted(read_ledger(world.simulator.ledger_path))
        arrived = {entry.to: entry.time for entry in taken if entry.to in sent}
        if len(arrived) == count:
            return [at - sent[msisdn] for msisdn, at in arrived.items()]
        if time.monotonic() > give_up:
            raise Stuck(f"only {len(arrived)} of {count} passwords reached the gateway")
        time.sleep(0.2)
