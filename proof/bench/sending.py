"""Campaign throughput against the bare engine, in turns, against one simulator at 50 ms; and receipts a second."""

import json
import statistics
import subprocess
import sys
import time
from typing import Any, Final

from deploy.simulator.ledger import accepted, read_ledger
from proof.bench import seeding
from proof.evidence import Stuck
from proof.processes import ROOT
from proof.world import Shape, World

SLOTS: Final = 500
LATENCY_MS: Final = 50.0
SHAPE: Final = Shape(
    dispatchers=1,
    bulk_slots=SLOTS,
    urgent_slots=100,
    lease=30.0,
    deadline=10.0,
    latency_ms=LATENCY_MS,
    simulator_arguments=("--ledger-only-accepted",),
)

# As the api makes them: an id begins with its message's moment (15 characters, with the version), and so lies in the
# month of that. A random one would lie in the default partition, where nothing is in real life.
_RECEIPTS = """
    INSERT INTO receipts (id, gateway_id, message_id, attempt, reference, status, received_at, next_at)
    SELECT overlay(gen_random_uuid()::text PLACING left(a.message_id::text, 15) FROM 1)::uuid,
           a.gateway_id, a.message_id, a.attempt, a.reference, s.status, now(), now()
    FROM attempts a CROSS JOIN (VALUES ('sent'), ('delivered')) s (status)
    WHERE a.outcome = 'accepted' LIMIT {count}
"""


def measure(messages: int) -> dict[str, Any]:
    """single_ratio, receipts_ratio and what they are made of."""
    with World(SHAPE) as world:
        seeding.quiet_gateway(world)
        group = seeding.add_people(world, messages, group="everyone")
        client = _bare(world, "client", messages)
        engine, door = [_bare(world, "engine", messages)], [_bare(world, "door", messages)]
        one = throughput(world, group, name="with one dispatcher")
        engine.append(_bare(world, "engine", messages))
        door.append(_bare(world, "door", messages))
        world.start_dispatcher()
        two = throughput(world, group, name="with two dispatchers")
        engine.append(_bare(world, "engine", messages))
        receipts = _receipts(world, messages)
    bare = statistics.median(engine)
    best = max(one, two)
    return {
        "ratios": {"single_ratio": best / bare, "receipts_ratio": receipts / best},
        "raw": {
            "client_per_second": round(client),
            "engine_per_second": [round(told) for told in engine],
            "door_per_second": [round(told) for told in door],
            "one_dispatcher_per_second": round(one),
            "two_dispatchers_per_second": round(two),
            "one_dispatcher_over_engine": round(one / bare, 3),
            "two_dispatchers_over_engine": round(two / bare, 3),
            "two_dispatchers_over_client": round(two / client, 3),
            "receipts_per_second": round(receipts),
        },
    }


def _bare(world: World, what: str, calls: int) -> float:
    """Calls a second without anything recorded."""
    simulator = world.simulator
    told = subprocess.run(
        [
            *(sys.executable, "-m", "proof.bench.bare", what, simulator.base_url),
            *(simulator.account_sid, simulator.api_key, simulator.api_secret),
            *(str(calls), str(SLOTS)),
        ],
        check=True,
        capture_output=True,
        cwd=ROOT,
        timeout=300,
    )
    figures: dict[str, float] = json.loads(told.stdout)
    if figures["failed"]:
        raise Stuck(f"{figures['failed']:g} calls of the bare engine failed")
    return float(figures["calls_per_second"])


def throughput(world: World, group: str, *, name: str) -> float:
    """Messages a second from the first to the last acceptance, all of them recorded."""
    before = len(accepted(read_ledger(world.simulator.ledger_path)))
    campaign = seeding.start_campaign(world, group, name=name)
    report = seeding.await_status(world, campaign, "completed", seconds=600)
    taken = accepted(read_ledger(world.simulator.ledger_path))[before:]
    count = report["counts"]["submitted"]
    if count != report["recipients"] or len(taken) != count:
        raise Stuck(f"{len(taken)} accepted, but the report says {report['counts']}")
    times = [entry.time for entry in taken]
    return float(count / (max(times) - min(times)))


def _receipts(world: World, messages: int) -> float:
    """Receipts applied a second: two for every message, put into the inbox at once."""
    seeding.run_sql(world, _RECEIPTS.format(count=2 * messages))
    begun = time.monotonic()
    total = world.count("SELECT count(*) FROM receipts")
    if world.count("SELECT count(*) FROM receipts_default"):
        raise Stuck("there are receipts outside of every month")
    while world.count("SELECT count(*) FROM receipts WHERE applied_at IS NULL"):
        if time.monotonic() - begun > 300:
            raise Stuck("receipts are not applied after 300 s")
        time.sleep(0.1)
    elapsed = world.ask("SELECT extract(epoch FROM max(applied_at) - min(received_at)) FROM receipts")
    return total / max(float(elapsed[0][0]), 0.001)
