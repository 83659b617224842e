"""The whole life of a campaign over HTTP: moved, restarted, resumed, copied, sent once more in part, archived and back.

The dispatcher's stages are called by hand; after every deed the report adds up and equals the rows.
"""

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import respx
from httpx import AsyncClient, Response
from sqlalchemy import select, update

from dispatcher.beside import revive as reviving
from dispatcher.beside.revive import revive
from dispatcher.path.due import due
from dispatcher.path.expand import expand
from dispatcher.path.finish import cancel_requested, empty_stopped, finish
from shared.db import begin
from shared.domain.campaign import Status
from shared.models import AuditEntry, Campaign, Message
from tests.conftest import Clock
from tests.dispatcher.answers import MESSAGE, at, in_turn, numbers_of, refused, taken
from tests.factories import make_contact, make_gateway, make_msisdn, make_target_group
from tests.stages import check_tallies, execute, expand_all, pump_all, pump_once, run_to_the_end
from tests.worlds import HandClock, HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]

NUMBERS = [make_msisdn(number) for number in range(25)]
HOUR = timedelta(hours=1)


@pytest.fixture
def taker(router: respx.MockRouter) -> respx.Route:
    """A gateway that takes everything."""
    return at(router)


@pytest.fixture(autouse=True)
async def gateway(worker: HandWorker) -> UUID:
    async with worker.transaction() as tx:
        return await make_gateway(tx, worker.sealer)


