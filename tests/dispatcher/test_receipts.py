"""Receipts: the same end in any order, and nothing moved that is not the gateway's to move."""

import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from dispatcher.path.due import due
from dispatcher.path.receipts import GIVE_UP_AFTER, merge, receipts
from dispatcher.queries.receipts import Pending
from shared.clock import utc_now
from shared.db import begin
from shared.domain.message import RANK, Status, after_receipt
from shared.ids import uuid7
from shared.models import Message, OptOut, ReceiptRow
from tests.factories import make_attempt, make_campaign, make_gateway, make_message, make_msisdn, make_receipt
from tests.stages import attempts_of, check_tallies, execute, expand_all, message_of, statuses
from tests.worlds import HandClock, HandWorker

TOLD = (Status.SUBMITTED, Status.SENT, Status.UNDELIVERED, Status.DELIVERED)
GATEWAY = UUID(int=1)


@pytest.fixture
async def gateway(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer)


async def handed_over(worker: HandWorker, gateway_id: UUID, *, status: Status = Status.SENDING, **over: Any) -> UUID:
    """A message with one attempt at a gateway."""
    async with worker.transaction() as tx:
        message_id = await make_message(tx, worker.pepper, now=worker.now(), status=status, attempt=1)
        await make_attempt(tx, message_id, gateway_id, now=worker.now(), **over)
    return message_id


async def tell(worker: HandWorker, gateway_id: UUID, **over: Any) -> UUID:
    async with worker.transaction() as tx:
        return await make_receipt(tx, gateway_id, now=worker.now(), **over)


async def receipt_of(worker: HandWorker, receipt_id: UUID) -> Any:
    async with begin(worker.engine) as tx:
        return (await tx.execute(select(ReceiptRow).where(ReceiptRow.id == receipt_id))).one()


# --- the guard says what the law says


@pytest.mark.parametrize("told", TOLD)
async def test_sql_moves_what_the_law_moves(worker: HandWorker, gateway: UUID, told: Status) -> None:
    """Every status, in one batch."""
    ids = {current: await handed_over(worker, gateway, status=current) for current in Status}
    for message_id in ids.values():
        await tell(worker, gateway, message_id=message_id, attempt=1, status=told)
    assert await receipts(worker) == len(Status)
    found = {current: (await message_of(worker.engine, message_id)).status for current, message_id in ids.items()}
    assert found == {current: after_receipt(current, told) for current in Status}
    for message_id in ids.values():
        (attempt,) = await attempts_of(worker.engine, message_id)
        assert attempt.outcome == "accepted"
    async with begin(worker.engine) as tx:
        assert set((await tx.execute(select(ReceiptRow.verdict))).scalars()) == {"applied"}


# --- one end, whatever the order


@pytest.mark.parametrize("order", list(itertools.permutations((Status.SENT, Status.UNDELIVERED, Status.DELIVERED))))
@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "one by one"])
async def test_any_order_any_batch(
    worker: HandWorker, gateway: UUID, order: tuple[Status, ...], *, at_once: bool
) -> None:
    message_id = await handed_over(worker, gateway)
    for status in (*order, *order):
        await tell(worker, gateway, message_id=message_id, attempt=1, status=status, reference="SM1")
        if not at_once:
            await receipts(worker)
    await receipts(worker)
    assert (await message_of(worker.engine, message_id)).status is Status.DELIVERED
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.outcome, attempt.reference) == ("accepted", "SM1")


MESSAGES = [UUID(int=10), UUID(int=11)]
PENDING = st.builds(
    Pending,
    id=st.builds(uuid4),
    gateway_id=st.just(GATEWAY),
    message_id=st.sampled_from(MESSAGES),
    attempt=st.integers(1, 2),
    reference=st.sampled_from([None, "SM1"]),
    status=st.sampled_from(TOLD),
    code=st.sampled_from([None, "30003"]),
    opted_out=st.just(False),  # noqa: FBT003 - the value drawn
    segments=st.sampled_from([None, 1]),
    received_at=st.just(utc_now()),
)


def matched(pending: list[Pending]) -> dict[UUID, tuple[UUID, int]]:
    return {
        one.id: (one.message_id, one.attempt)
        for one in pending
        if one.message_id is not None and one.attempt is not None
    }


@given(st.lists(PENDING, max_size=10), st.randoms(use_true_random=False))
def test_batch_merges_to_the_highest_rank(pending: list[Pending], random: Any) -> None:
    shuffled = pending + pending
    random.shuffle(shuffled)
    merged = merge(pending, matched(pending))
    assert merge(shuffled, matched(pending)) == merged
    for one in merged:
        told = [p for p in pending if (p.message_id, p.attempt) == (one.message_id, one.attempt)]
        assert RANK[one.status] == max(RANK[p.status] for p in told)
        assert (one.reference is None) == all(p.reference is None for p in told)
    assert [(one.message_id, one.attempt) for one in merged] == sorted(set(matched(pending).values()))


