"""Whom the expansion passes over: countries and the cap; and how long a text the policy lets through."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.path.due import due
from dispatcher.path.expand import TOO_LONG
from shared.db import begin
from shared.domain import policy as law
from shared.domain.message import SkipReason, Status
from shared.models import Message
from shared.queries.policy import write_policy
from tests.factories import make_campaign, make_contact, make_message, make_msisdn
from tests.stages import check_tallies, expand_all
from tests.worlds import HandClock, HandWorker

NUMBERS = [make_msisdn(number) for number in range(25)]


async def set_rules(worker: HandWorker, **rules: Any) -> None:
    async with worker.transaction() as tx:
        await write_policy(tx, law.read(rules), caller="admin", now=worker.now())
    worker.rules.forget()


async def run(worker: HandWorker, msisdns: list[str] = NUMBERS, **over: Any) -> Any:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, msisdns, now=worker.now(), **over)
    await due(worker)
    await expand_all(worker)
    return campaign_id


async def fates(engine: AsyncEngine, campaign_id: Any) -> dict[str, tuple[Status, SkipReason | None]]:
    async with begin(engine) as tx:
        rows = await tx.execute(select(Message).where(Message.campaign_id == campaign_id))
        return {row.msisdn: (row.status, row.skip_reason) for row in rows}


async def test_countries_that_are_not_allowed_are_passed_over(worker: HandWorker, engine: AsyncEngine) -> None:
    await set_rules(worker, allowed_countries=["GB"])
    campaign_id = await run(worker, [NUMBERS[0], "+12025550142"])
    assert await fates(engine, campaign_id) == {
        NUMBERS[0]: (Status.QUEUED, None),
        "+12025550142": (Status.SKIPPED, SkipReason.COUNTRY),
    }
    await check_tallies(engine)


@pytest.mark.parametrize(
    ("asked", "fate"),
    [
        pytest.param(True, (Status.SKIPPED, SkipReason.LANDLINE), id="asked for"),
        pytest.param(False, (Status.QUEUED, None), id="not asked for"),
    ],
)
async def test_landlines_are_passed_over_where_the_owner_says_so(
    worker: HandWorker, engine: AsyncEngine, asked: bool, fate: Any
) -> None:
    landline, american = "+442079460123", "+12025550142"  # whose plan does not tell fixed lines from mobiles
    campaign_id = await run(worker, [NUMBERS[0], landline, american], skip_landlines=asked)
    mobile = (Status.QUEUED, None)
    assert await fates(engine, campaign_id) == {NUMBERS[0]: mobile, landline: fate, american: mobile}
    await check_tallies(engine)


async def test_the_cap_counts_what_other_campaigns_sent(
    worker: HandWorker, engine: AsyncEngine, by_hand: HandClock
) -> None:
    await set_rules(worker, frequency_cap={"messages": 2, "hours": 24})
    first = await run(worker, texts=("One.", "Two."))  # a sequence of one campaign is its own affair
    assert set((await fates(engine, first)).values()) == {(Status.QUEUED, None)}
    second = await run(worker, [*NUMBERS[:3], make_msisdn(100)])
    assert (await fates(engine, second)) == {
        **dict.fromkeys(NUMBERS[:3], (Status.SKIPPED, SkipReason.FREQUENCY_CAP)),
        make_msisdn(100): (Status.QUEUED, None),
    }
    await check_tallies(engine)
    await by_hand.advance(hours=25)
    third = await run(worker, NUMBERS[:3])
    assert set((await fates(engine, third)).values()) == {(Status.QUEUED, None)}


@pytest.mark.parametrize("status", [Status.FAILED, Status.EXPIRED, Status.SKIPPED, Status.CANCELLED])
async def test_what_never_went_out_does_not_count(
    worker: HandWorker, engine: AsyncEngine, pepper: bytes, status: Status
) -> None:
    await set_rules(worker, frequency_cap={"messages": 1, "hours": 24})
    async with worker.transaction() as tx:
        await make_message(tx, pepper, now=worker.now(), msisdn=NUMBERS[0], status=status, campaign_id=uuid4())
    campaign_id = await run(worker, NUMBERS[:1])
    assert await fates(engine, campaign_id) == {NUMBERS[0]: (Status.QUEUED, None)}


async def test_messages_outside_of_campaigns_do_not_count(
    worker: HandWorker, engine: AsyncEngine, pepper: bytes
) -> None:
    await set_rules(worker, frequency_cap={"messages": 1, "hours": 24})
    async with worker.transaction() as tx:
        await make_message(tx, pepper, now=worker.now() - timedelta(hours=1), msisdn=NUMBERS[0])
    campaign_id = await run(worker, NUMBERS[:1])
    assert await fates(engine, campaign_id) == {NUMBERS[0]: (Status.QUEUED, None)}


@pytest.mark.parametrize(
    ("rules", "letters", "fits"),
    [
        pytest.param({"max_chars": 20}, 14, True, id="as many characters as there may be"),
        pytest.param({"max_chars": 20}, 15, False, id="one more"),
        pytest.param({"max_segments": 1}, 154, True, id="one segment"),
        pytest.param({"max_segments": 1}, 155, False, id="two segments"),
    ],
)
async def test_a_text_that_grew_too_long_for_the_policy_fails_alone(
    worker: HandWorker, engine: AsyncEngine, rules: Any, letters: int, fits: bool
) -> None:
    await set_rules(worker, **rules)
    async with worker.transaction() as tx:
        await make_contact(tx, msisdn=NUMBERS[0], fields={"word": "a" * letters})
    campaign_id = await run(worker, NUMBERS[:2], texts=("Hello {{ fields.word | default('') }}",))
    async with begin(engine) as tx:
        rows = (await tx.execute(select(Message).where(Message.campaign_id == campaign_id))).all()
    assert {row.msisdn: row.failure for row in rows} == {NUMBERS[0]: None if fits else TOO_LONG, NUMBERS[1]: None}
