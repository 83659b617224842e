"""Every wording of a gateway's script is kept, and one of them can be put in force again."""

from hashlib import sha256
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from tests.factories import make_api_key

SETTINGS = {"url": "https://gateway.example.com/send", "method": "POST", "content_type": "application/json"}
SECRET = "the-key-of-the-account"


def script(number: int) -> str:
    return f'function build(sms) return {{json = {{to = sms.to, key = "%SECRET:key%", n = {number}}}}} end'


async def make(client: httpx.AsyncClient, words: str | None = None) -> str:
    settings = {**SETTINGS, "success_text": "ok", "script": words or script(1)}
    body = {"name": "Scripted", "kind": "custom", "settings": settings, "secrets": {"key": SECRET}}
    made = await client.post("/v1/gateways", json=body)
    assert made.status_code == 201, made.text
    gateway_id: str = made.json()["id"]
    return gateway_id


async def change(client: httpx.AsyncClient, gateway_id: str, **settings: Any) -> httpx.Response:
    return await client.patch(f"/v1/gateways/{gateway_id}", json={"settings": settings})


async def versions(client: httpx.AsyncClient, gateway_id: str) -> list[tuple[int, str, bool, int | None]]:
    items = (await client.get(f"/v1/gateways/{gateway_id}/scripts")).json()["items"]
    return [(one["version"], one["text"], one["in_force"], one["restored_from"]) for one in items]


