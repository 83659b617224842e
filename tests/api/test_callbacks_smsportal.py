"""SMSPortal's webhooks over HTTP: by GET and by POST, whatever they call their JSON, and signed for five minutes."""

import hmac
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import utc_now
from shared.db import begin
from shared.ids import uuid7
from shared.models import InboundRow, OptOut, ReceiptRow

KEY = "a-signature-secret"
SIGNED = {"signature_header": "X-Sms-Signature", "timestamp_header": "X-Sms-Timestamp"}


async def configure(client: httpx.AsyncClient, *, signed: bool = False) -> Mapping[str, str]:
    answer = await client.post(
        "/v1/gateways",
        json={
            "name": "SMSPortal",
            "kind": "smsportal",
            "settings": SIGNED if signed else {},
            "secrets": {"client_id": "id", "api_secret": "secret"} | ({"signature_secret": KEY} if signed else {}),
        },
    )
    assert answer.status_code == 201, answer.text
    urls: Mapping[str, str] = answer.json()["callback_urls"]
    return urls


async def rows(engine: AsyncEngine, table: Any) -> Sequence[Any]:
    async with begin(engine) as tx:
        return (await tx.execute(select(table))).all()


def signature(url: str, body: bytes, *, age: timedelta) -> dict[str, str]:
    at = str(int((utc_now() - age).timestamp()))
    digest = hmac.digest(KEY.encode(), f"v1:{at}|POST|{url}|".encode() + body, "sha256")
    return {"X-Sms-Signature": digest.hex(), "X-Sms-Timestamp": at}


async def test_receipts_of_each_style(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    urls = await configure(client)
    ids = [uuid7() for _ in range(3)]
    v1 = {
        "EventID": "5",
        "Phonenumber": "447700900123",
        "Data": "Hello",
        "Status": "DELIVRD",
        "CustomerID": f"{ids[0]}.1",
    }
    v2 = {"EventId": 5, "Msisdn": "447700900123", "Status": "BLIST", "UserReference": f"{ids[1]}.2"}
    v3 = {
        "eventId": 5,
        "phoneNumber": "447700900123",
        "sentData": "Hello",
        "status": "SUBMITD",
        "customerId": f"{ids[2]}.1",
    }
    answers = [
        await anonymous.get(urls["status"], params=v1),
        await anonymous.post(urls["status"], content=json.dumps(v2), headers={"content-type": "text/plain"}),
        await anonymous.post(urls["status"], json=v3),
    ]
    assert [answer.status_code for answer in answers] == [200] * 3
    found = {row.message_id: row for row in await rows(engine, ReceiptRow)}
    assert [(found[id_].status, found[id_].attempt, found[id_].opted_out) for id_ in ids] == [
        ("delivered", 1, False),
        ("undelivered", 2, True),
        ("sent", 1, False),
    ]
    kept = json.dumps([row.raw for row in found.values()])
    assert "Hello" not in kept
    assert "447700900123" not in kept


async def test_a_signature_is_good_for_five_minutes(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    url = (await configure(client, signed=True))["status"]
    body = json.dumps({"Status": "DELIVRD", "UserReference": f"{uuid7()}.1"}).encode()
    old = await anonymous.post(url, content=body, headers=signature(url, body, age=timedelta(minutes=6)))
    forged = await anonymous.post(url, content=body + b" ", headers=signature(url, body, age=timedelta()))
    assert [answer.status_code for answer in (old, forged)] == [403, 403]
    assert not await rows(engine, ReceiptRow)
    fresh = await anonymous.post(url, content=body, headers=signature(url, body, age=timedelta(minutes=4)))
    assert fresh.status_code == 200
    assert len(await rows(engine, ReceiptRow)) == 1


@pytest.mark.parametrize("copies", [1, 3])
async def test_a_stop_opts_out_once(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine, copies: int
) -> None:
    url = (await configure(client))["inbound"]
    said = {"IncomingID": "7", "Phonenumber": "447700900123", "IncomingData": "Stop", "EventID": "5"}
    for _ in range(copies):
        answer = await anonymous.get(url, params=said)
        assert (answer.status_code, answer.content) == (200, b"")
    (inbound,) = await rows(engine, InboundRow)
    assert (inbound.msisdn, inbound.keyword) == ("+447700900123", "stop")
    assert len(await rows(engine, OptOut)) == 1


async def test_a_signature_without_its_header_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        "/v1/gateways",
        json={
            "name": "SMSPortal",
            "kind": "smsportal",
            "secrets": {"client_id": "id", "api_secret": "secret", "signature_secret": KEY},
        },
    )
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [
        "/settings/signature_header",
        "/settings/timestamp_header",
    ]
