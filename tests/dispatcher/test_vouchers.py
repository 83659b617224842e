"""Vouchers whose validity is nearly over: an event for each that went out, once, whoever looks and whoever dies."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from httpx import AsyncClient
from sqlalchemy import delete, insert, select, update

from dispatcher.beside.automate import automate
from dispatcher.beside.erasures import erase
from dispatcher.beside.retention import retain
from dispatcher.beside.vouchers import tell_nearly_used
from dispatcher.queries import vouchers as queries
from shared.db import begin
from shared.domain.message import Kind, Status
from shared.models import AutomationRun, EventRow, Message, PolicyRow, Voucher
from tests.factories import make_message, make_msisdn
from tests.worlds import HandClock, HandWorker

NUMBER = make_msisdn(1)
TOLD = {"code": "SPRING-25", "plan": "5 GB", "validity": "10 days"}


@pytest.fixture(autouse=True)
async def automation(client: AsyncClient) -> UUID:
    """Somebody who waits for it: otherwise nothing is written down."""
    template = {"name": "reminder", "text": "{{ voucher.code }} ends {{ variables.valid_until }}."}
    made = await client.post("/v1/templates", json=template)
    condition = {"field": "reason", "operator": "equals", "value": "validity"}
    body = {"name": "remind", "event": "voucher_nearly_used", "template_id": made.json()["id"]}
    answer = await client.post("/v1/automations", json=body | {"conditions": [condition]})
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["id"])


async def send(client: AsyncClient, worker: HandWorker, **over: Any) -> UUID:
    """A voucher that ends in ten days."""
    ends = (worker.now() + timedelta(days=10)).isoformat()
    body = {"msisdn": NUMBER, "kind": "voucher", "text": "{{ voucher.code }}", "client_reference": "order-7"}
    answer = await client.post("/v1/messages", json=body | {"voucher": TOLD | {"valid_until": ends}} | over)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["id"])


async def become(worker: HandWorker, message_id: UUID, status: Status) -> None:
    async with worker.transaction() as tx:
        await tx.execute(update(Message).where(Message.id == message_id).values(status=status))


async def rows(worker: HandWorker, table: Any) -> list[Any]:
    async with begin(worker.engine) as tx:
        return list((await tx.execute(select(table))).all())


async def look(worker: HandWorker) -> None:
    while await tell_nearly_used(worker):
        pass


async def test_it_is_told_a_day_before_and_becomes_a_message(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    message_id = await send(client, worker)
    await become(worker, message_id, Status.DELIVERED)
    await by_hand.advance(days=8, hours=23, minutes=59)
    await look(worker)
    assert await rows(worker, EventRow) == []
    await by_hand.advance(minutes=1)
    await look(worker)
    (event,) = await rows(worker, EventRow)
    ends = (worker.now() + timedelta(days=1)).isoformat().replace("+00:00", "Z")
    assert (event.name, event.msisdn, event.created_by) == ("voucher_nearly_used", NUMBER, None)
    assert event.data == {
        "reason": "validity",
        "valid_until": ends,
        "voucher": TOLD,
        "message_id": str(message_id),
        "client_reference": "order-7",
    }
    assert await rows(worker, Voucher) == []
    assert await automate(worker) == 1
    (run,) = await rows(worker, AutomationRun)
    assert (run.outcome, run.event_id) == ("message", event.id)
    made = (await client.get(f"/v1/messages/{run.message_id}")).json()
    assert made["text"] == f"SPRING-25 ends {ends}."


async def test_its_own_moment(client: AsyncClient, worker: HandWorker, by_hand: HandClock) -> None:
    at = {"valid_until": worker.now() + timedelta(days=3), "nearly_used_at": worker.now() + timedelta(days=1)}
    await become(
        worker,
        await send(client, worker, voucher=TOLD | {name: moment.isoformat() for name, moment in at.items()}),
        Status.SENT,
    )
    await by_hand.advance(days=1)
    await look(worker)
    assert len(await rows(worker, EventRow)) == 1


@pytest.mark.parametrize("status", [Status.FAILED, Status.EXPIRED, Status.CANCELLED, Status.UNDELIVERED])
async def test_what_nobody_has_reminds_nobody(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, status: Status
) -> None:
    await become(worker, await send(client, worker), status)
    await by_hand.advance(days=9)
    await look(worker)
    assert (await rows(worker, EventRow), await rows(worker, Voucher)) == ([], [])


async def test_what_is_not_handed_over_yet_is_waited_for(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    message_id = await send(client, worker)
    await by_hand.advance(days=9)
    await look(worker)
    assert len(await rows(worker, Voucher)) == 1
    await become(worker, message_id, Status.SUBMITTED)
    await look(worker)
    assert await rows(worker, EventRow) == []  # a minute has not passed
    await by_hand.advance(minutes=1)
    await look(worker)
    assert len(await rows(worker, EventRow)) == 1


async def test_what_is_over_is_not_nearly_over(client: AsyncClient, worker: HandWorker, by_hand: HandClock) -> None:
    await become(worker, await send(client, worker), Status.DELIVERED)
    await by_hand.sleep(days=11)
    await look(worker)
    assert (await rows(worker, EventRow), await rows(worker, Voucher)) == ([], [])


async def test_sent_again_it_is_the_same_voucher(client: AsyncClient, worker: HandWorker, by_hand: HandClock) -> None:
    first = await send(client, worker)
    await become(worker, first, Status.FAILED)
    answer = await client.post(f"/v1/messages/{first}/resend")
    again = UUID(answer.json()["id"])
    await become(worker, again, Status.DELIVERED)
    await by_hand.advance(days=9)
    await look(worker)
    (event,) = await rows(worker, EventRow)
    assert event.data["message_id"] == str(again)


async def test_sent_again_it_is_handed_over_until_its_end_and_no_longer(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    """Also when its end was told of, and when the message is one that was sent again itself."""
    ends = worker.now() + timedelta(days=10)
    message_id = await send(client, worker)
    await become(worker, message_id, Status.DELIVERED)
    await by_hand.advance(days=9, hours=12)
    await look(worker)
    assert await rows(worker, Voucher) == []
    for _ in range(2):
        await become(worker, message_id, Status.FAILED)
        answer = await client.post(f"/v1/messages/{message_id}/resend")
        assert answer.status_code == 202, answer.text
        assert answer.json()["expires_at"] == ends.isoformat().replace("+00:00", "Z")
        message_id = UUID(answer.json()["id"])
    await become(worker, message_id, Status.EXPIRED)
    await by_hand.advance(hours=12)
    answer = await client.post(f"/v1/messages/{message_id}/resend")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/voucher-ended")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/voucher/valid_until"]
    assert "POST /v1/messages" in answer.json()["detail"]
    assert len(await rows(worker, Message)) == 3


async def test_sent_again_long_before_its_end_it_waits_a_day(client: AsyncClient, worker: HandWorker) -> None:
    first = await send(client, worker)
    await become(worker, first, Status.FAILED)
    answer = await client.post(f"/v1/messages/{first}/resend")
    assert answer.json()["expires_at"] == (worker.now() + timedelta(days=1)).isoformat().replace("+00:00", "Z")


async def test_message_of_a_version_before_has_its_end_from_the_voucher(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    ends = worker.now() + timedelta(hours=2)
    first = await send(client, worker, voucher=TOLD | {"valid_until": ends.isoformat()})
    async with worker.transaction() as tx:
        await tx.execute(update(Message).values(valid_until=None, status=Status.FAILED))
    answer = await client.post(f"/v1/messages/{first}/resend")
    assert answer.json()["expires_at"] == ends.isoformat().replace("+00:00", "Z")
    await become(worker, UUID(answer.json()["id"]), Status.EXPIRED)
    await by_hand.advance(hours=3)
    answer = await client.post(f"/v1/messages/{answer.json()['id']}/resend")
    assert answer.json()["type"] == "/problems/voucher-ended"


async def test_first_one_in_doubt_counts_although_the_second_failed(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    first = await send(client, worker)
    await become(worker, first, Status.UNCONFIRMED)
    again = UUID((await client.post(f"/v1/messages/{first}/resend")).json()["id"])
    await become(worker, again, Status.FAILED)
    await by_hand.advance(days=9)
    await look(worker)
    assert len(await rows(worker, EventRow)) == 1


async def test_many_look_and_each_voucher_is_told_once(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, another: Callable[..., HandWorker]
) -> None:
    for number in range(12):
        sent = await send(client, worker, msisdn=make_msisdn(number), client_reference=f"order {number}")
        await become(worker, sent, Status.DELIVERED)
    await by_hand.advance(days=9)
    await asyncio.gather(*(look(one) for one in (worker, another(), another(), another())))
    told = [event.msisdn for event in await rows(worker, EventRow)]
    assert sorted(told) == [make_msisdn(number) for number in range(12)]


class _Death(Exception):
    pass


async def test_who_dies_in_between_tells_nothing_and_the_next_one_tells(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    await become(worker, await send(client, worker), Status.DELIVERED)
    await by_hand.advance(days=9)
    with pytest.raises(_Death):
        async with worker.transaction() as tx:
            (near,) = await queries.lock_near_their_end(tx, now=worker.now(), limit=10)
            await queries.forget(tx, [near.id])
            raise _Death
    await look(worker)
    assert len(await rows(worker, EventRow)) == 1


async def test_database_that_was_set_back_tells_nothing_twice(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    await become(worker, await send(client, worker), Status.DELIVERED)
    (kept,) = await rows(worker, Voucher)
    await by_hand.advance(days=9)
    await look(worker)
    async with worker.transaction() as tx:
        await tx.execute(insert(Voucher).values(**kept._mapping))
    await look(worker)
    assert len(await rows(worker, EventRow)) == 1


async def test_erased_person_has_no_voucher(client: AsyncClient, worker: HandWorker, by_hand: HandClock) -> None:
    contact = (await client.post("/v1/contacts", json={"msisdn": NUMBER})).json()["id"]
    await become(worker, await send(client, worker), Status.DELIVERED)
    assert (await client.post(f"/v1/contacts/{contact}/erase")).status_code == 202
    await by_hand.advance(seconds=3)
    while await erase(worker):
        pass
    assert (await rows(worker, Message))[0].msisdn == ""
    assert await rows(worker, Voucher) == []


async def test_what_is_no_longer_kept_takes_its_voucher_with_it(client: AsyncClient, worker: HandWorker) -> None:
    kept = await send(client, worker)
    long_ago = worker.now() - timedelta(days=200)
    async with worker.transaction() as tx:
        gone = await make_message(tx, worker.pepper, now=long_ago, kind=Kind.VOUCHER, status=Status.DELIVERED)
        await tx.execute(
            insert(Voucher).values(
                id=gone, message_id=gone, nearly_used_at=worker.now(), valid_until=worker.now(), data={}
            )
        )
        await tx.execute(delete(Message).where(Message.id == gone))
        rules = {"id": 1, "rules": {"retention_days": 90}, "updated_at": worker.now(), "updated_by": "admin"}
        await tx.execute(insert(PolicyRow).values(rules))
    await retain(worker)
    assert [row.id for row in await rows(worker, Voucher)] == [kept]


async def test_without_anybody_who_waits_nothing_is_written(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, automation: UUID
) -> None:
    await client.post(f"/v1/automations/{automation}/stop")
    await become(worker, await send(client, worker), Status.DELIVERED)
    await by_hand.advance(days=9)
    await look(worker)
    assert (await rows(worker, EventRow), await rows(worker, Voucher)) == ([], [])


async def test_owners_tell_of_usage_under_the_same_name(client: AsyncClient) -> None:
    body = {"id": str(uuid4()), "name": "voucher_nearly_used", "msisdn": NUMBER, "data": {"percent": 85}}
    assert (await client.post("/v1/events", json=body)).status_code == 202


@pytest.mark.parametrize(
    ("over", "pointer"),
    [
        pytest.param({"valid_until": -60}, "/voucher/valid_until", id="over already"),
        pytest.param({"valid_until": 4000 * 86400}, "/voucher/valid_until", id="in eleven years"),
        pytest.param({"valid_until": 60, "nearly_used_at": 60}, "/voucher/nearly_used_at", id="not before its end"),
        pytest.param({"valid_until": 60, "nearly_used_at": -1}, "/voucher/nearly_used_at", id="gone by"),
        pytest.param({"nearly_used_at": 60}, "/voucher/nearly_used_at", id="without an end"),
    ],
)
async def test_moments_that_cannot_be(
    client: AsyncClient, worker: HandWorker, over: dict[str, float], pointer: str
) -> None:
    moments = {name: (worker.now() + timedelta(seconds=ahead)).isoformat() for name, ahead in over.items()}
    body = {"msisdn": NUMBER, "kind": "voucher", "text": "Yours.", "voucher": moments}
    answer = await client.post("/v1/messages", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer), answer.text
    assert await rows(worker, Message) == []


@pytest.mark.parametrize("later", [None, timedelta(hours=3)])
async def test_it_is_not_handed_over_after_its_end(
    client: AsyncClient, worker: HandWorker, later: timedelta | None
) -> None:
    ends = worker.now() + timedelta(hours=2)
    over = {"expires_at": (worker.now() + later).isoformat()} if later else {}
    message_id = await send(client, worker, voucher=TOLD | {"valid_until": ends.isoformat()}, **over)
    (message,) = await rows(worker, Message)
    assert (message.id, message.expires_at) == (message_id, ends)


async def test_words_alone_have_no_end(client: AsyncClient, worker: HandWorker) -> None:
    await send(client, worker, voucher=TOLD)
    assert await rows(worker, Voucher) == []
