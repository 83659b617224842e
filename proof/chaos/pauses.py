"""SIGSTOP: a dispatcher sleeps past its leases, as on a machine that was suspended, and wakes up among others.

Once exactly between its claim and its first send, where nothing may leave afterwards, and then at random, where a
send that had passed its last look at the clock may still leave: it is counted, and is evidence like any other.
"""

import random
import time
from collections.abc import Collection
from typing import Final

import psutil

from proof.chaos.trial import Finding, Plan, conclude
from proof.evidence import await_ended, held_by, read_entries, read_rows
from proof.numbers import fictional
from proof.processes import NotReady, Process
from proof.promises import Promises
from proof.world import Shape, World

NAME: Final = "SIGSTOP past the lease"
MESSAGES: Final = 3_000
PAUSES: Final = 2
STEP: Final = "after_claim_commit"
STEP_SECONDS: Final = 30.0
SHAPE: Final = Shape(dispatchers=2, bulk_slots=60, latency_ms=200.0, lease=4.0, deadline=1.5)

_HEARD = "SELECT message_id, attempt FROM attempts WHERE dispatcher LIKE '%-{}-%' AND finished_at IS NOT NULL"


def run(plan: Plan) -> Finding:
    finding = Finding(NAME, "pause")
    chance = plan.chance(NAME)
    with World(SHAPE, keep=plan.keep) as world:
        promises = Promises()
        held: set[str] = set()
        for _ in range(plan.times(PAUSES)):
            held.update(_paused_at_a_step(world, promises, finding, plan, chance))
            held.update(_paused_at_random(world, promises, finding, plan, chance))
        # What a sleeper proves not to have sent goes back to the queue; where the campaign is over by then, it fails.
        returned = {row.key for row in read_rows(world) if row.id in held}
        conclude(world, promises, finding, endings={"failed": returned})
    figure = f"sends begun after a pause at {STEP}"
    finding.require(not finding.figures[figure], f"{figure}: {finding.figures[figure]}, with leases that were lost")
    return finding


def _paused_at_a_step(
    world: World, promises: Promises, finding: Finding, plan: Plan, chance: random.Random
) -> Collection[str]:
    """Its claim is committed, nothing has left yet; all of it is another's business when it wakes up. What it held."""
    passes = chance.randint(1, 3)
    sleeper = world.start_dispatcher(FAILPOINTS=f"{STEP}:{passes}:stop", LANES="bulk")
    name = f"paused at a step {len(promises.campaigns)}"
    campaign = promises.start_campaign(world.api, name, msisdns=fictional(plan.size(MESSAGES)))
    give_up = time.monotonic() + STEP_SECONDS
    while psutil.Process(sleeper.pid).status() != psutil.STATUS_STOPPED:
        if time.monotonic() > give_up:
            raise NotReady(f"{STEP} was not passed {passes} times within {STEP_SECONDS:g} s")
        time.sleep(0.01)
    held = _sleep_and_wake(world, sleeper, finding, chance, figure=f"sends begun after a pause at {STEP}")
    finding.require(bool(held), f"the pause at {STEP} held nothing, so nothing was tried")
    sleeper.terminate()
    await_ended(world, campaign)
    return held


def _paused_at_random(
    world: World, promises: Promises, finding: Finding, plan: Plan, chance: random.Random
) -> Collection[str]:
    campaign = f"paused at random {len(promises.campaigns)}"
    started = promises.start_campaign(world.api, campaign, msisdns=fictional(plan.size(MESSAGES)))
    time.sleep(chance.uniform(2.0, 3.0))
    sleeper = chance.choice(world.dispatchers)
    sleeper.pause()
    held = _sleep_and_wake(world, sleeper, finding, chance, figure="sends begun after a pause at random")
    await_ended(world, started)
    return held


def _sleep_and_wake(
    world: World, sleeper: Process, finding: Finding, chance: random.Random, *, figure: str
) -> Collection[str]:
    """Count the hand-overs that begin after the waking with a lease from before it; the messages it had to lose."""
    finding.trials += 1
    paused_at = time.time()
    time.sleep(SHAPE.lease + chance.uniform(1.5, 4.0))
    woken_at = time.time()
    sleeper.resume()
    time.sleep(SHAPE.deadline + 1.5)
    held = held_by(world, sleeper.pid, since=paused_at)
    finding.add("held while asleep, in all", len(held))
    finding.held |= held.keys()
    stale = [
        entry
        for entry in read_entries(world)
        if entry.kind == "accepted" and entry.time > woken_at and held.get(entry.m or "") == int(entry.a or 0)
    ]
    finding.add(figure, len(stale))
    heard = {(id_, int(attempt)) for id_, attempt in world.ask(_HEARD.format(sleeper.pid))}
    unheard = held.items() - heard
    finding.require(not unheard, f"{len(unheard)} late answers of a sleeper were not written down")
    return held
