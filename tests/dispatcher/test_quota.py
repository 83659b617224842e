"""The ledger beside the path: consumed is what went out, the rest goes back, and the sum explains itself."""

import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import respx
from httpx import AsyncClient, Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.beside.quota import keep_quota
from dispatcher.path.due import due
from dispatcher.path.expand import expand
from dispatcher.path.finish import cancel_requested, empty_stopped, finish
from dispatcher.path.receipts import receipts
from shared.db import begin
from shared.domain.campaign import HeldReason, Status
from shared.domain.quota import EntryKind
from shared.domain.report import CHARGEABLE
from shared.models import Campaign, Message, NoticeRow, QuotaAccount, QuotaEntry, QuotaHold
from tests.factories import make_gateway, make_msisdn
from tests.stages import check_tallies, expand_all, pump_all, pump_once
from tests.worlds import HandClock, HandWorker

NUMBERS = [make_msisdn(number) for number in range(25)]


@pytest.fixture
async def gateway(worker: HandWorker, router: respx.MockRouter) -> respx.Route:
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer)
    route = router.post(url__startswith="https://first.example.com")
    route.respond(201, json={"sid": "SM1", "status": "queued"})
    return route


async def grant(client: AsyncClient, worker: HandWorker, units: int) -> None:
    assert (await client.post("/v1/quota/grants", json={"units": units})).status_code == 201
    worker.rules.forget()


async def started(client: AsyncClient, *, text: str = "Hello.", people: int = 10, **over: Any) -> str:
    body = {"name": f"offer {random.random()}", "msisdns": NUMBERS[:people], "messages": [{"text": text}]}
    answer = await client.post("/v1/campaigns", json=body | {"opt_in_acknowledged": True} | over)
    campaign_id: str = answer.json()["id"]
    answer = await client.post(f"/v1/campaigns/{campaign_id}/start")
    assert answer.status_code == 200, answer.text
    return campaign_id


async def quota(client: AsyncClient) -> tuple[int, int, int]:
    told = (await client.get("/v1/quota")).json()
    return told["available"], told["reserved"], told["consumed"]


async def books(worker: HandWorker, by_hand: HandClock, *, minutes: float = 1) -> None:
    """Let some time pass, and keep the books."""
    await by_hand.advance(minutes=minutes)
    await keep_quota(worker)


async def check_ledger(engine: AsyncEngine) -> None:
    """Every account is the sum of its entries, and no campaign gave back or consumed what it did not have."""
    async with begin(engine) as tx:
        sums: dict[UUID | None, dict[EntryKind, int]] = {}
        for row in await tx.execute(
            select(QuotaEntry.subject_id, QuotaEntry.kind, func.sum(QuotaEntry.units)).group_by(
                QuotaEntry.subject_id, QuotaEntry.kind
            )
        ):
            sums.setdefault(row[0], dict.fromkeys(EntryKind, 0))[EntryKind(row[1])] = int(row[2])
        for account in await tx.execute(select(QuotaAccount)):
            mine = sums[account.campaign_id]
            told = (account.reserved, account.consumed, account.released)
            assert told == (mine[EntryKind.RESERVE], mine[EntryKind.CONSUME], mine[EntryKind.RELEASE])
            assert account.reserved >= account.consumed + account.released >= 0
            if account.look_at is None:
                assert account.reserved == account.consumed + account.released


async def recount(engine: AsyncEngine) -> int:
    """The segments of all messages that a gateway took, or may have, from their rows."""
    async with begin(engine) as tx:
        return int(await tx.scalar(select(func.sum(Message.segments)).where(Message.status.in_(CHARGEABLE))) or 0)


async def test_what_went_out_is_consumed(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: respx.Route
) -> None:
    await grant(client, worker, 100)
    await started(client, text="a" * 161)
    await due(worker)
    await expand_all(worker)
    await pump_once(worker, slots=4)
    await books(worker, by_hand)
    assert await quota(client) == (80, 12, 8)
    await pump_all(worker)
    await finish(worker)
    await books(worker, by_hand)
    assert await quota(client) == (80, 0, 20)
    await check_ledger(engine)


async def test_a_stop_gives_back_what_was_not_sent(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: respx.Route
) -> None:
    await grant(client, worker, 100)
    campaign_id = await started(client, people=25)
    await due(worker)
    await expand(worker)  # ten of them; the other fifteen are never made
    await pump_once(worker, slots=4)
    await client.post(f"/v1/campaigns/{campaign_id}/stop")
    await empty_stopped(worker)
    await books(worker, by_hand)
    assert await quota(client) == (96, 0, 4)
    await check_ledger(engine)


