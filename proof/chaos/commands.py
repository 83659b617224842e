"""Opt-outs, a stop and an expiry in the middle of a campaign: a second later nothing is handed over any more."""

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from deploy.simulator.ledger import ACCEPTED
from proof.chaos.trial import Finding, Plan, conclude
from proof.evidence import await_ended, read_entries
from proof.numbers import SENDER, fictional
from proof.promises import Promises, Started
from proof.world import Shape, World

NAME: Final = "STOP, stop and expiry"
MESSAGES: Final = 3_000
OPT_OUTS: Final = 60
ALLOWED_SECONDS: Final = 1.0
SEND_BY_SECONDS: Final = (2.0, 4.0)  # at least, and more the larger the campaign
# The gateway's own guard against opted-out numbers is off: ours has to do.
SHAPE: Final = Shape(dispatchers=2, bulk_slots=30, latency_ms=300.0, lease=4.0, deadline=1.5, dials={"opt_outs": False})

_SKIPPED = "SELECT count(*) FROM messages WHERE skip_reason = 'opted_out'"


def run(plan: Plan) -> Finding:
    finding = Finding(NAME, "command")
    with World(SHAPE, keep=plan.keep) as world:
        promises = Promises()
        silenced = _opt_outs(world, promises, finding, plan)
        stopped = _stop(world, promises, finding, plan)
        ended = _expiry(world, promises, finding, plan)
        endings = {
            "skipped": {key for key in promises.keys if key[1] in silenced},
            "cancelled": stopped.keys,
            "expired": ended.keys,
        }
        verdict = conclude(world, promises, finding, endings=endings)
    finding.figures["statuses"] = dict(sorted(verdict.statuses.items()))
    return finding


def _opt_out(world: World, msisdn: str) -> None:
    world.api.post("/v1/opt-outs", {"msisdn": msisdn})


def _text_stop(world: World, msisdn: str) -> None:
    url = world.gateway["callback_urls"]["inbound"]
    world.simulator.inbound(sender=msisdn, to=SENDER, text="STOP", url=url)


def _campaign(
    world: World, promises: Promises, plan: Plan, *, name: str, skip: int = 0, send_by: datetime | None = None
) -> Started:
    return promises.start_campaign(world.api, name, msisdns=fictional(plan.size(MESSAGES), skip=skip), send_by=send_by)


def _opt_outs(world: World, promises: Promises, finding: Finding, plan: Plan) -> set[str]:
    """Recipients from all over the audience say no while it is written to; most of them are not reached yet. Who."""
    campaign = _campaign(world, promises, plan, name="campaign with opt-outs", skip=MESSAGES)
    time.sleep(1.0)
    late_ones = sorted(campaign.msisdns)[len(campaign.msisdns) // 4 :]
    said: dict[str, dict[str, float]] = {"opt-out": {}, "STOP": {}}
    for number, msisdn in enumerate(plan.chance(NAME).sample(late_ones, plan.times(OPT_OUTS))):
        name, command = (("opt-out", _opt_out), ("STOP", _text_stop))[number % 2]
        said[name][msisdn] = time.time()
        command(world, msisdn)
    await_ended(world, campaign)
    for name, moments in said.items():
        _judge(world, finding, name, moments)
        listed = ", ".join(f"'{msisdn}'" for msisdn in moments)
        spared = world.count(f"{_SKIPPED} AND campaign_id = '{campaign.id}' AND msisdn IN ({listed})")
        finding.figures[f"{name}: spared"] = f"{spared} of {len(moments)}"
        finding.require(spared > 0, f"{name}: everybody had been written to already, so nothing was tried")
    return {msisdn for moments in said.values() for msisdn in moments}


def _stop(world: World, promises: Promises, finding: Finding, plan: Plan) -> Started:
    campaign = _campaign(world, promises, plan, name="campaign to be stopped")
    time.sleep(2.5)
    said_at = time.time()
    world.api.post(f"/v1/campaigns/{campaign.id}/stop")
    time.sleep(ALLOWED_SECONDS + SHAPE.lease)
    _judge(world, finding, "stop", dict.fromkeys(campaign.msisdns, said_at), since=said_at)
    finding.figures["stop: cancelled"] = _count(world, campaign, "cancelled")
    finding.require(finding.figures["stop: cancelled"] > 0, "stop: everything was sent before it")
    return campaign


def _expiry(world: World, promises: Promises, finding: Finding, plan: Plan) -> Started:
    least, more = SEND_BY_SECONDS
    send_by = datetime.now(UTC) + timedelta(seconds=least + more * plan.scale)
    campaign = _campaign(world, promises, plan, name="campaign with an end", send_by=send_by)
    await_ended(world, campaign)
    _judge(world, finding, "expiry", dict.fromkeys(campaign.msisdns, send_by.timestamp()), since=send_by.timestamp())
    finding.figures["expiry: expired"] = _count(world, campaign, "expired")
    finding.require(finding.figures["expiry: expired"] > 0, "expiry: everything was sent before it")
    return campaign


def _judge(world: World, finding: Finding, name: str, said: Mapping[str, float], *, since: float = 0.0) -> None:
    """How long after its command the last hand-over to a number began; times are taken before the command went out."""
    arrivals = [(entry.to, entry.time) for entry in read_entries(world) if entry.kind == ACCEPTED and entry.to in said]
    after = [at - said[to] for to, at in arrivals if to is not None and at > max(since, said[to])]
    finding.trials += 1 if since else len(said)
    finding.figures[f"{name}: last hand-over after, s"] = round(max(after, default=0.0), 2)
    late: Sequence[float] = [seconds for seconds in after if seconds > ALLOWED_SECONDS]
    finding.require(not late, f"{name}: {len(late)} hand-overs began up to {max(late, default=0):.1f} s after it")


def _count(world: World, campaign: Started, status: str) -> int:
    return world.count(f"SELECT count(*) FROM messages WHERE campaign_id = '{campaign.id}' AND status = '{status}'")
