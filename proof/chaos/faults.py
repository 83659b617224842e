"""A gateway that misbehaves in every way at once, and receipts that are lost, doubled, disordered and early.

What receipts do not settle, look-ups at the gateway do; what never arrived stays unconfirmed, and is stated.
"""

import time
from typing import Any, Final

from proof.chaos.trial import Finding, Plan, conclude
from proof.evidence import await_ended, await_still, judge_world, read_entries, read_rows
from proof.numbers import fictional
from proof.promises import Key, Promises
from proof.world import Shape, World

NAME: Final = "gateway faults"
MESSAGES: Final = 6_000
# Of each kind; of all of them so many that most hand-overs arrive, for a gateway that fails most of them is left alone.
PORTION: Final = 0.007
# It rests after each time that nobody listened, and again where a trial of it fails.
PATIENCE_SECONDS: Final = 480.0
# A gateway that says when to come back is left alone so long, by everybody: any oftener and little else would be seen.
SELDOM: Final = 0.002
SETTLE_SECONDS: Final = 240.0

# Not among them: an answer with another message's sid, after which a look-up finds nothing that is free.
# Half of them take the message and then fail to say so; the others fail without taking it.
FAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"kind": "hang", "accept": True},
    {"kind": "hang", "accept": False},
    {"kind": "error", "status": 500, "accept": True},
    {"kind": "error", "status": 503, "accept": False},
    {"kind": "reset"},
    {"kind": "reset", "accept": False},
    {"kind": "close"},
    {"kind": "close", "accept": False},
    {"kind": "throttle", "retry_after": 1, "probability": SELDOM},
    {"kind": "garbage"},
    {"kind": "malformed_json"},
    {"kind": "html"},
    {"kind": "cut_body"},
    {"kind": "drip"},
    {"kind": "error_body"},
    {"kind": "redirect", "location": "/elsewhere"},
    {"kind": "slow", "seconds": 1.0},
    {"kind": "reject"},
    {"kind": "gzip_bomb", "megabytes": 5},
    {"kind": "huge_body", "megabytes": 5},
    {"kind": "continue_stall"},
)
RECEIPTS: Final[dict[str, Any]] = {
    "callback_loss": 0.2,
    "callback_duplication": 0.2,
    "callback_copies": 3,
    "callback_order": "shuffled",
    "callback_before_answer": 0.05,
    "undelivered": 0.05,
}
SHAPE: Final = Shape(dispatchers=2, bulk_slots=60, latency_ms=50.0, dials=RECEIPTS)


def run(plan: Plan) -> Finding:
    finding = Finding(NAME, "fault", figures={"kinds of fault": len(FAULTS) + 1})
    with World(SHAPE, keep=plan.keep) as world:
        promises = Promises()
        world.simulator.set_dials(faults=[{"probability": PORTION, **fault} for fault in FAULTS])
        campaign = promises.start_campaign(world.api, "campaign", msisdns=fictional(plan.size(MESSAGES)))
        time.sleep(2.0)
        for _ in range(plan.times(3)):
            world.simulator.stop_listening(1.0)  # refused at TCP
            # What is on its way on a connection that ends is never asked for, and may have been.
            finding.in_flight += SHAPE.dispatchers * SHAPE.slots
            time.sleep(2.5)
        await_ended(world, campaign, seconds=PATIENCE_SECONDS)
        struck = dict(world.simulator.stats()["faults"])
        world.simulator.set_dials(faults=[])
        await_still(world, seconds=60.0)
        finding.figures["in doubt before look-ups"] = len(judge_world(world, promises).doubted)
        finding.figures["settled after, s"] = round(_await_settled(world, promises), 1)
        finding.trials = sum(struck.values())
        verdict = conclude(world, promises, finding, endings={"failed": _rejected(world)})
    finding.figures["never arrived, stated as unconfirmed"] = len(verdict.never_arrived)
    finding.figures["statuses"] = dict(sorted(verdict.statuses.items()))
    unstruck = {fault["kind"] for fault in FAULTS} - struck.keys()
    finding.require(not unstruck or plan.scale < 1, f"these faults never struck: {', '.join(sorted(unstruck))}")
    return finding


def _await_settled(world: World, promises: Promises) -> float:
    """Until nothing that arrived is in doubt any more; how long that took, or how long was waited in vain."""
    begun = time.monotonic()
    while time.monotonic() - begun < SETTLE_SECONDS:
        if not judge_world(world, promises).doubted:
            break
        time.sleep(1.0)
    return time.monotonic() - begun


def _rejected(world: World) -> set[Key]:
    """The messages whose fault it was, says the gateway. No other of its faults may end in a failure."""
    ids = {entry.m for entry in read_entries(world) if entry.reason == "fault:reject"}
    return {row.key for row in read_rows(world) if row.id in ids}
