"""Every command leaves a line in the audit trail: found out from the routes themselves, so that a new one is seen."""

import inspect
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from httpx import AsyncClient
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.deps import DeedsOf
from api.idempotency import AskingRoute
from shared.db import begin
from shared.models import AuditEntry
from shared.queries import audit
from tests.api.test_openapi import ONLY_ASKS

OURS = ("api", "shared")
WRITES = {audit.record, DeedsOf.write, DeedsOf.write_difference}
WRITE_NAMES = {"write", "write_difference", "record"}
# A message, a password and an event are facts, not commands: each is a row of its own that says who handed it in, and
# an entry for each would double what every one of them costs.
FACTS = {("POST", "/v1/messages"), ("POST", "/v1/otp"), ("POST", "/v1/events")}
FACTS_BELOW = ("/v1/otp/",)


def commands(app: FastAPI) -> Iterator[tuple[str, str, Callable[..., Any]]]:
    for context in iter_route_contexts(app.routes):
        route, path = context.original_route, context.path or ""
        if not isinstance(route, APIRoute) or isinstance(route, AskingRoute) or not path.startswith("/v1/"):
            continue
        for method in sorted((route.methods or set()) & {"POST", "PUT", "PATCH", "DELETE"}):
            is_fact = (method, path) in FACTS or path.startswith(FACTS_BELOW) or path.endswith(ONLY_ASKS)
            if not is_fact:
                yield method, path, route.endpoint


def writes(function: Any, seen: set[int] | None = None) -> bool:
    """Whether a function, or one of ours that it calls, writes into the audit trail."""
    seen = set() if seen is None else seen
    if not isinstance(function, FunctionType):
        return False
    function = inspect.unwrap(function)
    if function in WRITES:
        return True
    if id(function) in seen or function.__module__.split(".")[0] not in OURS:
        return False
    seen.add(id(function))
    names = set(names_of(function.__code__))
    if WRITE_NAMES & names and "DeedsOf" in str(function.__annotations__):
        return True
    return any(writes(each, seen) for each in called(function, names))


def names_of(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_of(constant)


def called(function: FunctionType, names: set[str]) -> Iterator[Any]:
    for name in names:
        found = function.__globals__.get(name)
        if isinstance(found, ModuleType):
            yield from (getattr(found, each, None) for each in names)
        elif found is not None:
            yield found


def test_every_command_is_written_down(app: FastAPI) -> None:
    found = list(commands(app))
    assert len(found) > 20
    silent = [f"{method} {path}" for method, path, endpoint in found if not writes(endpoint)]
    assert not silent, f"these change something and leave no trace; ask for `Deeds` (api/deps.py): {silent}"


async def silent() -> None:
    """Writes nothing down, and calls what does neither."""
    await audit.shielded()  # type: ignore[attr-defined]  # there is none


async def told(deeds: DeedsOf) -> None:
    await deeds.write("a", ("b", None), {})


def test_the_walk_tells_a_silent_command() -> None:
    for function in (silent, told):
        function.__module__ = "api.sample"
    assert not writes(silent)
    assert writes(told)


CHANGES: list[tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    (
        "/v1/target-groups",
        "target_group.changed",
        {"name": "Guests"},
        {"name": "Diners"},
        {"name": {"from": "Guests", "to": "Diners"}},
    ),
    (
        "/v1/contacts",
        "contact.changed",
        {"msisdn": "+12025550142", "name": "Amara"},
        {"msisdn": "+12025550143", "name": "Amara"},
        {"changed": ["msisdn"]},
    ),
    (
        "/v1/campaigns",
        "campaign.changed",
        {"name": "Spring", "messages": [{"text": "Hello"}], "msisdns": ["+12025550142"], "opt_in_acknowledged": True},
        {"name": "Summer", "messages": [{"text": "Hello again"}]},
        {"given": ["messages", "name"], "name": {"from": "Spring", "to": "Summer"}},
    ),
]


@pytest.mark.parametrize(("path", "action", "made", "changed", "detail"), CHANGES, ids=[case[1] for case in CHANGES])
async def test_a_change_is_told_with_its_actor_and_difference(
    client: AsyncClient,
    engine: AsyncEngine,
    path: str,
    action: str,
    made: dict[str, Any],
    changed: dict[str, Any],
    detail: dict[str, Any],
) -> None:
    answer = await client.post(path, json=made)
    assert answer.status_code == 201, answer.text
    id_ = answer.json()["id"]
    response = await client.patch(f"{path}/{id_}", json=changed)
    assert response.status_code == 200, response.text
    async with begin(engine) as tx:
        entries = (await tx.execute(select(AuditEntry))).all()
    entries = sorted(entries, key=lambda entry: entry.action == action)
    assert [entry.action for entry in entries] == [action.replace("changed", "created"), action]
    assert {entry.subject_id for entry in entries} == {id_}
    assert {entry.caller for entry in entries} == {"admin"}
    assert entries[1].detail == detail
    assert entries[1].request_id == response.headers["x-request-id"]
    # Neither texts nor numbers stay in the trail.
    assert "+1202" not in str(entries)
    assert "Hello" not in str(entries)


async def test_the_same_again_is_no_change(client: AsyncClient, engine: AsyncEngine) -> None:
    group = (await client.post("/v1/target-groups", json={"name": "Guests"})).json()
    await client.patch(f"/v1/target-groups/{group['id']}", json={"name": "Guests"})
    async with begin(engine) as tx:
        assert len((await tx.execute(select(AuditEntry))).all()) == 1
