"""Opt-outs on the path: who holds back whose messages in the claim, and what gateways tell of refusals."""

from typing import Any
from uuid import UUID

import pytest
import respx
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.path.due import due
from dispatcher.path.receipts import receipts
from dispatcher.queries import claims
from shared.db import begin
from shared.domain.message import Kind, SkipReason, Status
from shared.domain.policy import OptOutScope, Policy
from shared.domain.quota import Period
from shared.models import OptOut
from shared.queries.policy import write_policy
from tests.dispatcher.answers import OPTED_OUT, at, numbers_of, refused
from tests.factories import (
    make_attempt,
    make_campaign,
    make_gateway,
    make_message,
    make_msisdn,
    make_opt_out,
    make_receipt,
    make_sender_id,
)
from tests.stages import check_tallies, expand_all, message_of, pump_all, statuses
from tests.worlds import HandWorker

GB, US = make_msisdn(0), "+12025550142"
A, B, NAME = "+12025550100", "+12025550101", "CAFE"


@pytest.fixture
async def gateway(worker: HandWorker, router: respx.MockRouter) -> UUID:
    """One gateway that has every sender there is."""
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer)
        for sender_id in (A, B, NAME):
            await make_sender_id(tx, gateway_id, sender_id)
    return gateway_id


async def keep_apart(worker: HandWorker) -> None:
    """The operator's senders are by themselves."""
    async with worker.transaction() as tx:
        await write_policy(tx, Policy(opt_out_scope=OptOutScope.SENDER), caller="test", now=worker.now())
    worker.rules.forget()


async def opt_outs(engine: AsyncEngine) -> list[Any]:
    async with begin(engine) as tx:
        return list((await tx.execute(select(OptOut).order_by(OptOut.msisdn))).all())


HOLDS = [
    pytest.param(None, A, GB, True, id="a no to all"),
    pytest.param(None, None, GB, True, id="a no to all, and nobody named"),
    pytest.param([A], A, GB, True, id="this sender"),
    pytest.param([A, B], B, GB, True, id="one of them"),
    pytest.param([A], B, GB, False, id="another sender"),
    pytest.param([A], None, GB, True, id="nobody named: it may be that one"),
    pytest.param([A], NAME, GB, False, id="a name, and a no to a number"),
    pytest.param([A], NAME, US, True, id="a name where carriers show a number instead"),
    pytest.param([A], B, US, False, id="another number there"),
    pytest.param([NAME], NAME, GB, True, id="a name"),
]


@pytest.mark.parametrize(("sender_ids", "sender_id", "msisdn", "held"), HOLDS)
async def test_whose_messages_are_held_back(
    worker: HandWorker,
    router: respx.MockRouter,
    gateway: UUID,
    sender_ids: list[str] | None,
    sender_id: str | None,
    msisdn: str,
    held: bool,
) -> None:
    """Whatever the policy says by now: what was said of a person stands. Both lanes ask, and the estimate does."""
    route = at(router)
    async with worker.transaction() as tx:
        await make_opt_out(tx, worker.pepper, msisdn, sender_ids=sender_ids)
        await make_campaign(tx, [msisdn], now=worker.now(), sender_id=sender_id)
        alone = await make_message(tx, worker.pepper, now=worker.now(), msisdn=msisdn, sender_id=sender_id)
        password = {"kind": Kind.OTP, "msisdn": msisdn, "sender_id": sender_id}
        await make_message(tx, worker.pepper, now=worker.now(), **password)
    await due(worker)
    await expand_all(worker)
    await pump_all(worker)
    await pump_all(worker, "urgent")
    row = await message_of(worker.engine, alone)
    expected = (Status.SKIPPED, SkipReason.OPTED_OUT) if held else (Status.SUBMITTED, None)
    assert (row.status, row.skip_reason) == expected
    # who asked for a password gets it
    assert await statuses(worker.engine) == ({"skipped": 2, "submitted": 1} if held else {"submitted": 3})
    assert numbers_of(route) == [msisdn] * (1 if held else 3)
    await check_tallies(worker.engine)


@pytest.mark.parametrize("lane", ["urgent", "bulk", "trials"])
async def test_a_claim_asks_once_for_each_message_and_by_the_index(worker: HandWorker, lane: str) -> None:
    """The database would ask for each column that the fate decides, if it were let."""
    given: dict[str, object] = {"slots": 8, "lease": 30.0, "dispatcher": "x"}
    of_lane: dict[str, dict[str, object]] = {"urgent": {"others": 8}}
    given |= of_lane.get(lane, {})
    async with worker.transaction() as tx:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))
        plan = (await tx.execute(text(f"EXPLAIN {claims._CLAIMS[lane].text}"), given)).scalars().all()
    (asked,) = [line for line in plan if " on opt_outs " in line]
    assert "uq_opt_outs_msisdn_hash" in asked


