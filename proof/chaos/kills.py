"""Random kill -9: dispatchers that share a campaign die at any moment, one after the other, for as long as it runs.

Once with a message a call (Twilio's dialect), once with batches (SMSPortal's), where a death leaves many in one call.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from proof.chaos.chatter import Chatter
from proof.chaos.trial import Finding, Plan, conclude
from proof.evidence import ENDED, await_ended, left_by
from proof.numbers import fictional
from proof.processes import Process
from proof.promises import Promises, Started, import_group
from proof.world import Shape, World

NAME: Final = "random kill -9"
BATCHES: Final = "random kill -9, in batches"
BOOK_SECONDS: Final = 1.5  # after which every dispatcher knows of a change
MESSAGES: Final = 20_000
CAMPAIGNS_A_WORLD: Final = 4
PAUSE_SECONDS: Final = (0.15, 1.5)
# In batches a campaign is over in a tenth of the time.
PAUSE_SECONDS_IN_BATCHES: Final = (0.05, 0.4)
# Some receipts come before a lease runs out, some after.
SHAPE: Final = Shape(
    dispatchers=2, latency_ms=50.0, dials={"jitter_ms": 50.0, "callback_delay_ms": [10.0, 8_000.0]}, zygote=True
)


@dataclass(frozen=True, slots=True)
class _Hand:
    """That kills at random: whom, and after how many seconds, between two."""

    chance: random.Random
    pauses: tuple[float, float]

    def wait(self) -> None:
        time.sleep(self.chance.uniform(*self.pauses))

    def pick(self, ready: list[Process]) -> Process:
        return self.chance.choice(ready)


def run(plan: Plan) -> Finding:
    """A message a call."""
    return _run(plan, Finding(NAME, "kill"), most=plan.kills, arrange=_as_it_is, pauses=PAUSE_SECONDS)


def run_batches(plan: Plan) -> Finding:
    """The same through a gateway that takes up to 100 messages a call."""
    most = max(1, plan.kills // 4)
    finding = Finding(BATCHES, "kill")
    return _run(plan, finding, most=most, arrange=_speak_in_batches, pauses=PAUSE_SECONDS_IN_BATCHES)


def _as_it_is(_world: World) -> None:
    """The world's own gateway, a Twilio account."""


def _speak_in_batches(world: World) -> None:
    simulator = world.simulator
    world.api.post(f"/v1/gateways/{world.gateway['id']}/disable")
    portal = world.add_gateway(
        "portal",
        kind="smsportal",
        settings={"base_url": f"{simulator.base_url}/smsportal"},
        secrets={"client_id": simulator.api_key, "api_secret": simulator.api_secret},
    )
    simulator.set_dials(status_url=portal["callback_urls"]["status"])
    time.sleep(BOOK_SECONDS)


def _run(
    plan: Plan, finding: Finding, *, most: int, arrange: Callable[[World], None], pauses: tuple[float, float]
) -> Finding:
    """Campaign after campaign, world after world, until all kills are spent."""
    finding.figures |= {"window": SHAPE.slots, "in flight at a kill, most": 0}
    hand = _Hand(plan.chance(finding.scenario), pauses)
    while finding.trials < most:
        with World(SHAPE, keep=plan.keep) as world:
            arrange(world)
            promises = Promises()
            audience = fictional(plan.size(MESSAGES))
            group_id = import_group(world, "everybody", audience)
            for number in range(1, CAMPAIGNS_A_WORLD + 1):
                if finding.trials < most:
                    name = f"campaign {number}"
                    campaign = promises.start_campaign(world.api, name, msisdns=audience, group_id=group_id)
                    _kill_while_it_runs(world, promises, campaign, finding, most=most, hand=hand)
                    plan.say(f"  {finding.trials} of {most} kills")
            verdict = conclude(world, promises, finding, seconds=240.0)
            finding.add("never arrived, stated as unconfirmed", len(verdict.never_arrived))
    in_flight = finding.figures.pop("in flight in all", 0)
    finding.figures["in flight at a kill, mean"] = round(in_flight / finding.trials, 1)
    return finding


def _kill_while_it_runs(
    world: World, promises: Promises, campaign: Started, finding: Finding, *, most: int, hand: _Hand
) -> None:
    begun = time.monotonic()
    with Chatter(world.api, promises, per_second=5, name=f"{campaign.name}, personal") as chatter:
        while finding.trials < most and not _has_ended(world, campaign):
            hand.wait()
            ready = [process for process in world.dispatchers if process.running and process.is_ready]
            if ready:
                _kill(world, hand.pick(ready), finding)
        await_ended(world, campaign, seconds=180.0)
    finding.require(not chatter.failures, f"{campaign.name}: {len(chatter.failures)} messages were not acknowledged")
    finding.most("campaign seconds, most", round(time.monotonic() - begun, 1))


def _kill(world: World, victim: Process, finding: Finding) -> None:
    victim.kill()
    finding.trials += 1
    held = left_by(world, victim.pid)
    left = len(held)
    finding.most("in flight at a kill, most", left)
    finding.add("in flight in all", left)
    finding.held |= held.keys()
    finding.require(
        left <= world.shape.slots,
        f"kill {finding.trials} left {left} messages in flight; a dispatcher has {world.shape.slots} slots",
    )
    world.start_dispatcher(wait=False)


def _has_ended(world: World, campaign: Started) -> bool:
    return world.api.insist("GET", f"/v1/campaigns/{campaign.id}")["status"] in ENDED
