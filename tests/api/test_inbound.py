"""Messages from handsets: kept once, linked to whom and what they answer, obeyed when they say STOP or START."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.domain.message import Kind, Status
from shared.ids import uuid7
from shared.models import AuditEntry, Contact, InboundRow, Message, OptOut
from shared.sealing import hash_msisdn
from tests.factories import make_api_key
from tests.handsets import ACCOUNT_SID, Handsets

TOKEN = "0123456789abcdef0123456789abcdef"
ANNA, BEN, OURS = "+12025550142", "+447700900123", "+12025550199"


@pytest.fixture
async def handsets(client: httpx.AsyncClient, anonymous: httpx.AsyncClient) -> Handsets:
    answer = await client.post(
        "/v1/gateways",
        json={
            "name": "Main",
            "kind": "twilio",
            "settings": {"account_sid": ACCOUNT_SID, "from": OURS},
            "secrets": {"api_secret": TOKEN},
        },
    )
    assert answer.status_code == 201, answer.text
    gateway = answer.json()
    return Handsets(anonymous, gateway["callback_urls"]["inbound"], gateway["id"], TOKEN, OURS)


async def rows(engine: AsyncEngine, table: Any = InboundRow) -> Sequence[Any]:
    async with begin(engine) as tx:
        return (await tx.execute(select(table).order_by(table.id))).all()


async def insert_message(engine: AsyncEngine, *, at: datetime, **over: Any) -> None:
    row = {
        "id": uuid7(at),
        "kind": Kind.CAMPAIGN,
        "status": Status.DELIVERED,
        "priority": 2,
        "msisdn": ANNA,
        "msisdn_hash": bytes(16),
        "text": "Autumn sale",
        "encoding": "gsm7",
        "segments": 1,
        "attempt": 1,
        "not_before": at,
        "created_at": at,
        "status_at": at,
    }
    async with begin(engine) as tx:
        await tx.execute(insert(Message).values(row | over))


async def test_kept_with_whom_and_what_it_answers(handsets: Handsets, engine: AsyncEngine, now: datetime) -> None:
    contact_id, campaign_id = uuid7(now), uuid7(now)
    async with begin(engine) as tx:
        await tx.execute(insert(Contact).values(id=contact_id, msisdn=ANNA, created_at=now, updated_at=now))
    day = timedelta(days=1)
    await insert_message(engine, at=now - 3 * day, campaign_id=uuid7(now))
    await insert_message(engine, at=now - 2 * day, campaign_id=campaign_id)
    await insert_message(engine, at=now - day, campaign_id=None, kind=Kind.PERSONAL)
    await insert_message(engine, at=now - day, campaign_id=uuid7(now), attempt=0, status=Status.SKIPPED)
    await insert_message(engine, at=now - day, campaign_id=uuid7(now), msisdn=BEN)

    answer = await handsets.write(ANNA, "What are your hours?")
    assert (answer.status_code, answer.content) == (200, b"<Response/>")
    assert answer.headers["content-type"].startswith("text/xml")
    (row,) = await rows(engine)
    assert str(row.gateway_id) == handsets.gateway_id
    assert (row.msisdn, row.to, row.text) == (ANNA, OURS, "What are your hours?")
    assert (row.keyword, row.contact_id, row.campaign_id) == (None, contact_id, campaign_id)
    assert await rows(engine, OptOut) == []


async def test_a_campaign_of_last_season_is_not_meant(handsets: Handsets, engine: AsyncEngine, now: datetime) -> None:
    await insert_message(engine, at=now - timedelta(days=31), campaign_id=uuid7(now))
    await handsets.write(ANNA, "Hello?")
    (row,) = await rows(engine)
    assert (row.contact_id, row.campaign_id) == (None, None)


async def test_told_twice_kept_once(handsets: Handsets, engine: AsyncEngine) -> None:
    for _ in range(2):
        answer = await handsets.write(ANNA, "Hello", MessageSid="SM" + "7" * 32)
        assert answer.status_code == 200
    assert len(await rows(engine)) == 1


@pytest.mark.parametrize(
    ("text", "over"),
    [
        pytest.param("STOP", {}, id="the word"),
        pytest.param(" stop. ", {}, id="decorated"),
        pytest.param("Arrêt", {}, id="in French"),
        pytest.param("genug", {"OptOutType": "STOP"}, id="named by the gateway"),
    ],
)
async def test_stop_opts_out(
    handsets: Handsets, engine: AsyncEngine, pepper: bytes, text: str, over: dict[str, str]
) -> None:
    assert (await handsets.write(ANNA, text, **over)).status_code == 200
    (row,) = await rows(engine)
    (opt_out,) = await rows(engine, OptOut)
    assert row.keyword == "stop"
    assert (opt_out.msisdn, opt_out.source) == (ANNA, "inbound")
    assert opt_out.msisdn_hash == hash_msisdn(pepper, ANNA)
    assert str(opt_out.gateway_id) == handsets.gateway_id
    (entry,) = [e for e in await rows(engine, AuditEntry) if e.action == "opt_out.added"]
    assert (entry.caller, entry.subject_id) == (f"gateway:{handsets.gateway_id}", str(opt_out.id))
    assert entry.detail == {"source": "inbound", "inbound_id": str(row.id), "sender_ids": None}
    assert ANNA not in str(entry)


async def test_a_sentence_with_the_word_is_for_a_human(handsets: Handsets, engine: AsyncEngine) -> None:
    await handsets.write(ANNA, "Do you stop at the harbour?")
    assert (await rows(engine))[0].keyword is None
    assert await rows(engine, OptOut) == []


async def test_start_ends_it(handsets: Handsets, engine: AsyncEngine, client: httpx.AsyncClient) -> None:
    """Whoever added it: the person has the last word. Another person's stays."""
    for number in (ANNA, BEN):
        await client.post("/v1/opt-outs", json={"msisdn": number})
    await handsets.write(ANNA, "START")
    await handsets.write(ANNA, "Start")
    assert [one.msisdn for one in await rows(engine, OptOut)] == [BEN]
    removed = [e for e in await rows(engine, AuditEntry) if e.action == "opt_out.removed"]
    assert len(removed) == 1


