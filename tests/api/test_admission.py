"""The key comes first: before the body is read, and before an earlier answer is told again."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.params import Form
from fastapi.routing import APIRoute, iter_route_contexts
from httpx import AsyncClient, Response
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.admission import scopes_of
from api.idempotency import REPLAYED, AskingRoute, IdempotentRoute
from api.resources import Resources
from api.security import REACH
from shared.api_keys import NewKey
from shared.clock import utc_now
from shared.db import begin
from shared.models import ApiKey, IdempotencyKey
from shared.queries.idempotency import Scope, place_of_answer
from shared.sealing import Sealer
from tests.factories import make_api_key, make_gateway

SOME_ID = UUID("01920000-0000-7000-8000-000000000001")
EMPTY_FORM = b"--x--\r\n"
# What a key has that reaches everything but that.
BELOW = {"admin": ("manage",), "manage": ("read", "send"), "send": ("read",), "read": ("send",)}
OLD = b'{"told": "before"}'


def bearer(key: NewKey) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.text}"}


def routes(app: FastAPI, *methods: str) -> Iterator[tuple[str, str, APIRoute]]:
    """Each method and path of /v1, with its route."""
    for context in iter_route_contexts(app.routes):
        route, path = context.original_route, context.path or ""
        if isinstance(route, APIRoute) and path.startswith("/v1/"):
            filled = re.sub(r"\{\w+\}", str(SOME_ID), path)
            for method in sorted((route.methods or set()) & set(methods)):
                yield method, filled, route


def body_for(route: APIRoute) -> tuple[bytes, bytes, dict[str, str]]:
    """A body that can be read, what a fingerprint knows it by, and its type."""
    if any(isinstance(field.field_info, Form) for field in route.dependant.body_params):
        return EMPTY_FORM, b"", {"Content-Type": "multipart/form-data; boundary=x"}
    return b"{}", b"\nbody\n{}", {"Content-Type": "application/json"}


async def remember(engine: AsyncEngine, resources: Resources, key: NewKey, path: str, known_by: bytes) -> None:
    """As if this key had been answered there."""
    scope = Scope(caller=key.public_id, method="POST", path=path, key="first")
    digest = blake2b(sha256(known_by).digest(), digest_size=32, key=resources.pepper, person=b"idempotency").digest()
    async with begin(engine) as tx:
        await tx.execute(
            insert(IdempotencyKey).values(
                caller=scope.caller,
                method=scope.method,
                path=scope.path,
                key=scope.key,
                fingerprint=b"\x01" + digest,
                status=201,
                headers={"content-type": "application/json"},
                created_at=utc_now(),
                body=resources.sealer.seal(OLD, place=place_of_answer(scope)),
            )
        )


async def test_an_answer_is_not_repeated_to_a_key_that_lost_its_scope(
    app: FastAPI, anonymous: AsyncClient, engine: AsyncEngine, resources: Resources
) -> None:
    async with begin(engine) as tx:
        whole = await make_api_key(tx, "admin")
        lesser = {scope: await make_api_key(tx, *left) for scope, left in BELOW.items()}
    walked = 0
    for _, path, route in routes(app, "POST"):
        (scope,) = {each for each in scopes_of(route.dependant) if each is not None}
        body, known_by, headers = body_for(route)
        for key in (whole, lesser[scope]):
            await remember(engine, resources, key, path, known_by)
        send = {"content": body, "headers": headers | {"Idempotency-Key": "first"}}
        refused = await post(anonymous, path, lesser[scope], send)
        assert (refused.status_code, refused.json()["type"]) == (403, "/problems/missing-scope"), path
        assert REPLAYED not in refused.headers
        if isinstance(route, IdempotentRoute) and not isinstance(route, AskingRoute):
            told = await post(anonymous, path, whole, send)
            assert (told.status_code, told.content, told.headers[REPLAYED]) == (201, OLD, "true"), path
            walked += 1
    assert walked > 40


async def post(client: AsyncClient, path: str, key: NewKey, send: dict[str, Any]) -> Response:
    return await client.post(path, content=send["content"], headers=send["headers"] | bearer(key))


async def test_a_new_key_is_not_told_again_to_who_may_not_make_one_any_more(
    client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine
) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "admin")
    asked: dict[str, Any] = {
        "json": {"name": "inner", "scopes": ["admin"]},
        "headers": bearer(key) | {"Idempotency-Key": "zz"},
    }
    made = await anonymous.post("/v1/api-keys", **asked)
    assert made.status_code == 201
    assert (await anonymous.post("/v1/api-keys", **asked)).json() == made.json()
    demoted = await client.patch(f"/v1/api-keys/{key.public_id}", json={"scopes": ["send"]})
    assert demoted.status_code == 200
    refused = await anonymous.post("/v1/api-keys", **asked)
    assert refused.status_code == 403
    assert made.json()["key"] not in refused.text


async def test_what_only_an_admin_is_told_is_not_told_again_to_who_is_none_any_more(
    client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine, sealer: Sealer
) -> None:
    """To switch a gateway off takes `manage`; the addresses of its callbacks are shown to `admin` alone."""
    async with begin(engine) as tx:
        key = await make_api_key(tx, "admin")
        gateway = await make_gateway(tx, sealer)
    path, headers = f"/v1/gateways/{gateway}/disable", bearer(key) | {"Idempotency-Key": "zz"}
    told = await anonymous.post(path, headers=headers)
    assert told.json()["callback_urls"]
    await client.patch(f"/v1/api-keys/{key.public_id}", json={"scopes": ["manage"]})
    refused = await anonymous.post(path, headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (403, "/problems/answer-out-of-reach")
    assert "`admin`" in refused.json()["detail"]
    assert "callback" not in refused.text
    fresh = await anonymous.post(path, headers=headers | {"Idempotency-Key": "yy"})
    assert (fresh.status_code, fresh.json()["callback_urls"]) == (200, None)
    await client.patch(f"/v1/api-keys/{key.public_id}", json={"scopes": ["admin", "send"]})
    assert (await anonymous.post(path, headers=headers)).content == told.content


@pytest.mark.parametrize(
    ("over", "status"),
    [
        pytest.param({"revoked_at": timedelta(0)}, 401, id="revoked"),
        pytest.param({"expires_at": timedelta(0)}, 401, id="expired"),
        pytest.param({"networks": ["192.0.2.0/24"]}, 403, id="from elsewhere"),
        pytest.param({"rate_limit": 1}, 429, id="too often"),
    ],
)
async def test_whatever_stops_a_key_stops_a_repeat(
    anonymous: AsyncClient, engine: AsyncEngine, now: datetime, over: dict[str, Any], status: int
) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "admin")
    asked: dict[str, Any] = {
        "json": {"name": "inner", "scopes": ["send"]},
        "headers": bearer(key) | {"Idempotency-Key": "zz"},
    }
    assert (await anonymous.post("/v1/api-keys", **asked)).status_code == 201
    values = {name: now + value if isinstance(value, timedelta) else value for name, value in over.items()}
    async with begin(engine) as tx:
        await tx.execute(update(ApiKey).where(ApiKey.public_id == key.public_id).values(values))
    answers = [await anonymous.post("/v1/api-keys", **asked) for _ in range(3)]
    assert answers[-1].status_code == status
    assert REPLAYED not in answers[-1].headers


async def test_a_body_is_not_looked_at_before_the_key(app: FastAPI, anonymous: AsyncClient) -> None:
    spoilt = {"content": b"{", "headers": {"Content-Type": "application/json"}}
    walked = 0
    for method, path, route in routes(app, "POST", "PUT", "PATCH", "DELETE"):
        answer = await anonymous.request(method, path, **spoilt)  # type: ignore[arg-type]  # what httpx takes by name
        assert answer.status_code == 401, (method, path)
        assert set(scopes_of(route.dependant)), (method, path)
        walked += 1
    assert walked > 80


async def test_who_asks_too_often_is_counted_whatever_the_body_holds(
    anonymous: AsyncClient, engine: AsyncEngine
) -> None:
    async with begin(engine) as tx:
        reader = await make_api_key(tx, "read")
        sender = await make_api_key(tx, "send", rate_limit=2)
    headers = {"Content-Type": "application/json"}
    refused = await anonymous.post("/v1/messages", content=b"{", headers=headers | bearer(reader))
    assert refused.status_code == 403
    answers = [await anonymous.post("/v1/messages", content=b"{", headers=headers | bearer(sender)) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 429]
    assert answers[0].headers["ratelimit"] == '"key";r=1;t=30'
    assert int(answers[2].headers["retry-after"]) > 0


def test_every_scope_has_something_below() -> None:
    assert BELOW.keys() == REACH.keys()
    for scope, left in BELOW.items():
        assert scope not in frozenset().union(*(REACH[each] for each in left))
