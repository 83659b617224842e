"""Callbacks of custom gateways: kept as their owner's mapping reads them, answered in the words it gives."""

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.ids import uuid7
from shared.models import InboundRow, ReceiptRow

ID = uuid7()
OWN: dict[str, Any] = {
    "name": "Own",
    "kind": "custom",
    "settings": {
        "url": "https://gateway.example/send",
        "payload": "to=%TO%&text=%MESSAGE%&dlr=%CALLBACK_URL%",
        "success_text": "OK",
        "receipt": {
            "id": "id",
            "status": "status",
            "statuses": {"DELIVRD": "delivered"},
            "reply": {"content_type": "text/plain", "body": "OK"},
        },
        "inbound": {"from": "from", "text": "text", "id": "id", "reply": {"body": "ACK"}},
    },
}


async def configure(client: httpx.AsyncClient, **settings: Any) -> dict[str, str]:
    answer = await client.post("/v1/gateways", json={**OWN, "settings": {**OWN["settings"], **settings}})
    assert answer.status_code == 201, answer.text
    return {name: urlsplit(url).path for name, url in answer.json()["callback_urls"].items()}


async def test_a_receipt_by_get_is_kept_and_answered(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    paths = await configure(client)
    answer = await client.get(f"{paths['status']}?m={ID}&a=2&status=delivrd")
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["content-type"].startswith("text/plain")
    async with begin(engine) as tx:
        row = (await tx.execute(select(ReceiptRow))).one()
    assert (row.message_id, row.attempt, row.status) == (UUID(str(ID)), 2, "delivered")


@pytest.mark.parametrize(
    ("reply", "status", "body"), [({"status": 202, "body": "ACK"}, 202, "ACK"), ({"status": 204}, 204, "")]
)
async def test_the_answer_has_the_status_that_its_gateway_wants(
    client: httpx.AsyncClient, reply: dict[str, Any], status: int, body: str
) -> None:
    receipt = {**OWN["settings"]["receipt"], "reply": reply}
    paths = await configure(client, receipt=receipt, inbound={**OWN["settings"]["inbound"], "reply": reply})
    for answer in (
        await client.post(paths["status"], json={"id": "1", "status": "DELIVRD"}),
        await client.post(paths["inbound"], json={"from": "+447700900123", "text": "hi", "id": "1"}),
    ):
        assert (answer.status_code, answer.text) == (status, body)


async def test_no_news_is_answered_too(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    paths = await configure(client)
    answer = await client.post(paths["status"], json={"id": "1", "status": "PONDERED"})
    assert (answer.status_code, answer.text) == (200, "OK")
    async with begin(engine) as tx:
        assert (await tx.execute(select(ReceiptRow))).all() == []


async def test_without_words_the_answer_is_silent(client: httpx.AsyncClient) -> None:
    receipt = {name: value for name, value in OWN["settings"]["receipt"].items() if name != "reply"}
    paths = await configure(client, receipt=receipt)
    answer = await client.post(paths["status"], json={"id": "1", "status": "DELIVRD"})
    assert (answer.status_code, answer.content) == (200, b"")


async def test_an_inbound_message_opts_out(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    paths = await configure(client)
    answer = await client.post(paths["inbound"], json={"from": "447700900123", "text": "STOP", "id": "1"})
    assert (answer.status_code, answer.text) == (200, "ACK")
    async with begin(engine) as tx:
        row = (await tx.execute(select(InboundRow))).one()
    assert (row.msisdn, row.keyword) == ("+447700900123", "stop")
    listed = (await client.get("/v1/opt-outs")).json()["items"]
    assert [one["msisdn"] for one in listed] == ["+447700900123"]


async def test_what_is_no_receipt_is_refused(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    paths = await configure(client)
    for body in ({"id": "1"}, {"status": "DELIVRD"}, {}):
        assert (await client.post(paths["status"], json=body)).status_code == 422
    async with begin(engine) as tx:
        assert (await tx.execute(select(ReceiptRow))).all() == []


async def test_either_address_takes_both_where_they_can_be_told_apart(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    """BulkSMS calls one URL for both, and never again with what was refused."""
    answer = await client.post(
        "/v1/gateways",
        json={
            "name": "BulkSMS",
            "kind": "custom",
            "preset": "bulksms",
            "settings": {"sender_id": "Lapwing"},
            "secrets": {"token_id": "one", "token_secret": "two"},
        },
    )
    assert answer.status_code == 201, answer.text
    paths = {name: urlsplit(url).path for name, url in answer.json()["callback_urls"].items()}
    for number, path in enumerate(paths.values()):
        sent = {"id": f"BS{number}", "type": "SENT", "from": "x", "to": "12025550141", "body": "Say STOP to stop"}
        heard = {"id": f"i{number}", "type": "RECEIVED", "from": f"1202555014{number}", "to": "1", "body": "STOP"}
        for told in (
            [{**sent, "status": {"type": "DELIVERED"}}],
            [{**heard, "relatedSentMessageId": "BS1", "status": None}],
            [{**sent, "id": f"BT{number}", "status": {"type": "FAILED"}}, {**heard, "id": f"j{number}", "body": "Hi"}],
            [],
        ):
            assert (await client.post(path, json=told)).status_code == 200
        assert (await client.post(path, json=[{"id": "9"}])).status_code == 422
    async with begin(engine) as tx:
        receipts = (await tx.execute(select(ReceiptRow.reference, ReceiptRow.status))).all()
        inbound = (await tx.execute(select(InboundRow.reference, InboundRow.msisdn, InboundRow.text))).all()
    assert {tuple(row) for row in receipts} == {
        *((f"BS{number}", "delivered") for number in range(2)),
        *((f"BT{number}", "undelivered") for number in range(2)),
    }
    assert {tuple(row) for row in inbound} == {
        *((f"i{number}", f"+1202555014{number}", "STOP") for number in range(2)),
        *((f"j{number}", f"+1202555014{number}", "Hi") for number in range(2)),
    }
    listed = (await client.get("/v1/opt-outs")).json()["items"]
    assert {one["msisdn"] for one in listed} == {"+12025550140", "+12025550141"}


async def test_an_inbound_message_where_receipts_go_is_told_where_to_go(client: httpx.AsyncClient) -> None:
    paths = await configure(client)
    answer = await client.post(paths["status"], json={"from": "447700900123", "text": "STOP", "id": "1"})
    assert answer.status_code == 422
    assert "inbound address of callback_urls" in answer.json()["detail"]


async def test_every_receipt_of_a_long_list_is_kept(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    paths = await configure(client)
    told = [{"id": str(number), "status": "DELIVRD"} for number in range(1200)]
    assert (await client.post(paths["status"], json=told)).status_code == 200
    async with begin(engine) as tx:
        assert len((await tx.execute(select(ReceiptRow.id))).all()) == 1200


async def test_hundreds_of_receipts_in_one_request_are_kept(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    """As Infobip words them, half a kilobyte each."""
    wordy = {"to": "447700900123", "price": {"perMessage": 0.01}, "error": {"name": "NO_ERROR"}, "filler": "x" * 430}
    paths = await configure(client)
    told = [{"id": str(number), "status": "DELIVRD", **wordy} for number in range(400)]
    answer = await client.post(paths["status"], json=told)
    assert answer.status_code == 200, answer.text
    async with begin(engine) as tx:
        assert len((await tx.execute(select(ReceiptRow.id))).all()) == 400
    answer = await client.post(paths["status"], json=told * 2)
    assert (answer.status_code, answer.json()["status"]) == (413, 413)
    assert "Have the vendor send fewer at once" in answer.json()["detail"]


async def test_json_that_is_called_a_form_is_kept_without_what_it_says(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    paths = await configure(client)
    answer = await client.post(
        paths["status"],
        content=b'{"text": "my secret", "to": "447700900123", "id": "1", "status": "DELIVRD"}',
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 200
    async with begin(engine) as tx:
        row = (await tx.execute(select(ReceiptRow))).one()
    assert row.reference == "1"
    assert "secret" not in str(row.raw)
    assert "447700900123" not in str(row.raw)
