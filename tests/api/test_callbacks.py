"""Receipts over HTTP: kept before they are answered, told twice but kept once, and from nobody but the gateway."""

import asyncio
import base64
import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.middleware import Middleware

from api.callbacks import known
from api.callbacks.shortcut import Shortcut
from api.main import create_app, equip
from api.resources import Resources
from shared.clock import utc_now
from shared.db import begin, build_engine
from shared.ids import time_of, uuid7
from shared.log import JsonLines
from shared.models import Gateway, ReceiptRow

TOKEN = "0123456789abcdef0123456789abcdef"
SID = "SM" + "1" * 32
MSISDN = "+12025550142"


@dataclass(frozen=True)
class Account:
    """A Twilio account configured here, as Twilio would see it."""

    id: str
    sid: str
    status_url: str
    inbound_url: str
    token: str = TOKEN

    def fields(self, **over: str) -> dict[str, str]:
        usual = {
            "AccountSid": self.sid,
            "MessageSid": SID,
            "SmsSid": SID,
            "MessageStatus": "delivered",
            "To": MSISDN,
            "From": "+447700900123",
            "ApiVersion": "2010-04-01",
        }
        return {**usual, **over}


def signature(url: str, fields: Mapping[str, str], token: str) -> str:
    """As in Twilio's description: the address, then each field's name and value, in the names' order."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha1")).decode()


async def configure(client: httpx.AsyncClient, name: str = "Main", digit: str = "0") -> Account:
    answer = await client.post(
        "/v1/gateways",
        json={
            "name": name,
            "kind": "twilio",
            "settings": {"account_sid": "AC" + digit * 32, "from": "+12025550199"},
            "secrets": {"api_secret": TOKEN},
        },
    )
    assert answer.status_code == 201, answer.text
    urls = answer.json()["callback_urls"]
    return Account(answer.json()["id"], "AC" + digit * 32, urls["status"], urls["inbound"])


async def post(
    client: httpx.AsyncClient, account: Account, url: str, fields: Mapping[str, str], **headers: str
) -> httpx.Response:
    sign = {"X-Twilio-Signature": signature(url, fields, account.token)}
    return await client.post(url, data=dict(fields), headers={**sign, **headers})


async def rows(engine: AsyncEngine) -> Sequence[Any]:
    async with begin(engine) as tx:
        return (await tx.execute(select(ReceiptRow).order_by(ReceiptRow.received_at))).all()


@pytest.fixture(scope="module")
def apps_by_way() -> dict[str, FastAPI]:
    """Putting an app together takes longer than most of these tests."""
    return {}


@pytest.fixture(params=["shortcut", "framework"])
def app(apps_by_way: dict[str, FastAPI], resources: Resources, request: pytest.FixtureRequest) -> FastAPI:
    """Callbacks are served in two ways, which must not differ."""
    way: str = request.param
    if way not in apps_by_way:
        apps_by_way[way] = _served(create_app(resources), by=way)
    equip(apps_by_way[way], resources)
    return apps_by_way[way]


def _served(app: FastAPI, *, by: str) -> FastAPI:
    app.user_middleware = [one for one in app.user_middleware if getattr(one.cls, "__name__", "") != "Shortcut"]
    if by == "shortcut":
        app.user_middleware.append(Middleware(Shortcut))  # the innermost, within the front door
    return app


@pytest.fixture
async def account(client: httpx.AsyncClient) -> Account:
    return await configure(client)


async def test_a_receipt_is_kept_before_it_is_answered(
    anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine
) -> None:
    message_id = uuid7()
    url = f"{account.status_url}?m={message_id}&a=2"
    answer = await post(anonymous, account, url, account.fields(ErrorCode="30003"))
    assert (answer.status_code, answer.content) == (200, b"")
    assert "text/plain" not in answer.headers.get("content-type", "")

    (row,) = await rows(engine)
    assert str(row.gateway_id) == account.id
    assert (row.message_id, row.attempt, row.reference) == (message_id, 2, SID)
    assert (row.status, row.code, row.opted_out) == ("delivered", "30003", False)
    assert row.applied_at is None
    assert row.next_at == row.received_at
    assert time_of(row.id) == time_of(message_id)
    assert row.raw["MessageStatus"] == "delivered"


async def test_a_receipt_rings(
    anonymous: httpx.AsyncClient, account: Account, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    rung: list[str] = []
    monkeypatch.setattr(resources.doorbell, "ring", rung.append)
    await post(anonymous, account, account.status_url, account.fields())
    assert rung == ["bulk"]


async def test_told_twice_kept_once(anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine) -> None:
    url = f"{account.status_url}?m={uuid7()}&a=1"
    for _ in range(3):
        assert (await post(anonymous, account, url, account.fields())).status_code == 200
    await asyncio.gather(*(post(anonymous, account, url, account.fields()) for _ in range(10)))
    assert len(await rows(engine)) == 1

    for status in ("sent", "undelivered"):
        fields = account.fields(MessageStatus=status)
        assert (await post(anonymous, account, url, fields)).status_code == 200
    assert {row.status for row in await rows(engine)} == {"delivered", "sent", "undelivered"}


async def test_told_twice_without_our_id_kept_once(
    anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine
) -> None:
    """A receipt that names only the gateway's reference waits like any other, in the day it came."""
    for _ in range(2):
        await post(anonymous, account, account.status_url, account.fields())
    (row,) = await rows(engine)
    assert (row.message_id, row.reference, row.applied_at) == (None, SID, None)
    assert time_of(row.id).date() == row.received_at.date()


