"""What goes with a campaign, from the upload to the gateway: named, checked, routed, and never left behind."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID, uuid4

import pytest
import respx
from httpx import AsyncClient, Response
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.beside.housekeeping import keep_house
from dispatcher.media import MOST_KNOWN
from dispatcher.path.finish import empty_stopped, finish
from shared.db import begin
from shared.domain.attachment_link import STEP_SECONDS
from shared.models import Attempt, Message
from tests.conftest import Clock
from tests.dispatcher.answers import GATEWAY, MESSAGE, at, in_turn, refused, taken
from tests.factories import make_gateway, make_msisdn, make_sender_id
from tests.stages import check_tallies, pump_all, run_to_the_end, send_all
from tests.worlds import HandClock, HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + b"photo" * 99
PDF = b"%PDF-1.7\nmenu"
NUMBERS = [make_msisdn(number) for number in range(3)]
PLAIN = {
    "url": "https://plain.example.com/send",
    "payload": '{"to": "%TO%", "text": "%MESSAGE%"}',
    "method": "POST",
    "content_type": "application/json",
    "success_text": "ok",
}
SCRIPT = "function build(sms) return {json = {to = sms.to, text = sms.message, media = sms.media}} end"


@pytest.fixture
async def photo(client: AsyncClient) -> str:
    return await upload(client, JPEG, "photo.jpg")


@pytest.fixture
async def menu(client: AsyncClient) -> str:
    return await upload(client, PDF, "menu.pdf")


@pytest.fixture
async def mms(worker: HandWorker) -> UUID:
    """A gateway that takes attachments, behind one that does not."""
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "plain", kind="custom", settings=PLAIN, secrets={})
        return await make_gateway(tx, worker.sealer, "mms", priority=2)


async def upload(client: AsyncClient, data: bytes, name: str) -> str:
    answer = await client.post("/v1/attachments", files={"file": (name, data, "application/octet-stream")})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def draft(*attachment_ids: str, **over: Any) -> dict[str, Any]:
    return {
        "name": "Spring offer",
        "msisdns": NUMBERS,
        "messages": [{"text": "Look.", "attachment_ids": list(attachment_ids)}],
        "opt_in_acknowledged": True,
    } | over


async def create(client: AsyncClient, *attachment_ids: str, **over: Any) -> str:
    answer = await client.post("/v1/campaigns", json=draft(*attachment_ids, **over))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def do(client: AsyncClient, campaign_id: str, deed: str, **body: Any) -> Response:
    return await client.post(f"/v1/campaigns/{campaign_id}/{deed}", json=body)


def is_refused(answer: Response, status: int, slug: str, *words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["type"] == f"/problems/{slug}"
    for word in words:
        assert word in answer.json()["detail"]


async def test_what_goes_with_a_campaign_is_at_the_gateway(
    client: AsyncClient,
    anonymous: AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    mms: UUID,
    photo: str,
    menu: str,
) -> None:
    """Both files with each message, by links that work, through the one gateway that takes any."""
    gateway, plain = at(router, "mms"), router.post(PLAIN["url"]).respond(200, text="ok")
    campaign_id = await create(client, photo, menu)
    shown = (await client.get(f"/v1/campaigns/{campaign_id}")).json()["messages"][0]["attachments"]
    assert shown == [
        {"id": photo, "name": "photo.jpg", "content_type": "image/jpeg", "size_bytes": len(JPEG)},
        {"id": menu, "name": "menu.pdf", "content_type": "application/pdf", "size_bytes": len(PDF)},
    ]
    assert (await do(client, campaign_id, "estimate")).json()["segments"] == 3
    assert (await do(client, campaign_id, "start")).status_code == 200
    await run_to_the_end(worker)
    assert not plain.called
    sent = [parse_qs(call.request.content.decode()) for call in gateway.calls]
    assert {fields["To"][0] for fields in sent} == set(NUMBERS)
    links = {tuple(fields["MediaUrl"]) for fields in sent}
    assert len(links) == 1  # one for the whole campaign: a gateway may keep what it fetched
    for link, data in zip(links.pop(), (JPEG, PDF), strict=True):
        assert link.startswith("https://sms.example.com/attachments/")
        fetched = await anonymous.get(link)
        assert (fetched.status_code, fetched.content) == (200, data)
    await check_tallies(worker.engine)


async def test_a_link_is_made_when_a_message_leaves(
    client: AsyncClient,
    anonymous: AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    mms: UUID,
    photo: str,
    by_hand: HandClock,
    clock: Clock,
) -> None:
    """A message of tomorrow has a link that is good tomorrow."""
    gateway = at(router, "mms")
    times = [(clock.now + timedelta(days=days)).isoformat() for days in (1, 5)]
    steps = [{"text": "Look.", "attachment_ids": [photo], "send_at": time} for time in times]
    await do(client, await create(client, messages=steps, msisdns=NUMBERS[:1]), "start")
    links = []
    for days in (1, 4):
        await by_hand.advance(days=days)
        await run_to_the_end(worker)
        links.append(parse_qs(gateway.calls.last.request.content.decode())["MediaUrl"][0])
        assert (await anonymous.get(links[-1])).content == JPEG
    assert gateway.call_count == 2
    assert (await anonymous.get(links[0])).status_code == 410


async def test_a_message_with_attachments_is_not_sent_without(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, mms: UUID, photo: str, engine: AsyncEngine
) -> None:
    """Its only gateway refuses: it fails, and the other one, which would take the text alone, is not asked."""
    gateway, plain = at(router, "mms", refused(GATEWAY)), router.post(PLAIN["url"]).respond(200, text="ok")
    await do(client, await create(client, photo, msisdns=NUMBERS[:1]), "start")
    await run_to_the_end(worker)
    assert (gateway.call_count, plain.call_count) == (1, 0)
    async with begin(engine) as tx:
        assert (await tx.scalars(select(Message.status))).all() == ["failed"]
        exchange = (await tx.scalars(select(Attempt.exchange))).one()
    assert "signature=" not in str(exchange)


async def test_the_gateway_that_takes_them_was_switched_off_meanwhile(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, mms: UUID, photo: str, engine: AsyncEngine
) -> None:
    """They wait: the text alone is not what was confirmed."""
    plain = router.post(PLAIN["url"]).respond(200, text="ok")
    await do(client, await create(client, photo), "start")
    assert (await client.post(f"/v1/gateways/{mms}/disable")).status_code == 200
    await send_all(worker)
    assert not plain.called
    async with begin(engine) as tx:
        assert set(await tx.scalars(select(Message.status))) == {"queued"}
        assert await tx.scalar(select(Attempt.message_id)) is None


async def test_plain_messages_keep_the_operators_order(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, mms: UUID, photo: str
) -> None:
    gateway, plain = at(router, "mms"), router.post(PLAIN["url"]).respond(200, text="ok")
    await do(client, await create(client, name="Plain"), "start")
    await do(client, await create(client, photo, name="With a photo"), "start")
    await run_to_the_end(worker)
    assert (plain.call_count, gateway.call_count) == (3, 3)
    assert all(b"MediaUrl" in call.request.content for call in gateway.calls)


@pytest.mark.parametrize(
    ("attachment_ids", "pointer", "told"),
    [
        pytest.param(lambda photo: [photo, uuid4()], "/messages/0/attachment_ids/1", "There is no", id="unknown"),
        pytest.param(lambda photo: [photo, photo], "/messages/0/attachment_ids/1", "named twice", id="twice"),
        pytest.param(lambda photo: [uuid4()] * 11, "/messages/0/attachment_ids", "at most 10", id="too many"),
        pytest.param(lambda photo: ["../../x"], "/messages/0/attachment_ids/0", "", id="no id"),
    ],
)
async def test_what_cannot_be_attached(
    client: AsyncClient, photo: str, attachment_ids: Callable[[str], list[Any]], pointer: str, told: str
) -> None:
    ids = [str(each) for each in attachment_ids(photo)]
    made = await create(client, photo, name="Another")
    for answer in (
        await client.post("/v1/campaigns", json=draft(*ids)),
        await client.patch(f"/v1/campaigns/{made}", json={"messages": draft(*ids)["messages"]}),
    ):
        assert answer.status_code == 422, answer.text
        assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
        assert told in answer.json()["errors"][0]["detail"]


async def test_no_gateway_takes_them(client: AsyncClient, worker: HandWorker, photo: str) -> None:
    """Said at the estimate and at the start, with the names of what goes along and of who does not take it."""
    campaign_id = await create(client, photo)
    for deed in ("estimate", "start"):
        answer = await do(client, campaign_id, deed)
        is_refused(answer, 409, "no-gateway-for-attachments", "'photo.jpg'", "no gateway is enabled")
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "plain", kind="custom", settings=PLAIN, secrets={})
        await make_gateway(tx, worker.sealer, "off", enabled=False)
    for deed in ("estimate", "start"):
        answer = await do(client, campaign_id, deed)
        is_refused(answer, 409, "no-gateway-for-attachments", "'photo.jpg'", "('plain')")
    changed = await client.patch(f"/v1/campaigns/{campaign_id}", json={"messages": [{"text": "Words alone."}]})
    assert changed.json()["messages"][0]["attachments"] == []
    assert (await do(client, campaign_id, "start")).status_code == 200


async def test_the_gateway_that_takes_them_has_another_sender(
    client: AsyncClient, worker: HandWorker, mms: UUID, photo: str
) -> None:
    async with worker.transaction() as tx:
        other = await make_gateway(tx, worker.sealer, "other", kind="custom", settings=PLAIN, secrets={})
        await make_sender_id(tx, other, "+12025550111")
    campaign_id = await create(client, photo, sender_id="+12025550111")
    is_refused(await do(client, campaign_id, "start"), 409, "no-gateway-for-attachments", "+12025550111")


async def test_no_gateway_that_takes_them_serves_where_somebody_is(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, photo: str
) -> None:
    """The one without attachments serves all; a message never goes without them, so these would wait for ever."""
    gateway = at(router, "mms")
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "plain", kind="custom", settings=PLAIN, secrets={})
        mms = await make_gateway(tx, worker.sealer, "mms", priority=2, location_ids=["delft"])
    people = [{"msisdn": NUMBERS[0], "location_id": "delft"}, {"msisdn": NUMBERS[1], "location_id": "leiden"}]
    ids = [(await client.post("/v1/contacts", json=one)).json()["id"] for one in people]
    campaign_id = await create(client, photo, msisdns=NUMBERS[1:], contact_ids=ids)
    for deed in ("estimate", "start"):
        answer = await do(client, campaign_id, deed)
        is_refused(answer, 409, "no-gateway-for-attachments", "'photo.jpg'", "at 'leiden' (1), without a location (1);")
    await client.post(f"/v1/campaigns/{campaign_id}/exclusions", json={"msisdns": NUMBERS[2:]})
    is_refused(
        await do(client, campaign_id, "start"), 409, "no-gateway-for-attachments", "recipients: at 'leiden' (1);"
    )
    await client.patch(f"/v1/gateways/{mms}", json={"location_ids": ["delft", "leiden"]})
    assert (await do(client, campaign_id, "estimate")).json()["recipients"] == 2
    assert (await do(client, campaign_id, "start")).status_code == 200
    await do(client, campaign_id, "stop")
    await empty_stopped(worker)
    await run_to_the_end(worker)
    assert not gateway.called


async def test_a_scheduled_campaign_stays_fit_to_start(
    client: AsyncClient, worker: HandWorker, photo: str, clock: Clock
) -> None:
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, "plain", kind="custom", settings=PLAIN, secrets={})
    later = (clock.now + timedelta(hours=1)).isoformat()
    campaign_id = await create(client, messages=[{"text": "One", "send_at": later}])
    assert (await do(client, campaign_id, "start")).json()["status"] == "scheduled"
    step = {"text": "One", "send_at": later, "attachment_ids": [photo]}
    answer = await client.patch(f"/v1/campaigns/{campaign_id}", json={"messages": [step]})
    is_refused(answer, 409, "no-gateway-for-attachments")


async def test_a_confirmation_is_for_what_goes_along_too(client: AsyncClient, mms: UUID, photo: str, menu: str) -> None:
    campaign_id = await create(client, photo)
    confirmation = (await do(client, campaign_id, "estimate")).json()["confirmation"]
    await client.patch(f"/v1/campaigns/{campaign_id}", json={"messages": draft(menu)["messages"]})
    is_refused(await do(client, campaign_id, "start", confirmation=confirmation), 409, "confirmation-refused")
    await client.patch(f"/v1/campaigns/{campaign_id}", json={"messages": draft(photo)["messages"]})
    assert (await do(client, campaign_id, "start", confirmation=confirmation)).status_code == 200


async def test_an_attachment_stays_while_a_campaign_needs_it(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, mms: UUID, photo: str
) -> None:
    at(router, "mms")
    path = f"/v1/attachments/{photo}"
    campaign_id = await create(client, photo)
    is_refused(await client.delete(path), 409, "attachment-in-use", "'Spring offer'", campaign_id)
    await do(client, campaign_id, "start")
    is_refused(await client.delete(path), 409, "attachment-in-use")
    await do(client, campaign_id, "stop")
    await empty_stopped(worker)
    is_refused(await client.delete(path), 409, "attachment-in-use")  # it may be restarted
    restarted = await do(client, campaign_id, "restart")
    assert restarted.status_code == 200, restarted.text
    await run_to_the_end(worker)
    await finish(worker)
    assert (await client.get(f"/v1/campaigns/{campaign_id}")).json()["status"] == "completed"
    assert (await client.delete(path)).status_code == 204
    told = (await client.get(f"/v1/campaigns/{campaign_id}")).json()
    assert told["messages"][0]["attachments"][0]["name"] == "photo.jpg"  # what was sent is known


async def test_copies_carry_what_their_original_does(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, mms: UUID, photo: str
) -> None:
    gateway = at(router, "mms", in_turn(refused(MESSAGE), taken))
    campaign_id = await create(client, photo, msisdns=NUMBERS[:1])
    await do(client, campaign_id, "start")
    await run_to_the_end(worker)
    await finish(worker)
    copy = (await do(client, campaign_id, "duplicate")).json()
    assert [each["id"] for each in copy["messages"][0]["attachments"]] == [photo]
    await client.delete(f"/v1/campaigns/{copy['id']}")
    again = await do(client, campaign_id, "resend", which="failed")
    assert [each["id"] for each in again.json()["messages"][0]["attachments"]] == [photo]
    await run_to_the_end(worker)
    assert gateway.call_count == 2
    assert b"MediaUrl" in gateway.calls.last.request.content


async def test_what_was_deleted_since_is_told_by_name(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, mms: UUID, photo: str
) -> None:
    at(router, "mms", refused(MESSAGE))
    campaign_id = await create(client, photo, msisdns=NUMBERS[:1])
    await do(client, campaign_id, "start")
    await run_to_the_end(worker)
    await finish(worker)
    assert (await client.delete(f"/v1/attachments/{photo}")).status_code == 204
    is_refused(await do(client, campaign_id, "resend", which="failed"), 409, "attachment-gone", "'photo.jpg'")
    copy = (await do(client, campaign_id, "duplicate")).json()
    await client.patch(f"/v1/campaigns/{copy['id']}", json={"opt_in_acknowledged": True})
    is_refused(await do(client, copy["id"], "start"), 409, "attachment-gone", "'photo.jpg'")
    is_refused(await do(client, copy["id"], "estimate"), 409, "attachment-gone", "'photo.jpg'")


async def test_a_campaign_from_the_archive_may_lack_what_it_sent(
    client: AsyncClient, worker: HandWorker, mms: UUID, photo: str, clock: Clock
) -> None:
    """What was stopped needs its files until it is put away; taken out again, it is told that they are gone."""
    later = (clock.now + timedelta(hours=1)).isoformat()
    step = {"text": "Look.", "attachment_ids": [photo], "send_at": later}
    campaign_id = await create(client, messages=[step])
    for deed in ("start", "stop"):
        assert (await do(client, campaign_id, deed)).status_code == 200
    await empty_stopped(worker)
    is_refused(await client.delete(f"/v1/attachments/{photo}"), 409, "attachment-in-use")
    assert (await do(client, campaign_id, "archive")).status_code == 200
    assert (await client.delete(f"/v1/attachments/{photo}")).status_code == 204
    assert (await do(client, campaign_id, "unarchive")).json()["status"] == "stopped"
    is_refused(await do(client, campaign_id, "restart"), 409, "attachment-gone", "'photo.jpg'")


async def test_one_message_alone_is_not_sent_again_without(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, mms: UUID, photo: str
) -> None:
    at(router, "mms", refused(MESSAGE))
    campaign_id = await create(client, photo, msisdns=NUMBERS[:1])
    await do(client, campaign_id, "start")
    await run_to_the_end(worker)
    (message,) = (await client.get(f"/v1/campaigns/{campaign_id}/messages")).json()["items"]
    answer = await client.post(f"/v1/messages/{message['id']}/resend")
    is_refused(answer, 409, "attachments-not-resent", "/resend")


async def test_nothing_is_forgotten_that_goes_with_a_message(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, mms: UUID, photo: str, clock: Clock
) -> None:
    """A dispatcher that has seen ten thousand campaigns lets go only of those that carried nothing."""
    gateway = at(router, "mms")
    await do(client, await create(client, photo), "start")
    await run_to_the_end(worker)
    worker.media._known |= {uuid4() for _ in range(MOST_KNOWN)}
    await do(client, await create(client, photo, name="Another"), "start")
    await run_to_the_end(worker)
    assert sum(b"MediaUrl" in call.request.content for call in gateway.calls) == 6
    assert len(worker.media._known) == 2


async def test_a_campaign_asks_once_what_goes_with_it(
    client: AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    mms: UUID,
    photo: str,
    engine: AsyncEngine,
    clock: Clock,
) -> None:
    """Claim after claim: what is known is not read again, and the link is made anew once an hour."""
    gateway = at(router, "mms")
    numbers = [make_msisdn(number) for number in range(20)]
    await do(client, await create(client, photo, msisdns=numbers), "start")
    await send_all(worker)
    async with begin(engine) as tx:
        await tx.execute(text("UPDATE campaign_messages SET attachments = '[]'"))
        await tx.execute(text("UPDATE messages SET status = 'queued'"))
    clock.advance(timedelta(seconds=STEP_SECONDS))
    assert await pump_all(worker) == 20
    assert gateway.call_count == 40
    links = {parse_qs(call.request.content.decode())["MediaUrl"][0] for call in gateway.calls}
    assert len(links) == 2


async def test_what_nobody_uses_goes_by_itself(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, mms: UUID, by_hand: HandClock
) -> None:
    """Thirty days after the upload, and after the end of what sent it; what a draft needs stays for as long as that."""
    at(router, "mms")
    names = ("unused.jpg", "sent.jpg", "drafted.jpg", "same.jpg")
    unused, sent, drafted, same = [await upload(client, JPEG + name[:2].encode(), name) for name in names]
    twin = await upload(client, JPEG + b"sa", "twin.jpg")  # the bytes of another one
    await create(client, drafted, twin, name="A draft")
    await by_hand.advance(days=20)
    await do(client, await create(client, sent, msisdns=NUMBERS[:1]), "start")
    await run_to_the_end(worker)
    await finish(worker)

    async def there() -> set[str]:
        await keep_house(worker)
        return {each["id"] for each in (await client.get("/v1/attachments")).json()["items"]}

    assert await there() == {unused, sent, drafted, same, twin}
    await by_hand.advance(days=11)
    assert await there() == {sent, drafted, twin}
    link = (await client.get(f"/v1/attachments/{twin}")).json()["link"]
    assert (await client.get(link)).content == JPEG + b"sa"
    await by_hand.advance(days=20)
    assert await there() == {drafted, twin}


@pytest.mark.parametrize(("retention_days", "kept"), [(None, 30), (7, 7), (1, 3), (365, 30)])
async def test_what_nobody_uses_is_kept_no_longer_than_messages(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, photo: str, retention_days: int | None, kept: int
) -> None:
    await client.put("/v1/policy", json={"retention_days": retention_days})
    await by_hand.advance(days=kept)
    await keep_house(worker)
    assert (await client.get(f"/v1/attachments/{photo}")).status_code == 200
    await by_hand.advance(seconds=1)
    await keep_house(worker)
    assert (await client.get(f"/v1/attachments/{photo}")).status_code == 404
    deeds = await client.get("/v1/audit", params={"subject_kind": "attachment", "subject_id": photo})
    deed = deeds.json()["items"][0]
    assert (deed["caller"], deed["action"]) == ("dispatcher", "attachment.dropped")


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"payload": '{"to": "%TO%", "text": "%MESSAGE%", "media": %MEDIA%}'}, id="a placeholder"),
        pytest.param({"script": SCRIPT, "attachments": True}, id="a script"),
    ],
)
async def test_a_gateway_of_its_owners_making_takes_them(
    client: AsyncClient,
    anonymous: AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    photo: str,
    menu: str,
    settings: dict[str, Any],
) -> None:
    """As its owner sets it up, over HTTP, and from there all the way."""
    body = {"name": "Own", "kind": "custom", "settings": {**PLAIN, **settings}, "secrets": {}}
    made = await client.post("/v1/gateways", json=body)
    assert made.status_code == 201, made.text
    assert made.json()["capabilities"]["attachments"] is True
    route = router.post(PLAIN["url"]).respond(200, text="ok")
    await do(client, await create(client, photo, menu, msisdns=NUMBERS[:1]), "start")
    await run_to_the_end(worker)
    sent = json.loads(route.calls.last.request.content)
    assert (sent["to"], sent["text"]) == (NUMBERS[0], "Look.")
    assert [(await anonymous.get(link)).content for link in sent["media"]] == [JPEG, PDF]