async def test_a_restart_takes_it_back(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: respx.Route
) -> None:
    await grant(client, worker, 25)
    campaign_id = await started(client, people=25)
    await due(worker)
    await expand(worker)
    await pump_once(worker, slots=4)
    await client.post(f"/v1/campaigns/{campaign_id}/stop")
    await empty_stopped(worker)
    await books(worker, by_hand)
    assert await quota(client) == (21, 0, 4)
    answer = await client.post(f"/v1/campaigns/{campaign_id}/restart", json={"messages": []})
    assert answer.status_code == 200, answer.text
    assert await quota(client) == (0, 21, 4)


async def test_what_failed_or_was_skipped_goes_back_at_the_end(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: respx.Route
) -> None:
    await grant(client, worker, 100)
    await started(client)
    await client.post("/v1/opt-outs", json={"msisdn": NUMBERS[0]})
    gateway.respond(400, json={"code": 21211, "message": "Invalid 'To' Phone Number"})
    await due(worker)
    await expand_all(worker)
    await pump_once(worker, slots=3)
    gateway.respond(201, json={"sid": "SM1", "status": "queued"})
    await pump_all(worker)
    await finish(worker)
    await books(worker, by_hand)
    available, reserved, consumed = await quota(client)
    assert consumed == await recount(engine)
    assert consumed < 9
    assert (available, reserved) == (100 - consumed, 0)
    await check_ledger(engine)


async def test_blocks_are_counted_from_the_texts_at_the_end(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: respx.Route
) -> None:
    await client.put("/v1/policy", json={"quota_unit": "per_160"})
    await grant(client, worker, 100)
    await started(client, text="a" * 480)  # 3 blocks, 4 segments
    await due(worker)
    await expand_all(worker)
    await pump_all(worker)
    await finish(worker)
    await books(worker, by_hand)
    assert await quota(client) == (70, 0, 30)
    await check_ledger(engine)


async def test_a_campaign_that_outgrew_its_reservation_takes_more_or_is_held(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: respx.Route
) -> None:
    await grant(client, worker, 29)
    contacts = [
        (await client.post("/v1/contacts", json={"msisdn": number, "name": "Al"})).json()["id"] for number in NUMBERS
    ]
    campaign_id = await started(
        client, messages=[{"text": "{{ name | default('') }} " + "a" * 150}], contact_ids=contacts, msisdns=[]
    )
    assert await quota(client) == (4, 25, 0)
    for contact_id in contacts:
        await client.patch(f"/v1/contacts/{contact_id}", json={"name": "A" * 100})  # now two segments each
    await due(worker)
    assert [await expand(worker), await expand(worker)] == [10, 0]
    async with begin(engine) as tx:
        row = (await tx.execute(select(Campaign).where(Campaign.id == UUID(campaign_id)))).one()
        notices = await tx.scalar(select(func.count()).select_from(NoticeRow))
    assert (row.status, row.held_reason, notices) == (Status.HELD, HeldReason.QUOTA, 1)
    await check_tallies(engine)
    await grant(client, worker, 100)
    assert (await client.post(f"/v1/campaigns/{campaign_id}/resume")).status_code == 200
    await expand_all(worker)
    await pump_all(worker)
    await finish(worker)
    await books(worker, by_hand)
    assert await quota(client) == (79, 0, 50)
    await check_ledger(engine)


async def test_a_campaign_that_is_older_than_the_quota_takes_from_it(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: respx.Route
) -> None:
    await started(client, people=25)
    await grant(client, worker, 100)
    await due(worker)
    await expand_all(worker)
    assert await quota(client) == (75, 25, 0)
    await pump_all(worker)
    await finish(worker)
    await books(worker, by_hand)
    assert await quota(client) == (75, 0, 25)


async def test_a_single_message_is_settled_by_its_fate(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: respx.Route
) -> None:
    await grant(client, worker, 10)
    later = (by_hand.clock.now + timedelta(hours=1)).isoformat()
    sent = await client.post("/v1/messages", json={"msisdn": NUMBERS[0], "text": "Hello."})
    called_back = await client.post("/v1/messages", json={"msisdn": NUMBERS[1], "text": "Hello.", "send_at": later})
    waiting = await client.post("/v1/messages", json={"msisdn": NUMBERS[2], "text": "Hello.", "send_at": later})
    assert {answer.status_code for answer in (sent, called_back, waiting)} == {202}
    assert await quota(client) == (7, 3, 0)
    await keep_quota(worker)
    assert await quota(client) == (7, 3, 0)
    await pump_all(worker, "urgent")
    await client.post(f"/v1/messages/{called_back.json()['id']}/cancel")
    await cancel_requested(worker)
    await books(worker, by_hand)
    await books(worker, by_hand, minutes=61)
    assert await quota(client) == (8, 1, 1)
    await pump_all(worker, "urgent")
    await books(worker, by_hand)
    assert await quota(client) == (8, 0, 2)
    async with begin(engine) as tx:
        assert await tx.scalar(select(func.count()).select_from(QuotaHold)) == 0