async def test_a_message_nobody_knows_is_kept_pending(
    anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine
) -> None:
    """It may be told before the send is recorded; and ids that are none of ours break no partition."""
    for message_id in (uuid7(), uuid4(), UUID(int=(2**48 - 1 << 80) | 7 << 76 | 2 << 62)):
        url = f"{account.status_url}?m={message_id}"
        assert (await post(anonymous, account, url, account.fields())).status_code == 200
    kept = await rows(engine)
    assert [row.applied_at for row in kept] == [None] * 3
    async with begin(engine) as tx:
        assert await tx.scalar(text("SELECT count(*) FROM ONLY receipts_default")) == 0


async def test_get_is_read_from_the_query(anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine) -> None:
    url = f"{account.status_url}?{urlencode(account.fields())}"
    sign = {"X-Twilio-Signature": signature(url, {}, TOKEN)}
    assert (await anonymous.get(url, headers=sign)).status_code == 200
    (row,) = await rows(engine)
    assert row.reference == SID


async def test_the_signature_is_of_our_public_address(
    anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine
) -> None:
    """What `Host` and `X-Forwarded-*` say changes nothing, and neither does an odd but legal query."""
    url = f"{account.status_url}?m={uuid7()}&note=a%2Fb+c%7e&&empty="
    lies = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"}
    assert (await post(anonymous, account, url, account.fields(), **lies)).status_code == 200

    elsewhere = url.replace("https://sms.example.com", "https://evil.example")
    fields = account.fields(MessageStatus="sent")
    sign = {"X-Twilio-Signature": signature(elsewhere, fields, TOKEN)}
    answer = await anonymous.post(url, data=fields, headers={**sign, **lies})
    assert answer.status_code == 403
    assert len(await rows(engine)) == 1


async def test_forged_news_is_refused_and_not_kept(
    anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine
) -> None:
    url, fields = f"{account.status_url}?m={uuid7()}&a=1", account.fields()
    good = signature(url, fields, TOKEN)
    other = f"{account.status_url}?m={uuid7()}&a=1"
    attempts = [
        await anonymous.post(url, data=fields),
        await anonymous.post(url, data=fields, headers={"X-Twilio-Signature": "nonsense"}),
        await anonymous.post(url, data=fields, headers=[(b"X-Twilio-Signature", "é".encode())]),
        await post(anonymous, replace(account, token="f" * 32), url, fields),
        await anonymous.post(other, data=fields, headers={"X-Twilio-Signature": good}),
        await anonymous.post(
            url, data={**fields, "MessageStatus": "undelivered"}, headers={"X-Twilio-Signature": good}
        ),
        await anonymous.post(url, json={"MessageStatus": "delivered"}, headers={"X-Twilio-Signature": good}),
        await post(anonymous, account, url, account.fields(AccountSid="AC" + "9" * 32)),
    ]
    assert [answer.status_code for answer in attempts] == [403] * len(attempts)
    assert attempts[0].json()["type"] == "/problems/callback-not-signed"
    assert await rows(engine) == []
    assert (await post(anonymous, account, url, fields)).status_code == 200


async def test_another_gateways_news_is_foreign(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine
) -> None:
    """A good token and a good signature of one gateway open nothing at another; the row names its own gateway."""
    other = await configure(client, "Other", digit="7")
    message_id = uuid7()
    swapped = other.status_url.replace(other.id, account.id)
    assert (await post(anonymous, other, swapped, other.fields())).status_code == 404
    foreign = f"{account.status_url}?m={message_id}"
    assert (await post(anonymous, other, foreign, other.fields())).status_code == 403

    own = f"{other.status_url}?m={message_id}"
    assert (await post(anonymous, other, own, other.fields())).status_code == 200
    (row,) = await rows(engine)
    assert (str(row.gateway_id), row.message_id) == (other.id, message_id)


