"""Keys and scopes: who is let in, how far and from where, and what those are told who are not."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.security import REACH, Caller, KeyCheck, require
from shared.api_keys import new_key, parse
from shared.db import begin
from shared.errors import Forbidden, Unauthenticated
from shared.models import ApiKey
from tests.conftest import ADMIN_KEY, Clock
from tests.factories import make_api_key


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


async def last_used(engine: AsyncEngine, public_id: str) -> datetime | None:
    async with begin(engine) as tx:
        at: datetime | None = await tx.scalar(select(ApiKey.last_used_at).where(ApiKey.public_id == public_id))
    return at


def test_a_key_survives_being_read() -> None:
    key = new_key()
    assert parse(key.text) == (key.public_id, key.digest)
    assert key.text.startswith(f"lw_{key.public_id}_")
    assert key.text not in repr(key)


def test_a_misspelt_key_is_noticed_without_asking() -> None:
    text = new_key().text
    for place in range(3, len(text)):
        other = "A" if text[place] != "A" else "B"
        assert parse(text[:place] + other + text[place + 1 :]) is None


def test_keys_do_not_repeat() -> None:
    keys = {new_key().text for _ in range(1000)}
    assert len(keys) == 1000


async def test_strangers_look_alike(anonymous: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    """Who does not hold the secret learns nothing: neither whether the id is known nor whether the key still works."""
    async with begin(engine) as tx:
        forged = await make_api_key(tx, "admin", digest=new_key().digest)
        ended = await make_api_key(tx, "admin", digest=new_key().digest, revoked_at=now, networks=["192.0.2.1/32"])
    answers = []
    for text in (new_key().text, forged.text, ended.text):
        response = await anonymous.get("/v1/api-keys", headers=bearer(text))
        assert response.status_code == 401
        problem = response.json()
        del problem["request_id"]
        answers.append((problem, sorted(set(response.headers) - {"x-request-id"})))
    assert all(answer == answers[0] for answer in answers)
    assert "not known here" in answers[0][0]["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Basic YTpi"},
        {"Authorization": new_key().text},
        bearer("x" * 5000),
    ],
)
async def test_no_key_at_all(anonymous: AsyncClient, headers: dict[str, str]) -> None:
    response = await anonymous.get("/v1/api-keys", headers=headers)
    assert response.status_code == 401
    assert response.json()["type"] == "/problems/unauthenticated"
    assert response.headers["www-authenticate"] == 'Bearer realm="lapwing"'
    bare = headers.get("Authorization", "").startswith("lw_")
    assert response.json()["detail"].startswith("Write the word Bearer" if bare else "Send an API key: ")


@pytest.mark.parametrize(
    ("spoil", "slug", "told"),
    [
        pytest.param(lambda text: text[:-1], "malformed-key", "has 54 characters, and a key has 55", id="cut short"),
        pytest.param(lambda text: text[4:], "malformed-key", "begins with `lw_`", id="its beginning is gone"),
        pytest.param(lambda text: text + "x", "malformed-key", "has 56 characters", id="one too many"),
        pytest.param(lambda _: "lw_", "malformed-key", "has 3 characters", id="its prefix alone"),
        pytest.param(
            lambda text: text[:20] + ("A" if text[20] != "A" else "B") + text[21:],
            "malformed-key",
            "checksum does not fit",
            id="one character changed",
        ),
        pytest.param(lambda text: text.swapcase(), "malformed-key", "begins with `lw_`", id="in the other case"),
        pytest.param(lambda _: ADMIN_KEY + "x", "malformed-key", "has 32 characters", id="nearly the bootstrap key"),
    ],
)
async def test_a_key_copied_badly_is_told_how(
    anonymous: AsyncClient, engine: AsyncEngine, spoil: Callable[[str], str], slug: str, told: str
) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "admin")
    response = await anonymous.get("/v1/api-keys", headers=bearer(spoil(key.text)))
    assert response.status_code == 401
    assert response.json()["type"] == f"/problems/{slug}"
    assert told in response.json()["detail"]
    assert key.public_id not in response.text
    assert (await anonymous.get("/v1/api-keys", headers=bearer(key.text))).status_code == 200


@pytest.mark.parametrize(
    ("over", "status", "slug", "told"),
    [
        pytest.param({"expires_at": timedelta()}, 401, "key-expired", "expired at", id="expired"),
        pytest.param({"revoked_at": timedelta(days=-1)}, 401, "key-revoked", "was revoked at", id="revoked"),
        pytest.param(
            {"revoked_at": timedelta(), "expires_at": timedelta()}, 401, "key-revoked", "was revoked at", id="both"
        ),
        pytest.param({"networks": ["192.0.2.0/24"]}, 403, "address-not-allowed", "127.0.0.1", id="from elsewhere"),
    ],
)
async def test_a_key_of_no_use_is_told_why(
    anonymous: AsyncClient, engine: AsyncEngine, now: datetime, over: dict[str, Any], status: int, slug: str, told: str
) -> None:
    over = {name: now + value if isinstance(value, timedelta) else value for name, value in over.items()}
    async with begin(engine) as tx:
        key = await make_api_key(tx, "admin", **over)
    response = await anonymous.get("/v1/api-keys", headers=bearer(key.text))
    assert response.status_code == status
    assert response.json()["type"] == f"/problems/{slug}"
    assert told in response.json()["detail"]


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ([], "203.0.113.9", True),
        (["203.0.113.9/32"], "203.0.113.9", True),
        (["203.0.113.9/32"], "203.0.113.8", False),
        (["198.51.100.0/24", "203.0.113.0/24"], "203.0.113.9", True),
        (["203.0.113.0/24"], "::ffff:203.0.113.9", True),
        (["2001:db8::/32"], "2001:db8:1::7", True),
        (["2001:db8::/32"], "2001:db9::7", False),
        (["2001:db8::/32"], "203.0.113.9", False),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["0.0.0.0/0"], "not an address", False),
    ],
)
async def test_a_key_s_networks(
    app: FastAPI, engine: AsyncEngine, networks: list[str], address: str, allowed: bool
) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "read", networks=networks)
    transport = ASGITransport(app, client=(address, 4711))
    async with AsyncClient(transport=transport, base_url="https://sms.example.com") as client:
        response = await client.get("/v1/me", headers=bearer(key.text))
        assert response.status_code == (200 if allowed else 403)
        # The word of the caller counts for nothing.
        forwarded = bearer(key.text) | {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9"}
        assert (await client.get("/v1/me", headers=forwarded)).status_code == response.status_code


async def test_a_key_ends_at_its_moment(anonymous: AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "admin", expires_at=clock.now + timedelta(seconds=1))
    assert (await anonymous.get("/v1/audit", headers=bearer(key.text))).status_code == 200
    clock.advance(timedelta(seconds=1))
    assert (await anonymous.get("/v1/audit", headers=bearer(key.text))).status_code == 401


@pytest.mark.parametrize("scope", ["read", "send", "manage"])
async def test_a_scope_too_small_is_told_which(anonymous: AsyncClient, engine: AsyncEngine, scope: str) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, scope)
    response = await anonymous.get("/v1/audit", headers=bearer(key.text))
    assert response.status_code == 403
    assert response.json()["type"] == "/problems/missing-scope"
    reach = {"manage": "`manage`, `read`, `send`"}.get(scope, f"`{scope}`")
    assert response.json()["detail"] == f"This needs a key with the scope `admin`; this one has {reach}."
    assert 'scope="admin"' in response.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("held", "reaches"),
    [
        ("read", {"read"}),
        ("send", {"send"}),
        ("manage", {"read", "send", "manage"}),
        ("admin", {"read", "send", "manage", "admin"}),
    ],
)
def test_how_far_a_scope_reaches(held: str, reaches: set[str]) -> None:
    caller = Caller(id="x", name="x", scopes=REACH[held], line="x", keys=frozenset("x"))
    for scope in ("read", "send", "manage", "admin"):
        if scope in reaches:
            assert require(caller, scope) is caller
        else:
            with pytest.raises(Forbidden, match=f"`{scope}`"):
                require(caller, scope)


def test_nobody_has_no_scope() -> None:
    with pytest.raises(Unauthenticated):
        require(None, "read")


async def test_the_scheme_is_not_case_sensitive(anonymous: AsyncClient) -> None:
    response = await anonymous.get("/v1/audit", headers={"Authorization": f"bEARER  {ADMIN_KEY}"})
    assert response.status_code == 200


async def test_use_is_written_once_a_minute(anonymous: AsyncClient, engine: AsyncEngine, clock: Clock) -> None:
    began = clock.now
    async with begin(engine) as tx:
        key = await make_api_key(tx, "admin")
    for seconds in (0, 30, 29):
        clock.advance(timedelta(seconds=seconds))
        await anonymous.get("/v1/audit", headers=bearer(key.text))
        assert await last_used(engine, key.public_id) == began
    clock.advance(timedelta(seconds=2))
    await anonymous.get("/v1/audit", headers=bearer(key.text))
    assert await last_used(engine, key.public_id) == began + timedelta(seconds=61)


def test_a_busy_key_is_one_write_a_minute(engine: AsyncEngine, now: datetime) -> None:
    check = KeyCheck(engine, None)
    nothing: frozenset[str] = frozenset()
    caller, other = (Caller(id=each, name=each, scopes=nothing, line=each, keys=nothing) for each in "ab")
    assert check.use_is_worth_writing(caller, now=now)
    assert not check.use_is_worth_writing(caller, now=now + timedelta(seconds=59))
    assert check.use_is_worth_writing(other, now=now + timedelta(seconds=59))
    assert check.use_is_worth_writing(caller, now=now + timedelta(seconds=60))
    assert not check.use_is_worth_writing(
        Caller(id="admin", name="", scopes=nothing, line="admin", keys=nothing), now=now
    )


async def test_two_processes_write_use_once_a_minute(
    anonymous: AsyncClient, engine: AsyncEngine, now: datetime
) -> None:
    lately = now - timedelta(seconds=30)
    async with begin(engine) as tx:
        key = await make_api_key(tx, "admin", last_used_at=lately)
    await anonymous.get("/v1/audit", headers=bearer(key.text))
    assert await last_used(engine, key.public_id) == lately


async def test_a_refused_key_leaves_no_trace(anonymous: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "admin", revoked_at=now)
    await anonymous.get("/v1/audit", headers=bearer(key.text))
    assert await last_used(engine, key.public_id) is None


async def test_a_locked_row_delays_nobody(anonymous: AsyncClient, engine: AsyncEngine) -> None:
    """The use is written after the answer: a request is answered while its key's row is held by another."""
    async with begin(engine) as tx:
        key = await make_api_key(tx, "admin")
    answered = asyncio.Event()

    async def ask() -> None:
        async with anonymous.stream("GET", "/v1/audit", headers=bearer(key.text)) as response:
            assert response.status_code == 200
        answered.set()

    async with begin(engine) as tx:
        await tx.execute(select(ApiKey.id).where(ApiKey.public_id == key.public_id).with_for_update())
        asking = asyncio.create_task(ask())
        await asyncio.sleep(0.3)
        assert await last_used(engine, key.public_id) is None
    await asking
    assert answered.is_set()
    assert await last_used(engine, key.public_id) is not None


async def test_many_keys_at_once_need_no_second_connection(anonymous: AsyncClient, engine: AsyncEngine) -> None:
    """More requests than connections: one that held its own while waiting for another would block them all."""
    async with begin(engine) as tx:
        key = await make_api_key(tx, "admin")
        other = await make_api_key(tx)
    asks = [("GET", "/v1/api-keys", 200), ("DELETE", f"/v1/api-keys/{other.public_id}", 204)] * 20
    async with asyncio.timeout(8):  # less than what it takes to give up waiting for a connection
        answers = await asyncio.gather(
            *(anonymous.request(method, path, headers=bearer(key.text)) for method, path, _ in asks)
        )
    assert [answer.status_code for answer in answers] == [status for _, _, status in asks]