# --- whose it is


async def test_receipt_of_an_older_attempt_counts_for_the_message(worker: HandWorker, gateway: UUID) -> None:
    """The first attempt was lost, the second is on the line; the first one arrived after all."""
    async with worker.transaction() as tx:
        second = await make_gateway(tx, worker.sealer, "second", priority=2)
    message_id = await handed_over(worker, gateway, outcome="lost")
    async with worker.transaction() as tx:
        await make_attempt(tx, message_id, second, now=worker.now(), attempt=2)
    await execute(worker.engine, "UPDATE messages SET attempt = 2")
    await tell(worker, gateway, message_id=message_id, attempt=1, reference="SM1", code="0")
    await receipts(worker)
    assert (await message_of(worker.engine, message_id)).status is Status.DELIVERED
    older, newer = await attempts_of(worker.engine, message_id)
    assert (older.outcome, older.reference, newer.outcome) == ("accepted", "SM1", None)


async def test_both_attempts_of_one_batch_are_proved(worker: HandWorker, gateway: UUID) -> None:
    """Both arrived: the handset rang twice, and the attempts say so, whichever is told first."""
    message_id = await handed_over(worker, gateway, outcome="lost", lookup_at=worker.now())
    async with worker.transaction() as tx:
        await make_attempt(tx, message_id, gateway, now=worker.now(), attempt=2)
    await tell(worker, gateway, message_id=message_id, attempt=1, reference="SM1", status=Status.SENT)
    await tell(worker, gateway, message_id=message_id, attempt=2, reference="SM2")
    assert await receipts(worker) == 2
    assert (await message_of(worker.engine, message_id)).status is Status.DELIVERED
    found = [(one.outcome, one.reference, one.lookup_at) for one in await attempts_of(worker.engine, message_id)]
    assert found == [("accepted", "SM1", None), ("accepted", "SM2", None)]


async def test_receipt_of_a_foreign_gateway_does_nothing(worker: HandWorker, gateway: UUID) -> None:
    async with worker.transaction() as tx:
        stranger = await make_gateway(tx, worker.sealer, "stranger", priority=2)
    message_id = await handed_over(worker, gateway, reference="SM1")
    by_id = await tell(worker, stranger, message_id=message_id, attempt=1)
    by_reference = await tell(worker, stranger, reference="SM1")
    assert await receipts(worker) == 2
    assert (await message_of(worker.engine, message_id)).status is Status.SENDING
    for receipt_id in (by_id, by_reference):
        row = await receipt_of(worker, receipt_id)
        assert (row.applied_at, row.verdict) == (None, None)


async def portal(worker: HandWorker, name: str, *, client_id: str = "our key", **over: Any) -> UUID:
    """A gateway whose vendor tells all news of an account at one address."""
    secrets = {"client_id": client_id, "api_secret": f"of {name}"}
    given = {"kind": "smsportal", "settings": {}, "secrets": secrets, **over}
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer, name, **given)


async def test_a_receipt_of_an_account_settles_what_another_gateway_of_it_was_given(worker: HandWorker) -> None:
    """The vendor has one address for both; which of them it leads to says nothing."""
    mine, other = await portal(worker, "mine"), await portal(worker, "other", priority=2, enabled=False)
    message_id = await handed_over(worker, mine, status=Status.SUBMITTED, outcome="accepted")
    own = await handed_over(worker, other, status=Status.SUBMITTED, outcome="accepted")
    crossed = await tell(worker, other, message_id=message_id, attempt=1, status=Status.UNDELIVERED, opted_out=True)
    await tell(worker, other, message_id=own, attempt=1)
    assert await receipts(worker) == 2
    assert (await message_of(worker.engine, message_id)).status is Status.UNDELIVERED
    assert (await message_of(worker.engine, own)).status is Status.DELIVERED
    assert (await receipt_of(worker, crossed)).verdict == "applied"
    async with begin(worker.engine) as tx:
        opt_out = (await tx.execute(select(OptOut))).one()
    assert opt_out.gateway_id == mine