async def test_a_wrong_address_is_answered_alike(
    anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine
) -> None:
    path = urlsplit(account.status_url).path
    token = path.split("/")[-2]
    wrong = [
        path.replace(token, "x" * len(token)),
        path.replace(token, token[:-1]),
        path.replace(token, "%C3%A9%00"),
        path.replace(account.id, str(uuid4())),
        path.replace(account.id, "no-id"),
    ]
    answers = [await post(anonymous, account, f"https://sms.example.com{one}", account.fields()) for one in wrong]
    told = [{**answer.json(), "request_id": ""} for answer in answers]
    assert [answer.status_code for answer in answers] == [404] * len(wrong)
    assert all(one == told[0] for one in told)
    assert await rows(engine) == []


async def test_a_new_gateway_is_known_at_once(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine
) -> None:
    await post(anonymous, account, account.status_url, account.fields())
    new = await configure(client, "New", digit="3")
    assert (await post(anonymous, new, new.status_url, new.fields())).status_code == 200
    assert len(await rows(engine)) == 2


async def test_receipts_of_a_disabled_gateway_count(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine
) -> None:
    await client.post(f"/v1/gateways/{account.id}/disable")
    answer = await post(anonymous, account, account.status_url, account.fields())
    assert answer.status_code == 200
    assert len(await rows(engine)) == 1


async def test_what_this_gateway_would_not_send(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine
) -> None:
    fields = {name: value for name, value in account.fields().items() if name != "MessageStatus"}
    unreadable = await post(anonymous, account, account.status_url, fields)
    assert unreadable.status_code == 422
    news_of_no_use = account.fields(MessageStatus="never-heard-of")
    assert (await post(anonymous, account, account.status_url, news_of_no_use)).status_code == 200

    sandbox = await client.post("/v1/gateways", json={"name": "Null", "kind": "sandbox"})
    answer = await anonymous.post(sandbox.json()["callback_urls"]["status"])
    assert answer.status_code == 422
    assert (await anonymous.put(account.status_url)).status_code == 405
    assert await rows(engine) == []


