"""What may be in a log: that something happened, where and how long it took; nothing of whom or what was written."""

import json
import logging
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.clock import utc_now
from shared.db import begin
from shared.ids import uuid7
from shared.log import WITHHELD, JsonLines, mask
from shared.models import Contact

MSISDN = "+447700900123"


def written(level: int = logging.INFO, message: str = "it happened", *args: object, **extra: Any) -> dict[str, Any]:
    record = logging.getLogger("test").makeRecord("test", level, __file__, 1, message, args, None, extra=extra)
    line: dict[str, Any] = json.loads(JsonLines("api").format(record))
    return line


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        pytest.param("to +447700900123.", "to +4477*****23.", id="E.164"),
        pytest.param("to %2B447700900123 now", "to +4477*****23 now", id="in a URL"),
        pytest.param("447700900123", "44770*****23", id="without its plus"),
        pytest.param("a+12025550142b", "a+1202*****42b", id="inside a word"),
        pytest.param("+1202555", "+1202*****55", id="short"),
        pytest.param("+123456", "+123456", id="too short to be anyone's"),
        pytest.param("took 1234567 ms", "took 1234567 ms", id="a count"),
        pytest.param(
            "0192f0c1-3b7a-7c3e-9a51-123456789012", "0192f0c1-3b7a-7c3e-9a51-123456789012", id="an id of digits"
        ),
        pytest.param("1700000000.123456789", "1700000000.123456789", id="a time"),
    ],
)
def test_numbers_are_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_a_line_is_one_line_of_json() -> None:
    line = written(logging.WARNING, "a\nb %s", "c", gateway="twilio", count=3)
    assert line["event"] == "a\nb c"
    assert (line["level"], line["process"], line["logger"]) == ("warning", "api", "test")
    assert (line["gateway"], line["count"]) == ("twilio", 3)
    assert line["at"].endswith("+00:00")


def test_extras_are_masked_at_any_depth() -> None:
    line = written(msisdn=MSISDN, seen={"who": [MSISDN, (MSISDN,)], "n": 1})
    assert "7700900123" not in json.dumps(line)
    assert line["seen"]["n"] == 1


@pytest.mark.parametrize("name", ["text", "code", "Authorization", "secrets", "token", "body", "otp", "exchange"])
def test_what_must_not_be_written_is_withheld(name: str) -> None:
    extra: dict[str, Any] = {name: "hush"}
    assert written(**extra)[name] == WITHHELD
    assert written(outer={name: "hush"})["outer"][name] == WITHHELD


def test_bytes_are_withheld() -> None:
    assert written(digest=b"hush")["digest"] == WITHHELD


def test_long_values_are_cut() -> None:
    assert len(written(detail="x" * 10_000)["detail"]) < 600


def test_an_exception_is_told_without_its_words() -> None:
    try:
        try:
            int("the code is 123456")
        except ValueError as error:
            raise RuntimeError("for " + MSISDN) from error
    except RuntimeError as error:
        raised = error
    record = logging.getLogger("test").makeRecord(
        "test", logging.ERROR, __file__, 1, "failed", (), (RuntimeError, raised, raised.__traceback__)
    )
    text = JsonLines("api").format(record)
    assert "123456" not in text
    assert "7700900123" not in text
    line = json.loads(text)
    assert line["error"]["kinds"] == ["RuntimeError", "ValueError"]
    assert line["error"]["where"][-1].startswith("tests/api/test_log.py:")


async def test_a_database_error_quotes_no_row(engine: AsyncEngine) -> None:
    now = utc_now()
    row = {"id": uuid7(), "msisdn": MSISDN, "name": "Anna Example", "created_at": now, "updated_at": now}

    async def insert_twice() -> None:
        async with begin(engine) as tx:
            await tx.execute(insert(Contact).values(row))
            await tx.execute(insert(Contact).values(row | {"id": uuid7()}))

    with pytest.raises(IntegrityError) as raised:
        await insert_twice()
    error = raised.value
    assert "Anna Example" not in str(error), "hide_parameters is off"
    record = logging.getLogger("test").makeRecord(
        "test", logging.ERROR, __file__, 1, "failed", (), (type(error), error, error.__traceback__)
    )
    text = JsonLines("api").format(record)
    assert "7700900123" not in text
    assert "23505" in text


async def test_a_request_is_one_line(client: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "lapwing.request")
    response = await client.get("/v1/api-keys/AAAAAAAAAAAA")
    (record,) = [record for record in caplog.records if record.name == "lapwing.request"]
    told = vars(record)
    assert (told["method"], told["route"], told["status"]) == ("GET", "/v1/api-keys/{key_id}", 404)
    assert (told["request_id"], told["key_id"]) == (response.headers["x-request-id"], "admin")
    assert 0 <= told["milliseconds"] < 10_000


async def test_a_callbacks_token_is_never_written(app_of_its_own: FastAPI, caplog: pytest.LogCaptureFixture) -> None:
    @app_of_its_own.post("/hooks/{gateway_id}/{token}")
    async def hook(gateway_id: str, token: str) -> None:
        raise LookupError(token)

    caplog.set_level(logging.DEBUG)
    for path in ("/hooks/7/hush-hush-token", "/callbacks/7/hush-hush-token/status", "/nowhere/hush-hush-token"):
        async with AsyncClient(transport=ASGITransport(app_of_its_own), base_url="https://sms.example.com") as client:
            await client.post(path, json={})
    lines = [JsonLines("api").format(record) for record in caplog.records if record.name.startswith(("api", "lapwing"))]
    assert any("/hooks/{gateway_id}/{token}" in line for line in lines)
    assert any('"route":"unmatched"' in line for line in lines)
    assert not any("hush" in line for line in lines)


@pytest.mark.parametrize("given", ["0192f0c1-3b7a-7c3e-9a51-5b1f2c9d7e10", "order_7781.a"])
async def test_a_sane_request_id_is_kept(anonymous: AsyncClient, given: str) -> None:
    response = await anonymous.get("/livez", headers={"X-Request-Id": given})
    assert response.headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "short", "x" * 101, "with space in it", 'quo"te-and-more', "new\tline-and-more"])
async def test_another_request_id_is_replaced(anonymous: AsyncClient, given: str) -> None:
    response = await anonymous.get("/livez", headers={"X-Request-Id": given})
    assert response.headers["x-request-id"] != given
    assert len(response.headers["x-request-id"]) == 36


async def test_answers_carry_their_safety(anonymous: AsyncClient) -> None:
    headers = (await anonymous.get("/livez")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["strict-transport-security"]
