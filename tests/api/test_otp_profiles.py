"""Profiles over HTTP: what a splash page's passwords may look like, and what is refused with which remedy."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.models import AuditEntry
from tests.conftest import Clock
from tests.factories import make_api_key, make_gateway, make_sender_id

NUMBER = "+447700900123"


async def create(client: httpx.AsyncClient, **over: Any) -> dict[str, Any]:
    answer = await client.post("/v1/otp-profiles", json={"name": "cafe"} | over)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_one_with_nothing_but_a_name(client: httpx.AsyncClient) -> None:
    made = await create(client)
    assert (await client.get(f"/v1/otp-profiles/{made['id']}")).json() == made
    usual = {name: made[name] for name in ("enabled", "length", "ttl_seconds", "max_attempts", "resend_waits")}
    assert usual == {"enabled": True, "length": 6, "ttl_seconds": 600, "max_attempts": 5, "resend_waits": [30, 60, 120]}
    assert made["text"] == "Your code is {{ code }}. It is valid for {{ minutes }} minutes."
    assert (made["segments"], made["limits"], made["test_numbers"]) == (1, {}, [])
    assert "every country" in made["warnings"][0]


async def test_default_is_there_from_the_start(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/otp", json={"msisdn": NUMBER})).status_code == 202
    names = [one["name"] for one in (await client.get("/v1/otp-profiles")).json()["items"]]
    assert names == ["default"]


async def test_default_stays(client: httpx.AsyncClient) -> None:
    await client.post("/v1/otp", json={"msisdn": NUMBER})
    (default,) = (await client.get("/v1/otp-profiles")).json()["items"]
    path = f"/v1/otp-profiles/{default['id']}"
    assert (await client.patch(path, json={"length": 8})).json()["length"] == 8
    for answer in (await client.delete(path), await client.patch(path, json={"name": "other"})):
        assert (answer.status_code, answer.json()["type"]) == (409, "/problems/otp-profile-in-use")


async def test_all_of_it(client: httpx.AsyncClient) -> None:
    given: dict[str, Any] = {
        "name": "wifi.delft",
        "length": 4,
        "ttl_seconds": 120,
        "max_attempts": 3,
        "resend_waits": [20],
        "max_sends": 2,
        "text": "Code {{ code }}",
        "location_id": "delft",
        "web_domain": "wifi.example.com",
        "region": "NL",
        "allowed_countries": ["BE", "NL"],
        "limits": {"ip": [{"count": 1000, "seconds": 600}]},
        "test_numbers": [{"msisdn": "+12025550142", "code": "0000"}],
    }
    made = await create(client, **given)
    assert {name: made[name] for name in given} == given
    assert len(made["warnings"]) == 1


@pytest.mark.parametrize(
    ("given", "pointer"),
    [
        pytest.param({"name": ""}, "/name", id="no name"),
        pytest.param({"name": "a b"}, "/name", id="a space"),
        pytest.param({"name": "x" * 64}, "/name", id="a long name"),
        pytest.param({"length": 3}, "/length", id="too short a code"),
        pytest.param({"length": 11}, "/length", id="too long a code"),
        pytest.param({"ttl_seconds": 59}, "/ttl_seconds", id="too short a life"),
        pytest.param({"ttl_seconds": 3601}, "/ttl_seconds", id="too long a life"),
        pytest.param({"max_attempts": 0}, "/max_attempts", id="no attempts"),
        pytest.param({"max_attempts": 21}, "/max_attempts", id="too many attempts"),
        pytest.param({"resend_waits": []}, "/resend_waits", id="no waits"),
        pytest.param({"resend_waits": [1]}, "/resend_waits/0", id="a wait of a second"),
        pytest.param({"text": "Welcome"}, "/text", id="no code"),
        pytest.param({"text": "{{ code }} {{ name }}"}, "/text", id="another tag"),
        pytest.param({"text": "{{ code }}" + "я" * 300}, "/text", id="too many segments"),
        pytest.param({"text": "{{ code }}" + "x" * 500}, "/text", id="too many characters"),
        pytest.param({"web_domain": "https://example.com/"}, "/web_domain", id="an address"),
        pytest.param({"region": "XX"}, "/region", id="no country"),
        pytest.param({"allowed_countries": []}, "/allowed_countries", id="no countries"),
        pytest.param({"allowed_countries": ["GB", "XX"]}, "/allowed_countries", id="one that is none"),
        pytest.param({"sender_id": "NOBODY"}, "/sender_id", id="no sender of ours"),
        pytest.param({"limits": {"number": []}}, "/limits/number", id="no speeds"),
        pytest.param({"limits": {"number": [{"count": 0, "seconds": 1}]}}, "/limits/number/0/count", id="none at all"),
        pytest.param({"limits": {"deployment": [{"count": 1, "seconds": 1}]}}, "/limits/deployment", id="not its own"),
        pytest.param(
            {"test_numbers": [{"msisdn": "+447911123456", "code": "123456"}]},
            "/test_numbers/0/msisdn",
            id="somebody's number",
        ),
        pytest.param(
            {"test_numbers": [{"msisdn": NUMBER, "code": "12"}]}, "/test_numbers/0/code", id="too short a fixed code"
        ),
        pytest.param({"colour": "red"}, "/colour", id="no such field"),
    ],
)
async def test_refused(client: httpx.AsyncClient, given: dict[str, Any], pointer: str) -> None:
    answer = await client.post("/v1/otp-profiles", json={"name": "cafe"} | given)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    made = await create(client)
    answer = await client.patch(f"/v1/otp-profiles/{made['id']}", json=given)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("name", ["enabled", "length", "text", "resend_waits", "name", "limits", "test_numbers"])
async def test_nothing_is_no_value(client: httpx.AsyncClient, name: str) -> None:
    made = await create(client)
    answer = await client.patch(f"/v1/otp-profiles/{made['id']}", json={name: None})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, f"/{name}")


async def test_a_name_is_given_once(client: httpx.AsyncClient) -> None:
    await create(client)
    answer = await client.post("/v1/otp-profiles", json={"name": "cafe"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/otp-profile-name-taken")
    assert answer.json()["errors"][0]["pointer"] == "/name"
    other = await create(client, name="bar")
    answer = await client.patch(f"/v1/otp-profiles/{other['id']}", json={"name": "cafe"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/otp-profile-name-taken")
    assert answer.json()["errors"][0]["pointer"] == "/name"


async def test_a_sender_is_one_of_ours(client: httpx.AsyncClient, engine: AsyncEngine, resources: Any) -> None:
    async with begin(engine) as tx:
        gateway_id = await make_gateway(tx, resources.sealer)
        await make_sender_id(tx, gateway_id, "+12025550199")
        await make_sender_id(tx, gateway_id, "CAFE")
    assert (await create(client, sender_id="+12025550199"))["sender_id"] == "+12025550199"
    answer = await client.post("/v1/otp-profiles", json={"name": "bar", "sender_id": "CAFE"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/sender-not-allowed")


async def test_a_change_is_told_without_text_and_numbers(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    made = await create(client)
    path = f"/v1/otp-profiles/{made['id']}"
    change = {"length": 8, "text": "Secret words {{ code }}", "test_numbers": [{"msisdn": NUMBER, "code": "12345678"}]}
    changed = (await client.patch(path, json=change)).json()
    assert (changed["length"], changed["ttl_seconds"]) == (8, 600)
    assert (await client.patch(path, json={"length": 8})).json()["updated_at"] == changed["updated_at"]
    async with begin(engine) as tx:
        entries = (await tx.execute(select(AuditEntry).where(AuditEntry.action == "otp_profile.changed"))).all()
    assert len(entries) == 1
    detail = entries[0].detail
    assert detail["length"] == {"from": 6, "to": 8}
    assert detail["test_numbers"] == {"from": 0, "to": 1}
    assert "text" in detail
    assert "Secret" not in str(detail)
    assert "7700900123" not in str(detail)
    assert "12345678" not in str(detail)


async def test_deleted_once_nobody_waits(client: httpx.AsyncClient, clock: Clock) -> None:
    made = await create(client)
    path = f"/v1/otp-profiles/{made['id']}"
    assert (await client.post("/v1/otp", json={"msisdn": NUMBER, "profile": "cafe"})).status_code == 202
    answer = await client.delete(path)
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/otp-profile-in-use")
    clock.advance(timedelta(minutes=10))
    assert (await client.delete(path)).status_code == 204
    assert (await client.get(path)).status_code == 404
    assert (await client.delete(path)).status_code == 404
    assert (await client.patch(path, json={"length": 8})).status_code == 404


async def test_pages(client: httpx.AsyncClient) -> None:
    for name in "abcde":
        await create(client, name=name)
    page = (await client.get("/v1/otp-profiles", params={"limit": 3})).json()
    rest = (await client.get("/v1/otp-profiles", params={"limit": 3, "cursor": page["next_cursor"]})).json()
    assert sorted(one["name"] for one in page["items"] + rest["items"]) == list("abcde")
    assert rest["next_cursor"] is None
    assert (await client.get("/v1/otp-profiles", params={"cursor": "x"})).status_code == 422


async def test_test_numbers_are_an_admins(
    client: httpx.AsyncClient, anonymous: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    async with begin(engine) as tx:
        manage, read = await make_api_key(tx, "manage"), await make_api_key(tx, "read")
    headers = {"Authorization": f"Bearer {manage.text}"}
    body = {"name": "trial", "test_numbers": [{"msisdn": NUMBER, "code": "123456"}]}
    assert (await anonymous.post("/v1/otp-profiles", json=body, headers=headers)).status_code == 403
    body["test_numbers"] = []
    assert (await anonymous.post("/v1/otp-profiles", json=body, headers=headers)).status_code == 201
    headers = {"Authorization": f"Bearer {read.text}"}
    assert (await anonymous.post("/v1/otp-profiles", json=body, headers=headers)).status_code == 403