@pytest.mark.parametrize(
    ("other", "named"),
    [
        pytest.param({"client_id": "another key"}, {"attempt": 1}, id="another account"),
        pytest.param({"settings": {"base_url": "https://white.example.com"}}, {"attempt": 1}, id="another host"),
        pytest.param({"kind": "twilio"}, {"attempt": 1}, id="another kind"),
        pytest.param({}, {"attempt": 2}, id="another attempt"),
        pytest.param({}, {}, id="no attempt"),
    ],
)
async def test_a_receipt_of_another_account_does_not(
    worker: HandWorker, other: dict[str, Any], named: dict[str, Any]
) -> None:
    mine, stranger = await portal(worker, "mine"), await portal(worker, "other", priority=2, **other)
    message_id = await handed_over(worker, mine, status=Status.SUBMITTED, outcome="accepted")
    receipt_id = await tell(worker, stranger, message_id=message_id, **named)
    assert await receipts(worker) == 1
    assert (await message_of(worker.engine, message_id)).status is Status.SUBMITTED
    assert (await receipt_of(worker, receipt_id)).applied_at is None


async def test_attempt_that_was_never_made_does_nothing(worker: HandWorker, gateway: UUID) -> None:
    message_id = await handed_over(worker, gateway)
    await tell(worker, gateway, message_id=message_id, attempt=2)
    await tell(worker, gateway, message_id=uuid7())
    await receipts(worker)
    assert (await message_of(worker.engine, message_id)).status is Status.SENDING


async def test_found_by_reference_alone(worker: HandWorker, gateway: UUID) -> None:
    message_id = await handed_over(worker, gateway, reference="SM1", status=Status.SUBMITTED)
    other = await handed_over(worker, gateway, reference="SM2", status=Status.SUBMITTED)
    receipt_id = await tell(worker, gateway, reference="SM1", segments=2, code="ok")
    await receipts(worker)
    assert (await message_of(worker.engine, message_id)).status is Status.DELIVERED
    row = await receipt_of(worker, receipt_id)
    assert (row.message_id, row.attempt, row.verdict) == (message_id, 1, "applied"), "it is shown with its message"
    assert (await message_of(worker.engine, other)).status is Status.SUBMITTED
    (attempt,) = await attempts_of(worker.engine, message_id)
    assert (attempt.segments, attempt.code) == (2, "ok")


async def test_whose_a_receipt_is_stays_as_it_was_told(worker: HandWorker, gateway: UUID, by_hand: HandClock) -> None:
    message_id = await handed_over(worker, gateway, reference="SM1", status=Status.SUBMITTED)
    by_id = await tell(worker, gateway, message_id=message_id, reference="SM1")
    of_nobody = await tell(worker, gateway, reference="SM-nobody")
    await receipts(worker)
    await by_hand.advance(seconds=GIVE_UP_AFTER.total_seconds() + 600)
    await receipts(worker)
    found = [await receipt_of(worker, receipt_id) for receipt_id in (by_id, of_nobody)]
    assert [(row.verdict, row.message_id, row.attempt) for row in found] == [
        ("applied", message_id, None),
        ("unmatched", None, None),
    ]


# --- what fits nothing yet


async def test_unmatched_receipt_waits_for_its_reference(worker: HandWorker, gateway: UUID, by_hand: HandClock) -> None:
    message_id = await handed_over(worker, gateway)
    receipt_id = await tell(worker, gateway, reference="SM1")
    assert await receipts(worker) == 1
    assert await receipts(worker) == 0  # it waits for its turn, and does not keep the stage busy
    await execute(worker.engine, "UPDATE attempts SET reference = 'SM1', outcome = 'accepted'")
    await by_hand.advance(seconds=2)
    assert await receipts(worker) == 1
    assert (await message_of(worker.engine, message_id)).status is Status.DELIVERED
    assert (await receipt_of(worker, receipt_id)).applied_at == worker.now()


async def test_waits_longer_and_longer_and_not_for_ever(worker: HandWorker, gateway: UUID, by_hand: HandClock) -> None:
    receipt_id = await tell(worker, gateway, reference="SM-nobody")
    waits = []
    while (row := await receipt_of(worker, receipt_id)).applied_at is None:
        await by_hand.advance(seconds=max(0.0, (row.next_at - worker.now()).total_seconds()))
        before = worker.now()
        assert await receipts(worker) == 1
        waits.append(((await receipt_of(worker, receipt_id)).next_at - before).total_seconds())
        if worker.now() - row.received_at > timedelta(hours=1):
            await by_hand.advance(seconds=GIVE_UP_AFTER.total_seconds())
    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert max(waits) <= 600
    assert row.verdict == "unmatched"


# --- what else a receipt may say


async def test_opt_out_joins_ours(worker: HandWorker, gateway: UUID) -> None:
    message_id = await handed_over(worker, gateway)
    await tell(worker, gateway, message_id=message_id, status=Status.UNDELIVERED, opted_out=True)
    await receipts(worker)
    async with begin(worker.engine) as tx:
        opt_out = (await tx.execute(select(OptOut))).one()
    assert (opt_out.msisdn, opt_out.source) == (make_msisdn(0), "gateway")


