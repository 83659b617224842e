"""A person who is to be forgotten: nothing here tells of them any more, and everything still adds up."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID, uuid4

from httpx import AsyncClient
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.beside.erasures import BATCH, erase
from dispatcher.beside.webhooks import Courier, fan_out
from dispatcher.door.transport import Transport
from dispatcher.path.due import due
from dispatcher.path.expand import expand
from dispatcher.path.finish import cancel_requested
from dispatcher.queries import webhooks as webhook_queries
from dispatcher.queries.erasures import share_with_erasures
from shared.db import begin
from shared.domain.event import EventType
from shared.domain.webhook_signature import secret_text
from shared.models import (
    AuditEntry,
    Base,
    CampaignRecipient,
    Contact,
    Erasure,
    InboundRow,
    Message,
    OptOut,
    WebhookDelivery,
)
from shared.queries.events import Event, tell
from shared.sealing import hash_msisdn
from tests.conftest import Clock
from tests.dispatcher.hook_receiver import SECRET, Receiver, carry, make_webhook
from tests.factories import make_api_key, make_contact, make_message, make_msisdn, make_target_group
from tests.stages import check_tallies, expand_all
from tests.worlds import HandClock, HandWorker, another, by_hand, router, worker

__all__ = ["another", "by_hand", "router", "worker"]  # fixtures

ANN, BEN, ALT = make_msisdn(1), make_msisdn(2), make_msisdn(11)
CANARY = "canary-of-ann"


async def everything(engine: AsyncEngine) -> str:
    """All that the database holds, in words, but for who did what."""
    async with begin(engine) as tx:
        tables = (
            await tx.execute(
                text(
                    "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                    "AND relkind IN ('r', 'p') AND NOT relispartition"
                )
            )
        ).scalars()
        rows = [str((await tx.execute(text(f"SELECT t::text FROM {table} t"))).scalars().all()) for table in tables]
    return "\n".join(rows)


async def ask(client: AsyncClient, contact_id: UUID) -> dict[str, Any]:
    answer = await client.post(f"/v1/contacts/{contact_id}/erase")
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def forget(worker: HandWorker, by_hand: HandClock, *, turns: int = 20) -> None:
    """Turns of the stages concerned, until nobody is left to forget."""
    for _ in range(turns):
        await erase(worker)
        while await cancel_requested(worker):
            pass
        await by_hand.advance(seconds=3)


async def test_nothing_tells_of_them_any_more(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, by_hand: HandClock, pepper: bytes, clock: Clock
) -> None:
    async with begin(engine) as tx:
        ann = await make_contact(tx, msisdn=ANN, name=CANARY, external_id=CANARY, fields={"alt": ALT, "note": CANARY})
        ben = await make_contact(tx, msisdn=BEN, name="Ben")
        group = await make_target_group(tx, ann, ben)
        over: dict[str, Any] = {"text": CANARY, "now": clock.now}
        sent = await make_message(
            tx, pepper, msisdn=ANN, status="delivered", contact_id=ann, client_reference=CANARY, **over
        )
        at_alt = await make_message(tx, pepper, msisdn=ALT, status="failed", contact_id=ann, **over)
        others = await make_message(tx, pepper, msisdn=ALT, status="failed", text="not hers", now=clock.now)
        waiting = await make_message(
            tx, pepper, msisdn=ANN, contact_id=ann, not_before=clock.now + timedelta(days=9), **over
        )
        inbound = {"id": uuid4(), "gateway_id": uuid4(), "to": BEN, "received_at": clock.now, "contact_id": ann}
        await tx.execute(insert(InboundRow).values(msisdn=ANN, text=CANARY, **inbound))
    await client.post("/v1/opt-outs", json={"msisdn": ANN})
    campaign = {
        "name": "Spring",
        "messages": [{"text": 'Hi {{ name | default("there") }}'}],
        "target_group_ids": [str(group)],
        "opt_in_acknowledged": True,
    }
    url = f"/v1/campaigns/{(await client.post('/v1/campaigns', json=campaign)).json()['id']}"
    draft = {"name": "Later", "messages": [{"text": "Hi"}], "msisdns": [ANN, BEN]}
    later = f"/v1/campaigns/{(await client.post('/v1/campaigns', json=draft)).json()['id']}"
    await client.post(f"{url}/start")
    await due(worker)
    await expand_all(worker)
    before = (await client.get(f"{url}/report")).json()
    hook = {"url": "https://hooks.example.com/otp", "events": ["otp.*"]}
    assert (await client.post("/v1/webhooks", json=hook)).status_code == 201
    password = await client.post("/v1/otp", json={"msisdn": ANN})
    assert password.status_code == 202
    assert await fan_out(worker) == 1  # on its way to its receiver
    await client.post(f"/v1/otp/{password.json()['id']}/verify", json={"code": "wrong"})  # and in the outbox
    told = await ask(client, ann)
    assert (told["status"], told["contact_id"], told["messages"]) == ("pending", str(ann), 0)
    assert (await client.get(f"/v1/contacts/{ann}")).status_code == 404
    await forget(worker, by_hand)
    done = (await client.get(f"/v1/erasures/{told['id']}")).json()
    assert (done["status"], done["messages"]) == ("done", 5)
    left = await everything(engine)
    assert CANARY not in left
    assert ANN not in left
    assert "not hers" in left  # which went to the same number, and not to her
    after = (await client.get(f"{url}/report")).json()
    assert after["recipients"] == before["recipients"] == sum(after["counts"].values())
    await check_tallies(engine)
    assert (await client.get(later)).json()["msisdns"] == [BEN]
    async with begin(engine) as tx:
        statuses = {row.id: row.status for row in await tx.execute(select(Message.id, Message.status))}
        (opt_out,) = (await tx.execute(select(OptOut))).all()
        recipients = (await tx.execute(select(CampaignRecipient).order_by(CampaignRecipient.position))).all()
        actions = [tuple(row) for row in await tx.execute(select(AuditEntry.action, AuditEntry.subject_id))]
        assert [row.id for row in await tx.execute(select(Contact.id))] == [ben]
    assert (statuses[sent], statuses[at_alt], statuses[others], statuses[waiting]) == (
        "delivered",
        "failed",
        "failed",
        "cancelled",
    )
    assert (opt_out.msisdn, opt_out.msisdn_hash) == (None, hash_msisdn(pepper, ANN))
    assert [(row.position, row.msisdn) for row in recipients] == [(1, "erased 1"), (2, BEN)]
    assert ("contact.erased", str(ann)) in actions


async def test_no_webhook_is_told_of_them_again(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, by_hand: HandClock, pepper: bytes, clock: Clock
) -> None:
    """A later try says less than the first: that every try says the same comes after this."""
    receiver = Receiver(secret_text(SECRET), status_of=lambda _: 500)
    door = Transport(allowed_networks=(ip_network("127.0.0.0/8"),))
    courier = Courier(replace(worker, transport=door))
    async with begin(engine) as tx:
        ann = await make_contact(tx, msisdn=ANN)
        over: dict[str, Any] = {"msisdn": ANN, "contact_id": ann, "client_reference": CANARY, "now": clock.now}
        message = await make_message(tx, pepper, status="delivered", **over)
        written = uuid4()
        inbound = {"id": written, "gateway_id": uuid4(), "to": BEN, "received_at": clock.now, "contact_id": ann}
        await tx.execute(insert(InboundRow).values(msisdn=ANN, text=CANARY, **inbound))
    async with receiver.server:
        await make_webhook(worker, receiver.server.url, "*")
        password = (await client.post("/v1/otp", json={"msisdn": ANN})).json()["id"]
        async with begin(engine) as tx:
            await tell(tx, Event(EventType.MESSAGE_DELIVERED, message), now=clock.now)
            await tell(tx, Event(EventType.INBOUND_RECEIVED, written), now=clock.now)
        await carry(courier)
        whole = [got.body.decode() for got in receiver.got]
        assert len(whole) == 3
        assert all(ANN in one for one in whole)
        await ask(client, ann)
        await forget(worker, by_hand)
        receiver.status_of = lambda _: 200
        async with begin(engine) as tx:
            await tx.execute(text("UPDATE webhook_deliveries SET due_at = now()"))
        await carry(courier)
    await door.aclose()
    again = {got.told["data"]["id"]: got for got in receiver.taken}
    assert again.keys() >= {password, str(message), str(written)}
    assert {got.id for got in receiver.got[:3]} <= {got.id for got in receiver.taken}
    assert not [got.body for got in receiver.taken if ANN in str(got.body) or CANARY in str(got.body)]


async def test_an_event_that_is_being_handed_out_is_waited_for(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, by_hand: HandClock
) -> None:
    """Between the outbox and the deliveries it is in neither, for who looks into the one and then into the other."""
    async with begin(engine) as tx:
        ann = await make_contact(tx, msisdn=ANN)
    await make_webhook(worker, "https://hooks.example.com/otp", "otp.started")
    await client.post("/v1/otp", json={"msisdn": ANN})
    await ask(client, ann)
    await erase(worker)
    while await cancel_requested(worker):
        pass
    await by_hand.advance(seconds=3)
    async with begin(engine) as tx:
        assert await webhook_queries.fan_out(tx, limit=10) == 1
        erasing = asyncio.create_task(erase(worker))
        await asyncio.wait({erasing}, timeout=0.5)
        assert not erasing.done()
    await erasing
    async with begin(engine) as tx:
        (row,) = (await tx.execute(select(WebhookDelivery))).all()
    assert row.data == {"profile_id": row.data["profile_id"]}


async def test_a_standing_no_holds_for_whoever_comes_back(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, by_hand: HandClock
) -> None:
    async with begin(engine) as tx:
        ann = await make_contact(tx, msisdn=ANN)
    await client.post("/v1/opt-outs", json={"msisdn": ANN})
    await ask(client, ann)
    await forget(worker, by_hand)
    again = await client.post("/v1/opt-outs", json={"msisdn": ANN})
    async with begin(engine) as tx:
        assert len((await tx.execute(select(OptOut))).all()) == 1
    assert again.status_code in {200, 201}


async def test_what_is_on_the_line_is_waited_for(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, by_hand: HandClock, pepper: bytes, clock: Clock
) -> None:
    async with begin(engine) as tx:
        ann = await make_contact(tx, msisdn=ANN)
        message = await make_message(tx, pepper, msisdn=ANN, status="sending", text=CANARY, now=clock.now)
    told = await ask(client, ann)
    await forget(worker, by_hand)
    assert (await client.get(f"/v1/erasures/{told['id']}")).json()["status"] == "pending"
    assert (await client.get(f"/v1/messages/{message}")).json()["text"] == CANARY
    async with begin(engine) as tx:
        await tx.execute(text("UPDATE messages SET status = 'submitted'"))
    await forget(worker, by_hand)
    assert (await client.get(f"/v1/erasures/{told['id']}")).json()["status"] == "done"
    shown = (await client.get(f"/v1/messages/{message}")).json()
    assert (shown["text"], shown["msisdn"], shown["status"]) == ("", "", "submitted")


async def test_nobody_is_written_to_in_their_place(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, by_hand: HandClock, pepper: bytes, clock: Clock
) -> None:
    """Neither by a resend nor by a campaign whose audience held them."""
    async with begin(engine) as tx:
        ann = await make_contact(tx, msisdn=ANN, name="Ann")
        failed = await make_message(tx, pepper, msisdn=ANN, status="failed", contact_id=ann, now=clock.now)
    campaign = {"name": "Spring", "messages": [{"text": "Hi"}], "contact_ids": [str(ann)], "opt_in_acknowledged": True}
    url = f"/v1/campaigns/{(await client.post('/v1/campaigns', json=campaign)).json()['id']}"
    await client.post(f"{url}/start")
    await due(worker)
    await ask(client, ann)
    await forget(worker, by_hand)
    answer = await client.post(f"/v1/messages/{failed}/resend")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/message-erased")
    await expand(worker)
    report = (await client.get(f"{url}/report")).json()
    assert (report["counts"]["skipped"], report["counts"]["queued"]) == (1, 0)


async def test_a_slice_read_before_names_nobody(
    client: AsyncClient, engine: AsyncEngine, another: Callable[..., HandWorker], by_hand: HandClock
) -> None:
    """The next slice is read and rendered ahead: whoever was forgotten since is not in what is used of it."""
    async with begin(engine) as tx:
        contacts = [await make_contact(tx, msisdn=msisdn, name=CANARY) for msisdn in sorted([ANN, BEN])]
    campaign = {"name": "Spring", "messages": [{"text": "Hi {{ name }}"}], "opt_in_acknowledged": True}
    made = await client.post("/v1/campaigns", json=campaign | {"contact_ids": [str(each) for each in contacts]})
    url = f"/v1/campaigns/{made.json()['id']}"
    await client.post(f"{url}/start")
    worker = another(expand_slice=1)
    await due(worker)
    assert await expand(worker) == 1
    ahead = worker.ahead["slice"]
    assert CANARY in str(ahead.records)
    await ask(client, contacts[-1])
    await forget(worker, by_hand)
    worker.ahead["slice"] = replace(ahead, made_at=time.monotonic())
    assert await expand(worker) == 1
    report = (await client.get(f"{url}/report")).json()
    assert (report["counts"]["skipped"], report["counts"]["queued"]) == (1, 1)


async def test_forgetting_waits_for_a_slice_on_its_way(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, by_hand: HandClock, pepper: bytes, clock: Clock
) -> None:
    async with begin(engine) as tx:
        ann = await make_contact(tx, msisdn=ANN)
    told = await ask(client, ann)
    await by_hand.advance(seconds=3)
    async with begin(engine) as tx:
        await share_with_erasures(tx)
        message = await make_message(tx, pepper, msisdn=ANN, text=CANARY, now=clock.now)
        erasing = asyncio.create_task(erase(worker))
        await asyncio.wait({erasing}, timeout=0.3)
        assert not erasing.done()
    await erasing
    await forget(worker, by_hand)
    assert (await client.get(f"/v1/erasures/{told['id']}")).json()["status"] == "done"
    assert (await client.get(f"/v1/messages/{message}")).json()["status"] == "cancelled"


async def test_many_messages_go_in_batches(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, by_hand: HandClock, pepper: bytes, clock: Clock
) -> None:
    async with begin(engine) as tx:
        ann = await make_contact(tx, msisdn=ANN)
        await make_message(tx, pepper, msisdn=ANN, status="delivered", now=clock.now)
        copies = text("""
            INSERT INTO messages (id, kind, status, priority, msisdn, msisdn_hash, text, encoding, segments, not_before,
                                  created_at, status_at)
            SELECT CAST(left(m.id::text, 24) || lpad(to_hex(n), 12, '0') AS uuid), m.kind, m.status, m.priority,
                   m.msisdn, m.msisdn_hash, m.text, m.encoding, m.segments, m.not_before, m.created_at, m.status_at
            FROM messages m, generate_series(1, :more) AS n
        """)
        await tx.execute(copies, {"more": 2 * BATCH})
    told = await ask(client, ann)
    await forget(worker, by_hand)
    assert (await client.get(f"/v1/erasures/{told['id']}")).json()["messages"] == 2 * BATCH + 1
    async with begin(engine) as tx:
        assert {tuple(row) for row in await tx.execute(select(Message.text, Message.msisdn))} == {("", "")}


async def test_is_listed_and_refused(client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        ann = await make_contact(tx, msisdn=ANN)
        key = await make_api_key(tx, "read")
    headers = {"Authorization": f"Bearer {key.text}"}
    assert (await anonymous.post(f"/v1/contacts/{ann}/erase", headers=headers)).status_code == 403
    assert (await client.post(f"/v1/contacts/{uuid4()}/erase")).status_code == 404
    told = await ask(client, ann)
    assert (await client.post(f"/v1/contacts/{ann}/erase")).status_code == 404
    assert (await anonymous.get("/v1/erasures", headers=headers)).json()["items"] == [told]
    assert ANN not in str(told)
    assert (await client.get(f"/v1/erasures/{uuid4()}")).status_code == 404
    async with begin(engine) as tx:
        assert len((await tx.execute(select(Erasure))).all()) == 1


def test_every_number_is_thought_of() -> None:
    """A table with a number in it that nobody empties would keep the person."""
    holders = {table.name for table in Base.metadata.tables.values() if "msisdn" in table.columns}
    of_campaigns = {"campaign_targets", "campaign_recipients"}
    others = {"contacts", "messages", "inbound", "opt_outs", "otps", "events", "erasures"}
    assert holders == others | of_campaigns
