"""What needs its owner's word: a dispatcher that slept, a restored backup, failures in a row, no gateway."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import respx
from sqlalchemy import insert, select

from deploy.local.servers import Valkey
from dispatcher.beside.watch import keep_watch, look_first, watch
from dispatcher.path.due import due
from dispatcher.queries import watch as queries
from dispatcher.streaks import Streaks
from dispatcher.witness import Witness
from shared.clock import utc_now
from shared.db import begin
from shared.domain.campaign import HeldReason, Status
from shared.domain.message import Status as MessageStatus
from shared.models import AuditEntry, Campaign, Message, NoticeRow, PolicyRow
from tests.dispatcher.answers import MESSAGE, at, in_turn, refused, taken
from tests.factories import make_campaign, make_gateway, make_message, make_msisdn
from tests.stages import check_tallies, execute, expand_all, pump_all, pump_once, run_to_the_end, send_all
from tests.worlds import HandClock, HandWorker

NUMBERS = [make_msisdn(number) for number in range(20)]
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def gateway(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer)


@pytest.fixture
def taker(router: respx.MockRouter) -> respx.Route:
    return at(router)


async def campaign(worker: HandWorker, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        return await make_campaign(tx, NUMBERS, now=worker.now(), released_at=worker.now(), **over)


async def scheduled(worker: HandWorker, ahead: timedelta, **over: Any) -> UUID:
    send_at = worker.now() + ahead
    return await campaign(worker, status=Status.SCHEDULED, starts_at=send_at, steps=[{"send_at": send_at}], **over)


async def held(worker: HandWorker, campaign_id: UUID) -> HeldReason | None:
    """Why it is held; None where it is not."""
    async with begin(worker.engine) as tx:
        row = (await tx.execute(select(Campaign).where(Campaign.id == campaign_id))).one()
    assert (row.status is Status.HELD) is (row.held_reason is not None)
    reason: HeldReason | None = row.held_reason
    return reason


async def notices(worker: HandWorker) -> list[str]:
    async with begin(worker.engine) as tx:
        return list((await tx.execute(select(NoticeRow.kind).order_by(NoticeRow.id))).scalars())


# --- late


async def test_dispatcher_that_slept_sends_nothing_late(
    worker: HandWorker, taker: respx.Route, by_hand: HandClock
) -> None:
    """Three hours: one campaign was to start meanwhile, one was half sent, one is due just now."""
    await due(worker)
    missed = await scheduled(worker, HOUR)
    punctual = await scheduled(worker, 3 * HOUR, name="punctual")
    half = await campaign(worker, name="half")
    await due(worker)
    await expand_all(worker)
    await pump_once(worker, slots=8)
    await by_hand.sleep(hours=3)
    assert await pump_all(worker) == 0  # nothing is claimed before somebody looked
    await send_all(worker)
    assert await held(worker, missed) is HeldReason.LATE
    assert await held(worker, half) is HeldReason.LATE
    assert await held(worker, punctual) is None
    assert taker.call_count == 8 + 20
    assert await notices(worker) == ["campaign_held", "campaign_held"]
    async with begin(worker.engine) as tx:
        entries = (await tx.execute(select(AuditEntry.action, AuditEntry.caller, AuditEntry.detail))).all()
    assert [tuple(entry) for entry in entries] == [
        ("campaign.held", "dispatcher", {"status": "held", "reason": "late"})
    ] * 2
    await check_tallies(worker.engine)


async def test_short_absence_is_no_reason(worker: HandWorker, taker: respx.Route, by_hand: HandClock) -> None:
    await due(worker)
    missed = await scheduled(worker, timedelta(minutes=1))
    await by_hand.sleep(minutes=50)
    await run_to_the_end(worker)
    assert await held(worker, missed) is None
    assert taker.call_count == 20


async def test_tolerance_is_the_policys(worker: HandWorker, taker: respx.Route, by_hand: HandClock) -> None:
    async with worker.transaction() as tx:
        row = {"id": 1, "rules": {"late_after_minutes": 10}, "updated_at": worker.now(), "updated_by": "admin"}
        await tx.execute(insert(PolicyRow).values(row))
    missed = await scheduled(worker, timedelta(minutes=1))
    await due(worker)
    await by_hand.sleep(minutes=12)
    await send_all(worker)
    assert await held(worker, missed) is HeldReason.LATE
    assert taker.call_count == 0


async def test_step_of_a_sequence_that_was_missed(worker: HandWorker, taker: respx.Route, by_hand: HandClock) -> None:
    later = worker.now() + HOUR
    campaign_id = await campaign(worker, texts=["One", "Two"], steps=[{}, {"send_at": later}])
    await run_to_the_end(worker)
    await by_hand.sleep(hours=3)
    await run_to_the_end(worker)
    assert await held(worker, campaign_id) is HeldReason.LATE
    assert taker.call_count == 20


async def test_start_at_once_that_nobody_saw(worker: HandWorker, taker: respx.Route, by_hand: HandClock) -> None:
    await due(worker)
    campaign_id = await campaign(worker)
    await by_hand.sleep(hours=3)
    await send_all(worker)
    assert await held(worker, campaign_id) is HeldReason.LATE


async def test_owners_word_lets_it_go(worker: HandWorker, taker: respx.Route, by_hand: HandClock) -> None:
    await due(worker)
    campaign_id = await campaign(worker)
    await by_hand.sleep(hours=3)
    await due(worker)
    resumed = "UPDATE campaigns SET status = 'running', held_reason = NULL, released_at = :now"
    await execute(worker.engine, resumed, now=worker.now())
    await run_to_the_end(worker)
    assert await held(worker, campaign_id) is None
    assert taker.call_count == 20


async def test_finished_meanwhile_is_not_held(worker: HandWorker, taker: respx.Route, by_hand: HandClock) -> None:
    campaign_id = await campaign(worker)
    await send_all(worker)
    await by_hand.sleep(hours=3)
    await due(worker)
    assert await held(worker, campaign_id) is None


# --- restored


@pytest.fixture
async def witnessed(worker: HandWorker, valkey: Valkey) -> HandWorker:
    witness = Witness(valkey.url)
    await witness._redis.flushall()
    object.__setattr__(worker, "witness", witness)
    return worker


async def set_back(worker: HandWorker, **by: float) -> None:
    """The database is what it was a while ago; its clock goes on."""
    await execute(
        worker.engine,
        "UPDATE heartbeat SET beat_at = beat_at - make_interval(secs => :by)",
        by=timedelta(**by).total_seconds(),
    )


async def test_restored_backup_sends_nothing_unasked(
    witnessed: HandWorker, taker: respx.Route, by_hand: HandClock
) -> None:
    worker = witnessed
    await due(worker)
    later = await scheduled(worker, timedelta(days=1))
    running = await campaign(worker, name="running")
    await due(worker)
    await expand_all(worker)
    async with worker.transaction() as tx:
        waiting = await make_message(tx, worker.pepper, now=worker.now())
        ahead = await make_message(
            tx, worker.pepper, now=worker.now(), not_before=worker.now() + timedelta(days=1), msisdn=make_msisdn(9)
        )
    await by_hand.sleep(minutes=5)
    await due(worker)
    await set_back(worker, minutes=5)
    await look_first(worker)
    await pump_all(worker, "urgent")
    await send_all(worker)
    assert taker.call_count == 0
    assert [await held(worker, one) for one in (later, running)] == [HeldReason.RESTORED] * 2
    async with begin(worker.engine) as tx:
        rows = await tx.execute(select(Message.id, Message.status).where(Message.campaign_message_id.is_(None)))
        assert {row.id: row.status for row in rows} == {waiting: MessageStatus.UNCONFIRMED, ahead: MessageStatus.QUEUED}
    assert sorted(await notices(worker)) == ["campaign_held", "campaign_held", "database_restored"]
    # It is told once: from now on the database is the one that is.
    await by_hand.sleep(minutes=1)
    await due(worker)
    assert len(await notices(worker)) == 3


async def test_database_that_was_moved(worker: HandWorker, taker: respx.Route) -> None:
    """A dump that was read in elsewhere, without a word from Redis."""
    await due(worker)
    campaign_id = await campaign(worker)
    await execute(worker.engine, "UPDATE heartbeat SET system = '1/1', beat_at = beat_at - interval '1 minute'")
    await due(worker)
    assert await held(worker, campaign_id) is HeldReason.RESTORED


async def test_without_a_word_from_redis_nothing_is_held(
    witnessed: HandWorker, taker: respx.Route, by_hand: HandClock
) -> None:
    worker = witnessed
    await due(worker)
    campaign_id = await campaign(worker)
    assert worker.witness is not None
    await worker.witness._redis.flushall()
    await by_hand.sleep(minutes=1)
    await due(worker)
    assert await held(worker, campaign_id) is None


async def test_redis_that_is_away_is_no_witness() -> None:
    witness = Witness("redis://127.0.0.1:1")
    assert await witness.recall() == {}
    await witness.remember(uuid4(), utc_now())
    await witness.aclose()


async def test_two_that_look_at_once_see_no_ghost(
    witnessed: HandWorker, another: Any, taker: respx.Route, by_hand: HandClock
) -> None:
    other = another()
    object.__setattr__(other, "witness", witnessed.witness)
    campaign_id = await campaign(witnessed)
    for _ in range(4):
        await by_hand.sleep(seconds=10)
        await keep_watch(witnessed)
        await keep_watch(other)
    assert await held(witnessed, campaign_id) is None


async def test_system_is_known_to_who_may_ask(worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        cluster, database = (await queries.find_system(tx)).split("/")
    assert cluster.isdigit()
    assert database.isdigit()


# --- error rate


async def test_failures_in_a_row_hold_a_campaign(worker: HandWorker, another: Any, router: respx.MockRouter) -> None:
    at(router, answer=in_turn(taken, refused(MESSAGE)))
    worker = another(failures_in_a_row=10)
    campaign_id = await campaign(worker)
    await due(worker)
    await expand_all(worker)
    await pump_once(worker, slots=8)
    assert await watch(worker) == 0
    await pump_once(worker, slots=8)
    assert await watch(worker) == 1
    assert await held(worker, campaign_id) is HeldReason.ERROR_RATE
    assert await pump_all(worker) == 0
    assert await watch(worker) == 0


async def test_one_success_in_between_is_no_row(worker: HandWorker, another: Any, router: respx.MockRouter) -> None:
    answers = [refused(MESSAGE) if place % 5 else taken for place in range(20)]
    at(router, answer=in_turn(*answers))
    worker = another(failures_in_a_row=10)
    campaign_id = await campaign(worker)
    await send_all(worker)
    assert await watch(worker) == 0
    assert await held(worker, campaign_id) is None


@pytest.mark.parametrize(
    ("statuses", "failing"),
    [
        pytest.param([MessageStatus.FAILED] * 3, True, id="refused"),
        pytest.param([MessageStatus.FAILED] * 2, False, id="not often enough"),
        pytest.param([MessageStatus.UNCONFIRMED] * 3, False, id="in doubt, as all on one line may be"),
        pytest.param([MessageStatus.UNCONFIRMED] * 5, True, id="in doubt, line after line"),
        pytest.param([MessageStatus.QUEUED, *[MessageStatus.FAILED] * 3], True, id="another try says nothing"),
        pytest.param([*[MessageStatus.FAILED] * 3, MessageStatus.SUBMITTED], False, id="taken"),
    ],
)
def test_streak(statuses: list[MessageStatus], *, failing: bool) -> None:
    streaks, step = Streaks(), uuid4()
    for status in statuses:
        streaks.note(step, status)
        streaks.note(None, MessageStatus.FAILED)
    assert streaks.failing(failures=3, losses=5) == ([step] if failing else [])


def test_doubts_without_blame_make_no_streak() -> None:
    streaks, step = Streaks(), uuid4()
    for _ in range(10):
        streaks.note(step, MessageStatus.UNCONFIRMED, blameless=True)
    assert streaks.failing(failures=3, losses=5) == []


# --- no gateway


async def test_campaign_without_a_gateway_is_held_after_a_while(
    worker: HandWorker, another: Any, taker: respx.Route
) -> None:
    patient, hasty = another(no_gateway=900.0), another(no_gateway=0.0)
    await execute(worker.engine, "UPDATE gateways SET enabled = false")
    campaign_id = await campaign(worker)
    await due(worker)
    await expand_all(worker)
    for one in (patient, hasty):
        await pump_once(one)
    assert await watch(patient) == 0
    assert await held(worker, campaign_id) is None
    assert await watch(hasty) == 1
    assert await held(worker, campaign_id) is HeldReason.NO_GATEWAY


async def test_sender_that_no_gateway_has(worker: HandWorker, another: Any, taker: respx.Route) -> None:
    hasty = another(no_gateway=0.0)
    await execute(worker.engine, "UPDATE gateways SET location_ids = ARRAY['elsewhere']")
    homeless = await campaign(worker)
    await send_all(hasty)
    assert await watch(hasty) == 1
    assert await held(worker, homeless) is HeldReason.NO_GATEWAY


async def test_gateway_that_came_back_in_time(worker: HandWorker, another: Any, taker: respx.Route) -> None:
    hasty = another(no_gateway=0.0)
    await execute(worker.engine, "UPDATE gateways SET enabled = false")
    campaign_id = await campaign(worker)
    await due(hasty)
    await expand_all(hasty)
    await pump_once(hasty)
    await execute(worker.engine, "UPDATE gateways SET enabled = true")
    await pump_once(hasty)
    assert await watch(hasty) == 0
    assert await held(worker, campaign_id) is None