@pytest.mark.parametrize("streamed", [False, True], ids=["announced", "streamed"])
async def test_a_large_body_is_not_read(
    anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine, *, streamed: bool
) -> None:
    body = urlencode(account.fields(Filler="x" * (256 << 10))).encode()

    async def pieces() -> Any:
        for start in range(0, len(body), 4096):
            yield body[start : start + 4096]

    answer = await anonymous.post(
        account.status_url,
        content=pieces() if streamed else body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert (answer.status_code, answer.json()["status"]) == (413, 413)
    assert await rows(engine) == []


@pytest.mark.parametrize("way", ["shortcut", "framework"])
async def test_without_the_database_the_gateway_is_told_to_come_again(
    anonymous: httpx.AsyncClient,
    account: Account,
    resources: Resources,
    engine: AsyncEngine,
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    """Both when the gateways cannot be read and when the receipt cannot be written; a second try is then kept."""
    away = build_engine("postgresql+asyncpg://lapwing@127.0.0.1:1/lapwing", application_name="away")
    try:
        cut_off = _served(create_app(replace(resources, engine=away)), by=way)
        async with _calling(cut_off) as caller:
            answer = await post(caller, account, account.status_url, account.fields())
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0

            reading = _served(create_app(resources), by=way)
            async with _calling(reading) as knowing:
                await post(knowing, account, account.status_url, account.fields(MessageStatus="sent"))
            desk = reading.state.callbacks
            cut_off.state.callbacks = replace(cut_off.state.callbacks, known=desk.known)
            for url in (account.status_url, account.inbound_url):
                fields = account.fields(Body="Hello", MessageStatus="received")
                if url == account.status_url:
                    fields = account.fields()
                assert (await post(caller, account, url, fields)).status_code == 503
    finally:
        await away.dispose()
    assert [row.status for row in await rows(engine)] == ["sent"]
    assert "callbacks cannot be kept" in caplog.text
    assert (await post(anonymous, account, account.status_url, account.fields())).status_code == 200
    assert len(await rows(engine)) == 2


async def test_odd_values_are_kept_in_a_form_that_can_be(
    anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine
) -> None:
    """NUL, half characters and numbers too large for their column take no other receipt down."""
    odd = account.fields(Note="a\0b", **{"Na\0me": "x"})
    urls = [f"{account.status_url}?m={uuid7()}&a={attempt}" for attempt in ("99999", "1")]
    answers = await asyncio.gather(*(post(anonymous, account, url, odd) for url in urls))
    assert [answer.status_code for answer in answers] == [200, 200]
    kept = {row.attempt: row.raw for row in await rows(engine)}
    assert kept.keys() == {None, 1}
    assert kept[1]["Note"] == "ab"


async def test_nothing_private_is_kept_or_logged(
    anonymous: httpx.AsyncClient, account: Account, engine: AsyncEngine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    path_token = urlsplit(account.status_url).path.split("/")[-2]
    fields = account.fields(Body="canary text")
    await post(anonymous, account, account.status_url, fields)
    await anonymous.post(account.status_url, data=fields)
    await anonymous.post(account.status_url.replace(account.id, str(uuid4())), data=fields)
    (row,) = await rows(engine)
    kept = json.dumps(row.raw)
    lines = "\n".join(JsonLines("test").format(record) for record in caplog.records if record.name != "httpx")
    assert "callback refused" in lines
    assert '"route":"/callbacks/{gateway_id}/{token}/status","status":403' in lines
    for private in (TOKEN, path_token, "canary text", MSISDN):
        assert private not in kept, private
        assert private not in lines, private


def test_the_document_shows_them(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    for what in ("status", "inbound"):
        shown = paths[f"/callbacks/{{gateway_id}}/{{token}}/{what}"]
        assert shown.keys() >= {"get", "post"}
        assert {"200", "403", "404", "413", "422", "503"} <= shown["post"]["responses"].keys()


def _calling(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://sms.example.com")


async def test_only_what_was_refused_has_its_line(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Several come for every message: their lines would bury all others."""
    account = await configure(client)
    caplog.set_level(logging.INFO, logger="lapwing.request")
    caplog.clear()
    url = account.status_url + "?m=" + str(uuid7()) + "&a=1"
    assert (await post(anonymous, account, url, account.fields())).is_success
    lines = [record for record in caplog.records if record.name == "lapwing.request"]
    assert lines == []
    answer = await post(anonymous, replace(account, token="f" * 32), url, account.fields())
    assert answer.status_code in {401, 403}
    assert [record.__dict__["status"] for record in caplog.records if record.name == "lapwing.request"] == [
        answer.status_code
    ]


async def test_leaked_addresses_are_replaced(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, or with a time in which both are heard; and the old ones never longer than that."""
    monkeypatch.setattr(known, "FRESH_SECONDS", 0.0)
    account = await configure(client, name="Leaky", digit="7")
    path = f"/v1/gateways/{account.id}/rotate-callback-token"
    assert (await post(client, account, account.status_url, account.fields())).status_code == 200
    rotated = (await client.post(path, json={"keep_old_hours": 2})).json()
    fresh = rotated["callback_urls"]
    assert rotated["old_callback_urls_until"] is not None
    assert fresh["status"] != account.status_url
    again = await client.post(path, json={"keep_old_hours": 2})  # as after an answer that was lost
    assert (again.status_code, again.json()["type"]) == (409, "/problems/old-addresses-heard")
    assert [error["pointer"] for error in again.json()["errors"]] == ["/keep_old_hours"]
    for url in (account.status_url, fresh["status"]):
        assert (await post(client, account, url, account.fields())).status_code == 200
    rotated = (await client.post(path)).json()  # without a body: at once
    assert rotated["old_callback_urls_until"] is None
    for url in (account.status_url, account.inbound_url, fresh["status"]):
        assert (await post(client, account, url, account.fields())).status_code == 404
    assert (await post(client, account, rotated["callback_urls"]["status"], account.fields())).status_code == 200


async def test_old_addresses_end_when_their_time_is_over(
    client: httpx.AsyncClient, engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "FRESH_SECONDS", 0.0)
    account = await configure(client, name="Late", digit="8")
    path = f"/v1/gateways/{account.id}/rotate-callback-token"
    await client.post(path, json={"keep_old_hours": 1})
    async with begin(engine) as tx:
        ended = utc_now() - timedelta(seconds=1)
        await tx.execute(update(Gateway).where(Gateway.name == "Late").values(old_callback_token_until=ended))
    assert (await post(client, account, account.status_url, account.fields())).status_code == 404
    assert (await client.post(path, json={"keep_old_hours": 1})).status_code == 200


@pytest.mark.parametrize("body", [{"keep_old_hours": -1}, {"keep_old_hours": 73}, {"hours": 1}])
async def test_a_rotation_that_cannot_be(client: httpx.AsyncClient, body: dict[str, int]) -> None:
    account = await configure(client, name=f"Odd {body}", digit="9")
    refused = await client.post(f"/v1/gateways/{account.id}/rotate-callback-token", json=body)
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json()["errors"]] == [f"/{next(iter(body))}"]