async def entries(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """What the audit trail says of each action."""
    items = (await client.get("/v1/audit")).json()["items"]
    return {one["action"]: one["detail"] for one in items}


async def test_each_change_leaves_a_version_and_an_entry(client: httpx.AsyncClient) -> None:
    gateway_id = await make(client)
    assert (await change(client, gateway_id, script=script(2))).status_code == 200
    assert await versions(client, gateway_id) == [(2, script(2), True, None), (1, script(1), False, None)]
    newest = (await client.get(f"/v1/gateways/{gateway_id}/scripts")).json()["items"][0]
    assert newest["sha256"] == sha256(script(2).encode()).hexdigest()
    assert newest["created_by"] == "admin"
    told = await entries(client)
    assert told["gateway.changed"]["script_version"] == 2
    assert told["gateway.changed"]["script_sha256"] == newest["sha256"]
    assert told["gateway.created"]["script_version"] == 1


@pytest.mark.parametrize(
    "settings",
    [pytest.param({"script": script(1)}, id="the same again"), pytest.param({"timeout": None}, id="something else")],
)
async def test_what_changes_no_script_leaves_none(client: httpx.AsyncClient, settings: dict[str, Any]) -> None:
    gateway_id = await make(client)
    assert (await change(client, gateway_id, **settings)).status_code == 200
    assert len(await versions(client, gateway_id)) == 1
    assert "script_version" not in (await entries(client))["gateway.changed"]


async def test_refused_script_leaves_none(client: httpx.AsyncClient) -> None:
    gateway_id = await make(client)
    assert (await change(client, gateway_id, script="build = 1")).status_code == 422
    assert len(await versions(client, gateway_id)) == 1


async def test_script_taken_out_can_be_brought_back(client: httpx.AsyncClient) -> None:
    gateway_id = await make(client)
    without = {"script": None, "payload": '{"to": "%TO%", "text": "%MESSAGE%", "key": "%SECRET:key%"}'}
    assert (await change(client, gateway_id, **without)).status_code == 200
    assert await versions(client, gateway_id) == [(1, script(1), False, None)]
    restored = await client.post(f"/v1/gateways/{gateway_id}/scripts/1/restore")
    assert restored.json()["settings"]["script"] == script(1)
    assert await versions(client, gateway_id) == [(2, script(1), True, 1), (1, script(1), False, None)]


async def test_restored_one_is_a_new_version(client: httpx.AsyncClient) -> None:
    gateway_id = await make(client)
    await change(client, gateway_id, script=script(2))
    answer = await client.post(f"/v1/gateways/{gateway_id}/scripts/1/restore")
    assert (answer.status_code, answer.json()["settings"]["script"]) == (200, script(1)), answer.text
    assert await versions(client, gateway_id) == [
        (3, script(1), True, 1),
        (2, script(2), False, None),
        (1, script(1), False, None),
    ]
    detail = (await entries(client))["gateway.script_restored"]
    assert (detail["script_version"], detail["restored_from"]) == (3, 1)
    again = await client.post(f"/v1/gateways/{gateway_id}/scripts/3/restore")
    assert (again.status_code, len(await versions(client, gateway_id))) == (200, 3)  # in force already


async def test_restored_one_is_tried_with_the_secrets_of_today(client: httpx.AsyncClient) -> None:
    """What was fine then may hold today's secret."""
    gateway_id = await make(client, script(1) + " -- once-a-harmless-remark")
    await change(client, gateway_id, script=script(2))
    secret = {"secrets": {"key": "once-a-harmless-remark"}}
    assert (await client.patch(f"/v1/gateways/{gateway_id}", json=secret)).status_code == 200
    answer = await client.post(f"/v1/gateways/{gateway_id}/scripts/1/restore")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/settings/script")
    assert (await versions(client, gateway_id))[0][:3] == (2, script(2), True)


async def test_pages(client: httpx.AsyncClient) -> None:
    gateway_id = await make(client)
    for number in range(2, 6):
        await change(client, gateway_id, script=script(number))
    seen, cursor = [], None
    while True:
        query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await client.get(f"/v1/gateways/{gateway_id}/scripts", params=query)).json()
        seen += [one["version"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [5, 4, 3, 2, 1]
    wrong = await client.get(f"/v1/gateways/{gateway_id}/scripts", params={"cursor": "bm9uc2Vuc2U"})
    assert wrong.status_code == 422


@pytest.mark.parametrize("change_of", ["script", "secret"])
async def test_script_may_not_hold_a_secret(client: httpx.AsyncClient, change_of: str) -> None:
    """Neither is the other put where it would be read for ever."""
    gateway_id = await make(client, script(1) + " -- other-secret-value")
    body = (
        {"settings": {"script": script(2) + f' local key = "{SECRET}"'}}
        if change_of == "script"
        else {"secrets": {"key": "other-secret-value"}}
    )
    answer = await client.patch(f"/v1/gateways/{gateway_id}", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/settings/script")
    assert "%SECRET:key%" in answer.json()["detail"] + answer.json()["errors"][0]["detail"]
    assert SECRET not in answer.text
    assert len(await versions(client, gateway_id)) == 1


async def test_refusals(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    gateway_id = await make(client)
    async with begin(engine) as tx:
        key = await make_api_key(tx, "manage")
    lesser = {"Authorization": f"Bearer {key.text}"}
    assert (await client.get(f"/v1/gateways/{gateway_id}/scripts", headers=lesser)).status_code == 200
    refused = await client.post(f"/v1/gateways/{gateway_id}/scripts/1/restore", headers=lesser)
    assert refused.status_code == 403
    for path in (f"{uuid4()}/scripts/1/restore", f"{gateway_id}/scripts/2/restore"):
        assert (await client.post(f"/v1/gateways/{path}")).status_code == 404
    assert (await client.post(f"/v1/gateways/{gateway_id}/scripts/0/restore")).status_code == 422
    assert (await client.get(f"/v1/gateways/{uuid4()}/scripts")).status_code == 404


async def test_versions_go_with_their_gateway(client: httpx.AsyncClient) -> None:
    gateway_id = await make(client)
    await client.post(f"/v1/gateways/{gateway_id}/disable")
    assert (await client.delete(f"/v1/gateways/{gateway_id}")).status_code == 204
    assert (await client.get(f"/v1/gateways/{gateway_id}/scripts")).status_code == 404
