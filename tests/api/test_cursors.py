"""Cursors that nobody was given: every list refuses them by name, and none falls over them."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from httpx import AsyncClient, Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.campaigns.queries import SORTS
from api.parameters import names_of
from shared.db import begin
from shared.sealing import Sealer
from tests.factories import make_contact, make_gateway, make_msisdn, make_target_group

SOME_ID = "01920000-0000-7000-8000-000000000001"
HOSTILE = [
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    10**300,
    1.5,
    float("inf"),
    float("-inf"),
    float("nan"),
    "",
    "x",
    "\0",
    "\ud800",
    "x" * 700,
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
    "2026-02-30",
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    [],
    [SOME_ID],
    {},
    {"id": SOME_ID},
]
# The parts that lists write into their cursors, each with something of its kind; the sort is a campaign's.
PARTS: dict[str, Any] = {
    "id": SOME_ID,
    "key": "city",
    "version": 1,
    "name": "a",
    "priority": 1,
    "stage": 0,
    "after": SOME_ID,
}


def cursor_of(parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def lists(app: FastAPI) -> Iterator[str]:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and "cursor" in set(names_of(route.dependant)):
            yield context.path or ""


@pytest.fixture
async def there(client: AsyncClient, engine: AsyncEngine, sealer: Sealer) -> dict[str, str]:
    """Something below which each list of the kind hangs: nothing is refused for want of it."""
    async with begin(engine) as tx:
        contact = await make_contact(tx)
        group = await make_target_group(tx, contact)
        gateway = await make_gateway(tx, sealer)
    template = await client.post("/v1/templates", json={"name": "Hello", "text": "Hi"})
    campaign = {
        "name": "Spring",
        "messages": [{"text": "Hi"}],
        "target_group_ids": [str(group)],
        "msisdns": [make_msisdn(9)],
    }
    made = await client.post("/v1/campaigns", json=campaign)
    webhook = await client.post(
        "/v1/webhooks", json={"url": "https://example.com/hook", "events": ["message.delivered"]}
    )
    ids = {"template_id": template, "campaign_id": made, "webhook_id": webhook}
    for answer in ids.values():
        assert answer.status_code == 201, answer.text
    return {name: answer.json()["id"] for name, answer in ids.items()} | {
        "group_id": str(group),
        "gateway_id": str(gateway),
    }


def check(answer: Response, *told: object) -> None:
    assert answer.status_code in {200, 422}, (*told, answer.text)
    if answer.status_code == 422:
        assert [error["pointer"] for error in answer.json()["errors"]] == ["?cursor"], told


async def test_no_list_falls_over_a_cursor(app: FastAPI, client: AsyncClient, there: dict[str, str]) -> None:
    walked = 0
    for path in lists(app):
        url = path.format(**there)
        assert (await client.get(url)).status_code == 200, path
        for value in HOSTILE:
            check(await client.get(url, params={"cursor": cursor_of(dict.fromkeys(PARTS, value))}), path, value)
            check(await client.get(url, params={"cursor": cursor_of(value)}), path, value)
        answer = await client.get(url, params={"cursor": cursor_of({"strange": 1})})
        assert answer.status_code == 422, path
        walked += 1
    assert walked > 25


@pytest.mark.parametrize(
    ("path", "asked", "parts"),
    [
        ("/v1/gateways", {}, ("priority", "id")),
        ("/v1/campaigns/{campaign_id}/recipients", {}, ("stage", "after")),
        ("/v1/campaigns/{campaign_id}/recipients", {"skipped": "true"}, ("stage", "after")),
    ],
)
async def test_no_part_of_a_cursor_is_believed(
    client: AsyncClient, there: dict[str, str], path: str, asked: dict[str, str], parts: tuple[str, ...]
) -> None:
    url = path.format(**there)
    for part in parts:
        for value in HOSTILE:
            cursor = cursor_of(PARTS | {part: value})
            check(await client.get(url, params=asked | {"cursor": cursor}), path, part, value)


@pytest.mark.parametrize("sort", [sign + name for name in SORTS for sign in ("", "-")])
async def test_no_place_among_campaigns_is_believed(client: AsyncClient, sort: str) -> None:
    for value in HOSTILE:
        for parts in (
            {"sort": sort, "value": value, "id": SOME_ID},
            {"sort": value, "value": "draft", "id": SOME_ID},
            {"sort": sort, "value": "2026-01-01T00:00:00+00:00", "id": value},
        ):
            check(await client.get("/v1/campaigns", params={"sort": sort, "cursor": cursor_of(parts)}), parts)


async def test_every_page_of_recipients_follows_the_one_before(client: AsyncClient, engine: AsyncEngine) -> None:
    """Contacts first, then loose numbers: a place is read as what its own part of the list wrote."""
    async with begin(engine) as tx:
        people = [str(await make_contact(tx, msisdn=make_msisdn(place))) for place in range(3)]
    numbers = [make_msisdn(place) for place in range(5, 8)]
    body = {"name": "Spring", "messages": [{"text": "Hi"}], "contact_ids": people, "msisdns": numbers}
    made = (await client.post("/v1/campaigns", json=body)).json()
    seen: list[str] = []
    params: dict[str, str | int] = {"limit": 1}
    while True:
        page = (await client.get(f"/v1/campaigns/{made['id']}/recipients", params=params)).json()
        seen += [row["msisdn"] for row in page["items"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
    assert seen == [make_msisdn(place) for place in (0, 1, 2, 5, 6, 7)]