async def test_tallies_move_along(worker: HandWorker, gateway: UUID) -> None:
    async with worker.transaction() as tx:
        await make_campaign(tx, [make_msisdn(number) for number in range(4)], now=worker.now())
    await due(worker)
    await expand_all(worker)
    await execute(
        worker.engine,
        "INSERT INTO attempts (message_id, attempt, gateway_id, dispatcher, started_at)"
        " SELECT id, 1, :gateway_id, 'x', now() FROM messages",
        gateway_id=gateway,
    )
    async with begin(worker.engine) as tx:
        messages = list((await tx.execute(select(Message.id).order_by(Message.id))).scalars())
    for message_id, told in zip(messages, TOLD, strict=True):
        await tell(worker, gateway, message_id=message_id, status=told)
        await tell(worker, gateway, message_id=message_id, status=Status.SUBMITTED)
    assert await receipts(worker) == 8
    assert await statuses(worker.engine) == {str(told): 1 for told in TOLD}
    await check_tallies(worker.engine)


# --- a receipt for each part of a long message


@pytest.fixture
async def in_parts(worker: HandWorker) -> UUID:
    """A gateway that tells of each part by itself."""
    receipt = {"id": "id", "own_id": "ours", "status": "status", "statuses": {"ok": "delivered"}, "per_part": True}
    settings = {"url": "https://own.example/?t=%TO%&m=%MESSAGE%&i=%ID%", "success_text": "OK", "receipt": receipt}
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer, "own", kind="custom", settings=settings, secrets={})
        await worker.book.read(tx)
    return gateway_id


DELIVERED, UNDELIVERED = Status.DELIVERED, Status.UNDELIVERED


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(
    ("told", "left_at"),
    [
        pytest.param([("a", DELIVERED)], Status.SENT, id="one of three arrived"),
        pytest.param([("a", DELIVERED)] * 3, Status.SENT, id="the same one, told three times"),
        pytest.param([("a", DELIVERED), ("b", DELIVERED), ("c", DELIVERED)], DELIVERED, id="all arrived"),
        pytest.param([("a", DELIVERED), ("b", UNDELIVERED)], UNDELIVERED, id="one did not"),
        pytest.param([("a", DELIVERED), ("b", Status.SENT)], Status.SENT, id="one is on its way"),
        pytest.param(
            [("a", UNDELIVERED), ("a", DELIVERED), ("b", DELIVERED), ("c", DELIVERED)], DELIVERED, id="one came late"
        ),
    ],
)
async def test_a_message_is_delivered_when_all_its_parts_are(
    worker: HandWorker, in_parts: UUID, told: list[tuple[str, Status]], left_at: Status, together: bool
) -> None:
    """In whatever order, at once or one after the other."""
    for order in itertools.permutations(told):
        message_id = await handed_over(worker, in_parts, outcome="accepted", status=Status.SUBMITTED, segments=3)
        for reference, status in order:
            await tell(worker, in_parts, message_id=message_id, reference=reference, status=status)
            if not together:
                await receipts(worker)
        await receipts(worker)
        assert (await message_of(worker.engine, message_id)).status is left_at


async def test_without_an_answer_that_counted_them_our_own_count_holds(worker: HandWorker, in_parts: UUID) -> None:
    message_id = await handed_over(worker, in_parts, outcome="lost", status=Status.UNCONFIRMED)
    await execute(worker.engine, "UPDATE messages SET segments = 2")
    await tell(worker, in_parts, message_id=message_id, reference="a")
    await receipts(worker)
    assert (await message_of(worker.engine, message_id)).status is Status.SENT
    await tell(worker, in_parts, message_id=message_id, reference="b")
    await receipts(worker)
    assert (await message_of(worker.engine, message_id)).status is DELIVERED


async def test_who_tells_of_messages_needs_no_parts(worker: HandWorker, gateway: UUID, in_parts: UUID) -> None:
    """Also of one that the other gateway may have in parts."""
    message_id = await handed_over(worker, gateway, outcome="accepted", status=Status.SUBMITTED, segments=3)
    async with worker.transaction() as tx:
        await make_attempt(tx, message_id, in_parts, now=worker.now(), attempt=2, segments=3, outcome="accepted")
    await tell(worker, in_parts, message_id=message_id, attempt=2, reference="a")
    await tell(worker, gateway, message_id=message_id, attempt=1)
    await receipts(worker)
    assert (await message_of(worker.engine, message_id)).status is DELIVERED
