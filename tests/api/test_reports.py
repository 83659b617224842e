"""Reports: at every moment of a campaign's life the counts add up, and they are those of the message rows."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
import respx
from httpx import AsyncClient

from api.campaigns import queries
from dispatcher.beside.rescue import rescue
from dispatcher.path.due import due
from dispatcher.path.expand import expand
from dispatcher.path.finish import empty_stopped, finish
from dispatcher.path.receipts import receipts
from shared.db import begin
from tests.conftest import Clock
from tests.factories import make_gateway, make_msisdn, make_opt_out
from tests.stages import check_tallies, execute, pump_once, run_to_the_end
from tests.worlds import HandClock, HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]

NUMBERS = [make_msisdn(number) for number in range(25)]
LATER = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def sandbox(worker: HandWorker, router: respx.MockRouter) -> UUID:
    async with worker.transaction() as tx:
        await make_opt_out(tx, worker.pepper, NUMBERS[11])
        return await make_gateway(tx, worker.sealer, kind="sandbox")


async def create(client: AsyncClient, clock: Clock, **over: Any) -> str:
    """Two messages to twenty-five people, the second an hour later."""
    body = {
        "name": "Spring offer",
        "msisdns": NUMBERS,
        "messages": [{"text": "One"}, {"text": "Two", "send_at": (clock.now + LATER).isoformat()}],
        "opt_in_acknowledged": True,
    } | over
    answer = await client.post("/v1/campaigns", json=body)
    assert answer.status_code == 201, answer.text
    campaign_id: str = answer.json()["id"]
    return campaign_id


async def check(client: AsyncClient, worker: HandWorker, campaign_id: str) -> dict[str, Any]:
    """The report; its sums hold, and what has been made is what a recount finds."""
    answer = await client.get(f"/v1/campaigns/{campaign_id}/report")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    recipients = told["recipients"]
    assert sum(told["counts"].values()) == recipients * len(told["messages"])
    for step in told["messages"]:
        assert sum(step["counts"].values()) == recipients
    for status, count in told["counts"].items():
        assert count == sum(step["counts"][status] for step in told["messages"])
    assert told["segments"] == sum(step["segments"] for step in told["messages"])
    async with begin(worker.engine) as tx:
        counted = await queries.recount(tx, UUID(campaign_id))
    for step in told["messages"]:
        made = {str(status): count for (id_, status), count in counted.items() if str(id_) == step["id"]}
        unmade = recipients - sum(made.values())
        waiting = "cancelled" if step["status"] == "cancelled" else "queued"
        wanted = {**made, waiting: made.get(waiting, 0) + unmade}
        assert {status: count for status, count in step["counts"].items() if count} == {
            status: count for status, count in wanted.items() if count
        }
    await check_tallies(worker.engine)
    return told


async def test_adds_up_at_every_moment(
    client: AsyncClient, worker: HandWorker, clock: Clock, by_hand: HandClock
) -> None:
    campaign_id = await create(client, clock)
    path = f"/v1/campaigns/{campaign_id}"
    told = await check(client, worker, campaign_id)
    assert (told["status"], told["recipients"], told["counts"]["queued"]) == ("draft", 25, 50)
    await client.post(f"{path}/start")
    beats: list[Callable[[HandWorker], Awaitable[Any]]] = [
        due,
        expand,
        pump_once,
        receipts,
        expand,
        pump_once,
        receipts,
        expand,
        finish,
        *([pump_once] * 5),
        rescue,
        receipts,
        finish,
    ]
    for round_ in range(2):
        for beat in beats:
            await beat(worker)
            await check(client, worker, campaign_id)
            await by_hand.advance(seconds=1)
        if round_ == 0:
            await by_hand.advance(hours=1)
    for _ in range(3):
        await by_hand.advance(minutes=5)
        await run_to_the_end(worker)
        told = await check(client, worker, campaign_id)
    assert told["status"] == "completed"
    # by their last digit: two each of 6, 7 and 9, and one who opted out
    each = {"delivered": 18, "undelivered": 2, "unconfirmed": 2, "failed": 2, "skipped": 1}
    assert {status: count for status, count in told["counts"].items() if count} == {
        status: 2 * count for status, count in each.items()
    }
    assert told["segments"] == 2 * (18 + 2 + 2)


@pytest.mark.parametrize("beats", range(6))
async def test_adds_up_when_it_is_stopped(client: AsyncClient, worker: HandWorker, clock: Clock, beats: int) -> None:
    """Stopped after so many beats: what was not sent is cancelled, made or not made yet."""
    campaign_id = await create(client, clock)
    await client.post(f"/v1/campaigns/{campaign_id}/start")
    path: list[Callable[[HandWorker], Awaitable[Any]]] = [due, expand, pump_once, expand, pump_once]
    for beat in path[:beats]:
        await beat(worker)
    sent = (await check(client, worker, campaign_id))["counts"]
    assert (await client.post(f"/v1/campaigns/{campaign_id}/stop")).status_code == 200
    told = await check(client, worker, campaign_id)
    assert told["recipients"] == 25
    if not beats:  # nothing was made, so nothing has to be waited for
        assert told["counts"]["cancelled"] == 50
    while await empty_stopped(worker):
        await check(client, worker, campaign_id)
    told = await check(client, worker, campaign_id)
    open_ = {status for status in ("queued", "sending") if told["counts"][status]}
    assert told["status"] == "stopped"
    assert not open_
    kept = {status: count for status, count in sent.items() if count and status not in {"queued", "sending"}}
    assert {s: c for s, c in told["counts"].items() if c and s != "cancelled"} == kept
    assert await pump_once(worker) == 0


async def test_death_on_the_way_adds_up(
    client: AsyncClient, worker: HandWorker, clock: Clock, by_hand: HandClock
) -> None:
    campaign_id = await create(client, clock, messages=[{"text": "One"}])
    await client.post(f"/v1/campaigns/{campaign_id}/start")
    await due(worker)
    await expand(worker)
    await execute(
        worker.engine, "UPDATE messages SET status = 'sending', attempt = 1, lease_until = now() - interval '1 second'"
    )
    await execute(
        worker.engine,
        "INSERT INTO tallies SELECT campaign_message_id, s, 999, n * count(*), n * sum(segments) FROM messages,"
        " (VALUES ('sending', 1), ('queued', -1)) AS v (s, n) GROUP BY campaign_message_id, s, n",
    )
    assert (await check(client, worker, campaign_id))["counts"]["sending"] == 10
    assert await rescue(worker) == 10
    assert (await check(client, worker, campaign_id))["counts"]["unconfirmed"] == 10


async def test_steps_tell_their_own(client: AsyncClient, worker: HandWorker, clock: Clock) -> None:
    campaign_id = await create(client, clock)
    await client.post(f"/v1/campaigns/{campaign_id}/start")
    await run_to_the_end(worker)
    told = await check(client, worker, campaign_id)
    first, second = told["messages"]
    assert (first["position"], first["status"], second["position"], second["status"]) == (1, "sending", 2, "pending")
    assert second["counts"]["queued"] == 25
    assert (second["segments"], first["segments"]) == (0, told["segments"])


async def test_timeline(client: AsyncClient, worker: HandWorker, clock: Clock, by_hand: HandClock) -> None:
    campaign_id = await create(client, clock, msisdns=NUMBERS[:3])
    path = f"/v1/campaigns/{campaign_id}"
    created = clock.now

    async def events() -> list[tuple[str, int | None]]:
        items = (await client.get(f"{path}/timeline")).json()["items"]
        assert [one["at"] for one in items] == sorted(one["at"] for one in items)
        return [(one["event"], one["position"]) for one in items]

    assert await events() == [("created", None), ("message_due", 2)]
    await by_hand.advance(minutes=1)
    await client.post(f"{path}/start")
    await run_to_the_end(worker)
    assert await events() == [
        ("created", None),
        ("started", None),
        ("message_begun", 1),
        ("message_completed", 1),
        ("message_due", 2),
    ]
    await by_hand.advance(hours=1)
    await run_to_the_end(worker)
    items = (await client.get(f"{path}/timeline")).json()["items"]
    assert [one["event"] for one in items][-1] == "completed"
    assert items[-1]["counts"]["delivered"] == 6
    assert items[0]["at"] == created.isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("archived", [False, True])
async def test_stopped_before_its_time(
    client: AsyncClient, worker: HandWorker, clock: Clock, *, archived: bool
) -> None:
    campaign_id = await create(client, clock, messages=[{"text": "Hi", "send_at": (clock.now + LATER).isoformat()}])
    path = f"/v1/campaigns/{campaign_id}"
    await client.post(f"{path}/start")
    for command in ("stop", "archive")[: 1 + archived]:
        assert (await client.post(f"{path}/{command}")).status_code == 200
    told = await check(client, worker, campaign_id)
    assert (told["recipients"], told["counts"]["cancelled"]) == (25, 25)
    events = [one["event"] for one in (await client.get(f"{path}/timeline")).json()["items"]]
    assert sorted(events) == sorted(["created", "scheduled", "stopped", "message_cancelled", *["archived"] * archived])


async def test_archived_right_after_its_stop_is_emptied(client: AsyncClient, worker: HandWorker, clock: Clock) -> None:
    campaign_id = await create(client, clock)
    for command in ("start", "stop", "archive"):
        assert (await client.post(f"/v1/campaigns/{campaign_id}/{command}")).status_code == 200
        if command == "start":
            await due(worker)
            await expand(worker)
    while await empty_stopped(worker):
        pass
    assert (await check(client, worker, campaign_id))["counts"]["cancelled"] == 50


async def test_recipients_and_messages_are_paged(client: AsyncClient, worker: HandWorker, clock: Clock) -> None:
    campaign_id = await create(client, clock, messages=[{"text": "One"}])
    await client.post(f"/v1/campaigns/{campaign_id}/start")
    path = f"/v1/campaigns/{campaign_id}"
    before = (await client.get(f"{path}/recipients", params={"limit": 200})).json()["items"]
    assert {one["position"] for one in before} == {None}
    await due(worker)
    after = (await client.get(f"{path}/recipients", params={"limit": 200})).json()["items"]
    assert [one["msisdn"] for one in before] == [one["msisdn"] for one in after]
    await expand(worker)
    await expand(worker)
    await expand(worker)
    for what in ("recipients", "messages"):
        seen: list[str] = []
        params: dict[str, Any] = {"limit": 10}
        while True:
            page = (await client.get(f"{path}/{what}", params=params)).json()
            seen += [one["msisdn"] for one in page["items"]]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
        assert seen == NUMBERS
    await pump_once(worker)
    page = (await client.get(f"{path}/messages", params={"status": "unconfirmed"})).json()
    assert [(one["msisdn"], one["status"]) for one in page["items"]] == [(NUMBERS[7], "unconfirmed")]
    log = (await client.get("/v1/messages", params={"campaign_id": campaign_id, "limit": 200})).json()["items"]
    assert len(log) == 25
    assert {one["campaign_id"] for one in log} == {campaign_id}
