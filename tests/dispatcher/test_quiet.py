"""Quiet hours on the path: put off when made, put off again when a window closes, expired rather than late."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import respx
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.path.due import due
from dispatcher.path.finish import finish
from shared.db import begin
from shared.domain import policy as law
from shared.domain.campaign import Status as CampaignStatus
from shared.domain.message import Kind, Status
from shared.models import Campaign, Message
from shared.queries.policy import write_policy
from tests.factories import make_campaign, make_contact, make_gateway, make_message, make_msisdn
from tests.stages import check_tallies, expand_all, message_of, pump_all
from tests.worlds import HandClock, HandWorker

NIGHT = {"start": "20:00", "end": "08:00"}
# +27 is two hours ahead of UTC all year; +1 202 is five behind in winter.
CAPE, WASHINGTON = "+27600000000", "+12025550142"


async def set_rules(worker: HandWorker, **rules: Any) -> None:
    async with worker.transaction() as tx:
        await write_policy(tx, law.read(rules), caller="admin", now=worker.now())
    worker.rules.forget()


async def at(by_hand: HandClock, hour: int, minute: int = 0) -> datetime:
    """Tomorrow at this hour, UTC."""
    day = (by_hand.clock.now + timedelta(days=1)).replace(hour=hour, minute=minute, second=0, microsecond=0)
    await by_hand.advance(seconds=(day - by_hand.clock.now).total_seconds())
    return by_hand.clock.now


async def messages(engine: AsyncEngine) -> dict[str, Any]:
    async with begin(engine) as tx:
        return {row.msisdn: row for row in await tx.execute(select(Message))}


@pytest.fixture
async def gateway(worker: HandWorker, router: respx.MockRouter) -> None:
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer)
    router.post(url__startswith="https://first.example.com").respond(201, json={"sid": "SM1", "status": "queued"})


async def run(worker: HandWorker, msisdns: list[str], **over: Any) -> Any:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, msisdns, now=worker.now(), **over)
    await due(worker)
    await expand_all(worker)
    return campaign_id


async def test_each_is_written_to_in_their_own_morning(
    worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: None
) -> None:
    await set_rules(worker, quiet_hours=[NIGHT])
    evening = await at(by_hand, 19)  # 21:00 in the Cape; Washington is at work
    await run(worker, [CAPE, WASHINGTON])
    made = await messages(engine)
    assert made[CAPE].not_before == evening.replace(hour=6) + timedelta(days=1)
    assert made[WASHINGTON].not_before <= evening
    assert await pump_all(worker) == 1
    await by_hand.advance(hours=10, minutes=59)
    assert await pump_all(worker) == 0
    await by_hand.advance(minutes=1)
    assert await pump_all(worker) == 1
    assert {row.status for row in (await messages(engine)).values()} == {Status.SUBMITTED}
    await check_tallies(engine)


async def test_the_contacts_zone_comes_before_the_locations_and_that_before_the_numbers(
    worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: None
) -> None:
    await set_rules(worker, quiet_hours=[NIGHT], location_time_zones={"tokyo-1": "Asia/Tokyo"})
    noon = await at(by_hand, 12)  # 14:00 in the Cape, 21:00 in Tokyo, 22:00 in Sydney
    numbers = {None: make_msisdn(1), "tokyo-1": make_msisdn(2), "elsewhere": make_msisdn(3)}
    async with worker.transaction() as tx:
        await make_contact(tx, msisdn=numbers[None], time_zone="Australia/Sydney", location_id="tokyo-1")
        await make_contact(tx, msisdn=numbers["tokyo-1"], location_id="tokyo-1")
        await make_contact(tx, msisdn=numbers["elsewhere"], location_id="elsewhere")
    await run(worker, [*numbers.values(), CAPE])
    made = await messages(engine)
    midnight = noon.replace(hour=0) + timedelta(days=1)
    assert made[numbers["tokyo-1"]].not_before == midnight - timedelta(hours=1)
    assert made[numbers[None]].not_before in {midnight - timedelta(hours=2), midnight - timedelta(hours=3)}
    assert made[numbers["elsewhere"]].not_before <= noon
    assert made[CAPE].not_before <= noon


async def test_a_window_that_closes_while_messages_wait(
    worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: None
) -> None:
    await set_rules(worker, quiet_hours=[NIGHT])
    await at(by_hand, 17, 59)
    campaign_id = await run(worker, [CAPE])
    assert (await messages(engine))[CAPE].not_before <= by_hand.clock.now
    await by_hand.advance(minutes=1)
    assert await pump_all(worker) == 1  # taken, and put back
    waiting = (await messages(engine))[CAPE]
    assert (waiting.status, waiting.attempt) == (Status.QUEUED, 0)
    assert waiting.not_before == by_hand.clock.now.replace(hour=6, minute=0) + timedelta(days=1)
    await check_tallies(engine)
    await finish(worker)
    async with begin(engine) as tx:
        status = await tx.scalar(select(Campaign.status).where(Campaign.id == campaign_id))
    assert status is CampaignStatus.RUNNING
    await by_hand.advance(hours=12)
    assert await pump_all(worker) == 1
    assert (await messages(engine))[CAPE].status is Status.SUBMITTED


async def test_rules_that_come_while_messages_wait_are_kept(
    worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: None
) -> None:
    await at(by_hand, 22)
    await run(worker, [CAPE])
    await set_rules(worker, quiet_hours=[NIGHT])
    assert await pump_all(worker) == 1
    assert (await messages(engine))[CAPE].status is Status.QUEUED


async def test_past_its_time_it_expires_and_is_never_late(
    worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: None
) -> None:
    await set_rules(worker, quiet_hours=[NIGHT])
    evening = await at(by_hand, 19)
    send_by = evening + timedelta(hours=3)
    await run(worker, [CAPE], steps=[{"send_by": send_by}])
    assert (await messages(engine))[CAPE].not_before == send_by
    assert await pump_all(worker) == 0
    await by_hand.advance(hours=3)
    await pump_all(worker)
    assert (await messages(engine))[CAPE].status is Status.EXPIRED
    await check_tallies(engine)


async def test_a_campaign_that_runs_without_hours_of_its_own(
    worker: HandWorker, client: AsyncClient, by_hand: HandClock, engine: AsyncEngine, gateway: None
) -> None:
    plain = {"name": "Plain", "messages": [{"text": "Hello."}], "msisdns": [CAPE], "opt_in_acknowledged": True}
    campaign = (await client.post("/v1/campaigns", json=plain)).json()
    assert campaign["quiet_hours"] is None
    await client.post(f"/v1/campaigns/{campaign['id']}/start")
    await due(worker)
    worker.rules.forget()
    await expand_all(worker)
    worker.rules.forget()
    assert await pump_all(worker) == 1


async def test_hours_of_a_campaign_over_http(
    worker: HandWorker, client: AsyncClient, by_hand: HandClock, engine: AsyncEngine, gateway: None
) -> None:
    lunch = [{"start": "12:00", "end": "14:00", "days": None}]
    plain = {"name": "Plain", "messages": [{"text": "Hello."}], "msisdns": [CAPE], "opt_in_acknowledged": True}
    campaign = (await client.post("/v1/campaigns", json=plain | {"quiet_hours": lunch})).json()
    assert campaign["quiet_hours"] == lunch
    path = f"/v1/campaigns/{campaign['id']}"
    assert (await client.patch(path, json={"quiet_hours": []})).json()["quiet_hours"] is None
    assert (await client.patch(path, json={"quiet_hours": lunch})).json()["quiet_hours"] == lunch
    noon = await at(by_hand, 10, 30)
    await client.post(f"{path}/start")
    await due(worker)
    await expand_all(worker)
    assert (await messages(engine))[CAPE].not_before == noon.replace(hour=12, minute=0)


async def test_a_campaigns_own_hours_stand_beside_the_policys(
    worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: None
) -> None:
    await set_rules(worker, quiet_hours=[NIGHT])
    lunch = await at(by_hand, 10, 30)  # 12:30 in the Cape
    await run(worker, [CAPE], quiet_hours=[{"start": "12:00", "end": "14:00", "days": None}])
    assert (await messages(engine))[CAPE].not_before == lunch.replace(hour=12, minute=0)
    await by_hand.advance(hours=9)
    worker.rules.forget()
    await pump_all(worker)
    assert (await messages(engine))[CAPE].not_before == lunch.replace(hour=6, minute=0) + timedelta(days=1)


@pytest.mark.parametrize(
    ("kinds", "kind", "waits"),
    [
        pytest.param(["campaign"], Kind.PERSONAL, False, id="a person's message goes"),
        pytest.param(["campaign", "personal"], Kind.PERSONAL, True, id="unless it is to wait"),
        pytest.param(["campaign", "personal", "voucher"], Kind.OTP, False, id="a password never waits"),
    ],
)
async def test_which_kinds_wait(
    worker: HandWorker,
    by_hand: HandClock,
    engine: AsyncEngine,
    pepper: bytes,
    gateway: None,
    kinds: list[str],
    kind: Kind,
    waits: bool,
) -> None:
    await set_rules(worker, quiet_hours=[NIGHT], quiet_hours_kinds=kinds)
    await at(by_hand, 22)
    async with worker.transaction() as tx:
        message_id = await make_message(tx, pepper, now=worker.now(), msisdn=CAPE, kind=kind)
    await pump_all(worker, "urgent")
    assert (await message_of(engine, message_id)).status is (Status.QUEUED if waits else Status.SUBMITTED)


async def test_where_no_hour_is_open_it_is_looked_at_again_tomorrow(
    worker: HandWorker, by_hand: HandClock, engine: AsyncEngine
) -> None:
    await set_rules(worker, quiet_hours=[{"start": "09:00", "end": "08:00"}])
    await run(worker, ["+79161234567"])  # Kaliningrad to Kamchatka: no hour is open in all of them
    (row,) = (await messages(engine)).values()
    assert row.not_before.astimezone(UTC) == by_hand.clock.now + timedelta(days=1)
