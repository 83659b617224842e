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
