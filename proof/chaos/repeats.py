"""A gateway that takes nothing twice under one id loses its answers, while dispatchers die and no receipt comes.

What is in doubt is asked for again there, and settled without anybody's help; the second gateway gets none of it.
"""

import random
import time
from typing import Any, Final

from proof.chaos.trial import Finding, Plan, conclude
from proof.evidence import await_ended, left_by, read_entries
from proof.numbers import SENDER, fictional
from proof.promises import Promises
from proof.world import Shape, World

NAME: Final = "repeats"
MESSAGES: Final = 4_000
KILLS: Final = 12
# In half of the doubts the gateway has the message.
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "error", "status": 500, "accept": True, "probability": 0.02},
    {"kind": "error", "status": 503, "accept": False, "probability": 0.02},
    {"kind": "hang", "accept": True, "probability": 0.005},
    {"kind": "close", "accept": False, "probability": 0.005},
)
BOOK_SECONDS: Final = 1.5
SETTLE_SECONDS: Final = 240.0
SHAPE: Final = Shape(dispatchers=2, bulk_slots=40, latency_ms=50.0, dials={"callbacks": False}, zygote=True)

_IN_DOUBT: Final = (
    "SELECT count(*) FROM attempts a JOIN messages m ON m.id = a.message_id WHERE a.lookup_at IS NOT NULL"
)
# Whoever follows an attempt in doubt must be the same gateway.
_ASTRAY: Final = """
    SELECT count(*) FROM attempts a JOIN attempts b ON b.message_id = a.message_id AND b.attempt > a.attempt
    WHERE (a.outcome IS NULL OR a.outcome IN ('lost', 'accepted')) AND b.gateway_id <> a.gateway_id
"""


def run(plan: Plan) -> Finding:
    finding = Finding(NAME, "kill")
    chance = plan.chance(NAME)
    size = plan.size(MESSAGES)
    with World(SHAPE, keep=plan.keep) as world:
        _speak_of_ids(world)
        promises = Promises()
        world.simulator.set_dials(faults=list(FAULTS))
        campaign = promises.start_campaign(world.api, "campaign", msisdns=fictional(size))
        for _ in range(plan.times(KILLS)):
            time.sleep(chance.uniform(0.2, 1.0))
            _kill_one(world, finding, chance)
        while await_ended(world, campaign, seconds=SETTLE_SECONDS) == "held":
            world.api.insist("POST", f"/v1/campaigns/{campaign.id}/resume")
        world.simulator.set_dials(faults=[])
        finding.figures["settled after, s"] = round(_await_settled(world), 1)
        verdict = conclude(world, promises, finding)
        finding.figures |= {"known by their id": verdict.repeated, "statuses": dict(sorted(verdict.statuses.items()))}
        finding.require(verdict.repeated > 0, "the gateway never knew an id, so nothing was proven")
        finding.require(
            not verdict.never_arrived, f"{len(verdict.never_arrived)} were in doubt, and not asked for again"
        )
        astray = world.count(_ASTRAY)
        finding.require(astray == 0, f"{astray} hand-overs went elsewhere after one that may have arrived")
        lied = sum(entry.kind == "accepted" and entry.fault is not None for entry in read_entries(world))
        finding.figures["taken, and not said so"] = lied
    return finding


def _speak_of_ids(world: World) -> None:
    """The first gateway is one that takes nothing twice, and has not been changed for a while; the second is not."""
    simulator = world.simulator
    repeating = world.add_gateway(
        "by id",
        kind="custom",
        preset="infobip",
        settings={"url": f"{simulator.base_url}/infobip/sms/3/messages", "sender_id": SENDER, "balance": None},
        secrets={"api_key": simulator.api_key},
    )
    ids = [repeating["id"], world.gateway["id"]]
    world.api.insist("PUT", "/v1/gateways/order", {"ids": ids})
    world.postgres.ask("UPDATE gateways SET updated_at = updated_at - interval '1 hour'", database="lapwing")
    time.sleep(BOOK_SECONDS)


def _kill_one(world: World, finding: Finding, chance: random.Random) -> None:
    ready = [process for process in world.dispatchers if process.running and process.is_ready]
    if not ready:
        return
    victim = chance.choice(ready)
    victim.kill()
    finding.trials += 1
    finding.held |= left_by(world, victim.pid).keys()
    world.start_dispatcher(wait=False)


def _await_settled(world: World) -> float:
    """Until nothing is due to be asked for any more; how long that took."""
    begun = time.monotonic()
    while time.monotonic() - begun < SETTLE_SECONDS and world.count(_IN_DOUBT):
        time.sleep(1.0)
    return time.monotonic() - begun
