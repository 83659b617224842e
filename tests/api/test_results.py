"""What became of campaigns and messages: files that survive a round trip, breakdowns, and a stream of progress."""

import asyncio
import csv
import io
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import respx
from httpx import AsyncClient, Request, Response
from sqlalchemy import text

from api.campaigns.results import progress
from api.campaigns.results.queries import list_messages
from api.exports import PAGE
from api.messages import export
from api.resources import Resources
from dispatcher.path.due import due
from dispatcher.path.finish import cancel_requested, finish
from shared.db import begin
from shared.domain.message import Kind, Status
from shared.domain.report import summarize
from tests.dispatcher.answers import MESSAGE, at, in_turn, refused, taken
from tests.dispatcher.queued import queue_one
from tests.factories import make_api_key, make_campaign, make_gateway, make_message, make_msisdn
from tests.stages import expand_all, message_of, pump_all, pump_once, run_to_the_end
from tests.worlds import HandClock, HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]

NUMBERS = [make_msisdn(number) for number in range(12)]
AWKWARD = ["=1+1", "+44 first", "-5", "@here", "'quoted", "''twice", 'say "hi", then\nleave; bye', "Zoë 😀", "\ttab"]


@pytest.fixture
async def gateway(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer)


async def parsed(client: AsyncClient, path: str, **params: Any) -> list[dict[str, str]]:
    answer = await client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment; filename=")
    table = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"), newline="")))
    return [dict(zip(table[0], line, strict=True)) for line in table[1:]]


def unmarked(row: dict[str, str]) -> dict[str, str]:
    """As a reader of the spreadsheet's file takes it: without the apostrophe that stands for itself."""
    return {name: value.removeprefix("'") for name, value in row.items()}


def as_text(value: Any) -> str:
    return "" if value is None else str(value)


@pytest.mark.parametrize("style", ["machine", "spreadsheet"])
async def test_log_survives_the_round_trip(client: AsyncClient, worker: HandWorker, style: str) -> None:
    async with worker.transaction() as tx:
        for place, words in enumerate(AWKWARD):
            await make_message(
                tx, worker.pepper, now=worker.now(), text=words, msisdn=make_msisdn(place), client_reference=words
            )
    rows = await parsed(client, "/v1/messages/export", style=style)
    if style == "spreadsheet":
        assert not [v for row in rows for v in row.values() if v.startswith(("=", "+", "-", "@", "\t", "\r"))]
        rows = [unmarked(row) for row in rows]
    shown = (await client.get("/v1/messages")).json()["items"]
    assert rows == [{column: as_text(one[column]) for column in export.COLUMNS} for one in shown]
    assert {row["text"] for row in rows} == set(AWKWARD)


