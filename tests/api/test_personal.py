"""Personal and voucher messages: one for each reference, texts from templates and tags, and answers that wait."""

import asyncio
from datetime import timedelta
from hashlib import blake2b, sha256
from time import monotonic
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient, Response
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.idempotency import REPLAYED
from api.messages.wait import Watch, is_reached
from shared.db import begin
from shared.domain.advice import advice_of
from shared.domain.message import FINAL, RESENDABLE, Kind, Status
from shared.models import ClientReference, IdempotencyKey, Message
from shared.sealing import Sealer
from tests.conftest import Clock
from tests.factories import make_api_key, make_contact, make_gateway, make_message, make_msisdn

NUMBER = make_msisdn(1)
PLAIN = {"msisdn": NUMBER, "text": "Hello."}
WORDS = "Your {{ voucher.plan }} voucher: {{ voucher.code }}, valid {{ voucher.validity | default('always') }}."
VOUCHER = {
    "msisdn": NUMBER,
    "kind": "voucher",
    "text": WORDS,
    "voucher": {"code": "CANARY-77", "plan": "5 GB", "validity": "30 days"},
    "client_reference": "order-7",
}


async def send(client: AsyncClient, query: dict[str, Any] | None = None, **over: Any) -> Response:
    return await client.post("/v1/messages", params=query or {}, json=PLAIN | over)


async def count(engine: AsyncEngine, table: type = Message) -> int:
    async with begin(engine) as tx:
        return int((await tx.execute(select(func.count()).select_from(table))).scalar_one())


async def template(client: AsyncClient, words: str) -> str:
    answer = await client.post("/v1/templates", json={"name": f"t {uuid4()}", "text": words})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def set_status(engine: AsyncEngine, message_id: str, status: Status) -> None:
    async with begin(engine) as tx:
        await tx.execute(update(Message).where(Message.id == UUID(message_id)).values(status=status))


def refused(answer: Response, status: int = 422) -> list[str]:
    assert answer.status_code == status, answer.text
    return [error["pointer"] for error in answer.json().get("errors", ())]


# --- one for each reference


async def test_same_request_is_the_same_message(client: AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    first = await send(client, client_reference="order-7", send_at=(clock.now + timedelta(hours=1)).isoformat())
    await set_status(engine, first.json()["id"], Status.DELIVERED)
    clock.advance(timedelta(hours=2))
    again = await send(client, client_reference="order-7", send_at=(clock.now - timedelta(hours=1)).isoformat())
    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "delivered")
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert await count(engine) == 1


@pytest.mark.parametrize("over", [{"text": "Hello!"}, {"msisdn": make_msisdn(2)}, {"kind": "voucher"}])
async def test_another_request_with_the_same_reference(
    client: AsyncClient, engine: AsyncEngine, over: dict[str, Any]
) -> None:
    await send(client, client_reference="order-7")
    answer = await send(client, client_reference="order-7", **over)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/client-reference-taken")
    assert "order-7" in answer.json()["detail"]
    assert await count(engine) == 1