async def test_a_replayed_stop_opts_nobody_out_again(handsets: Handsets, engine: AsyncEngine) -> None:
    await handsets.write(ANNA, "STOP", MessageSid="SM" + "7" * 32)
    await handsets.write(ANNA, "START")
    await handsets.write(ANNA, "STOP", MessageSid="SM" + "7" * 32)
    assert await rows(engine, OptOut) == []
    assert len(await rows(engine)) == 2


async def test_forged_words_opt_nobody_out(handsets: Handsets, engine: AsyncEngine) -> None:
    fields = {"AccountSid": ACCOUNT_SID, "MessageSid": "SM1", "From": ANNA, "Body": "STOP"}
    forged = await handsets.client.post(handsets.url, data=fields)
    assert forged.status_code == 403
    token = handsets.url.split("/")[-2]
    wrong = await handsets.client.post(handsets.url.replace(token, "x" * 32), data=fields)
    assert wrong.status_code == 404
    assert (await handsets.write(ANNA, "STOP", AccountSid="AC" + "9" * 32)).status_code == 403
    assert await rows(engine) == []
    assert await rows(engine, OptOut) == []


async def test_odd_texts_are_kept(handsets: Handsets, engine: AsyncEngine) -> None:
    await handsets.write(ANNA, "a\0b 😀\n" * 50)
    assert (await rows(engine))[0].text == "ab 😀\n" * 50


