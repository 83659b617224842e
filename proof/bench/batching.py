"""Batches against single messages: the same campaign through SMSPortal's dialect, up to 100 a request, and Twilio's."""

from dataclasses import replace
from typing import Any

from proof.bench import seeding
from proof.bench.sending import SHAPE, throughput
from proof.world import World


def measure(messages: int) -> dict[str, Any]:
    """batch_ratio: messages a second in batches over messages a second one by one, with two dispatchers each."""
    with World(replace(SHAPE, dispatchers=2)) as world:
        group = seeding.add_people(world, messages, group="everyone")
        quiet = seeding.quiet_gateway(world)
        seeding.await_book()
        single = throughput(world, group, name="one by one")
        world.api.post(f"/v1/gateways/{quiet['id']}/disable")
        _add_portal(world)
        seeding.await_book()
        batches = throughput(world, group, name="in batches")
    return {
        "ratios": {"batch_ratio": batches / single},
        "raw": {"single_per_second": round(single), "batched_per_second": round(batches)},
    }


def _add_portal(world: World) -> None:
    simulator = world.simulator
    world.add_gateway(
        "portal",
        kind="smsportal",
        settings={"base_url": f"{simulator.base_url}/smsportal"},
        secrets={"client_id": simulator.api_key, "api_secret": simulator.api_secret},
    )
