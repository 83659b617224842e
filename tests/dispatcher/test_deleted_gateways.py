"""Gateways that their owners delete while messages are on their way to them."""

from uuid import UUID

import httpx
import pytest
import respx
from sqlalchemy import delete

from shared.db import begin
from shared.domain.message import Status
from shared.models import Gateway
from shared.queries.gateways import ConfiguredGateway, list_configured
from tests.dispatcher.answers import at
from tests.factories import make_gateway, make_message, make_msisdn
from tests.stages import attempts_of, message_of, pump_all, pump_once, statuses
from tests.worlds import HandWorker

PORTAL = {"base_url": "https://portal.test", "sender_id": "LAPWING", "authentication": "basic"}
PORTAL_SECRETS = {"client_id": "the-client", "api_secret": "the-secret-of-the-client"}


async def without(worker: HandWorker, gateway_id: UUID) -> list[ConfiguredGateway]:
    """What the book reads once this gateway is deleted."""
    async with begin(worker.engine) as tx:
        configured = await list_configured(tx, sealer=worker.sealer, public_url="https://sms.example.com")
    return [one for one in configured if one.id != gateway_id]


@pytest.mark.parametrize("moment", ["before_claim_commit", "after_claim_commit", "before_send"])
async def test_deleted_between_claim_and_hand_over(
    worker: HandWorker, router: respx.MockRouter, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """What was meant for it is in the queue again, unsent; what was claimed with it goes out."""
    other = at(router, "second")
    async with worker.transaction() as tx:
        gone = await make_gateway(
            tx, worker.sealer, "gone", kind="smsportal", settings=PORTAL, secrets=PORTAL_SECRETS, location_ids=["a"]
        )
        await make_gateway(tx, worker.sealer, "second", priority=2)
        meant = [
            await make_message(tx, worker.pepper, msisdn=make_msisdn(n), now=worker.now(), location_id=location)
            for n, location in enumerate(["a", "b"])
        ]
    left = await without(worker, gone)
    there = router.post(host="portal.test").mock(side_effect=httpx.ConnectError("nobody"))

    def hit(name: str) -> None:
        if name == moment:
            worker.book.take(left, now=worker.now())

    with monkeypatch.context() as patch:
        patch.setattr("dispatcher.failpoints.hit", hit)
        assert await pump_once(worker, "urgent") == 2
    async with worker.transaction() as tx:
        await tx.execute(delete(Gateway).where(Gateway.id == gone))
    if moment != "before_send":  # there it was on the line already
        assert not there.called
        (attempt,) = await attempts_of(worker.engine, meant[0])
        assert (attempt.outcome, attempt.code) == ("not_sent", "gateway_gone")
    assert (await message_of(worker.engine, meant[0])).status is Status.QUEUED
    assert (await message_of(worker.engine, meant[1])).status is Status.SUBMITTED
    await pump_all(worker, "urgent")
    assert other.call_count == 2
    assert await statuses(worker.engine) == {"submitted": 2}
