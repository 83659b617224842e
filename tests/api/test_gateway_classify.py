"""A pasted answer is read as the dispatcher would read it, and nothing comes of it."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

CLASSIFY = "/v1/gateways/classify"
CUSTOM: dict[str, Any] = {
    "kind": "custom",
    "settings": {"url": "https://gateway.example.com/send", "payload": "to=%TO%&text=%MESSAGE%", "success_text": "OK"},
}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        pytest.param(
            {"status": 201, "body": '{"sid": "SM1", "status": "queued"}'},
            {"outcome": "accepted", "reference": "SM1", "handed_over_again": False},
            id="taken",
        ),
        pytest.param(
            {"status": 400, "body": '{"code": 21211, "message": "invalid"}'},
            {"outcome": "refused", "fault": "message", "code": "21211", "handed_over_again": False},
            id="impossible anywhere",
        ),
        pytest.param(
            {"status": 429, "headers": {"Retry-After": "3"}, "body": '{"code": 20429}'},
            {"outcome": "refused", "fault": "throttled", "retry_after": 3.0, "handed_over_again": True},
            id="not now",
        ),
        pytest.param({"status": 500, "body": "<html>"}, {"outcome": "lost", "handed_over_again": False}, id="in doubt"),
    ],
)
async def test_answer_of_a_configured_gateway(
    client: httpx.AsyncClient, answer: dict[str, Any], told: dict[str, Any]
) -> None:
    made = await client.post(
        "/v1/gateways",
        json={
            "name": "Twilio",
            "kind": "twilio",
            "settings": {"account_sid": "AC" + "0" * 32, "from": "+12025550199"},
            "secrets": {"api_secret": "the-auth-token"},
        },
    )
    found = await client.post(CLASSIFY, json={"gateway_id": made.json()["id"], "answer": answer})
    assert found.status_code == 200, found.text
    assert {name: found.json()[name] for name in told} == told
    assert found.json()["then"]


@pytest.mark.parametrize(
    ("preset", "settings", "answer", "again", "said"),
    [
        pytest.param(
            "infobip", {"url": "https://x.example.com/sms/3/messages"}, {"status": 500, "body": "oops"}, True,
            "at most 3 times, within 600 seconds", id="in doubt, and taken once",
        ),
        pytest.param("bulksms", {}, {"status": 504}, True, "under the same id", id="another that takes none twice"),
        pytest.param(
            "vonage", {}, {"status": 500, "body": "oops"}, False, "not sent again by itself", id="in doubt for good"
        ),
        pytest.param(
            "infobip", {"url": "https://x.example.com/sms/3/messages"},
            {"status": 200, "body": '{"messages": [{"messageId": "R1", "status": {"groupId": 1}}]}'}, False,
            "receipts follow", id="taken",
        ),
    ],
)  # fmt: skip
async def test_what_is_taken_once_is_handed_over_again(
    client: httpx.AsyncClient, preset: str, settings: dict[str, Any], answer: dict[str, Any], again: bool, said: str
) -> None:
    listed = (await client.get("/v1/gateway-presets")).json()["items"]
    wanted = next(one for one in listed if one["name"] == preset)
    made = await client.post(
        "/v1/gateways",
        json={
            "name": preset,
            "kind": "custom",
            "preset": preset,
            "settings": {"sender_id": "Ada", **settings},
            "secrets": dict.fromkeys(wanted["secrets"], "s3cr3t-of-ours"),
        },
    )
    assert made.status_code == 201, made.text
    found = await client.post(CLASSIFY, json={"gateway_id": made.json()["id"], "answer": answer})
    assert found.status_code == 200, found.text
    assert (found.json()["handed_over_again"], said in found.json()["then"]) == (again, True), found.json()["then"]


async def test_no_receipts_are_promised_where_none_are_read(client: httpx.AsyncClient) -> None:
    found = await client.post(CLASSIFY, json={**CUSTOM, "answer": {"status": 200, "body": "OK 17"}})
    assert found.json()["then"] == "The message is submitted; no receipts of it are read."


@pytest.mark.parametrize(
    ("body", "outcome"), [("OK 17", "accepted"), ("sorry", "lost")], ids=["its success text", "anything else"]
)
async def test_answer_for_settings_that_are_not_saved(client: httpx.AsyncClient, body: str, outcome: str) -> None:
    found = await client.post(CLASSIFY, json={**CUSTOM, "answer": {"status": 200, "body": body}})
    assert found.status_code == 200, found.text
    assert found.json()["outcome"] == outcome
    assert (await client.get("/v1/gateways")).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        pytest.param({"answer": {"status": 200}}, 422, "/gateway_id", id="whose it is is missing"),
        pytest.param({**CUSTOM, "gateway_id": str(uuid4()), "answer": {"status": 200}}, 422, "/gateway_id", id="both"),
        pytest.param({"kind": "carrier", "answer": {"status": 200}}, 422, "/kind", id="a kind that is not there"),
        pytest.param({**CUSTOM, "answer": {"status": 42}}, 422, "/answer/status", id="no status"),
        pytest.param(
            {"kind": "custom", "settings": {}, "answer": {"status": 200}}, 422, "/settings/url", id="settings"
        ),
        pytest.param({"gateway_id": str(uuid4()), "answer": {"status": 200}}, 404, None, id="no such gateway"),
    ],
)
async def test_refusals(client: httpx.AsyncClient, body: dict[str, Any], status: int, pointer: str | None) -> None:
    answer = await client.post(CLASSIFY, json=body)
    assert answer.status_code == status, answer.text
    if pointer:
        assert pointer in {error["pointer"] for error in answer.json()["errors"]}


@pytest.mark.parametrize(
    ("read", "told"),
    [
        pytest.param("", {"outcome": "accepted", "reference": None}, id="no read: the settings"),
        pytest.param("function read(answer, sms) return nil end", {"outcome": "accepted"}, id="no say: the settings"),
        pytest.param(
            "function read(answer, sms) return {outcome = 'refused', fault = 'message', code = answer.body} end",
            {"outcome": "refused", "fault": "message", "code": "OK 17"},
            id="the script",
        ),
        pytest.param(
            "function read(answer, sms)\nreturn answer.nothing.there\nend",
            {"outcome": "lost", "code": "script_failed", "handed_over_again": False},
            id="a script that fails",
        ),
    ],
)
async def test_answer_is_read_by_the_script_where_there_is_one(
    client: httpx.AsyncClient, read: str, told: dict[str, Any]
) -> None:
    settings = {**CUSTOM["settings"], "script": f"function build(sms) return {{}} end {read}"}
    body = {"kind": "custom", "settings": settings, "answer": {"status": 200, "body": "OK 17"}}
    found = await client.post(CLASSIFY, json=body)
    assert found.status_code == 200, found.text
    assert {name: found.json()[name] for name in told} == told
    assert ("line" in (found.json()["detail"] or "")) is (told.get("code") == "script_failed")
