"""Rolling restarts by SIGTERM under load. No receipts are sent, so that nothing could mend what a deploy breaks."""

import time
from typing import Final

from proof.chaos.trial import Finding, Plan, conclude
from proof.evidence import await_ended
from proof.numbers import fictional
from proof.processes import Process
from proof.promises import Promises, Started
from proof.world import Shape, World

NAME: Final = "graceful deploys"
MESSAGES: Final = 4_000
DEPLOYS: Final = 25
SHAPE: Final = Shape(dispatchers=2, bulk_slots=50, latency_ms=250.0, dials={"callbacks": False})
EXIT_SECONDS: Final = SHAPE.deadline + 5.0


def run(plan: Plan) -> Finding:
    finding = Finding(NAME, "deploy", figures={"exit, s, most": 0.0, "exit, s, allowed": EXIT_SECONDS})
    chance = plan.chance(NAME)
    with World(SHAPE, keep=plan.keep) as world:
        promises = Promises()
        campaign = _campaign(world, promises, plan)
        while finding.trials < plan.times(DEPLOYS):
            if world.api.get(f"/v1/campaigns/{campaign.id}")["status"] == "completed":
                campaign = _campaign(world, promises, plan)
            _deploy(world, chance.choice(world.dispatchers), finding)
            time.sleep(chance.uniform(0.0, 1.0))
        await_ended(world, campaign)
        verdict = conclude(world, promises, finding)
    doubts = len(verdict.doubted) + len(verdict.never_arrived)
    finding.figures["unconfirmed"] = doubts
    finding.require(not doubts, f"deploys made {doubts} messages unconfirmed")
    return finding


def _campaign(world: World, promises: Promises, plan: Plan) -> Started:
    number = len(promises.campaigns) + 1
    return promises.start_campaign(world.api, f"campaign {number}", msisdns=fictional(plan.size(MESSAGES)))


def _deploy(world: World, old: Process, finding: Finding) -> None:
    """The new one first, then the old one goes: as a rolling update does."""
    world.start_dispatcher()
    begun = time.monotonic()
    old.terminate()
    code = old.wait()
    seconds = time.monotonic() - begun
    world.dispatchers.remove(old)
    finding.trials += 1
    finding.most("exit, s, most", round(seconds, 2))
    finding.require(code == 0, f"deploy {finding.trials}: exit code {code}")
    finding.require(seconds <= EXIT_SECONDS, f"deploy {finding.trials}: exit after {seconds:.1f} s")