async def test_log_as_json_lines(client: AsyncClient, worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        for words in AWKWARD:
            await make_message(tx, worker.pepper, now=worker.now(), text=words)
    answer = await client.get("/v1/messages/export", params={"format": "ndjson"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    shown = (await client.get("/v1/messages")).json()["items"]
    assert lines == [{column: one[column] for column in export.COLUMNS} for one in shown]


async def test_export_takes_the_filters_of_the_log(client: AsyncClient, worker: HandWorker, gateway: UUID) -> None:
    async with worker.transaction() as tx:
        await make_message(tx, worker.pepper, now=worker.now(), text="One", attempt=2, gateway_id=gateway)
        await make_message(tx, worker.pepper, now=worker.now() - timedelta(hours=2), text="Two", kind=Kind.VOUCHER)
    for params, words in (
        ({"q": "tw"}, ["Two"]),
        ({"kind": "voucher"}, ["Two"]),
        ({"attempts": 2}, ["One"]),
        ({"gateway_id": str(gateway)}, ["One"]),
        ({"from": (worker.now() - timedelta(hours=1)).isoformat()}, ["One"]),
        ({"status": "failed"}, []),
    ):
        assert [row["text"] for row in await parsed(client, "/v1/messages/export", **params)] == words, params
        assert [row["text"] for row in (await client.get("/v1/messages", params=params)).json()["items"]] == words


@pytest.mark.parametrize("style", ["machine", "spreadsheet"])
async def test_export_by_the_name_of_its_form(client: AsyncClient, worker: HandWorker, style: str) -> None:
    async with worker.transaction() as tx:
        for words in ("One", "=Two"):
            await make_message(tx, worker.pepper, now=worker.now(), text=words)
    params = {"q": "tw", "style": style}
    named = await client.get("/v1/messages/export.csv", params=params)
    asked = await client.get("/v1/messages/export", params=params | {"format": "csv"})
    assert (named.status_code, named.content) == (200, asked.content)
    for header in ("content-type", "content-disposition"):
        assert named.headers[header] == asked.headers[header]
    assert "Two" in named.text
    assert "One" not in named.text


async def test_export_goes_on_page_after_page(
    client: AsyncClient, worker: HandWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "PAGE", 4)
    async with worker.transaction() as tx:
        for place in range(10):
            await make_message(tx, worker.pepper, now=worker.now() + timedelta(seconds=place), text=str(place))
    rows = await parsed(client, "/v1/messages/export")
    assert [row["text"] for row in rows] == [str(place) for place in reversed(range(10))]
    assert PAGE >= 500


@pytest.mark.parametrize("params", [{"format": "xlsx"}, {"style": "pretty"}, {"attempts": -1}, {"colour": "red"}])
async def test_export_refused(client: AsyncClient, params: dict[str, Any]) -> None:
    answer = await client.get("/v1/messages/export", params=params)
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [f"?{next(iter(params))}"]


PATHS = [
    "/v1/messages/export",
    "/v1/messages/export.csv",
    "/v1/campaigns/{id}/messages.csv",
    "/v1/campaigns/{id}/breakdown",
]


@pytest.mark.parametrize("path", [*PATHS, "/v1/campaigns/{id}/events"])
async def test_scope_and_unknown_campaign(anonymous: AsyncClient, worker: HandWorker, path: str) -> None:
    path = path.format(id=uuid4())
    assert (await anonymous.get(path)).status_code == 401
    async with begin(worker.engine) as tx:
        key = await make_api_key(tx, "read")
    answer = await anonymous.get(path, headers={"Authorization": f"Bearer {key.text}"})
    assert answer.status_code == (200 if "export" in path else 404)


async def complete(worker: HandWorker, **over: Any) -> str:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, NUMBERS, now=worker.now(), **over)
    for _ in range(3):
        await run_to_the_end(worker)
    return str(campaign_id)


async def test_results_of_a_campaign(
    client: AsyncClient, worker: HandWorker, gateway: UUID, router: respx.MockRouter
) -> None:
    at(router, answer=in_turn(refused(MESSAGE), taken))
    campaign_id = await complete(worker, texts=["=One", "Two"], name="Spring / offer")
    rows = await parsed(client, f"/v1/campaigns/{campaign_id}/messages.csv", style="machine")
    shown = (await client.get(f"/v1/campaigns/{campaign_id}/messages", params={"limit": 200})).json()["items"]
    same = ("id", "msisdn", "status", "failure", "position", "segments", "attempt", "status_at")
    assert [{name: row[name] for name in same} for row in rows] == [
        {name: as_text(one[name]) for name in same} for one in shown
    ]
    assert [row["position"] for row in rows] == ["1"] * 12 + ["2"] * 12
    assert {row["text"] for row in rows} == {"=One", "Two"}
    assert [row["status"] for row in rows].count("failed") == 1
    answer = await client.get(f"/v1/campaigns/{campaign_id}/messages.csv")
    assert 'filename="Spring-offer-messages.csv"' in answer.headers["content-disposition"]


@pytest.mark.parametrize("limit", [1, 5, 12, 24, 100])
@pytest.mark.parametrize("status", [None, Status.SUBMITTED, Status.FAILED])
async def test_every_page_of_the_results(
    worker: HandWorker, gateway: UUID, router: respx.MockRouter, limit: int, status: Status | None
) -> None:
    at(router, answer=in_turn(refused(MESSAGE), taken))
    campaign_id = UUID(await complete(worker, texts=["One", "Two"]))
    seen: list[UUID] = []
    while True:
        async with begin(worker.engine) as tx:
            rows = await list_messages(tx, campaign_id, status=status, after=seen[-1] if seen else None, limit=limit)
        seen += [row.id for row in rows]
        if len(rows) < limit:
            break
    assert len(seen) == len(set(seen)) == {None: 24, Status.SUBMITTED: 23, Status.FAILED: 1}[status]


async def test_breakdown(client: AsyncClient, worker: HandWorker, gateway: UUID, router: respx.MockRouter) -> None:
    at(router, answer=in_turn(refused(MESSAGE), refused(MESSAGE), taken))
    async with worker.transaction() as tx:
        numbers = [*NUMBERS, "+12025550142", "+12025550143"]
        campaign_id = await make_campaign(tx, numbers, now=worker.now())
    await run_to_the_end(worker)
    await pump_all(worker)
    async with worker.transaction() as tx:
        await tx.execute(text("UPDATE messages SET status = 'delivered' WHERE msisdn LIKE '+1202%'"))
    told = (await client.get(f"/v1/campaigns/{campaign_id}/breakdown")).json()
    (step,) = told["messages"]
    countries = {part["name"]: sum(part["counts"].values()) for part in step["by_country"]}
    assert countries == {"GB": 12, "US": 2}
    (part,) = step["by_gateway"]
    assert (part["name"], part["id"], sum(part["counts"].values())) == ("first", str(gateway), 14)
    (error,) = step["by_error"]
    assert error["name"] == str(MESSAGE)
    failed = error["counts"]["failed"]
    assert step["summary"] == {
        "waiting": 0,
        "on_the_way": 12 - failed,
        "delivered": 2,
        "not_delivered": failed,
        "unconfirmed": 0,
        "not_sent": 0,
        "deliverability": round(2 / (2 + failed), 4),
    }
    timeline = (await client.get(f"/v1/campaigns/{campaign_id}/timeline")).json()["items"]
    begun = next(event for event in timeline if event["event"] == "message_begun")
    assert begun["summary"]["deliverability"] is not None


def test_summary_adds_up() -> None:
    summary = summarize({status: place + 1 for place, status in enumerate(Status)})
    parts = ("waiting", "on_the_way", "delivered", "not_delivered", "unconfirmed", "not_sent")
    assert sum(getattr(summary, part) for part in parts) == sum(range(1, len(Status) + 1))
    assert summarize({}).deliverability is None


# --- progress


def events_of(body: str) -> list[tuple[str, Any]]:
    blocks = [block for block in body.split("\n\n") if block.startswith("event: ")]
    pairs = [block.split("\n") for block in blocks]
    return [(head.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for head, data in pairs]


async def test_progress_ends_with_the_campaign(
    client: AsyncClient, worker: HandWorker, gateway: UUID, router: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(progress, "HEARTBEAT_SECONDS", 0.0)
    at(router)
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, NUMBERS, now=worker.now())
    await due(worker)
    watching = asyncio.create_task(client.get(f"/v1/campaigns/{campaign_id}/events"))
    await expand_all(worker)
    while await pump_once(worker):
        await asyncio.sleep(0.05)
    await finish(worker)
    answer = await asyncio.wait_for(watching, 30)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    assert [name for name, _ in events][-2:] == ["report", "end"]
    reports = [data for name, data in events if name == "report"]
    assert all(sum(report["counts"].values()) == 12 for report in reports)
    assert (reports[-1]["status"], reports[-1]["counts"]["submitted"]) == ("completed", 12)
    assert len({json.dumps(report) for report in reports}) == len(reports) > 1
    assert ": nothing new" in answer.text


async def test_progress_of_what_is_over_or_too_long(
    client: AsyncClient, worker: HandWorker, gateway: UUID, router: respx.MockRouter, monkeypatch: pytest.MonkeyPatch
) -> None:
    at(router)
    over = await complete(worker)
    events = events_of((await client.get(f"/v1/campaigns/{over}/events")).text)
    assert [name for name, _ in events] == ["report", "end"]
    monkeypatch.setattr(progress, "LONGEST_SECONDS", 0.0)
    events = events_of((await client.get(f"/v1/campaigns/{over}/events")).text)
    assert [name for name, _ in events] == ["end"]


async def test_only_so_many_watch(client: AsyncClient, worker: HandWorker, resources: Resources) -> None:
    async with worker.transaction() as tx:
        campaign_id = await make_campaign(tx, NUMBERS, now=worker.now())
    resources.streams.open = resources.streams.most
    answer = await client.get(f"/v1/campaigns/{campaign_id}/events")
    assert (answer.status_code, answer.json()["type"]) == (429, "/problems/too-many-streams")
    assert "Retry-After" in answer.headers
    resources.streams.open = 0


# --- called back


async def test_all_that_a_person_would_still_get(
    client: AsyncClient, worker: HandWorker, gateway: UUID, router: respx.MockRouter
) -> None:
    route = at(router)
    async with worker.transaction() as tx:
        await make_campaign(tx, NUMBERS, now=worker.now())
        later = worker.now() + timedelta(hours=1)
        await make_message(tx, worker.pepper, now=worker.now(), msisdn=NUMBERS[0], not_before=later)
    await due(worker)
    await expand_all(worker)
    answer = await client.post("/v1/messages/cancel", json={"msisdn": NUMBERS[0]})
    assert (answer.status_code, answer.json()) == (200, {"messages": 2})
    await cancel_requested(worker)
    await pump_all(worker)
    assert route.call_count == len(NUMBERS) - 1
    assert (await client.post("/v1/messages/cancel", json={"msisdn": NUMBERS[0]})).json() == {"messages": 0}


async def test_what_is_at_the_door_is_called_back_should_it_be_turned_away(
    client: AsyncClient, worker: HandWorker, gateway: UUID, router: respx.MockRouter, by_hand: HandClock
) -> None:
    on_the_line, end = asyncio.Event(), asyncio.Event()

    async def think(_request: Request) -> Response:
        on_the_line.set()
        await end.wait()
        return Response(429)

    route = at(router, answer=think)
    message_id = await queue_one(worker, msisdn=NUMBERS[0])
    handing_over = asyncio.create_task(pump_once(worker, "urgent"))
    await on_the_line.wait()
    assert (await client.post("/v1/messages/cancel", json={"msisdn": NUMBERS[0]})).json() == {"messages": 0}
    end.set()
    await handing_over
    assert (await message_of(worker.engine, message_id)).status is Status.QUEUED
    await cancel_requested(worker)
    await by_hand.advance(minutes=5)
    await pump_all(worker, "urgent")
    assert (await message_of(worker.engine, message_id)).status is Status.CANCELLED
    assert route.call_count == 1


async def test_calling_back_asks_for_a_number(client: AsyncClient) -> None:
    refused = await client.post("/v1/messages/cancel", json={"msisdn": "12"})
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/msisdn")