async def test_read_by_filter_and_page(handsets: Handsets, engine: AsyncEngine, client: httpx.AsyncClient) -> None:
    for number, text in ((ANNA, "one"), (BEN, "two"), (ANNA, "STOP"), (BEN, "three")):
        await handsets.write(number, text)

    async def texts(**params: Any) -> list[str]:
        answer = await client.get("/v1/inbound", params=params)
        assert answer.status_code == 200, answer.text
        return sorted(one["text"] for one in answer.json()["items"])

    assert await texts() == ["STOP", "one", "three", "two"]
    assert await texts(msisdn=ANNA) == ["STOP", "one"]
    assert await texts(msisdn="+44 7700 900123") == ["three", "two"]
    assert await texts(msisdn=f" {ANNA[1:]}") == ["STOP", "one"]  # a plus that nobody escaped
    assert await texts(keyword="stop") == ["STOP"]
    assert await texts(gateway_id=handsets.gateway_id) == await texts()
    assert await texts(gateway_id=str(UUID(int=0))) == []

    first = (await client.get("/v1/inbound", params={"limit": 3})).json()
    rest = (await client.get("/v1/inbound", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    ids = [one["id"] for one in first["items"] + rest["items"]]
    assert ids == sorted(ids, reverse=True)
    assert (len(ids), rest["next_cursor"]) == (4, None)


async def test_read_by_time(handsets: Handsets, engine: AsyncEngine, client: httpx.AsyncClient, now: datetime) -> None:
    moments = [now - timedelta(hours=hours) for hours in (3, 2, 1)]
    for moment in moments:
        await handsets.write(ANNA, f"{moment:%H}")
        async with begin(engine) as tx:
            await tx.execute(
                update(InboundRow).where(InboundRow.text == f"{moment:%H}").values(id=uuid7(moment), received_at=moment)
            )
    between = {"from": moments[1].isoformat(), "to": moments[2].isoformat()}
    found = (await client.get("/v1/inbound", params=between)).json()["items"]
    assert [one["text"] for one in found] == [f"{moments[1]:%H}"]
    ancient = {"from": "0001-01-01T00:00:00Z", "to": "9999-12-31T00:00:00Z"}
    assert len((await client.get("/v1/inbound", params=ancient)).json()["items"]) == 3


@pytest.mark.parametrize(
    ("params", "pointer"),
    [
        pytest.param({"from": "2026-01-01T00:00:00"}, "?from", id="a time without a zone"),
        pytest.param({"keyword": "halt"}, "?keyword", id="no keyword"),
        pytest.param({"gateway_id": "x"}, "?gateway_id", id="no id"),
        pytest.param({"cursor": "e30"}, "?cursor", id="another list's cursor"),
    ],
)
async def test_filters_that_cannot_be(client: httpx.AsyncClient, params: dict[str, str], pointer: str) -> None:
    answer = await client.get("/v1/inbound", params=params)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_scopes_decide(anonymous: httpx.AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "read")
    assert (await anonymous.get("/v1/inbound")).status_code == 401
    headers = {"Authorization": f"Bearer {key.text}"}
    assert (await anonymous.get("/v1/inbound", headers=headers)).status_code == 200


async def test_sentence_that_may_mean_stop_is_read_by_somebody(
    handsets: Handsets, client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    await handsets.write(ANNA, "Please stop texting me")
    await handsets.write(BEN, "Thanks!")
    await handsets.write(BEN, "leave me alone")
    async with begin(engine) as tx:
        assert (await tx.execute(select(OptOut))).all() == []
    waiting = (await client.get("/v1/inbound", params={"review": True})).json()["items"]
    assert [one["msisdn"] for one in waiting] == [BEN, ANNA]
    assert len((await client.get("/v1/inbound", params={"review": False})).json()["items"]) == 1
    path = f"/v1/inbound/{waiting[1]['id']}/resolve"
    told = await client.post(path, json={"opt_out": True})
    assert (told.status_code, told.json()["reviewed_by"]) == (200, "admin")
    again = await client.post(path, json={"opt_out": True})
    assert (again.status_code, again.json()["type"]) == (409, "/problems/nothing-to-review")
    assert (await client.post(f"/v1/inbound/{waiting[0]['id']}/resolve", json={"opt_out": False})).status_code == 200
    assert (await client.get("/v1/inbound", params={"review": True})).json()["items"] == []
    async with begin(engine) as tx:
        (opt_out,) = (await tx.execute(select(OptOut))).all()
        actions = set((await tx.execute(select(AuditEntry.action))).scalars())
    assert (opt_out.msisdn, opt_out.source) == (ANNA, "inbound")
    assert "inbound.resolved" in actions


async def test_resolve_refused(client: httpx.AsyncClient) -> None:
    path = f"/v1/inbound/{uuid7()}/resolve"
    assert (await client.post(path, json={"opt_out": True})).status_code == 404
    assert (await client.post(path, json={})).status_code == 422


# --- words of the owner's own


@pytest.fixture
async def own_words(client: httpx.AsyncClient) -> None:
    keywords = {"stop": {"sw": ["acha"], "ru": ["отписаться"]}, "start": {"sw": ["anza"]}, "help": {"sw": ["msaada"]}}
    answer = await client.put("/v1/policy", json={"keywords": keywords})
    assert answer.json()["keywords"] == keywords


@pytest.mark.usefixtures("own_words")
async def test_owners_words_are_obeyed(handsets: Handsets, engine: AsyncEngine) -> None:
    for text, held in (("ACHA!", 1), ("msaada", 1), ("Anza", 0), ("Отписаться", 1), ("start", 0), ("stop", 1)):
        await handsets.write(ANNA, text)
        assert len(await rows(engine, OptOut)) == held, text
    assert [row.keyword for row in await rows(engine)] == ["stop", "help", "start", "stop", "start", "stop"]


@pytest.mark.usefixtures("own_words")
async def test_what_the_gateway_calls_it_comes_before_owners_words(handsets: Handsets, engine: AsyncEngine) -> None:
    await handsets.write(ANNA, "acha", OptOutType="HELP")
    assert [row.keyword for row in await rows(engine)] == ["help"]
    assert await rows(engine, OptOut) == []


@pytest.mark.usefixtures("own_words")
async def test_a_sentence_with_an_owners_word_is_for_a_human(handsets: Handsets, engine: AsyncEngine) -> None:
    await handsets.write(ANNA, "Acha kunitumia ujumbe")
    await handsets.write(ANNA, "Asante sana")
    assert [(row.keyword, row.review) for row in await rows(engine)] == [(None, True), (None, False)]


async def test_without_the_owners_word_it_is_a_reply(handsets: Handsets, engine: AsyncEngine) -> None:
    await handsets.write(ANNA, "ACHA!")
    assert [(row.keyword, row.review) for row in await rows(engine)] == [(None, False)]


# --- where the policy keeps senders apart


OTHERS = "+12025550198"


@pytest.fixture
async def apart(client: httpx.AsyncClient) -> None:
    answer = await client.put("/v1/policy", json={"opt_out_scope": "sender"})
    assert answer.status_code == 200, answer.text


async def held_back(engine: AsyncEngine) -> list[Any]:
    return [one.sender_ids for one in await rows(engine, OptOut)]


@pytest.mark.usefixtures("apart")
async def test_stop_is_to_the_number_it_is_written_to(handsets: Handsets, engine: AsyncEngine) -> None:
    await handsets.write(ANNA, "STOP")
    await handsets.write(ANNA, "Stop")
    assert await held_back(engine) == [[OURS]]
    await handsets.write(ANNA, "Arrêt", To=OTHERS)
    assert await held_back(engine) == [[OTHERS, OURS]]
    added = [e.detail["sender_ids"] for e in await rows(engine, AuditEntry) if e.action == "opt_out.added"]
    assert added == [[OURS], [OTHERS]]


@pytest.mark.usefixtures("apart")
async def test_stop_to_nobody_knows_whom_is_to_all(handsets: Handsets, engine: AsyncEngine) -> None:
    await handsets.write(ANNA, "STOP", To="")
    assert await held_back(engine) == [None]


@pytest.mark.usefixtures("apart")
async def test_start_is_to_the_number_it_is_written_to(handsets: Handsets, engine: AsyncEngine) -> None:
    for to in (OURS, OTHERS):
        await handsets.write(ANNA, "STOP", To=to)
    await handsets.write(ANNA, "START", To=OTHERS)
    assert await held_back(engine) == [[OURS]]
    await handsets.write(ANNA, "START", To=OTHERS)  # nothing to end
    await handsets.write(ANNA, "START")
    assert await held_back(engine) == []
    removed = [e.detail["sender_ids"] for e in await rows(engine, AuditEntry) if e.action == "opt_out.removed"]
    assert removed == [[OTHERS], [OURS]]
    assert not any(row.review for row in await rows(engine))


@pytest.mark.usefixtures("apart")
async def test_start_to_one_leaves_a_no_to_all_that_an_owner_keeps(
    handsets: Handsets, engine: AsyncEngine, client: httpx.AsyncClient
) -> None:
    await client.post("/v1/opt-outs", json={"msisdn": ANNA})
    await handsets.write(ANNA, "START")
    assert await held_back(engine) == [None]
    (waiting,) = (await client.get("/v1/inbound", params={"review": True})).json()["items"]
    assert (waiting["text"], waiting["keyword"]) == ("START", "start")


async def test_start_ends_a_stop_from_before_senders_were_kept_apart(
    handsets: Handsets, engine: AsyncEngine, client: httpx.AsyncClient
) -> None:
    await handsets.write(ANNA, "STOP", To=OTHERS)
    await client.put("/v1/policy", json={"opt_out_scope": "sender"})
    await handsets.write(ANNA, "START")
    assert await held_back(engine) == []


async def test_start_ends_everything_once_senders_are_one_again(
    handsets: Handsets, engine: AsyncEngine, client: httpx.AsyncClient
) -> None:
    await client.put("/v1/policy", json={"opt_out_scope": "sender"})
    for to in (OURS, OTHERS):
        await handsets.write(ANNA, "STOP", To=to)
    await client.put("/v1/policy", json={})
    await handsets.write(ANNA, "START", To=OTHERS)
    assert await held_back(engine) == []


@pytest.mark.usefixtures("apart")
async def test_a_person_s_verdict_is_on_the_number_it_was_written_to(
    handsets: Handsets, engine: AsyncEngine, client: httpx.AsyncClient
) -> None:
    await handsets.write(ANNA, "please stop texting me")
    (waiting,) = (await client.get("/v1/inbound", params={"review": True})).json()["items"]
    answer = await client.post(f"/v1/inbound/{waiting['id']}/resolve", json={"opt_out": True})
    assert answer.status_code == 200
    assert await held_back(engine) == [[OURS]]


@pytest.mark.parametrize(
    ("told", "sent_at"),
    [
        pytest.param("2026-01-31T10:30:00+01:00", "2026-01-31T09:30:00Z", id="told"),
        pytest.param("yesterday", None, id="nobody can read it"),
        pytest.param(None, None, id="not told"),
    ],
)
async def test_when_it_was_sent_is_shown_where_the_gateway_tells(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, told: str | None, sent_at: str | None
) -> None:
    settings = {
        "url": "https://gateway.example/send",
        "payload": "to=%TO%&m=%MESSAGE%",
        "success_text": "OK",
        "inbound": {"from": "from", "text": "text", "time": "at"},
    }
    made = await client.post("/v1/gateways", json={"name": "Own", "kind": "custom", "settings": settings})
    assert made.status_code == 201, made.text
    heard = await anonymous.post(
        made.json()["callback_urls"]["inbound"], json={"from": ANNA, "text": "Hello", "at": told}
    )
    assert heard.status_code == 200
    (shown,) = (await client.get("/v1/inbound")).json()["items"]
    assert (shown["text"], shown["sent_at"]) == ("Hello", sent_at)
