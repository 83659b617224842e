"""Single messages over HTTP: accepted, called back, sent again, and found in the log."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from httpx import AsyncClient
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.paging import encode_cursor
from shared.db import begin
from shared.domain.message import RESENDABLE, Kind, Status
from shared.models import AuditEntry, Contact, Message
from shared.sealing import Sealer, hash_msisdn
from tests.conftest import Clock
from tests.factories import (
    make_api_key,
    make_attempt,
    make_contact,
    make_gateway,
    make_message,
    make_msisdn,
    make_receipt,
    make_sender_id,
)

NUMBER, OTHER = make_msisdn(1), make_msisdn(2)
PLAIN = {"msisdn": NUMBER, "text": "Your voucher: SPRING-25"}


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    return told


def pointers(answer: httpx.Response) -> list[str]:
    return [error["pointer"] for error in problem(answer, 422)["errors"]]


async def send(client: AsyncClient, **over: Any) -> dict[str, Any]:
    answer = await client.post("/v1/messages", json=PLAIN | over)
    assert answer.status_code == 202, answer.text
    sent: dict[str, Any] = answer.json()
    return sent


async def row_of(engine: AsyncEngine, message_id: str) -> Any:
    async with begin(engine) as tx:
        return (await tx.execute(select(Message).where(Message.id == UUID(message_id)))).one()


async def set_status(engine: AsyncEngine, message_id: str, status: Status) -> None:
    async with begin(engine) as tx:
        await tx.execute(update(Message).where(Message.id == UUID(message_id)).values(status=status))


# --- accepted


async def test_accepted_message_is_a_row(client: AsyncClient, engine: AsyncEngine, clock: Clock, pepper: bytes) -> None:
    shown = await send(client, client_reference="order 7", location_id="harbour", kind="voucher")
    row = await row_of(engine, shown["id"])
    assert (row.kind, row.status, row.priority, row.attempt) == (Kind.VOUCHER, Status.QUEUED, 1, 0)
    assert (row.msisdn, row.msisdn_hash) == (NUMBER, hash_msisdn(pepper, NUMBER))
    assert (row.text, row.encoding, row.segments) == (PLAIN["text"], "gsm7", 1)
    assert (row.not_before, row.expires_at) == (clock.now, clock.now + timedelta(hours=24))
    assert (row.client_reference, row.location_id, row.created_by) == ("order 7", "harbour", "admin")
    assert row.campaign_message_id is None
    assert (shown["status"], shown["segments"], shown["client_reference"]) == ("queued", 1, "order 7")


async def test_known_person_is_recognised(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        contact_id = str(await make_contact(tx, msisdn=NUMBER, location_id="harbour"))
    by_number = await send(client)
    by_contact = await send(client, msisdn=None, contact_id=contact_id)
    assert by_number["contact_id"] == by_contact["contact_id"] == contact_id
    assert by_number["location_id"] == by_contact["location_id"] == "harbour"
    assert by_contact["msisdn"] == NUMBER
    assert (await send(client, location_id="airport"))["location_id"] == "airport"


async def test_number_in_its_owners_notation(client: AsyncClient) -> None:
    assert (await send(client, msisdn="07700 900 001", default_region="GB"))["msisdn"] == NUMBER


@pytest.mark.parametrize(
    ("over", "pointer", "words"),
    [
        pytest.param({"msisdn": "12"}, "/msisdn", "", id="not a number"),
        pytest.param({"msisdn": ""}, "/msisdn", "", id="an empty number"),
        pytest.param({"default_region": "ZZ"}, "/default_region", "not a known country", id="no such country"),
        pytest.param({"text": ""}, "/text", "at least 1", id="no text"),
        pytest.param({"text": " \n "}, "/text", "empty", id="nothing but space"),
        pytest.param({"text": "x" * 1601}, "/text", "1600", id="too long"),
        pytest.param({"text": "😀" * 700}, "/text", "segments", id="too many segments"),
        pytest.param({"text": "half \ud83d"}, "/text", "", id="half a character"),
        pytest.param({"sender_id": "NOBODY"}, "/sender_id", "/v1/sender-ids", id="unknown sender"),
        pytest.param({"kind": "otp"}, "/kind", "", id="a password has its own route"),
        pytest.param({"kind": "campaign"}, "/kind", "", id="not a campaign's"),
        pytest.param({"send_at": "2026-01-01T00:00:00"}, "/send_at", "", id="time without zone"),
        pytest.param({"send_at": "9999-12-31T23:59:59Z"}, "/send_at", "", id="a time without end"),
        pytest.param({"expires_at": "9999-12-31T23:59:59-14:00"}, "/expires_at", "", id="an end without end"),
        pytest.param({"txet": "x"}, "/txet", "no such field", id="unknown field"),
    ],
)
async def test_what_cannot_be_used_is_named(
    client: AsyncClient, engine: AsyncEngine, over: dict[str, Any], pointer: str, words: str
) -> None:
    body = json.dumps(PLAIN | over)
    answer = await client.post("/v1/messages", content=body, headers={"Content-Type": "application/json"})
    (found,) = [error for error in problem(answer, 422)["errors"] if error["pointer"] == pointer]
    assert words in found["detail"]
    async with begin(engine) as tx:
        assert (await tx.execute(select(Message.id))).all() == []


@pytest.mark.parametrize("field", ["text", "client_reference", "location_id"])
async def test_nul_cannot_be_stored(client: AsyncClient, field: str) -> None:
    (told,) = problem(await client.post("/v1/messages", json=PLAIN | {field: "nul \x00"}), 422)["errors"]
    assert told["pointer"] == f"/{field}"
    assert "NUL character (U+0000); remove it" in told["detail"]


@pytest.mark.parametrize("who", [{"msisdn": None}, {"contact_id": str(uuid4())}], ids=["nobody", "two"])
async def test_one_recipient(client: AsyncClient, who: dict[str, Any]) -> None:
    told = problem(await client.post("/v1/messages", json=PLAIN | who), 422)
    assert ("both given" if "contact_id" in who else "Neither msisdn nor contact_id") in told["detail"]


async def test_unknown_contact(client: AsyncClient) -> None:
    unknown = str(uuid4())
    answer = await client.post("/v1/messages", json=PLAIN | {"msisdn": None, "contact_id": unknown})
    assert unknown in problem(answer, 404)["detail"]


@pytest.mark.parametrize("by", ["value", "id"])
async def test_sender_by_its_value_or_its_id(client: AsyncClient, engine: AsyncEngine, sealer: Sealer, by: str) -> None:
    async with begin(engine) as tx:
        sender = await make_sender_id(tx, await make_gateway(tx, sealer), "LAPWING")
    await client.put("/v1/policy", json={"alphanumeric_senders": True})
    shown = await send(client, sender_id="LAPWING" if by == "value" else str(sender))
    assert shown["sender_id"] == "LAPWING"


@pytest.mark.parametrize(
    ("send_at", "expires_at", "refused"),
    [
        pytest.param(60, None, None, id="later"),
        pytest.param(-60, None, None, id="a moment ago is now"),
        pytest.param(-61, None, "/send_at", id="gone by"),
        pytest.param(-61, 60, "/send_at", id="gone by, though not expired"),
        pytest.param(None, 60, None, id="for a minute"),
        pytest.param(None, -60, "/expires_at", id="ended already"),
        pytest.param(120, 60, "/expires_at", id="ends before it begins"),
        pytest.param(60, 60, "/expires_at", id="ends as it begins"),
    ],
)
async def test_times(
    client: AsyncClient, clock: Clock, send_at: int | None, expires_at: int | None, refused: str | None
) -> None:
    times = {
        name: (clock.now + timedelta(seconds=by)).isoformat()
        for name, by in (("send_at", send_at), ("expires_at", expires_at))
        if by is not None
    }
    answer = await client.post("/v1/messages", json=PLAIN | times)
    if refused:
        assert pointers(answer) == [refused]
        return
    shown = problem(answer, 202)
    assert shown["not_before"] == (clock.now + timedelta(seconds=max(send_at or 0, 0))).isoformat().replace(
        "+00:00", "Z"
    )


async def test_idempotency_key(client: AsyncClient, engine: AsyncEngine) -> None:
    key = {"Idempotency-Key": "order-7"}
    answers = [await client.post("/v1/messages", json=PLAIN, headers=key) for _ in range(3)]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers] == [None, "true", "true"]
    async with begin(engine) as tx:
        assert len((await tx.execute(select(Message.id))).all()) == 1


# --- whose key may


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/v1/messages", {"send", "manage", "admin"}),
        ("GET", "/v1/messages", {"read", "manage", "admin"}),
        ("GET", "/v1/messages/{id}", {"read", "manage", "admin"}),
        ("POST", "/v1/messages/{id}/cancel", {"send", "manage", "admin"}),
        ("POST", "/v1/messages/{id}/resend", {"send", "manage", "admin"}),
    ],
)
async def test_scope(anonymous: AsyncClient, engine: AsyncEngine, method: str, path: str, allowed: set[str]) -> None:
    path = path.format(id=uuid4())
    problem(await anonymous.request(method, path, json={}), 401)
    for scope in ("read", "send", "manage", "admin"):
        async with begin(engine) as tx:
            key = await make_api_key(tx, scope)
        answer = await anonymous.request(method, path, json={}, headers={"Authorization": f"Bearer {key.text}"})
        assert (answer.status_code == 403) == (scope not in allowed), scope


_OF_CONTACTS = ("msisdn", "contact_id", "text", "location_id")


@pytest.mark.parametrize("by", ["contact", "number", "nobody's number"])
async def test_key_that_may_only_send_learns_nothing(
    client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine, by: str
) -> None:
    """Neither of a contact, nor who is one, nor anything of what others send."""
    async with begin(engine) as tx:
        contact_id = await make_contact(tx, msisdn=NUMBER, name="Ada", location_id="harbour", fields={"pin": "4711"})
        key = await make_api_key(tx, "send")
    headers = {"Authorization": f"Bearer {key.text}"}
    whom = {"contact": {"contact_id": str(contact_id)}, "number": {"msisdn": NUMBER}}.get(by, {"msisdn": OTHER})
    text = "{{ name | default('x') }} {{ fields.pin | default('x') }} {{ msisdn }}"
    body = whom | {"text": text, "variables": {"a": "1"}}
    answers = [await anonymous.post("/v1/messages", json=body, headers=headers, params={"wait": 1})]
    own = problem(answers[0], 202)
    anothers = await send(client)
    assert (anothers["msisdn"], anothers["text"]) == (NUMBER, PLAIN["text"])
    for what in ("cancel", "resend"):
        answer = await anonymous.post(f"/v1/messages/{anothers['id']}/{what}", headers=headers)
        assert anothers["id"] in problem(answer, 404)["detail"]
    answers.append(await anonymous.post(f"/v1/messages/{own['id']}/cancel", headers=headers))
    await set_status(engine, own["id"], Status.FAILED)
    answers.append(await anonymous.post(f"/v1/messages/{own['id']}/resend", headers=headers))
    for answer in answers:
        assert answer.is_success, answer.text
        assert [answer.json()[name] for name in _OF_CONTACTS] == [None] * 4
        assert not any(words in answer.text for words in ("Ada", "4711", NUMBER, OTHER, "harbour"))
    row = await row_of(engine, own["id"])
    assert row.text == (f"x x {OTHER}" if by == "nobody's number" else f"Ada 4711 {NUMBER}")


@pytest.mark.parametrize("path", ["", "/cancel", "/resend"])
async def test_unknown_message(client: AsyncClient, path: str) -> None:
    unknown = uuid4()
    method = "POST" if path else "GET"
    assert str(unknown) in problem(await client.request(method, f"/v1/messages/{unknown}{path}"), 404)["detail"]


# --- called back


@pytest.mark.parametrize("status", Status)
async def test_cancel(client: AsyncClient, engine: AsyncEngine, clock: Clock, status: Status) -> None:
    message = await send(client)
    await set_status(engine, message["id"], status)
    answer = await client.post(f"/v1/messages/{message['id']}/cancel")
    row = await row_of(engine, message["id"])
    assert row.status is status  # only the dispatcher moves a message
    if status is not Status.QUEUED:
        told = problem(answer, 409)
        assert told["type"] == "/problems/message-not-cancellable"
        assert ("it is queued again" in told["detail"]) is (status is Status.SENDING)
        assert row.cancel_requested_at is None
        return
    assert answer.status_code == 200
    assert row.cancel_requested_at == clock.now
    async with begin(engine) as tx:
        entry = (await tx.execute(select(AuditEntry))).one()
    assert (entry.action, entry.subject_id) == ("message.cancelled", message["id"])


async def test_cancel_twice_is_the_same_wish(client: AsyncClient) -> None:
    message = await send(client)
    answers = await asyncio.gather(*(client.post(f"/v1/messages/{message['id']}/cancel") for _ in range(3)))
    assert {answer.status_code for answer in answers} == {200}


# --- sent again


@pytest.mark.parametrize("status", Status)
async def test_resend(client: AsyncClient, engine: AsyncEngine, clock: Clock, status: Status) -> None:
    message = await send(client, client_reference="order 7", location_id="harbour")
    await set_status(engine, message["id"], status)
    clock.advance(timedelta(hours=30))
    answer = await client.post(f"/v1/messages/{message['id']}/resend")
    if status not in RESENDABLE:
        assert problem(answer, 409)["type"] == "/problems/message-not-resendable"
        return
    again = problem(answer, 202)
    assert (again["resend_of"], again["status"], again["text"]) == (message["id"], "queued", message["text"])
    assert (again["msisdn"], again["location_id"], again["client_reference"]) == (NUMBER, "harbour", "order 7")
    row = await row_of(engine, again["id"])
    assert (row.not_before, row.expires_at) == (clock.now, clock.now + timedelta(hours=24))
    original = await row_of(engine, message["id"])
    assert original.status is status
    # what may yet come back to the queue must not go out beside the new one
    assert original.cancel_requested_at == (clock.now if status is Status.UNCONFIRMED else None)


async def failed_of_a_campaign(engine: AsyncEngine, clock: Clock, pepper: bytes, **over: Any) -> UUID:
    async with begin(engine) as tx:
        given = {"kind": Kind.CAMPAIGN, "status": Status.FAILED, "msisdn": NUMBER} | over
        return await make_message(tx, pepper, now=clock.now, **given)


@pytest.mark.parametrize(
    ("consent", "rules", "refused"),
    [
        pytest.param("withdrawn", {}, True, id="taken back"),
        pytest.param("unknown", {}, False, id="nobody asked"),
        pytest.param("unknown", {"require_consent": True}, True, id="not granted"),
        pytest.param("granted", {"require_consent": True}, False, id="granted"),
        pytest.param(None, {"require_consent": True}, True, id="no contact"),
    ],
)
async def test_resend_of_a_campaigns_words_needs_consent(
    client: AsyncClient,
    engine: AsyncEngine,
    clock: Clock,
    pepper: bytes,
    consent: str | None,
    rules: dict[str, Any],
    refused: bool,
) -> None:
    assert (await client.put("/v1/policy", json=rules)).status_code == 200
    if consent is not None:
        async with begin(engine) as tx:
            await make_contact(tx, msisdn=NUMBER, consent_status=consent)
    first = await failed_of_a_campaign(engine, clock, pepper)
    answer = await client.post(f"/v1/messages/{first}/resend")
    if not refused:
        again = problem(answer, 202)["id"]
        await set_status(engine, again, Status.FAILED)
        async with begin(engine) as tx:
            await tx.execute(update(Contact).values(consent_status="withdrawn"))
        # what went in its place is the campaign's all the same
        problem(await client.post(f"/v1/messages/{again}/resend"), 409)
        return
    assert problem(answer, 409)["type"] == "/problems/message-not-resendable"
    assert "consent" in answer.json()["detail"]
    # what somebody wrote to them alone is theirs
    async with begin(engine) as tx:
        personal = await make_message(tx, pepper, msisdn=NUMBER, status=Status.FAILED, now=clock.now)
    problem(await client.post(f"/v1/messages/{personal}/resend"), 202)


@pytest.mark.parametrize(
    ("kind", "refused"), [pytest.param("personal", True, id="maybe"), pytest.param("voucher", False, id="surely not")]
)
async def test_resend_of_what_a_campaign_may_have_written_needs_consent(
    client: AsyncClient, engine: AsyncEngine, clock: Clock, pepper: bytes, kind: str, refused: bool
) -> None:
    """The message in whose place it went is gone with its month: nobody knows any more whose words these are."""
    async with begin(engine) as tx:
        await make_contact(tx, msisdn=NUMBER, consent_status="withdrawn")
        given = {"kind": Kind(kind), "status": Status.FAILED, "msisdn": NUMBER, "resend_of": uuid4()}
        message = await make_message(tx, pepper, now=clock.now, **given)
    answer = await client.post(f"/v1/messages/{message}/resend")
    told = problem(answer, 409 if refused else 202)
    assert not refused or "their consent is withdrawn" in told["detail"]


@pytest.mark.parametrize(
    ("rules", "kind"),
    [
        ({"activated": {"personal": False}}, "not-activated"),
        ({"allowed_countries": ["ZA"]}, "country-not-allowed"),
        ({"alphanumeric_senders": False}, "sender-not-allowed"),
    ],
)
async def test_resend_keeps_to_the_policy(
    client: AsyncClient, engine: AsyncEngine, clock: Clock, pepper: bytes, rules: dict[str, Any], kind: str
) -> None:
    first = await failed_of_a_campaign(engine, clock, pepper, sender_id="LAPWING")
    assert (await client.put("/v1/policy", json={"alphanumeric_senders": True} | rules)).status_code == 200
    answer = await client.post(f"/v1/messages/{first}/resend")
    assert (answer.status_code // 100, answer.json()["type"]) == (4, f"/problems/{kind}")


@pytest.mark.parametrize("status", Status)
async def test_second_resend(client: AsyncClient, engine: AsyncEngine, clock: Clock, status: Status) -> None:
    """Refused while the first one is on its way or has arrived."""
    message = await send(client)
    await set_status(engine, message["id"], Status.FAILED)
    first = problem(await client.post(f"/v1/messages/{message['id']}/resend"), 202)
    await set_status(engine, first["id"], status)
    answer = await client.post(f"/v1/messages/{message['id']}/resend")
    if status not in RESENDABLE | {Status.SKIPPED}:
        told = problem(answer, 409)
        assert told["type"] == "/problems/message-already-resent"
        assert first["id"] in told["detail"]
        return
    second = problem(answer, 202)
    assert (second["resend_of"], second["id"] != first["id"]) == (message["id"], True)
    in_doubt = status is Status.UNCONFIRMED
    assert (await row_of(engine, first["id"])).cancel_requested_at == (clock.now if in_doubt else None)
    answer = await client.post(f"/v1/messages/{message['id']}/resend")
    assert second["id"] in problem(answer, 409)["detail"]


async def test_resend_of_a_resend_counts(client: AsyncClient, engine: AsyncEngine) -> None:
    message = await send(client)
    await set_status(engine, message["id"], Status.FAILED)
    first = problem(await client.post(f"/v1/messages/{message['id']}/resend"), 202)
    await set_status(engine, first["id"], Status.FAILED)
    second = problem(await client.post(f"/v1/messages/{first['id']}/resend"), 202)
    answer = await client.post(f"/v1/messages/{message['id']}/resend")
    assert second["id"] in problem(answer, 409)["detail"]


async def test_siblings_count_too(client: AsyncClient, engine: AsyncEngine) -> None:
    """A in doubt, sent again as B in doubt; A again as C, which is under way: B must wait for it."""
    a = await send(client)
    await set_status(engine, a["id"], Status.UNCONFIRMED)
    b = problem(await client.post(f"/v1/messages/{a['id']}/resend"), 202)
    await set_status(engine, b["id"], Status.UNCONFIRMED)
    c = problem(await client.post(f"/v1/messages/{a['id']}/resend"), 202)
    refusal = problem(await client.post(f"/v1/messages/{b['id']}/resend"), 409)
    assert refusal["type"] == "/problems/message-already-resent"
    assert c["id"] in refusal["detail"]
    await set_status(engine, c["id"], Status.UNCONFIRMED)
    answers = await asyncio.gather(*(client.post(f"/v1/messages/{one['id']}/resend") for one in (a, b, c)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409]


async def test_one_that_has_arrived_late_ends_all_resends(client: AsyncClient, engine: AsyncEngine) -> None:
    a = await send(client)
    await set_status(engine, a["id"], Status.UNCONFIRMED)
    b = problem(await client.post(f"/v1/messages/{a['id']}/resend"), 202)
    await set_status(engine, b["id"], Status.FAILED)
    await set_status(engine, a["id"], Status.DELIVERED)
    refusal = problem(await client.post(f"/v1/messages/{b['id']}/resend"), 409)
    assert "delivered" in refusal["detail"]


async def test_resends_at_once_are_one(client: AsyncClient, engine: AsyncEngine) -> None:
    message = await send(client)
    await set_status(engine, message["id"], Status.UNCONFIRMED)
    answers = await asyncio.gather(*(client.post(f"/v1/messages/{message['id']}/resend") for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409]


async def test_campaigns_message_is_sent_again_to_one_person(
    client: AsyncClient, engine: AsyncEngine, pepper: bytes, clock: Clock
) -> None:
    """Not as part of the campaign, whose counts are closed; and before the other campaigns, for its owner waits."""
    async with begin(engine) as tx:
        message_id = await make_message(
            tx,
            pepper,
            now=clock.now,
            kind=Kind.CAMPAIGN,
            status=Status.UNCONFIRMED,
            campaign_id=uuid4(),
            campaign_message_id=uuid4(),
        )
    again = problem(await client.post(f"/v1/messages/{message_id}/resend"), 202)
    row = await row_of(engine, again["id"])
    assert (row.kind, row.priority, row.campaign_id, row.campaign_message_id) == (Kind.PERSONAL, 1, None, None)


# --- the log


async def test_story_of_one_message(client: AsyncClient, engine: AsyncEngine, sealer: Sealer, clock: Clock) -> None:
    async with begin(engine) as tx:
        gateway_id = await make_gateway(tx, sealer)
    message = await send(client)
    async with begin(engine) as tx:
        for attempt, outcome in ((1, "refused"), (2, "accepted")):
            await make_attempt(
                tx,
                UUID(message["id"]),
                gateway_id,
                now=clock.now,
                attempt=attempt,
                outcome=outcome,
                exchange={"answer": {"status": 429}},
            )
        for second, status in ((2, Status.DELIVERED), (1, Status.SENT)):
            at = clock.now + timedelta(seconds=second)
            await make_receipt(tx, gateway_id, now=at, message_id=UUID(message["id"]), attempt=2, status=status)
    story = (await client.get(f"/v1/messages/{message['id']}")).json()
    assert {field: story[field] for field in message if field != "warnings"} | {"warnings": []} == message
    assert [(one["attempt"], one["outcome"]) for one in story["attempts"]] == [(1, "refused"), (2, "accepted")]
    assert story["attempts"][0]["exchange"] == {"answer": {"status": 429}}
    assert [one["status"] for one in story["receipts"]] == ["sent", "delivered"]


async def test_the_receipts_of_a_message_are_those_of_its_hand_overs(
    client: AsyncClient, engine: AsyncEngine, sealer: Sealer, clock: Clock
) -> None:
    message = await send(client)
    message_id = UUID(message["id"])
    async with begin(engine) as tx:
        own, other = await make_gateway(tx, sealer), await make_gateway(tx, sealer, "other", priority=2)
        await make_attempt(tx, message_id, own, now=clock.now)

        async def tell(gateway_id: UUID, code: str, **over: Any) -> None:
            await make_receipt(tx, gateway_id, now=clock.now, message_id=message_id, code=code, **over)

        await tell(own, "of its attempt", attempt=1)
        await tell(own, "of none by name")
        await tell(own, "of an attempt that was never made", attempt=2)
        await tell(other, "of a gateway that was never given it", attempt=1)
        await tell(other, "of one that shares the account", attempt=1, verdict="applied", applied_at=clock.now)
    story = (await client.get(f"/v1/messages/{message_id}")).json()
    assert {one["code"] for one in story["receipts"]} == {
        "of its attempt",
        "of none by name",
        "of one that shares the account",
    }


@pytest.fixture
async def log(client: AsyncClient, clock: Clock) -> list[dict[str, Any]]:
    """Seven messages, a minute apart."""
    made = []
    for place in range(7):
        made.append(
            await send(
                client,
                msisdn=make_msisdn(place % 2),
                text=f"number {place} at 100%",
                kind="voucher" if place % 3 == 0 else "personal",
                client_reference=f"order {place}",
            )
        )
        clock.advance(timedelta(minutes=1))
    return made


async def test_paged_newest_first(client: AsyncClient, log: list[dict[str, Any]]) -> None:
    for limit in (1, 3, 7, 200):
        seen: list[str] = []
        params: dict[str, Any] = {"limit": limit}
        while True:
            page = (await client.get("/v1/messages", params=params)).json()
            assert len(page["items"]) <= limit
            seen += [one["id"] for one in page["items"]]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
        assert seen == [one["id"] for one in reversed(log)]


@pytest.mark.parametrize(
    ("params", "places"),
    [
        pytest.param({"kind": "voucher"}, {0, 3, 6}, id="kind"),
        pytest.param({"status": "queued"}, set(range(7)), id="status"),
        pytest.param({"status": "failed"}, set(), id="a status nobody has"),
        pytest.param({"msisdn": make_msisdn(1)}, {1, 3, 5}, id="number"),
        pytest.param(
            {"msisdn": f"({make_msisdn(1)[:3]}) {make_msisdn(1)[3:]}"}, {1, 3, 5}, id="number in its notation"
        ),
        pytest.param({"msisdn": f" {make_msisdn(1)[1:]}"}, {1, 3, 5}, id="number whose plus nobody escaped"),
        pytest.param({"client_reference": "order 4"}, {4}, id="reference"),
        pytest.param({"q": "Number 2"}, {2}, id="part of the text"),
        pytest.param({"q": "0%"}, set(range(7)), id="no wildcard"),
        pytest.param({"q": "%0"}, set(), id="no wildcard either"),
        pytest.param({"campaign_id": str(uuid4())}, set(), id="campaign"),
        pytest.param({"kind": "voucher", "msisdn": make_msisdn(1)}, {3}, id="both"),
        pytest.param({"from": "1900-01-01T00:00:00Z"}, set(range(7)), id="from long ago"),
        pytest.param({"to": "9999-12-31T00:00:00Z"}, set(range(7)), id="until the end of days"),
        pytest.param({"to": "1900-01-01T00:00:00Z"}, set(), id="until long ago"),
    ],
)
async def test_narrowed(
    client: AsyncClient, log: list[dict[str, Any]], params: dict[str, str], places: set[int]
) -> None:
    answer = await client.get("/v1/messages", params=params)
    assert answer.status_code == 200, answer.text
    found = {one["id"] for one in answer.json()["items"]}
    assert found == {log[place]["id"] for place in places}


@pytest.mark.parametrize("limit", [1, 2, 200])
@pytest.mark.parametrize(
    ("params", "places"),
    [
        pytest.param({"q": "number 0"}, [0], id="far down"),
        pytest.param({"kind": "voucher"}, [6, 3, 0], id="here and there"),
        pytest.param({"status": "failed"}, [], id="nowhere"),
        pytest.param({"q": "number", "msisdn": make_msisdn(1)}, [5, 3, 1], id="of one number"),
    ],
)
async def test_what_is_rare_is_looked_for_piece_by_piece(
    client: AsyncClient,
    log: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    params: dict[str, Any],
    places: list[int],
    limit: int,
) -> None:
    """No question goes through the whole log: a page ends after so many messages that were looked at."""
    monkeypatch.setattr("api.messages.queries.MOST_LOOKED_AT", 2)
    seen: list[str] = []
    pages, asked = 0, {**params, "limit": limit}
    while True:
        page = (await client.get("/v1/messages", params=asked)).json()
        assert len(page["items"]) <= min(limit, 2)
        seen += [one["id"] for one in page["items"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]
    assert seen == [log[place]["id"] for place in places]
    assert pages > 1
    exported = (await client.get("/v1/messages/export", params={**params, "format": "ndjson"})).text
    assert [json.loads(line)["id"] for line in exported.splitlines()] == seen


async def test_a_reference_finds_what_was_sent_in_its_place_too(client: AsyncClient, engine: AsyncEngine) -> None:
    first = (await send(client, client_reference="order 7"))["id"]
    await send(client, client_reference="order 8")
    await set_status(engine, first, Status.FAILED)
    again = problem(await client.post(f"/v1/messages/{first}/resend"), 202)["id"]
    found = (await client.get("/v1/messages", params={"client_reference": "order 7"})).json()["items"]
    assert [one["id"] for one in found] == [again, first]
    async with begin(engine) as tx:  # as an erasure leaves it
        await tx.execute(update(Message).values(client_reference=None))
    assert (await client.get("/v1/messages", params={"client_reference": "order 7"})).json()["items"] == []


async def test_narrowed_by_time(client: AsyncClient, log: list[dict[str, Any]]) -> None:
    params = {"from": log[2]["created_at"], "to": log[5]["created_at"]}
    found = [one["id"] for one in (await client.get("/v1/messages", params=params)).json()["items"]]
    assert found == [log[4]["id"], log[3]["id"], log[2]["id"]]


@pytest.mark.parametrize(
    "params",
    [
        pytest.param({"kind": "fax"}, id="unknown kind"),
        pytest.param({"status": "lost"}, id="unknown status"),
        pytest.param({"from": "2026-01-01T00:00:00"}, id="time without zone"),
        pytest.param({"limit": 201}, id="too much at once"),
        pytest.param({"msisdn": "0831234567"}, id="number without its country"),
        pytest.param({"cursor": "garbage"}, id="no cursor"),
        *(
            pytest.param({"cursor": encode_cursor(mark)}, id=f"cursor of {mark}")
            for mark in ({}, {"id": "x"}, {"id": 5}, {"id": None}, {"position": 3})
        ),
    ],
)
async def test_list_refused(client: AsyncClient, params: dict[str, Any]) -> None:
    (name,) = params
    assert pointers(await client.get("/v1/messages", params=params)) == [f"?{name}"]