async def create(client: AsyncClient, *messages: dict[str, Any], start: bool = True, **over: Any) -> dict[str, Any]:
    body = {
        "name": "Spring offer",
        "msisdns": NUMBERS,
        "messages": list(messages) or [{"text": "One"}],
        "opt_in_acknowledged": True,
    } | over
    answer = await client.post("/v1/campaigns", json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return await command(client, made["id"], "start") if start else made


async def command(client: AsyncClient, campaign_id: str, deed: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(f"/v1/campaigns/{campaign_id}/{deed}", json=body or None)
    assert answer.status_code in {200, 201, 202}, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def report(client: AsyncClient, worker: HandWorker, campaign_id: str) -> dict[str, int]:
    """The counts that are not nothing; they add up, and the tallies are what a recount finds."""
    told = (await client.get(f"/v1/campaigns/{campaign_id}/report")).json()
    assert sum(told["counts"].values()) == told["recipients"] * len(told["messages"])
    await check_tallies(worker.engine)
    return {status: count for status, count in told["counts"].items() if count}


def refusal(answer: Response, status: int, kind: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    assert told["type"] == f"/problems/{kind}"
    return told


async def empty(worker: HandWorker) -> None:
    while await empty_stopped(worker):
        pass


async def revive_all(worker: HandWorker) -> int:
    looked = 0
    while count := await revive(worker):
        looked += count
    return looked


async def finish_all(worker: HandWorker) -> None:
    await due(worker)
    await revive_all(worker)
    await expand_all(worker)
    await pump_all(worker)
    await finish(worker)


async def stop_half_way(client: AsyncClient, worker: HandWorker) -> dict[str, Any]:
    """Twenty of twenty-five are made, eight of them sent, then it is stopped."""
    campaign = await create(client)
    await due(worker)
    await expand(worker)
    await expand(worker)
    await pump_once(worker, slots=8)
    told = await command(client, campaign["id"], "stop")
    await empty(worker)
    return told


# --- restarted


async def test_restart_sends_the_rest_and_nobody_twice(
    client: AsyncClient, worker: HandWorker, taker: respx.Route
) -> None:
    stopped = await stop_half_way(client, worker)
    assert await report(client, worker, stopped["id"]) == {"submitted": 8, "cancelled": 17}
    step = stopped["messages"][0]["id"]
    told = await command(client, stopped["id"], "restart", messages=[{"id": step, "send_at": None}])
    assert (told["status"], told["stopped_at"], told["messages"][0]["status"]) == ("running", None, "pending")
    assert await report(client, worker, stopped["id"]) == {"submitted": 8, "cancelled": 12, "queued": 5}
    await finish_all(worker)
    assert await report(client, worker, stopped["id"]) == {"submitted": 25}
    assert Counter(numbers_of(taker)) == Counter(NUMBERS)
    assert (await client.get(f"/v1/campaigns/{stopped['id']}")).json()["status"] == "completed"


async def test_restart_for_later_waits(
    client: AsyncClient, worker: HandWorker, taker: respx.Route, by_hand: HandClock
) -> None:
    stopped = await stop_half_way(client, worker)
    later = (worker.now() + HOUR).isoformat()
    step = stopped["messages"][0]["id"]
    told = await command(client, stopped["id"], "restart", messages=[{"id": step, "send_at": later}])
    assert told["status"] == "scheduled"
    await finish_all(worker)
    assert taker.call_count == 8
    await by_hand.advance(hours=1)
    await finish_all(worker)
    assert await report(client, worker, stopped["id"]) == {"submitted": 25}


async def test_restart_goes_on_batch_by_batch_while_it_runs(
    client: AsyncClient, worker: HandWorker, taker: respx.Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restarted campaign is not completed while some of it still waits to be put back into the queue."""
    monkeypatch.setattr(reviving, "BATCH", 7)
    stopped = await stop_half_way(client, worker)
    await command(client, stopped["id"], "restart")
    await due(worker)
    await expand_all(worker)
    await pump_all(worker)
    await finish(worker)
    assert (await client.get(f"/v1/campaigns/{stopped['id']}")).json()["status"] == "running"
    assert await revive(worker) == 7
    await report(client, worker, stopped["id"])
    await command(client, stopped["id"], "stop")
    await empty(worker)
    assert await revive(worker) == 0
    told = await report(client, worker, stopped["id"])
    assert told["submitted"] + told["cancelled"] == 25
    await command(client, stopped["id"], "restart")
    await finish_all(worker)
    assert await report(client, worker, stopped["id"]) == {"submitted": 25}
    assert Counter(numbers_of(taker)) == Counter(NUMBERS)


async def test_restart_before_the_audience_was_frozen(
    client: AsyncClient, worker: HandWorker, taker: respx.Route
) -> None:
    later = (worker.now() + HOUR).isoformat()
    campaign = await create(client, {"text": "One", "send_at": later})
    stopped = await command(client, campaign["id"], "stop")
    assert stopped["recipients"] == 25
    await empty(worker)
    step = stopped["messages"][0]["id"]
    told = await command(client, campaign["id"], "restart", messages=[{"id": step, "send_at": None}])
    assert (told["status"], told["recipients"]) == ("running", None)
    await finish_all(worker)
    assert await report(client, worker, campaign["id"]) == {"submitted": 25}


async def test_what_its_owner_called_back_or_sent_again_stays_cancelled(
    client: AsyncClient, worker: HandWorker, taker: respx.Route
) -> None:
    campaign = await create(client)
    await due(worker)
    await expand_all(worker)
    rows = (await client.get(f"/v1/campaigns/{campaign['id']}/messages")).json()["items"]
    called_back, again = rows[0], rows[1]
    await client.post(f"/v1/messages/{called_back['id']}/cancel")
    await cancel_requested(worker)
    await command(client, campaign["id"], "stop")
    await empty(worker)
    assert (await client.post(f"/v1/messages/{again['id']}/resend")).status_code == 202
    await command(client, campaign["id"], "restart")
    await finish_all(worker)
    await pump_all(worker, "urgent")
    assert await report(client, worker, campaign["id"]) == {"submitted": 23, "cancelled": 2}
    assert Counter(numbers_of(taker)) == Counter(set(NUMBERS) - {called_back["msisdn"]})


@pytest.mark.parametrize(
    ("messages", "pointer", "words"),
    [
        pytest.param([{"id": str(uuid4()), "send_at": None}], "/messages/0/id", "no unsent message", id="not its own"),
        pytest.param([{"send_at": None}], "/messages/0/id", "required", id="no id"),
        pytest.param([{"id": "{step}", "send_at": "{past}"}], "/messages/0/send_at", "in the past", id="past"),
        pytest.param([{"id": "{step}", "send_at": "{far}"}], "/messages/0/send_at", "days ahead", id="too far"),
        pytest.param([{"id": "{step}", "text": "Two"}], "/messages/0/text", "no such field", id="another text"),
        pytest.param([{"id": "{step}"}, {"id": "{step}"}], "/messages/1/id", "twice", id="named twice"),
        pytest.param([{"id": "{step}", "send_by": "{past}"}], "/messages/0/send_by", "ahead of now", id="over already"),
    ],
)
async def test_restart_refused(
    client: AsyncClient, worker: HandWorker, taker: respx.Route, messages: Any, pointer: str, words: str
) -> None:
    stopped = await stop_half_way(client, worker)
    known = {
        "{step}": stopped["messages"][0]["id"],
        "{past}": (worker.now() - HOUR).isoformat(),
        "{far}": (worker.now() + timedelta(days=400)).isoformat(),
    }
    body = {"messages": [{key: known.get(value, value) for key, value in one.items()} for one in messages]}
    answer = await client.post(f"/v1/campaigns/{stopped['id']}/restart", json=body)
    assert answer.status_code == 422, answer.text
    (error,) = answer.json()["errors"]
    assert error["pointer"] == pointer
    assert words in error["detail"]
    assert (await client.get(f"/v1/campaigns/{stopped['id']}")).json()["status"] == "stopped"


async def test_restart_needs_a_time_for_what_was_due(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, taker: respx.Route
) -> None:
    later = (worker.now() + HOUR).isoformat()
    campaign = await create(client, {"text": "One", "send_at": later})
    await command(client, campaign["id"], "stop")
    await empty(worker)
    await by_hand.advance(hours=2)
    answer = await client.post(f"/v1/campaigns/{campaign['id']}/restart", json={})
    (error,) = answer.json()["errors"]
    assert (error["pointer"], campaign["messages"][0]["id"] in error["detail"]) == ("/messages", True)


async def test_restart_of_what_runs_or_is_still_ending(
    client: AsyncClient, worker: HandWorker, taker: respx.Route
) -> None:
    campaign = await create(client)
    told = refusal(
        await client.post(f"/v1/campaigns/{campaign['id']}/restart", json={}), 409, "campaign-not-restartable"
    )
    assert "running" in told["detail"]
    await command(client, campaign["id"], "stop")
    told = refusal(
        await client.post(f"/v1/campaigns/{campaign['id']}/restart", json={}), 409, "campaign-not-restartable"
    )
    assert "in a moment" in told["detail"]


# --- sequences


async def test_messages_are_due_in_their_order(client: AsyncClient, clock: Clock) -> None:
    times = [clock.now + 2 * HOUR, clock.now + HOUR]
    messages = [{"text": "Hi", "send_at": time.isoformat()} for time in times]
    answer = await client.post("/v1/campaigns", json={"name": "Upside down", "messages": messages})
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/messages/1/send_at"]
    answer = await client.post(
        "/v1/campaigns", json={"name": "At once after later", "messages": [messages[0], {"text": "Hi"}]}
    )
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/messages/1/send_at"]


async def test_nobody_reads_the_second_message_before_the_first(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter, by_hand: HandClock
) -> None:
    """The first messages of two people wait for a gateway; everybody else's sequence goes on."""
    slow = [NUMBERS[3], NUMBERS[7]]
    route = at(router)
    campaign = await create(client, {"text": "One"}, {"text": "Two"})
    await due(worker)
    await expand(worker)
    await expand(worker)
    await expand(worker)
    wait = "UPDATE messages SET not_before = now() + interval '30 seconds' WHERE msisdn = ANY(:slow)"
    await execute(worker.engine, wait, slow=slow)
    await expand_all(worker)
    await pump_all(worker)
    texts = [call.request.content.decode() for call in route.calls]
    for number in slow:
        assert not [text for text in texts if number.lstrip("+") in text and "Body=Two" in text]
    assert len([text for text in texts if "Body=Two" in text]) == 23
    await report(client, worker, campaign["id"])
    for _ in range(4):
        await by_hand.advance(seconds=31)
        await pump_all(worker)
    await finish(worker)
    await finish(worker)
    assert await report(client, worker, campaign["id"]) == {"submitted": 50}
    for number in NUMBERS:
        mine = [text for text in (call.request.content.decode() for call in route.calls) if number.lstrip("+") in text]
        bodies = ["Two" if "Body=Two" in text else "One" for text in mine]
        assert bodies == sorted(bodies)


async def test_the_second_message_is_not_made_while_the_first_is(
    client: AsyncClient, worker: HandWorker, taker: respx.Route
) -> None:
    campaign = await create(client, {"text": "One"}, {"text": "Two"})
    await due(worker)
    await expand(worker)
    await expand(worker)
    told = (await client.get(f"/v1/campaigns/{campaign['id']}/messages")).json()["items"]
    assert {one["position"] for one in told} == {1}


# --- moved


async def test_moved_message_goes_at_its_new_time(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, taker: respx.Route
) -> None:
    campaign = await create(client, {"text": "One"}, {"text": "Two", "send_at": (worker.now() + HOUR).isoformat()})
    await run_to_the_end(worker)
    second = campaign["messages"][1]["id"]
    path = f"/v1/campaigns/{campaign['id']}/messages/{second}"
    later = (worker.now() + 3 * HOUR).isoformat()
    told = (await client.patch(path, json={"send_at": later})).json()
    assert told["messages"][1]["send_at"] == later.replace("+00:00", "Z")
    await by_hand.advance(hours=2)
    await run_to_the_end(worker)
    assert taker.call_count == 25
    await by_hand.advance(hours=1)
    await run_to_the_end(worker)
    assert taker.call_count == 50
    refusal(await client.patch(path, json={"send_at": None}), 409, "message-not-movable")


async def test_moved_message_of_a_scheduled_campaign_moves_its_start(
    client: AsyncClient, clock: Clock, engine: Any
) -> None:
    campaign = await create(client, {"text": "One", "send_at": (clock.now + HOUR).isoformat()})
    later = clock.now + 5 * HOUR
    path = f"/v1/campaigns/{campaign['id']}/messages/{campaign['messages'][0]['id']}"
    told = (await client.patch(path, json={"send_at": later.isoformat()})).json()
    assert (told["status"], told["starts_at"]) == ("scheduled", later.isoformat().replace("+00:00", "Z"))
    async with begin(engine) as tx:
        actions = list((await tx.execute(select(AuditEntry.action).order_by(AuditEntry.id))).scalars())
    assert {"campaign.started", "campaign.message_moved"} <= set(actions)


async def test_what_is_held_for_being_late_may_be_put_off_instead(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, taker: respx.Route
) -> None:
    campaign = await create(client, {"text": "One", "send_at": (worker.now() + HOUR).isoformat()})
    await by_hand.advance(hours=4)
    await due(worker)
    path = f"/v1/campaigns/{campaign['id']}"
    assert (await client.get(path)).json()["held_reason"] == "late"
    later = (worker.now() + 5 * HOUR).isoformat()
    assert (await client.patch(f"{path}/messages/{campaign['messages'][0]['id']}", json={"send_at": later})).is_success
    told = await command(client, campaign["id"], "resume")
    assert (told["status"], told["starts_at"]) == ("scheduled", later.replace("+00:00", "Z"))
    await run_to_the_end(worker)
    told = (await client.get(path)).json()
    assert (told["status"], told["recipients"]) == ("scheduled", None)  # nobody is settled before its time
    for _ in range(5):
        await by_hand.advance(hours=1)
        await due(worker)
    await run_to_the_end(worker)
    assert taker.call_count == 25


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        pytest.param({"send_at": timedelta(hours=-1)}, "/send_at", id="in the past"),
        pytest.param({"send_at": timedelta(minutes=30)}, "/send_at", id="before the message in front of it"),
        pytest.param({"send_at": None}, "/send_at", id="at once, after one that is later"),
        pytest.param({"send_by": timedelta(minutes=90)}, "/send_by", id="over before it is due"),
        pytest.param({"text": "Other"}, "/text", id="another text"),
    ],
)
async def test_move_refused(client: AsyncClient, clock: Clock, body: dict[str, Any], pointer: str) -> None:
    messages = [{"text": "Hi", "send_at": (clock.now + by * HOUR).isoformat()} for by in (1, 2)]
    campaign = await create(client, *messages, start=False)
    given = {k: (clock.now + by).isoformat() if isinstance(by, timedelta) else by for k, by in body.items()}
    answer = await client.patch(f"/v1/campaigns/{campaign['id']}/messages/{campaign['messages'][1]['id']}", json=given)
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_move_of_a_message_that_is_another_campaigns(client: AsyncClient) -> None:
    first, second = await create(client, start=False), await create(client, start=False, name="Another")
    path = f"/v1/campaigns/{first['id']}/messages/{second['messages'][0]['id']}"
    refusal(await client.patch(path, json={"send_at": None}), 404, "not-found")


# --- resumed


async def test_resume(client: AsyncClient, worker: HandWorker, taker: respx.Route) -> None:
    campaign = await create(client)
    await due(worker)
    await expand(worker)
    await execute(worker.engine, "UPDATE campaigns SET status = 'held', held_reason = 'error_rate'")
    await expand_all(worker)
    await pump_all(worker)
    assert taker.call_count == 0
    told = await command(client, campaign["id"], "resume")
    assert (told["status"], told["held_reason"]) == ("running", None)
    await finish_all(worker)
    assert await report(client, worker, campaign["id"]) == {"submitted": 25}
    refusal(await client.post(f"/v1/campaigns/{campaign['id']}/resume"), 409, "campaign-not-held")


# --- copied


async def test_duplicate(client: AsyncClient, worker: HandWorker) -> None:
    async with worker.transaction() as tx:
        contact_id = str(await make_contact(tx, msisdn=make_msisdn(100)))
        group_id = str(await make_target_group(tx))
    later = (worker.now() + HOUR).isoformat()
    original = await create(
        client, {"text": "One", "send_at": later}, contact_ids=[contact_id], target_group_ids=[group_id], owner="crm"
    )
    copy = await command(client, original["id"], "duplicate")
    assert (copy["name"], copy["status"], copy["opt_in_acknowledged_at"]) == ("Spring offer (copy)", "draft", None)
    same = ("contact_ids", "target_group_ids", "owner", "sender_id", "starts_at")
    assert {name: copy[name] for name in same} == {name: original[name] for name in same}
    assert sorted(copy["msisdns"]) == sorted(original["msisdns"])
    assert [(one["text"], one["send_at"]) for one in copy["messages"]] == [
        (one["text"], one["send_at"]) for one in original["messages"]
    ]
    assert (await command(client, original["id"], "duplicate"))["name"] == "Spring offer (copy 2)"
    taken_name = await client.post(f"/v1/campaigns/{original['id']}/duplicate", json={"name": "Spring offer"})
    refusal(taken_name, 409, "campaign-name-taken")
    assert taken_name.json()["errors"][0]["pointer"] == "/name"


async def test_duplicate_of_what_was_sent_has_no_times(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    original = await create(client, {"text": "One", "send_at": (worker.now() + HOUR).isoformat()})
    await by_hand.advance(hours=2)
    copy = await command(client, original["id"], "duplicate", name="Next time")
    assert (copy["name"], copy["starts_at"], copy["messages"][0]["send_at"]) == ("Next time", None, None)


QUIET = [{"start": "00:00", "end": "00:00", "days": None}]


async def test_duplicate_without_a_body_leaves_out_who_was_left_out_and_keeps_its_quiet_hours(
    client: AsyncClient,
) -> None:
    original = await create(client, start=False, quiet_hours=QUIET)
    left_out = {"msisdns": NUMBERS[:3]}
    assert (await client.post(f"/v1/campaigns/{original['id']}/exclusions", json=left_out)).status_code == 200
    answer = await client.post(f"/v1/campaigns/{original['id']}/duplicate")
    assert answer.status_code == 201, answer.text
    copy = answer.json()
    assert copy["quiet_hours"] == QUIET
    reached = (await client.get(f"/v1/campaigns/{copy['id']}/recipients")).json()["items"]
    assert sorted(one["msisdn"] for one in reached) == NUMBERS[3:]


async def test_what_is_sent_once_more_keeps_the_quiet_hours(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter
) -> None:
    at(router, answer=refused(MESSAGE))
    campaign = await create(client)
    await finish_all(worker)
    async with worker.transaction() as tx:  # it was sent while none of them were
        await tx.execute(update(Campaign).values(quiet_hours=QUIET))
    again = await command(client, campaign["id"], "resend", which="failed")
    assert again["quiet_hours"] == QUIET
    await finish_all(worker)
    assert await report(client, worker, again["id"]) == {"queued": 25}


# --- sent once more


async def complete(client: AsyncClient, worker: HandWorker, *messages: dict[str, Any]) -> dict[str, Any]:
    campaign = await create(client, *messages)
    await finish_all(worker)
    await finish(worker)
    told: dict[str, Any] = (await client.get(f"/v1/campaigns/{campaign['id']}")).json()
    assert told["status"] == "completed"
    return told


async def test_only_the_failed_are_sent_once_more(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter
) -> None:
    route = at(router, answer=in_turn(*[refused(MESSAGE)] * 3, taken))
    campaign = await complete(client, worker)
    assert await report(client, worker, campaign["id"]) == {"failed": 3, "submitted": 22}
    failed = (await client.get(f"/v1/campaigns/{campaign['id']}/messages?status=failed")).json()["items"]
    again = await command(client, campaign["id"], "resend", which="failed")
    assert (again["status"], again["resend_of"], again["resend_which"]) == ("running", campaign["id"], "failed")
    assert again["name"] == "Spring offer (failed)"
    await finish_all(worker)
    assert await report(client, worker, again["id"]) == {"submitted": 3}
    assert numbers_of(route)[25:] == sorted(one["msisdn"] for one in failed)
    made = (await client.get(f"/v1/campaigns/{again['id']}/messages")).json()["items"]
    async with begin(worker.engine) as tx:
        rows = (await tx.execute(select(Message.msisdn, Message.resend_of).where(Message.resend_of.is_not(None)))).all()
    assert {row.msisdn: str(row.resend_of) for row in rows} == {one["msisdn"]: one["id"] for one in failed}
    assert len(made) == 3
    # The same again finds that all of them were sent meanwhile: nobody is written to.
    once_more = await command(client, campaign["id"], "resend", which="failed")
    await finish_all(worker)
    assert await report(client, worker, once_more["id"]) == {"skipped": 3}
    assert route.call_count == 28


async def test_of_a_sequence_everybody_gets_what_they_lack(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter
) -> None:
    """Of two messages the first failed for one person, the second for another."""
    bad = {("One", NUMBERS[1]), ("Two", NUMBERS[2])}

    def answer(request: Any) -> Any:
        body = request.content.decode()
        hit = any(f"Body={text}" in body and number.lstrip("+") in body for text, number in bad)
        return refused(MESSAGE) if hit else taken()

    route = at(router, answer=answer)
    campaign = await complete(client, worker, {"text": "One"}, {"text": "Two"})
    bad.clear()
    again = await command(client, campaign["id"], "resend", which="failed")
    await finish_all(worker)
    await finish_all(worker)
    assert await report(client, worker, again["id"]) == {"submitted": 2, "skipped": 2}
    sent = [call.request.content.decode() for call in list(route.calls)[50:]]
    assert [("One" if "Body=One" in body else "Two") for body in sent] == ["One", "Two"]


async def test_the_unsent_of_a_stopped_one(client: AsyncClient, worker: HandWorker, taker: respx.Route) -> None:
    stopped = await stop_half_way(client, worker)
    again = await command(client, stopped["id"], "resend", which="unsent", name="The rest")
    await finish_all(worker)
    assert await report(client, worker, again["id"]) == {"submitted": 17}
    assert Counter(numbers_of(taker)) == Counter(NUMBERS)


async def test_what_is_sent_once_more_needs_the_consent_that_is_required_by_now(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter
) -> None:
    at(router, answer=refused(MESSAGE))
    async with worker.transaction() as tx:
        await make_contact(tx, msisdn=NUMBERS[0], consent_status="granted")
        await make_contact(tx, msisdn=NUMBERS[1], consent_status="unknown")
    campaign = await complete(client, worker)
    assert await report(client, worker, campaign["id"]) == {"failed": 25}
    assert (await client.put("/v1/policy", json={"require_consent": True})).status_code == 200
    worker.rules.forget()
    again = await command(client, campaign["id"], "resend", which="failed")
    await finish_all(worker)
    assert await report(client, worker, again["id"]) == {"failed": 1, "skipped": 24}


async def test_nobody_gets_twice_what_is_restarted_and_sent_once_more(
    client: AsyncClient, worker: HandWorker, taker: respx.Route
) -> None:
    """Five had no message yet when it was stopped: whoever makes it for them first is the only one."""
    stopped = await stop_half_way(client, worker)
    await empty(worker)
    again = await command(client, stopped["id"], "resend", which="unsent")
    await finish_all(worker)
    assert await report(client, worker, again["id"]) == {"submitted": 17}
    once_more = await command(client, stopped["id"], "resend", which="unsent")
    await finish_all(worker)
    assert await report(client, worker, once_more["id"]) == {"skipped": 17}
    times = [{"id": stopped["messages"][0]["id"], "send_at": None}]
    await command(client, stopped["id"], "restart", messages=times)
    await finish_all(worker)
    assert await report(client, worker, stopped["id"]) == {"submitted": 8, "cancelled": 12, "skipped": 5}
    assert Counter(numbers_of(taker)) == Counter(NUMBERS)


async def test_nobody_gets_twice_what_goes_on_before_it_is_sent_once_more(
    client: AsyncClient, worker: HandWorker, taker: respx.Route
) -> None:
    stopped = await stop_half_way(client, worker)
    await empty(worker)
    again = await command(client, stopped["id"], "resend", which="unsent")
    times = [{"id": stopped["messages"][0]["id"], "send_at": None}]
    await command(client, stopped["id"], "restart", messages=times)
    await finish_all(worker)
    told = Counter(await report(client, worker, again["id"])) + Counter(await report(client, worker, stopped["id"]))
    assert told["submitted"] == 25
    assert Counter(numbers_of(taker)) == Counter(NUMBERS)


async def test_what_was_not_sent_there_either_is_sent_in_its_place(
    client: AsyncClient, worker: HandWorker, taker: respx.Route
) -> None:
    """A resend that was stopped itself, and resends of it: each person has one line, and one message of it goes."""
    stopped = await stop_half_way(client, worker)
    await empty(worker)
    again = await command(client, stopped["id"], "resend", which="unsent")
    await due(worker)
    await expand_all(worker)
    await command(client, again["id"], "stop")
    await empty(worker)
    assert await report(client, worker, again["id"]) == {"cancelled": 17}
    once_more = await command(client, stopped["id"], "resend", which="unsent")
    await finish_all(worker)
    assert await report(client, worker, once_more["id"]) == {"submitted": 17}
    for campaign in (again, stopped):
        times = [{"id": step["id"], "send_at": None} for step in campaign["messages"]]
        await command(client, campaign["id"], "restart", messages=times)
        await finish_all(worker)
    assert Counter(numbers_of(taker)) == Counter(NUMBERS)


async def test_the_unconfirmed_and_never_the_old_ones_again(
    client: AsyncClient, worker: HandWorker, router: respx.MockRouter
) -> None:
    route = at(router, answer=in_turn(refused(0, status=500), taken))
    campaign = await complete(client, worker)
    assert await report(client, worker, campaign["id"]) == {"unconfirmed": 1, "submitted": 24}
    again = await command(client, campaign["id"], "resend", which="unconfirmed")
    await finish_all(worker)
    assert await report(client, worker, again["id"]) == {"submitted": 1}
    assert route.call_count == 26
    async with begin(worker.engine) as tx:
        (old,) = (await tx.execute(select(Message).where(Message.status == "unconfirmed"))).all()
    assert old.cancel_requested_at is not None


async def test_resend_refused(client: AsyncClient, worker: HandWorker, taker: respx.Route) -> None:
    campaign = await create(client)
    path = f"/v1/campaigns/{campaign['id']}/resend"
    told = refusal(await client.post(path, json={"which": "failed"}), 409, "campaign-not-resendable")
    assert "running" in told["detail"]
    await finish_all(worker)
    told = refusal(await client.post(path, json={"which": "failed"}), 409, "campaign-not-resendable")
    assert "nothing to send" in told["detail"]
    assert (await client.post(path, json={"which": "delivered"})).status_code == 422
    assert (await client.post(path, json={})).status_code == 422


# --- archived and back


async def test_out_of_the_archive(client: AsyncClient, worker: HandWorker, taker: respx.Route) -> None:
    draft = await create(client, start=False)
    await command(client, draft["id"], "archive")
    back = await command(client, draft["id"], "unarchive")
    assert (back["status"], back["recipients"], back["messages"][0]["status"]) == ("draft", None, "pending")
    refusal(await client.post(f"/v1/campaigns/{draft['id']}/unarchive"), 409, "campaign-not-archived")
    await command(client, draft["id"], "start")
    await finish_all(worker)
    for deed, status in (("archive", "archived"), ("unarchive", "completed"), ("archive", "archived")):
        assert (await command(client, draft["id"], deed))["status"] == status
    other = await create(client, name="Stopped")
    await command(client, other["id"], "stop")
    await empty(worker)
    await command(client, other["id"], "archive")
    assert (await command(client, other["id"], "unarchive"))["status"] == "stopped"


async def test_timeline_tells_the_whole_life(client: AsyncClient, worker: HandWorker, taker: respx.Route) -> None:
    stopped = await stop_half_way(client, worker)
    await command(client, stopped["id"], "restart")
    await finish_all(worker)
    await command(client, stopped["id"], "archive")
    await command(client, stopped["id"], "unarchive")
    told = (await client.get(f"/v1/campaigns/{stopped['id']}/timeline")).json()["items"]
    events = [one["event"] for one in told]
    deeds = ["created", "started", "stopped", "restarted", "archived", "unarchived"]
    assert sorted(events) == sorted([*deeds, "message_begun", "message_completed", "completed"])
    assert [one["at"] for one in told] == sorted(one["at"] for one in told)


DEEDS = ["restart", "resume", "duplicate", "resend", "unarchive"]


@pytest.mark.parametrize("deed", DEEDS)
async def test_unknown_campaign(client: AsyncClient, deed: str) -> None:
    unknown = uuid4()
    answer = await client.post(f"/v1/campaigns/{unknown}/{deed}", json={"which": "failed"} if deed == "resend" else {})
    assert str(unknown) in refusal(answer, 404, "not-found")["detail"]


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("deed", ["restart", "resume", "unarchive", "resend"])
async def test_only_where_the_law_allows(client: AsyncClient, worker: HandWorker, deed: str, status: Status) -> None:
    campaign = await create(client, start=False)
    await execute(worker.engine, "UPDATE campaigns SET status = :status, emptied_at = now()", status=status.value)
    body = {"which": "failed"} if deed == "resend" else {}
    answer = await client.post(f"/v1/campaigns/{campaign['id']}/{deed}", json=body)
    allowed = {
        "restart": set(),  # its message is not cancelled
        "resume": {Status.HELD},
        "unarchive": {Status.ARCHIVED},
        "resend": set(),  # nothing failed
    }[deed]
    assert answer.status_code == (200 if status in allowed else 409), answer.text
    async with begin(worker.engine) as tx:
        row = (await tx.execute(select(Campaign).where(Campaign.id == UUID(campaign["id"])))).one()
    assert (row.status is status) is (status not in allowed)
