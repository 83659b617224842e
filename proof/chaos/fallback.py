"""Two gateways, and the first choice goes from bad to worse: it refuses, dies, and then takes messages and answers 500.

What it certainly did not take goes to the second within a second; what it may have taken goes nowhere else. Each
gateway is a process with a ledger of its own, and the judge hears both.
"""

import time
from dataclasses import replace
from typing import Any, Final

from proof.chaos.trial import Finding, Plan, conclude
from proof.evidence import await_ended, read_entries
from proof.numbers import fictional
from proof.promises import Promises, Started, import_group
from proof.world import Shape, World

NAME: Final = "fallback"
MESSAGES: Final = 20_000
PHASE_SECONDS: Final = 120.0
WITHIN_SECONDS: Final = 1.0
# How long the campaign takes at least, at any scale: each trouble needs its time to be met, and to be noticed.
CAMPAIGN_SECONDS: Final = 20.0
# 21408: the account may not send to that country. Another gateway might.
REFUSING: Final[tuple[dict[str, Any], ...]] = ({"kind": "reject", "code": 21408},)
LYING: Final[tuple[dict[str, Any], ...]] = ({"kind": "error", "status": 500, "accept": True},)

# From one certain no to the next hand-over, at another gateway, by the attempts' own times.
_FALLBACKS: Final = """
    SELECT a.outcome, coalesce(a.fault, a.code, ''), extract(epoch FROM b.started_at - a.finished_at)
    FROM attempts a JOIN attempts b ON b.message_id = a.message_id AND b.attempt = a.attempt + 1
    WHERE a.outcome IN ('refused', 'not_sent') AND b.gateway_id <> a.gateway_id
"""
_AGAIN_AFTER_DOUBT: Final = """
    SELECT count(*) FROM attempts a JOIN attempts b ON b.message_id = a.message_id AND b.attempt > a.attempt
    WHERE a.outcome IN ('lost', 'accepted')
"""


def run(plan: Plan) -> Finding:
    finding = Finding(NAME, "phase")
    size = plan.size(MESSAGES)
    shape = _shape(size)
    window = shape.dispatchers * shape.slots
    with World(shape, keep=plan.keep) as world:
        second = world.add_simulator("second")
        promises = Promises()
        world.simulator.set_dials(faults=list(REFUSING))
        audience = fictional(size)
        group_id = import_group(world, "everybody", audience)
        campaign = promises.start_campaign(world.api, "campaign", msisdns=audience, group_id=group_id)
        _await_arrived(world, campaign, size // 4, finding)

        world.simulator.kill()  # connections are refused from now on; what was on the line may have been taken
        finding.in_flight += window
        _trust_again(world)
        _await_arrived(world, campaign, size // 2, finding)

        world.simulator.start()
        world.simulator.set_dials(faults=list(LYING))
        _trust_again(world)
        _await_arrived(world, campaign, size * 3 // 4, finding)

        world.simulator.set_dials(faults=[])
        _trust_again(world)
        while await_ended(world, campaign, seconds=240.0) == "held":
            _resume(world, campaign, finding)
        finding.trials = 3
        verdict = conclude(world, promises, finding, doubted=window, seconds=240.0)
        _measure(world, finding)
        finding.figures["taken by the second gateway"] = second.stats()["accepted"]
        lied = sum(entry.kind == "accepted" and entry.fault == "error" for entry in read_entries(world))
        finding.figures["taken and answered with 500"] = lied
        finding.require(lied > 0, "no message met a 500 after it was taken, so nothing was proven")
        finding.figures["statuses"] = dict(sorted(verdict.statuses.items()))
    return finding


def _shape(size: int) -> Shape:
    """As fast as the campaign is large. The slots are many: so few lost answers in a row hold no campaign."""
    shape = Shape(dispatchers=2, bulk_slots=100, deadline=6.0, lease=15.0)
    return replace(shape, latency_ms=1000 * CAMPAIGN_SECONDS * shape.dispatchers * shape.bulk_slots / size)


def _await_arrived(world: World, campaign: Started, count: int, finding: Finding) -> None:
    """Until the gateways have taken so many, all together."""
    give_up = time.monotonic() + PHASE_SECONDS
    while sum(entry.kind == "accepted" for entry in read_entries(world)) < count:
        if time.monotonic() > give_up:
            raise TimeoutError(f"the gateways have not taken {count} messages within {PHASE_SECONDS:g} s")
        _resume(world, campaign, finding)
        time.sleep(0.2)


def _resume(world: World, campaign: Started, finding: Finding) -> bool:
    """Whether it was held, as it is when too many hand-overs in a row come to nothing; its owner lets it go on."""
    if world.api.insist("GET", f"/v1/campaigns/{campaign.id}")["status"] != "held":
        return False
    finding.add("held and resumed", 1)
    world.api.insist("POST", f"/v1/campaigns/{campaign.id}/resume")
    return True


def _trust_again(world: World) -> None:
    """Its owner says that the cause is gone, so that the next trouble meets a gateway that is trusted."""
    world.api.insist("POST", f"/v1/gateways/{world.gateway['id']}/enable")


def _measure(world: World, finding: Finding) -> None:
    rows = world.ask(_FALLBACKS)
    waits = sorted(float(seconds) for _, _, seconds in rows)
    kinds = {cause for _, cause, _ in rows}
    finding.require(bool(waits), "no message ever went to the other gateway, so nothing was proven")
    if waits:
        finding.figures["handed to the other gateway"] = len(waits)
        finding.figures["after a certain no, p50, s"] = round(waits[len(waits) // 2], 3)
        p99 = waits[min(len(waits) - 1, len(waits) * 99 // 100)]
        finding.figures["after a certain no, p99, s"] = round(p99, 3)
        finding.figures["after a certain no, most, s"] = round(waits[-1], 3)
        finding.require(
            p99 <= WITHIN_SECONDS, f"p99 of a fallback took {p99:.2f} s, and {WITHIN_SECONDS:g} s is the most"
        )
    finding.require({"gateway", "refused_connection"} <= kinds, f"only these were met: {', '.join(sorted(kinds))}")
    again = world.count(_AGAIN_AFTER_DOUBT)
    finding.require(again == 0, f"{again} hand-overs followed one that may have arrived")
