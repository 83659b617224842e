"""A script is tried when it is saved, and a change of it leaves its mark in the audit trail."""

from typing import Any

import httpx
import pytest

SETTINGS = {"url": "https://gateway.example.com/send", "method": "POST", "content_type": "application/json"}
GOOD = "function build(sms) return {json = {to = sms.to, text = sms.message}} end"


def body(script: str) -> dict[str, Any]:
    return {"name": "Scripted", "kind": "custom", "settings": {**SETTINGS, "success_text": "ok", "script": script}}


async def test_good_script_is_kept_and_told_of(client: httpx.AsyncClient) -> None:
    made = await client.post("/v1/gateways", json=body(GOOD))
    assert made.status_code == 201, made.text
    assert made.json()["settings"]["script"] == GOOD
    rows = (await client.get("/v1/audit")).json()["items"]
    assert len(rows[0]["detail"]["script_sha256"]) == 64
    assert GOOD not in str(rows)


@pytest.mark.parametrize(
    ("script", "says"),
    [
        pytest.param("function build(sms) return", "line", id="no Lua"),
        pytest.param("answer = 42", "build", id="no build"),
        pytest.param("while true do end", "instructions", id="never ends"),
        pytest.param("os.exit()", "line 1", id="os"),
    ],
)
async def test_bad_script_is_refused_with_its_place(client: httpx.AsyncClient, script: str, says: str) -> None:
    answer = await client.post("/v1/gateways", json=body(script))
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/settings/script"
    assert says in error["detail"]


async def test_change_for_the_worse_is_refused_and_nothing_changes(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v1/gateways", json=body(GOOD))).json()
    answer = await client.patch(f"/v1/gateways/{made['id']}", json={"settings": {"script": "build = 1"}})
    assert answer.status_code == 422
    assert (await client.get(f"/v1/gateways/{made['id']}")).json()["settings"]["script"] == GOOD
