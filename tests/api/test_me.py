"""`GET /v1/me`: a key is told what it is."""

from datetime import datetime, timedelta

import pytest
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from tests.factories import make_api_key


@pytest.mark.parametrize(
    ("scope", "reach"), [("send", ["send"]), ("read", ["read"]), ("manage", ["manage", "read", "send"])]
)
async def test_any_key_is_told_what_it_is(
    anonymous: AsyncClient, engine: AsyncEngine, now: datetime, scope: str, reach: list[str]
) -> None:
    ends = now + timedelta(days=1)
    async with begin(engine) as tx:
        key = await make_api_key(tx, scope, expires_at=ends, rate_limit=600, networks=["127.0.0.0/8"])
    response = await anonymous.get("/v1/me", headers={"Authorization": f"Bearer {key.text}"})
    assert response.status_code == 200
    told = response.json()
    assert told["id"] == key.public_id
    assert told["scopes"] == reach
    assert datetime.fromisoformat(told["expires_at"]) == ends
    assert told["rate_limit"] == {"requests_per_minute": 600, "remaining": 599}
    assert (told["address"], told["networks"]) == ("127.0.0.1", ["127.0.0.0/8"])
    assert key.text not in response.text


async def test_the_bootstrap_key(client: AsyncClient) -> None:
    told = (await client.get("/v1/me")).json()
    assert (told["id"], told["scopes"]) == ("admin", ["admin", "manage", "read", "send"])


async def test_nobody(anonymous: AsyncClient) -> None:
    assert (await anonymous.get("/v1/me")).status_code == 401
