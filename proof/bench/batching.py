"""Batches against single messages: the same campaign through SMSPortal's dialect, up to 100 a request, and Twilio's."""

from typing import Any, Final

from proof.bench import seeding
from proof.bench.sending import SHAPE, throughput
from proof.world import World

LINES: Final = 20  # requests in flight, as many a gateway's limit on connections is
# Messages in flight in batches: the five hundred that keep one by one busy would be five requests.
SLOTS_IN_BATCHES: Final = 4_000


def measure(messages: int) -> dict[str, Any]:
    """batch_ratio: messages a second in batches over messages a second one by one, with one dispatcher each.

    As fast as it goes, each with the slots that suit it. Beside it the same with two dispatchers, which share this
    machine with the database and the simulator (batch_ratio_of_two), and with no more than LINES requests in flight
    either way (batch_ratio_on_few_lines).
    """
    with World(SHAPE) as world:
        group = seeding.add_people(world, messages, group="everyone")
        quiet = seeding.quiet_gateway(world)
        seeding.await_book()
        single = throughput(world, group, name="one by one")
        world.start_dispatcher()
        single_of_two = throughput(world, group, name="one by one with two dispatchers")
        some = seeding.add_people(world, min(messages, 10 * LINES * LINES), group="some")
        _limit(world, quiet)
        single_on_few = throughput(world, some, name="one by one on few lines")
        world.api.post(f"/v1/gateways/{quiet['id']}/disable")
        world.stop_dispatchers()
        world.start_dispatcher(BULK_SLOTS=str(SLOTS_IN_BATCHES))
        portal = _add_portal(world)
        seeding.await_book()
        batches = throughput(world, group, name="in batches")
        world.start_dispatcher(BULK_SLOTS=str(SLOTS_IN_BATCHES))
        batches_of_two = throughput(world, group, name="in batches with two dispatchers")
        _limit(world, portal)
        batches_on_few = throughput(world, group, name="in batches on few lines")
    return {
        "ratios": {
            "batch_ratio": batches / single,
            "batch_ratio_of_two": batches_of_two / single_of_two,
            "batch_ratio_on_few_lines": batches_on_few / single_on_few,
        },
        "raw": {
            "single_per_second": round(single),
            "batched_per_second": round(batches),
            "single_per_second_of_two": round(single_of_two),
            "batched_per_second_of_two": round(batches_of_two),
            "single_per_second_on_few_lines": round(single_on_few),
            "batched_per_second_on_few_lines": round(batches_on_few),
        },
    }


def _limit(world: World, gateway: dict[str, Any]) -> None:
    world.api.request("PATCH", f"/v1/gateways/{gateway['id']}", {"pace": {"in_flight": LINES}})
    seeding.await_book()


def _add_portal(world: World) -> dict[str, Any]:
    simulator = world.simulator
    return world.add_gateway(
        "portal",
        kind="smsportal",
        settings={"base_url": f"{simulator.base_url}/smsportal"},
        secrets={"client_id": simulator.api_key, "api_secret": simulator.api_secret},
    )
