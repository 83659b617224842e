"""A million contacts: a count by conditions, an estimate, a start, and the report while half of them are sent to.

What is asked of a large audience is asked of one a tenth of its size as well, in the same world.
"""

import time
from typing import Any, Final

from proof.bench import seeding
from proof.bench.scale import Watched
from proof.bench.sending import SHAPE
from proof.evidence import Stuck
from proof.world import World

LOOKS: Final = 5
SAMPLE_SECONDS: Final = 1.0
SOME, MANY = 5, 50  # cities, of a hundred

PAGES: Final = ("report", "timeline", "breakdown", "messages", "recipients")

# On one snapshot: what the tallies say, and what the rows say.
_RECOUNT = """
    SELECT coalesce(t.status, m.status), coalesce(t.messages, 0), coalesce(m.messages, 0)
    FROM (SELECT status, sum(messages) AS messages FROM tallies GROUP BY status) t
    FULL JOIN (SELECT status, count(*) AS messages FROM messages GROUP BY status) m ON m.status = t.status
    WHERE coalesce(t.messages, 0) <> coalesce(m.messages, 0)
"""


def measure(contacts: int) -> dict[str, Any]:
    """audience_count_seconds, and how the estimate's cost and memory grow with the audience."""
    with World(SHAPE) as world:
        seeding.quiet_gateway(world)
        seeding.add_people(world, contacts, group="some", members=1)
        world.api.post("/v1/contact-fields", {"key": "city", "type": "text"})
        counted = max(_count(world, _cities(MANY)) for _ in range(LOOKS))
        some, many = _prepare(world, SOME), _prepare(world, MANY)
        small, large = _estimate(world, some), _estimate(world, many)
        sent = _send(world, many)
    return {
        "ratios": {
            "audience_count_seconds": counted,
            "estimate_cost_ratio": large["microseconds"] / small["microseconds"],
            "estimate_rss_ratio": large["rss"] / small["rss"],
        },
        "raw": {
            "estimate_recipients": [small["recipients"], large["recipients"]],
            "estimate_seconds": [round(small["seconds"], 2), round(large["seconds"], 2)],
            "estimate_api_rss_mb": [round(small["rss"] / 1e6, 1), round(large["rss"] / 1e6, 1)],
            **sent,
        },
    }


def _cities(count: int) -> dict[str, Any]:
    return {"field": "fields.city", "op": "in", "value": [f"City {n}" for n in range(count)]}


def _count(world: World, conditions: dict[str, Any]) -> float:
    begun = time.perf_counter()
    world.api.post("/v1/target-groups/preview", {"conditions": conditions, "sample": 5})
    return time.perf_counter() - begun


def _prepare(world: World, cities: int) -> str:
    """A campaign for those of so many cities, not started."""
    group = world.api.post(
        "/v1/target-groups", {"name": f"{cities} cities", "kind": "dynamic", "conditions": _cities(cities)}
    )
    made = world.api.post(
        "/v1/campaigns",
        {
            "name": f"{cities} cities",
            "messages": [{"text": seeding.TEXT}],
            "target_group_ids": [group["id"]],
            "opt_in_acknowledged": True,
        },
    )
    return str(made["id"])


def _estimate(world: World, campaign: str) -> dict[str, Any]:
    """How long an estimate takes for each recipient, and the most memory that the api had meanwhile."""
    with Watched(world.api_process) as api:
        begun = time.perf_counter()
        told = world.api.patient(300.0).post(f"/v1/campaigns/{campaign}/estimate", {})
        seconds = time.perf_counter() - begun
    recipients = told["recipients"]
    return {
        "recipients": recipients,
        "seconds": seconds,
        "microseconds": seconds / recipients * 1e6,
        "rss": api.rss,
        "confirmation": told["confirmation"],
    }


def _send(world: World, campaign: str) -> dict[str, Any]:
    """Start it, and hold its report against a recount of the rows at every look until it is completed."""
    begun = time.monotonic()
    with Watched(world.dispatchers[0]) as dispatcher:
        world.api.patient(300.0).post(f"/v1/campaigns/{campaign}/start", {})
        looks, frozen = 0, None
        while True:
            report = world.api.get(f"/v1/campaigns/{campaign}/report")
            made = sum(report["counts"].values())
            if frozen is None and made:
                frozen = time.monotonic() - begun
            if made > (report["recipients"] or 0):
                raise Stuck(f"the report counts {made} of {report['recipients']} recipients")
            if different := world.ask(_RECOUNT):
                raise Stuck(f"the tallies and the rows differ: {different}")
            looks += 1
            if report["status"] == "completed":
                break
            time.sleep(SAMPLE_SECONDS)
    if report["counts"]["submitted"] != report["recipients"]:
        raise Stuck(f"the campaign ended as {report['counts']}")
    asked = {what: _milliseconds(world, f"/v1/campaigns/{campaign}/{what}") for what in PAGES}
    return {
        "seconds_to_the_first_message": round(frozen or 0.0, 1),
        "sent": report["recipients"],
        "seconds_in_all": round(time.monotonic() - begun, 1),
        "recounts_that_agreed": looks,
        "dispatcher_rss_mb": round(dispatcher.rss / 1e6, 1),
        "pages_of_the_campaign_ms": asked,
    }


def _milliseconds(world: World, path: str) -> float:
    begun = time.perf_counter()
    world.api.patient(120.0).get(path)
    return round((time.perf_counter() - begun) * 1000, 1)
