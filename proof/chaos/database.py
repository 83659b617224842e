"""Postgres restarts at once, as after a crash, again and again in the middle of a campaign."""

import time
from typing import Final

from proof.chaos.chatter import Chatter
from proof.chaos.trial import Finding, Plan, conclude, first_after
from proof.evidence import await_ended, read_entries
from proof.numbers import fictional
from proof.promises import Promises
from proof.world import Shape, World

NAME: Final = "Postgres restarts at once"
MESSAGES: Final = 10_000
RESTARTS: Final = 6
RESUME_SECONDS: Final = 15.0
PAUSE_SECONDS: Final = (1.5, 4.0)
SHAPE: Final = Shape(dispatchers=2, bulk_slots=50, latency_ms=250.0)


def run(plan: Plan) -> Finding:
    finding = Finding(NAME, "restart", figures={"resumed after, s, most": 0.0})
    chance = plan.chance(NAME)
    with World(SHAPE, keep=plan.keep) as world:
        promises = Promises()
        campaign = promises.start_campaign(world.api, "campaign", msisdns=fictional(plan.size(MESSAGES)))
        back: list[float] = []
        with Chatter(world.api, promises, per_second=4, name="personal") as chatter:
            time.sleep(2.0)
            for _ in range(plan.times(RESTARTS)):
                begun = time.monotonic()
                world.postgres.restart(immediate=True)
                finding.most("away, s, most", round(time.monotonic() - begun, 2))
                back.append(time.time())
                finding.trials += 1
                # Whether the last claim was committed is not known to who made it; then it is left to its lease.
                finding.in_flight += SHAPE.dispatchers * SHAPE.slots
                time.sleep(chance.uniform(*PAUSE_SECONDS))
            await_ended(world, campaign, seconds=180.0)
        conclude(world, promises, finding)
        entries = read_entries(world)
    for moment in back:
        resumed = first_after(entries, moment)
        if resumed is not None:
            finding.most("resumed after, s, most", round(resumed, 2))
    finding.figures["personal messages"] = len(chatter.sent)
    finding.require(not chatter.failures, f"{len(chatter.failures)} messages were not acknowledged")
    most = finding.figures["resumed after, s, most"]
    finding.require(most <= RESUME_SECONDS, f"resumed {most} s after a restart, at most {RESUME_SECONDS:g}")
    return finding
