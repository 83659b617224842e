"""Redis emptied, killed, and gone for a while, in the middle of a campaign. Postgres is the queue: nothing is lost."""

import time
from typing import Final

from redis import Redis

from proof.chaos.chatter import Chatter
from proof.chaos.trial import Finding, Plan, conclude, first_after
from proof.evidence import await_ended, read_entries
from proof.numbers import fictional
from proof.promises import Promises
from proof.world import Shape, World

NAME: Final = "Redis emptied, killed, away"
MESSAGES: Final = 10_000
AWAY_SECONDS: Final = 20.0
RESUME_SECONDS: Final = 10.0
SETTLE_SECONDS: Final = 4.0
SHAPE: Final = Shape(dispatchers=2, bulk_slots=50, latency_ms=300.0)


def run(plan: Plan) -> Finding:
    finding = Finding(NAME, "outage", figures={"resumed after, s, most": 0.0})
    away = AWAY_SECONDS * min(1.0, plan.scale)
    with World(SHAPE, keep=plan.keep) as world:
        promises = Promises()
        campaign = promises.start_campaign(world.api, "campaign", msisdns=fictional(plan.size(MESSAGES)))
        with Chatter(world.api, promises, per_second=4, name="personal") as chatter:
            time.sleep(2.0)
            moments = [_flush(world), _kill(world), *_away(world, away)]
            await_ended(world, campaign, seconds=180.0)
        conclude(world, promises, finding)
        finding.trials = 3
        entries = read_entries(world)
        for moment in moments:
            resumed = first_after(entries, moment)
            if resumed is not None:
                finding.most("resumed after, s, most", round(resumed, 2))
        arrived = {entry.m: entry.time for entry in entries if entry.kind == "accepted"}
        waits = [arrived[sent.id] - sent.asked_at for sent in chatter.sent if sent.id in arrived]
        finding.figures |= {"personal messages": len(chatter.sent), "personal, slowest, s": round(max(waits), 2)}
        finding.require(not chatter.failures, f"{len(chatter.failures)} messages were not acknowledged")
    for figure in ("resumed after, s, most", "personal, slowest, s"):
        seconds = finding.figures[figure]
        finding.require(seconds <= RESUME_SECONDS, f"{figure}: {seconds}, at most {RESUME_SECONDS:g}")
    return finding


def _flush(world: World) -> float:
    client = Redis.from_url(world.valkey.url)
    moment = time.time()
    client.flushall()
    client.close()
    time.sleep(SETTLE_SECONDS)
    return moment


def _kill(world: World) -> float:
    world.valkey.kill()
    moment = time.time()
    world.valkey.start()
    time.sleep(SETTLE_SECONDS)
    return moment


def _away(world: World, seconds: float) -> list[float]:
    """Gone, and there again: sending has to go on after both."""
    world.valkey.stop()
    gone = time.time()
    time.sleep(seconds)
    world.valkey.start()
    back = time.time()
    time.sleep(SETTLE_SECONDS)
    return [gone, back]
