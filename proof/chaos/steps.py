"""Failpoints: the dispatcher kills itself exactly at each named step of the path, and its successor goes on.

One campaign goes through all steps in their order. What a dead dispatcher held is remembered, and has to end as
unconfirmed or as proven: never as a second hand-over.
"""

import random
import time
from collections.abc import Mapping
from typing import Final

from dispatcher.failpoints import NAMES
from proof.chaos.trial import Finding, Plan, conclude
from proof.evidence import await_ended, left_by, read_rows
from proof.judge import IN_DOUBT, TAKEN
from proof.numbers import fictional
from proof.promises import Promises
from proof.world import Shape, World

NAME: Final = "killed at each step"
MESSAGES: Final = 2_000  # at any scale: what the steps before may have sent must not run out at a later one
ROUNDS: Final = 3
DEATH_SECONDS: Final = 60.0
KILLED: Final = 137  # 128 and SIGKILL, as a shell tells it
# Some receipts come before a lease runs out, some after.
SHAPE: Final = Shape(
    dispatchers=0, bulk_slots=50, latency_ms=40.0, lease=4.0, deadline=1.5, dials={"callback_delay_ms": [10.0, 6_000.0]}
)

# In the order of the path, with how often a step is passed before it kills.
PASSES: Final[Mapping[str, tuple[int, int]]] = {
    "before_freeze_commit": (1, 1),
    "after_freeze_commit": (1, 1),
    "before_expand_commit": (1, 1),
    "after_expand_commit": (1, 1),
    "before_claim_commit": (1, 4),
    "after_claim_commit": (1, 4),
    "before_send": (1, 80),
    "after_answer": (1, 80),
    "before_settle_commit": (1, 4),
    "after_settle_commit": (1, 4),
    "before_receipts_commit": (1, 4),
    "after_receipts_commit": (1, 4),
    "before_finish_commit": (2, 6),
}
# Imports have a scenario of their own, and tests/chaos/test_webhooks.py kills couriers, with a receiver to judge by.
ELSEWHERE: Final = frozenset(
    {
        "before_import_commit",
        "after_import_commit",
        "before_fan_out_commit",
        "after_webhook_claim",
        "after_webhook_answer",
        "before_webhook_commit",
    }
)


def run(plan: Plan) -> Finding:
    """Each step once a round, in a world that goes on."""
    finding = Finding(NAME, "kill", figures={"steps": len(PASSES), "window": SHAPE.slots})
    untried = NAMES - PASSES.keys() - ELSEWHERE
    finding.require(not untried, f"no kill is tried at {', '.join(sorted(untried))}")
    chance = plan.chance(NAME)
    with World(SHAPE, keep=plan.keep) as world:
        promises = Promises()
        for number in range(1, plan.times(ROUNDS) + 1):
            _round(world, promises, finding, name=f"round {number}", chance=chance)
            plan.say(f"  {finding.trials} kills in {number} rounds")
        world.start_dispatcher()
        verdict = conclude(world, promises, finding)
        finding.add("never arrived, stated as unconfirmed", len(verdict.never_arrived))
    return finding


def _round(world: World, promises: Promises, finding: Finding, *, name: str, chance: random.Random) -> None:
    campaign = promises.start_campaign(world.api, name, msisdns=fictional(MESSAGES))
    held: dict[str, int] = {}
    for step, (least, most) in PASSES.items():
        left = _die_at(world, f"{step}:{chance.randint(least, most)}", finding)
        finding.most("in flight at a kill, most", len(left))
        held |= left
    world.start_dispatcher()
    finding.require(await_ended(world, campaign) == "completed", f"{name} was not completed")
    world.stop_dispatchers()
    finding.broken += _check_held(world, held)
    finding.add("held by the dead, in all", len(held))


def _die_at(world: World, failpoint: str, finding: Finding) -> dict[str, int]:
    """Let one dispatcher work until it dies at the step; what it held then."""
    process = world.start_dispatcher(wait=False, FAILPOINTS=failpoint)
    give_up = time.monotonic() + DEATH_SECONDS
    while process.running and time.monotonic() < give_up:
        time.sleep(0.02)
    finding.require(process.code == KILLED, f"{failpoint}: the step was not reached; exit code {process.code}")
    process.end()
    finding.trials += 1
    left = left_by(world, process.pid)
    finding.held |= left.keys()
    finding.require(
        len(left) <= world.shape.slots, f"{failpoint} left {len(left)} in flight, more than {world.shape.slots}"
    )
    return left


def _check_held(world: World, held: Mapping[str, int]) -> list[str]:
    """What was leased at a kill is never handed over again: same attempt, and unconfirmed or proven."""
    rows = [row for row in read_rows(world) if row.id in held]
    again = [row for row in rows if row.attempt != held[row.id]]
    settled = [row for row in rows if row.status not in TAKEN | {IN_DOUBT}]
    sentences = {"had another attempt": again, "were neither proven nor unconfirmed": settled}
    return [
        f"of {len(held)} messages that the dead held, {len(found)} {what} afterwards, such as {found[0]}"
        for what, found in sentences.items()
        if found
    ]