@pytest.mark.parametrize(("sender_ids", "sender_id", "msisdn", "held"), HOLDS)
async def test_nothing_is_reserved_for_who_is_held_back(
    worker: HandWorker,
    client: Any,
    gateway: UUID,
    sender_ids: list[str] | None,
    sender_id: str | None,
    msisdn: str,
    held: bool,
) -> None:
    granted = await client.post("/v1/quota/grants", json={"units": 10, "period": Period.TOTAL})
    assert granted.status_code == 201, granted.text
    async with worker.transaction() as tx:
        await make_opt_out(tx, worker.pepper, msisdn, sender_ids=sender_ids)
        await make_campaign(tx, [msisdn], now=worker.now(), sender_id=sender_id)
    await due(worker)
    await expand_all(worker)
    assert await statuses(worker.engine) == {"skipped" if held else "queued": 1}


@pytest.mark.parametrize(
    ("apart", "sender_id", "sender_ids"),
    [
        pytest.param(False, B, None, id="to all"),
        pytest.param(True, B, [B], id="to the sender of the message"),
        pytest.param(True, None, [A], id="to the gateway's own"),
    ],
)
async def test_a_refusal_for_who_opted_out_at_the_gateway(
    worker: HandWorker, router: respx.MockRouter, apart: bool, sender_id: str | None, sender_ids: list[str] | None
) -> None:
    """Final: no other gateway is asked, though another would take it. The no is to the sender that was shown."""
    at(router, answer=refused(OPTED_OUT))
    other = at(router, "second")
    async with worker.transaction() as tx:
        for place, name in enumerate(("first", "second")):
            gateway_id = await make_gateway(tx, worker.sealer, name, priority=place)
            for sender in (A, B):
                await make_sender_id(tx, gateway_id, sender)
        message_id = await make_message(tx, worker.pepper, now=worker.now(), msisdn=GB, sender_id=sender_id)
    if apart:
        await keep_apart(worker)
    await pump_all(worker, "urgent")
    row = await message_of(worker.engine, message_id)
    assert (row.status, row.failure, row.attempt) == (Status.FAILED, str(OPTED_OUT), 1)
    assert not other.called
    (opt_out,) = await opt_outs(worker.engine)
    assert (opt_out.msisdn, opt_out.source, opt_out.sender_ids) == (GB, "gateway", sender_ids)


@pytest.mark.parametrize(
    ("apart", "sender_id", "sender_ids"),
    [
        pytest.param(False, B, None, id="to all"),
        pytest.param(True, B, [B], id="to the sender of the message"),
        pytest.param(True, None, [A], id="to the gateway's own"),
    ],
)
async def test_a_receipt_for_who_opted_out_at_the_gateway(
    worker: HandWorker, apart: bool, sender_id: str | None, sender_ids: list[str] | None
) -> None:
    async with worker.transaction() as tx:
        gateway_id = await make_gateway(tx, worker.sealer)
        given = {"status": Status.SUBMITTED, "attempt": 1, "msisdn": GB, "sender_id": sender_id}
        message_id = await make_message(tx, worker.pepper, now=worker.now(), **given)
        await make_attempt(tx, message_id, gateway_id, now=worker.now())
        told = {"message_id": message_id, "status": Status.UNDELIVERED, "opted_out": True}
        await make_receipt(tx, gateway_id, now=worker.now(), **told)
    if apart:
        await keep_apart(worker)
    await receipts(worker)
    (opt_out,) = await opt_outs(worker.engine)
    assert (opt_out.msisdn, opt_out.source, opt_out.sender_ids) == (GB, "gateway", sender_ids)


async def test_a_service_of_the_gateways_shows_nobody_knows_whom(worker: HandWorker, router: respx.MockRouter) -> None:
    """It picks a number of its own: who says no to that says no to everybody."""
    at(router, answer=refused(OPTED_OUT))
    async with worker.transaction() as tx:
        settings = {
            "base_url": "https://first.example.com",
            "account_sid": "AC" + "0" * 32,
            "messaging_service_sid": "MG" + "0" * 32,
        }
        await make_gateway(tx, worker.sealer, settings=settings)
        await make_message(tx, worker.pepper, now=worker.now(), msisdn=GB)
    await keep_apart(worker)
    await pump_all(worker, "urgent")
    (opt_out,) = await opt_outs(worker.engine)
    assert (opt_out.msisdn, opt_out.sender_ids) == (GB, None)