async def test_many_at_once_are_one(client: AsyncClient, engine: AsyncEngine) -> None:
    answers = await asyncio.gather(*(send(client, client_reference="order-7") for _ in range(40)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotent-Replayed" not in answer.headers for answer in answers) == 1
    assert (await count(engine), await count(engine, ClientReference)) == (1, 1)


async def test_refused_request_keeps_no_reference(client: AsyncClient, engine: AsyncEngine) -> None:
    assert (await send(client, client_reference="order-7", text=" ")).status_code == 422
    assert (await send(client, client_reference="order-7")).status_code == 202
    assert await count(engine, ClientReference) == 1


async def test_reference_of_another_key(client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine) -> None:
    """A key that may only send does not learn what others sent."""
    made = (await send(client, client_reference="order-7")).json()["id"]
    async with begin(engine) as tx:
        key = {"Authorization": f"Bearer {(await make_api_key(tx, 'send')).text}"}
    answer = await anonymous.post("/v1/messages", json=PLAIN | {"client_reference": "order-7"}, headers=key)
    assert answer.status_code == 409
    assert made not in answer.text


async def test_reference_whose_message_is_no_longer_kept(client: AsyncClient, engine: AsyncEngine) -> None:
    """A voucher is not sent a second time because the first one was long ago."""
    await send(client, client_reference="order-7")
    async with begin(engine) as tx:
        await tx.execute(text("DELETE FROM messages"))
    assert (await send(client, client_reference="order-7")).status_code == 409
    assert await count(engine) == 0


@pytest.mark.parametrize("reference", ["", "x" * 201])
async def test_reference_that_is_none(client: AsyncClient, reference: str) -> None:
    assert refused(await send(client, client_reference=reference)) == ["/client_reference"]


# --- texts


async def test_voucher_with_its_fields(client: AsyncClient, engine: AsyncEngine) -> None:
    answer = await client.post("/v1/messages", json=VOUCHER)
    assert answer.status_code == 202, answer.text
    assert answer.json()["text"] == "Your 5 GB voucher: CANARY-77, valid 30 days."
    assert answer.json()["kind"] == "voucher"
    async with begin(engine) as tx:
        kept = (await tx.execute(select(ClientReference))).one()
    assert "CANARY" not in str(kept)


async def test_template_with_contact_and_variables(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        contact_id = await make_contact(tx, msisdn=NUMBER, name="Ada", fields={"city": "Delft"})
    words = "Hi {{ name }} in {{ fields.city }}: {{ variables.what }} for {{ voucher.code }}"
    body = {
        "contact_id": str(contact_id),
        "template_id": await template(client, words),
        "kind": "voucher",
        "variables": {"what": "Coffee"},
        "voucher": {"code": "C-1"},
    }
    answer = await client.post("/v1/messages", json=body)
    assert answer.status_code == 202, answer.text
    assert answer.json()["text"] == "Hi Ada in Delft: Coffee for C-1"


async def test_text_without_variables_is_sent_as_it_is(client: AsyncClient) -> None:
    answer = await send(client, text="Write {{ name }} in braces.")
    assert answer.json()["text"] == "Write {{ name }} in braces."


@pytest.mark.parametrize(
    ("over", "pointers"),
    [
        pytest.param({"voucher": {"plan": "5 GB"}}, ["/voucher/code"], id="the code"),
        pytest.param({"voucher": {"location": "Delft"}}, ["/voucher/plan", "/voucher/code"], id="two"),
        pytest.param({"text": "{{ variables.x }}{{ name }}"}, ["/variables/x", "/variables/name"], id="other tags"),
    ],
)
async def test_missing_variable_is_refused_by_its_name(
    client: AsyncClient, engine: AsyncEngine, over: dict[str, Any], pointers: list[str]
) -> None:
    answer = await client.post("/v1/messages", json=VOUCHER | over)
    assert refused(answer) == pointers
    assert answer.json()["type"] == "/problems/missing-variable"
    assert (await count(engine), await count(engine, ClientReference)) == (0, 0)


@pytest.mark.parametrize(
    ("over", "pointer"),
    [
        pytest.param({"template_id": str(uuid4())}, "/template_id", id="text and template"),
        pytest.param({"text": None}, "", id="neither"),
        pytest.param({"kind": "personal"}, "/voucher", id="voucher's fields in a personal message"),
        pytest.param({"voucher": {"code": "x" * 101}}, "/voucher/code", id="long code"),
        pytest.param({"voucher": {"code": " "}}, "/voucher/code", id="blank code"),
        pytest.param({"voucher": {"pin": "1"}}, "/voucher/pin", id="unknown field"),
        pytest.param({"text": "{{ nmae }}"}, "/text", id="unknown tag"),
        pytest.param({"text": "{% for x in y %}"}, "/text", id="no tag"),
        pytest.param({"variables": {"a b": "x"}}, "/variables", id="no name"),
        pytest.param({"text": "{{ voucher.code }}", "variables": {"voucher.code": {"x": 1}}}, None, id="voucher wins"),
    ],
)
async def test_what_cannot_be_filled_is_named(client: AsyncClient, over: dict[str, Any], pointer: str | None) -> None:
    answer = await client.post("/v1/messages", json=VOUCHER | over)
    if pointer is None:
        assert answer.json()["text"] == "CANARY-77"
    else:
        assert refused(answer) == [pointer]


async def test_unknown_template(client: AsyncClient) -> None:
    body = {"msisdn": NUMBER, "template_id": str(uuid4())}
    assert (await client.post("/v1/messages", json=body)).status_code == 404


async def test_template_that_fills_nothing_or_too_much(client: AsyncClient) -> None:
    for words, variables in (("{{ variables.x | default('') }}", {}), ("{{ variables.x }}" * 9, {"x": "ж" * 170})):
        body = {"msisdn": NUMBER, "template_id": await template(client, words), "variables": variables}
        assert refused(await client.post("/v1/messages", json=body)) == ["/template_id"]


async def test_resend_is_the_same_voucher(client: AsyncClient, engine: AsyncEngine) -> None:
    first = (await client.post("/v1/messages", json=VOUCHER)).json()
    await set_status(engine, first["id"], Status.UNCONFIRMED)
    again = await client.post(f"/v1/messages/{first['id']}/resend")
    assert again.status_code == 202
    assert (again.json()["text"], again.json()["client_reference"]) == (first["text"], "order-7")
    asked = await client.post("/v1/messages", json=VOUCHER)
    assert asked.json()["id"] == first["id"]
    assert await count(engine) == 2


# --- words for whoever waits


async def test_unconfirmed_says_so(client: AsyncClient, engine: AsyncEngine) -> None:
    made = (await client.post("/v1/messages", json=VOUCHER)).json()
    await set_status(engine, made["id"], Status.UNCONFIRMED)
    told = (await client.get(f"/v1/messages/{made['id']}")).json()
    assert "the same voucher" in told["advice"]
    assert advice_of(Status.UNCONFIRMED, Kind.PERSONAL) != told["advice"]


def test_who_ended_badly_has_advice() -> None:
    told = {status for status in Status if advice_of(status, Kind.PERSONAL)}
    assert told == (RESENDABLE | {Status.SKIPPED}) - {Status.CANCELLED}


# --- answers that wait


async def later(engine: AsyncEngine, status: Status, *, after: float = 0.3) -> None:
    """A dispatcher moves the only message there is."""
    await asyncio.sleep(after)
    async with begin(engine) as tx:
        await tx.execute(update(Message).values(status=status, attempt=1))


@pytest.mark.parametrize("wait_for", ["submitted", "final"])
async def test_post_waits_for_the_gateway(client: AsyncClient, engine: AsyncEngine, wait_for: str) -> None:
    reached = Status.SUBMITTED if wait_for == "submitted" else Status.DELIVERED
    moved = asyncio.create_task(later(engine, reached))
    answer = await send(client, {"wait": 10, "wait_for": wait_for})
    await moved
    assert (answer.status_code, answer.json()["status"], answer.json()["attempt"]) == (202, reached, 1)
    assert int(answer.headers["content-length"]) == len(answer.content)


async def test_status_as_it_is_when_the_time_is_over(client: AsyncClient) -> None:
    begun = monotonic()
    answer = await send(client, {"wait": 0.5})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert monotonic() - begun >= 0.5


async def test_get_waits_too(client: AsyncClient, engine: AsyncEngine) -> None:
    made = (await send(client)).json()
    path = f"/v1/messages/{made['id']}"
    moved = asyncio.create_task(later(engine, Status.SUBMITTED))
    first = await client.get(path, params={"wait": 10})
    await moved
    assert first.json()["status"] == "submitted"
    moved = asyncio.create_task(later(engine, Status.DELIVERED))
    second = await client.get(path, params={"wait": 10, "wait_for": "final"})
    await moved
    assert (second.json()["status"], second.json()["attempts"]) == ("delivered", [])


@pytest.mark.parametrize(
    ("more", "text"), [({}, "Hi {{ msisdn }}"), ({"variables": {}}, f"Hi {NUMBER}")], ids=["as it is", "filled"]
)
async def test_variables_make_tags_of_a_texts_braces(client: AsyncClient, more: dict[str, Any], text: str) -> None:
    """None of them, too: whoever names them means the tags."""
    answer = await client.post("/v1/messages", json={"msisdn": NUMBER, "text": "Hi {{ msisdn }}", **more})
    assert (answer.status_code, answer.json()["text"]) == (202, text)


async def test_a_voucher_never_leaves_without_its_code(client: AsyncClient, engine: AsyncEngine) -> None:
    text = "Your code: {{voucher.code }}"
    answer = await send(client, kind="voucher", text=text)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/missing-variable")
    assert answer.json()["errors"][0]["pointer"] == "/voucher/code"
    assert await count(engine) == 0
    assert (await send(client, kind="voucher", text="Your code: {{ code }}")).json()["text"] == "Your code: {{ code }}"
    assert (await send(client, text=text)).json()["text"] == text


async def test_an_answer_that_waited_in_vain_is_of_now(client: AsyncClient, engine: AsyncEngine) -> None:
    """It did not become final, but a gateway may have it: whoever waits for it should be told that."""
    moved = asyncio.create_task(later(engine, Status.UNCONFIRMED))
    answer = await client.post("/v1/messages", params={"wait": 2, "wait_for": "final"}, json=PLAIN)
    await moved
    assert answer.status_code == 202
    assert answer.json()["status"] == "unconfirmed"
    assert "may have arrived" in answer.json()["advice"]


async def test_many_wait_without_holding_a_connection(client: AsyncClient, engine: AsyncEngine, app: FastAPI) -> None:
    """The pool has ten; sixty wait, and a request beside them is served at once."""
    made = (await send(client)).json()
    path = f"/v1/messages/{made['id']}"
    waiting = [asyncio.create_task(client.get(path, params={"wait": 10})) for _ in range(60)]
    async with asyncio.timeout(30):
        while app.state.watch._count < 60:
            await asyncio.sleep(0.05)
    assert engine.pool.checkedout() <= 1  # type: ignore[attr-defined]  # of the pool that is used
    assert (await client.get(path)).json()["status"] == "queued"
    assert not any(task.done() for task in waiting)
    await later(engine, Status.SUBMITTED, after=0)
    answers = await asyncio.gather(*waiting)
    assert {answer.json()["status"] for answer in answers} == {"submitted"}


async def test_only_so_many_wait(
    engine: AsyncEngine, pepper: bytes, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.messages.wait.MOST_WAITING", 2)
    async with begin(engine) as tx:
        message_id = await make_message(tx, pepper, now=clock.now)
    watch = Watch(engine)
    first = [asyncio.create_task(watch.wait(message_id, "submitted", seconds=0.5)) for _ in range(2)]
    await asyncio.sleep(0)
    begun = monotonic()
    assert await watch.wait(message_id, "submitted", seconds=30) is False
    assert monotonic() - begun < 10
    assert await asyncio.gather(*first) == [True, True]
    assert not watch._waiting
    assert watch._count == 0


async def test_send_only_key_sees_no_contacts_number(anonymous: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        contact_id = await make_contact(tx, msisdn=NUMBER)
        key = {"Authorization": f"Bearer {(await make_api_key(tx, 'send')).text}"}
    moved = asyncio.create_task(later(engine, Status.SUBMITTED))
    body = {"contact_id": str(contact_id), "text": "Hello."}
    answer = await anonymous.post("/v1/messages", params={"wait": 10}, json=body, headers=key)
    await moved
    assert (answer.json()["status"], answer.json()["msisdn"]) == ("submitted", None)


KEY = {"Idempotency-Key": "k-1"}


async def test_a_repeat_with_a_key_waits_as_the_first_did(client: AsyncClient, engine: AsyncEngine) -> None:
    """Who lost the line while the first one waited learns from the repeat what became of the message."""
    first = await client.post("/v1/messages", json=PLAIN, headers=KEY)
    moved = asyncio.create_task(later(engine, Status.DELIVERED))
    query: dict[str, Any] = {"wait": 10, "wait_for": "final"}
    waited = await client.post("/v1/messages", params=query, json=PLAIN, headers=KEY)
    await moved
    assert (waited.status_code, waited.json()["status"], waited.headers[REPLAYED]) == (202, "delivered", "true")
    assert waited.json().keys() == first.json().keys()
    begun = monotonic()
    at_once = await client.post("/v1/messages", params=query, json=PLAIN, headers=KEY)
    assert (at_once.json()["status"], at_once.json()["id"]) == ("delivered", first.json()["id"])
    assert monotonic() - begun < 5
    plain = await client.post("/v1/messages", json=PLAIN, headers=KEY)
    assert plain.json() == first.json(), "without waiting it is what was told at first"
    assert await count(engine) == 1


async def test_a_repeat_that_waits_in_vain_has_its_warnings_and_advice(
    client: AsyncClient, engine: AsyncEngine
) -> None:
    body = PLAIN | {"text": "Hi {name}"}
    first = (await client.post("/v1/messages", params={"wait": 0.2}, json=body, headers=KEY)).json()
    again = await client.post("/v1/messages", params={"wait": 0.3}, json=body, headers=KEY)
    assert again.headers[REPLAYED] == "true"
    assert again.json() == first
    assert len(set(first["warnings"])) == len(first["warnings"]) == 2
    assert first["advice"]


async def test_a_repeat_to_a_key_that_may_only_send_hides_the_contact(
    anonymous: AsyncClient, engine: AsyncEngine
) -> None:
    async with begin(engine) as tx:
        contact_id = await make_contact(tx, msisdn=NUMBER)
        key = {"Authorization": f"Bearer {(await make_api_key(tx, 'send')).text}"} | KEY
    body = {"contact_id": str(contact_id), "text": "Hello."}
    await anonymous.post("/v1/messages", json=body, headers=key)
    answer = await anonymous.post("/v1/messages", params={"wait": 0.1}, json=body, headers=key)
    assert (answer.headers[REPLAYED], answer.json()["msisdn"], answer.json()["text"]) == ("true", None, None)


@pytest.mark.parametrize("query", [{"wait": 11}, {"wait": "nan"}, {"wait": 1, "wait_for": "read"}])
async def test_a_repeat_waits_no_longer_than_a_first_one(client: AsyncClient, query: dict[str, Any]) -> None:
    await client.post("/v1/messages", json=PLAIN, headers=KEY)
    again = await client.post("/v1/messages", params=query, json=PLAIN, headers=KEY)
    assert again.status_code == 422
    (error,) = again.json()["errors"]
    assert error == (await send(client, query)).json()["errors"][0]


async def test_a_repeat_is_known_that_waited_under_the_version_before(
    client: AsyncClient, engine: AsyncEngine, pepper: bytes
) -> None:
    """That one took for how long it waited for a part of what was asked."""
    query = {"wait": 0.1}
    first = await client.post("/v1/messages", params=query, json=PLAIN, headers=KEY)
    plain = sha256(first.request.url.query + b"\nbody\n" + first.request.content).digest()
    old = b"\x01" + blake2b(plain, digest_size=32, key=pepper, person=b"idempotency").digest()
    async with begin(engine) as tx:
        await tx.execute(update(IdempotencyKey).values(fingerprint=old))
    again = await client.post("/v1/messages", params=query, json=PLAIN, headers=KEY)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])


@pytest.mark.parametrize("query", [{"wait": 11}, {"wait": -1}, {"wait": "nan"}, {"wait": 1, "wait_for": "read"}])
async def test_wait_that_is_refused(client: AsyncClient, engine: AsyncEngine, query: dict[str, Any]) -> None:
    assert (await send(client, query)).status_code == 422
    assert await count(engine) == 0


@pytest.mark.parametrize("status", Status)
def test_how_far_each_status_is(status: Status) -> None:
    assert is_reached(status, "submitted") is (status not in {Status.QUEUED, Status.SENDING})
    assert is_reached(status, "final") is (status in FINAL)


# --- tags in another service's manner


async def test_what_goes_out_as_it_stands_is_told(client: AsyncClient, engine: AsyncEngine, sealer: Sealer) -> None:
    async with begin(engine) as tx:
        await make_gateway(tx, sealer)
    plain = (await send(client, text="Hi {{ name }} or {name}")).json()
    assert [one.split(" ")[0] for one in plain["warnings"]] == ["`{{", "`{name}`"]
    assert all("`variables`" in one for one in plain["warnings"])
    filled = (await send(client, text="Hi %NAME%", variables={})).json()
    (told,) = filled["warnings"]
    assert "{{ name }}" in told
    assert (await send(client)).json()["warnings"] == []
    assert (await send(client, {"wait": 0.1}, text="Hi {name}")).json()["warnings"]
    stored = await template(client, "Hi {{ msisdn }}, {plan}")
    again = {"text": None, "template_id": stored, "client_reference": "order-9"}
    first = (await client.post("/v1/messages", json={k: v for k, v in (PLAIN | again).items() if v})).json()
    assert "`{plan}`" in first["warnings"][0]
    await client.delete(f"/v1/templates/{stored}")
    repeated = await client.post("/v1/messages", json={k: v for k, v in (PLAIN | again).items() if v})
    assert (repeated.status_code, repeated.json()["id"]) == (202, first["id"])


@pytest.mark.parametrize(
    "over",
    [
        pytest.param({"kind": "voucher", "text": "Your code: {code}"}, id="a voucher without its code"),
        pytest.param(VOUCHER | {"text": "Your code: %VOUCHER%"}, id="with the code told"),
        pytest.param({"text": "See you at {when}", "variables": {"when": "17:30"}}, id="a variable"),
        pytest.param({"text": "Hi %NAME%", "variables": {"name": "Ann"}}, id="a variable in a tag's place"),
    ],
)
async def test_a_value_told_with_the_message_is_not_left_out(
    client: AsyncClient, engine: AsyncEngine, over: dict[str, Any]
) -> None:
    answer = await send(client, **over)
    assert refused(answer) == ["/text"]
    assert answer.json()["type"] == "/problems/strange-tag"
    assert "{{ " in answer.json()["detail"]
    assert await count(engine) == 0


async def test_a_word_in_brackets_that_may_be_meant_is_only_told_of(client: AsyncClient) -> None:
    made = await send(client, kind="voucher", text="[Voucher] Your code: SPRING-25")
    assert made.status_code == 202
    assert made.json()["warnings"][0].startswith("`[Voucher]`")