async def test_a_message_in_doubt_keeps_its_hold_for_a_while(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: respx.Route
) -> None:
    await grant(client, worker, 10)
    gateway.respond(500)
    await client.post("/v1/messages", json={"msisdn": NUMBERS[0], "text": "Hello."})
    await pump_all(worker, "urgent")
    await books(worker, by_hand)
    await books(worker, by_hand)
    assert await quota(client) == (9, 1, 0)
    await books(worker, by_hand, minutes=3 * 24 * 60 + 30)
    assert await quota(client) == (9, 0, 1)


async def test_the_sum_explains_itself_after_whatever_happens(  # noqa: C901 - many things may happen
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, engine: AsyncEngine, gateway: respx.Route
) -> None:
    """Campaigns and messages, refusals, losses and stops at random; in the end the ledger equals a recount."""
    chance = random.Random(7)
    answers = [
        Response(201, json={"sid": "SM1", "status": "queued"}),
        Response(201, json={"sid": "SM2", "status": "queued"}),
        Response(400, json={"code": 21211, "message": "Invalid 'To' Phone Number"}),
        Response(500),
    ]
    gateway.mock(side_effect=lambda _request: chance.choice(answers))
    await grant(client, worker, 1_000)
    running: list[str] = []

    async def begin_another() -> None:
        text = "a" * chance.choice([10, 161])
        running.append(await started(client, text=text, people=chance.randrange(1, 25)))

    async def send_one() -> None:
        await client.post("/v1/messages", json={"msisdn": NUMBERS[0], "text": "Hello."})

    async def stop_one() -> None:
        if running and chance.random() < 0.4:
            await client.post(f"/v1/campaigns/{running.pop()}/stop")

    async def make_some() -> None:
        await due(worker)
        await expand(worker)

    async def send_some() -> None:
        await pump_once(worker, chance.choice(["bulk", "urgent"]), slots=5)

    async def end_some() -> None:
        await empty_stopped(worker)
        await finish(worker)

    async def keep_books() -> None:
        await books(worker, by_hand, minutes=0.5)
        await check_ledger(engine)

    for _ in range(40):
        await chance.choice([begin_another, send_one, stop_one, make_some, send_some, end_some, keep_books])()
        await check_tallies(engine)
    for _ in range(3):
        await due(worker)
        await expand_all(worker)
        await pump_all(worker)
        await pump_all(worker, "urgent")
        await receipts(worker)
        await empty_stopped(worker)
        await finish(worker)
        await by_hand.advance(minutes=2)
    await books(worker, by_hand, minutes=5)
    await books(worker, by_hand, minutes=3 * 24 * 60 + 60)
    await check_ledger(engine)
    async with begin(engine) as tx:
        assert await tx.scalar(select(func.count()).where(Message.status == "queued")) == 0
    consumed = await recount(engine)
    assert consumed > 0
    assert await quota(client) == (1_000 - consumed, 0, consumed)


# --- news


async def kinds_told(worker: HandWorker) -> list[str]:
    async with begin(worker.engine) as tx:
        rows = await tx.execute(select(NoticeRow.kind).where(NoticeRow.subject_kind == "quota").order_by(NoticeRow.id))
        return list(rows.scalars())


async def test_the_quota_s_news_is_told_once(worker: HandWorker, client: AsyncClient) -> None:
    """Low, then exhausted, and after another grant anew; in between what is told is told."""

    async def send(count: int) -> None:
        for _ in range(count):
            answer = await client.post("/v1/messages", json={"msisdn": make_msisdn(1), "text": "Hello."})
            assert answer.status_code == 202, answer.text
            while await keep_quota(worker):
                pass

    await grant(client, worker, 10)
    await send(7)
    assert await kinds_told(worker) == []
    await send(2)
    assert await kinds_told(worker) == ["quota_low"]
    await send(1)
    assert await kinds_told(worker) == ["quota_low", "quota_exhausted"]
    refused = await client.post("/v1/messages", json={"msisdn": make_msisdn(1), "text": "Hello."})
    assert refused.status_code == 409
    await grant(client, worker, 90)
    await send(1)
    assert await kinds_told(worker) == ["quota_low", "quota_exhausted"]
    await grant(client, worker, -89)
    await grant(client, worker, 1)
    await send(1)
    assert await kinds_told(worker) == ["quota_low", "quota_exhausted", "quota_exhausted"]
