"""Pace: two dispatchers and one paced gateway, by the times in the simulator's ledger."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from deploy.simulator.ledger import accepted, read_ledger
from proof.bench import seeding
from proof.bench.sending import SHAPE
from proof.evidence import Stuck
from proof.world import World

RATE: Final = 200
WINDOW_SECONDS: Final = 10.0


def measure(messages: int) -> dict[str, Any]:
    """pace_excess_ratio: what the busiest 10 s held over what the pace allows; and how much of it was used."""
    count = size_for(messages)
    with World(replace(SHAPE, dispatchers=2)) as world:
        seeding.quiet_gateway(world, pace={"segments_per_second": RATE})
        group = seeding.add_people(world, count, group="everyone")
        seeding.await_book()
        campaign = seeding.start_campaign(world, group, name="at a pace", text="Hi")
        report = seeding.await_status(world, campaign, "completed", seconds=60 + 2 * count / RATE)
        times = sorted(entry.time for entry in accepted(read_ledger(world.simulator.ledger_path)))
    if report["counts"]["submitted"] != count or len(times) != count:
        raise Stuck(f"{len(times)} accepted, but the report says {report['counts']}")
    busiest, calmest = windows(times)
    allowed = RATE * WINDOW_SECONDS
    return {
        "ratios": {"pace_excess_ratio": busiest / allowed},
        "raw": {
            "pace_per_second": RATE,
            "busiest_ten_seconds": busiest,
            "calmest_ten_seconds": calmest,
            "used_of_the_pace": round(calmest / allowed, 3),
        },
    }


def size_for(messages: int) -> int:
    """So many messages at the pace as take longer than a window, however few are asked for, and no more than 25 s."""
    return min(max(messages, 15 * RATE), 25 * RATE)


def windows(times: Sequence[float]) -> tuple[int, int]:
    """The most and the fewest of sorted `times` in any 10 s that begin with one of them and end before the last."""
    counts = [
        bisect_left(times, begin + WINDOW_SECONDS) - at
        for at, begin in enumerate(times)
        if begin + WINDOW_SECONDS <= times[-1]
    ]
    if not counts:
        raise Stuck("the campaign was over before 10 s had passed; take more messages, such as N=20000")
    return max(counts), min(counts)
