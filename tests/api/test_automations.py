"""Automations from the event to the message: over HTTP, through the stage, and every reason why there is none."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.automations.queries import hold_template
from dispatcher.beside.automate import automate
from dispatcher.beside.erasures import erase
from shared.db import begin
from shared.domain.automation_plan import plan
from shared.domain.message import Status
from shared.models import Automation, Message, TemplateRow
from shared.sealing import Sealer
from tests.factories import GATEWAY_SECRET, make_api_key, make_contact, make_gateway, make_opt_out, make_sender_id
from tests.handsets import Handsets
from tests.stages import pump_all
from tests.worlds import HandClock, HandWorker, another, by_hand, router, worker

__all__ = ["another", "by_hand", "router", "worker"]

MSISDN = "+12025550142"
OTHER = "+12025550143"
OURS, OTHERS = "+12025550100", "+12025550101"
WAITING_TO_WRITE = text("""
    SELECT EXISTS (SELECT 1 FROM pg_locks WHERE relation = 'automation_runs'::regclass AND NOT granted)
""")


async def made(client: AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(f"/v1/{path}", json=body)
    assert answer.status_code in (201, 202), answer.text
    found: dict[str, Any] = answer.json()
    return found


async def automation(client: AsyncClient, text: str = "Hi {{ name | default('you') }}!", **over: Any) -> dict[str, Any]:
    template = await made(client, "templates", name=f"t {over.get('name', 'x')}", text=text)
    body = {"name": "x", "event": "order_paid", "template_id": template["id"]}
    return await made(client, "automations", **body | over)


async def tell(client: AsyncClient, key: str = "e-1", **over: Any) -> Response:
    body = {"id": key, "name": "order_paid", "msisdn": MSISDN} | over
    if "contact_id" in over:
        del body["msisdn"]
    return await client.post("/v1/events", json=body)


async def led_to(client: AsyncClient, told: Response) -> list[dict[str, Any]]:
    assert told.status_code in (200, 202), told.text
    event = (await client.get(f"/v1/events/{told.json()['event_id']}")).json()
    assert event["status"] == "handled"
    trace: list[dict[str, Any]] = event["led_to"]
    return trace


async def messages(engine: AsyncEngine) -> list[Any]:
    async with begin(engine) as tx:
        return list((await tx.execute(select(Message).order_by(Message.id))).all())


async def test_from_the_event_to_the_handset(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, sealer: Sealer, by_hand: HandClock
) -> None:
    async with begin(engine) as tx:
        await make_gateway(tx, sealer, kind="sandbox")
        contact_id = await make_contact(tx, msisdn=MSISDN, name="Ada", location_id="north")
    rule = await automation(
        client,
        "{{ name }}, {{ variables.percent }} % of {{ voucher.code }} is used.",
        conditions=[{"field": "percent", "operator": "above", "value": 80}],
        delay_seconds=60,
    )
    data = {"percent": 85, "voucher": {"code": "SPRING-25"}}
    told = await tell(client, contact_id=str(contact_id), data=data)
    assert (told.status_code, told.json()["status"], told.json()["led_to"]) == (202, "waiting", [])
    assert await automate(worker) == 1
    (run,) = await led_to(client, told)
    assert (run["automation_id"], run["outcome"], run["detail"]) == (rule["id"], "message", None)
    (message,) = await messages(engine)
    assert str(message.id) == run["message_id"]
    assert message.text == "Ada, 85 % of SPRING-25 is used."
    assert (message.msisdn, message.contact_id, message.location_id) == (MSISDN, contact_id, "north")
    assert message.not_before == worker.now() + timedelta(seconds=60)
    assert await pump_all(worker, "urgent") == 0
    await by_hand.advance(seconds=61)
    assert await pump_all(worker, "urgent") == 1


@pytest.mark.parametrize(
    ("condition", "outcome"),
    [
        ({"op": "greater_than", "value": 80}, "message"),
        ({"operator": "greater_than", "value": 85}, "not_matched"),
        ({"op": "above", "value": 80}, "message"),
        ({"op": "between", "value": [80, 90]}, "message"),
        ({"operator": "not_in", "value": [85]}, "not_matched"),
    ],
)
async def test_words_of_groups_are_understood(
    client: AsyncClient, worker: HandWorker, condition: dict[str, Any], outcome: str
) -> None:
    """And shown as they were written."""
    rule = await automation(client, conditions=[{"field": "percent"} | condition])
    word = condition.get("op", condition.get("operator"))
    assert rule["conditions"] == [{"field": "percent", "operator": word, "value": condition["value"]}]
    told = await tell(client, msisdn=MSISDN, data={"percent": 85})
    await automate(worker)
    assert [run["outcome"] for run in await led_to(client, told)] == [outcome]


async def test_a_word_that_is_none_is_told_those_there_are(client: AsyncClient) -> None:
    template = await made(client, "templates", name="t", text="Hello")
    body = {"name": "x", "event": "order_paid", "template_id": template["id"]}
    for wrong in ({"op": "larger"}, {"operator": "above", "op": "above"}):
        answer = await client.post("/v1/automations", json=body | {"conditions": [{"field": "a", "value": 1} | wrong]})
        assert answer.status_code == 422, answer.text
    told = await client.post(
        "/v1/automations", json=body | {"conditions": [{"field": "a", "op": "larger", "value": 1}]}
    )
    assert all(word in told.text for word in ("greater_than", "at_least", "above", "/conditions/0/op"))


async def test_told_twice_done_once(client: AsyncClient, engine: AsyncEngine, worker: HandWorker) -> None:
    await automation(client)
    first, again = await tell(client), await tell(client)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["event_id"] == again.json()["event_id"]
    assert await automate(worker) == 1
    late = await tell(client)
    assert late.json()["status"] == "handled"
    assert await automate(worker) == 0
    assert len(await messages(engine)) == 1
    other = await tell(client, data={"total": 7})
    assert (other.status_code, other.json()["type"]) == (409, "/problems/event-told-otherwise")


async def test_numbers_that_json_writes_in_two_ways_are_the_same(client: AsyncClient) -> None:
    """What Postgres gives back of a float may be a whole number that is not equal to it."""
    data = {"x": 1e300, "y": 1e23, "deep": [{"z": 2.5e-7}], "yes": True}
    told = [await tell(client, data=data) for _ in range(2)]
    assert [one.status_code for one in told] == [202, 200], told[1].text
    others: list[dict[str, Any]] = [{"y": 1.1e23}, {"yes": 1}, {"deep": []}, {"more": 1}]
    for other in others:
        assert (await tell(client, data=data | other)).status_code == 409


async def test_two_dispatchers_do_it_once(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, another: Callable[..., HandWorker]
) -> None:
    await automation(client, cap={"messages": 1, "hours": 1})
    for number in range(6):
        await tell(client, f"e-{number}")
    await asyncio.gather(*(automate(each) for each in (worker, another(), another())))
    assert len(await messages(engine)) == 1


@pytest.mark.parametrize(
    ("over", "data", "outcome", "detail"),
    [
        pytest.param(
            {"conditions": [{"field": "total", "operator": "above", "value": 10}]},
            {"total": 10},
            "not_matched",
            "/conditions/0: total above",
            id="a condition does not hold",
        ),
        pytest.param(
            {"conditions": [{"field": "data.total", "operator": "above", "value": 10}]},
            {"total": 11},
            "not_matched",
            "/conditions/0: data.total above (data has no data.total; a path begins inside data: write total)",
            id="a path that begins too early",
        ),
        pytest.param(
            {"conditions": [{"field": "total", "operator": "above", "value": 10}]},
            {"total": "11"},
            "not_matched",
            "/conditions/0: total above "
            "(total is a text in data, in quotation marks, and the condition's value is a number)",
            id="a number in quotation marks",
        ),
        pytest.param(
            {"conditions": [{"field": "total", "operator": "in", "value": ["11"]}]},
            {"total": 11},
            "not_matched",
            "/conditions/0: total in (total is a number in data, and the condition's value is a text)",
            id="a text without quotation marks",
        ),
        pytest.param({"text": "Hi {{ variables.who }}"}, {}, "missing_tags", "variables.who", id="a tag has no value"),
        pytest.param({"text": "{{ variables.a }}" * 20}, {"a": "x" * 99}, "too_long", None, id="too long"),
    ],
)
async def test_why_there_is_none(
    client: AsyncClient,
    engine: AsyncEngine,
    worker: HandWorker,
    over: dict[str, Any],
    data: dict[str, Any],
    outcome: str,
    detail: str | None,
) -> None:
    rule = await automation(client, **over)
    told = await tell(client, data=data)
    dry = await client.post(f"/v1/automations/{rule['id']}/dry-run", json={"msisdn": MSISDN, "data": data})
    await automate(worker)
    (run,) = await led_to(client, told)
    assert run["outcome"] == dry.json()["outcome"] == outcome
    assert run["detail"] == dry.json()["detail"]
    assert detail is None or run["detail"] == detail
    assert await messages(engine) == []


async def test_what_the_quota_has_nothing_left_for_is_not_made(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker
) -> None:
    """The first has its unit; the second is in the trace, with the reason."""
    granted = await client.post("/v1/quota/grants", json={"units": 1, "period": "total"})
    assert granted.status_code == 201, granted.text
    await automation(client)
    told = [await tell(client, key="e-1"), await tell(client, key="e-2")]
    await automate(worker)
    (first,), (second,) = [await led_to(client, one) for one in told]
    assert (first["outcome"], second["outcome"]) == ("message", "quota")
    assert "1 unit" in second["detail"]
    assert second["message_id"] is None
    assert len(await messages(engine)) == 1


async def test_nobody_is_written_to_who_has_opted_out(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, pepper: bytes
) -> None:
    await automation(client)
    async with begin(engine) as tx:
        await make_opt_out(tx, pepper, MSISDN)
    told = await tell(client)
    await automate(worker)
    assert [run["outcome"] for run in await led_to(client, told)] == ["opted_out"]
    assert await messages(engine) == []


async def test_an_opt_out_holds_back_its_senders_alone(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, pepper: bytes, sealer: Sealer
) -> None:
    async with begin(engine) as tx:
        gateway_id = await make_gateway(tx, sealer)
        for own in (OURS, OTHERS):
            await make_sender_id(tx, gateway_id, own)
        await make_opt_out(tx, pepper, MSISDN, sender_ids=[OURS])
    expected = {OURS: "opted_out", OTHERS: "message", None: "opted_out"}
    rules = {sender_id: await automation(client, name=f"as {sender_id}", sender_id=sender_id) for sender_id in expected}
    for sender_id, outcome in expected.items():
        tried = await client.post(f"/v1/automations/{rules[sender_id]['id']}/dry-run", json={"msisdn": MSISDN})
        assert tried.json()["outcome"] == outcome
    told = await tell(client)
    await automate(worker)
    outcomes = {run["automation_id"]: run["outcome"] for run in await led_to(client, told)}
    assert outcomes == {rules[sender_id]["id"]: outcome for sender_id, outcome in expected.items()}
    assert [message.sender_id for message in await messages(engine)] == [OTHERS]


async def test_opt_in_says_of_which_senders(client: AsyncClient, engine: AsyncEngine, worker: HandWorker) -> None:
    held = await made(client, "opt-outs", msisdn=MSISDN, sender_ids=[OURS, OTHERS])
    await automation(
        client,
        "Good to have you back.",
        event="opt_in",
        conditions=[{"field": "sender_ids", "operator": "contains", "value": OURS}],
    )
    for sender_id, count in ((OTHERS, 0), (OURS, 1)):
        path = f"/v1/opt-outs/{held['id']}"
        assert (await client.delete(path, params={"sender_id": sender_id})).status_code == 204
        await automate(worker)
        assert len(await messages(engine)) == count


async def test_a_start_from_the_handset_says_to_which_sender(
    client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine, worker: HandWorker, sealer: Sealer
) -> None:
    async with begin(engine) as tx:
        gateway_id = await make_gateway(tx, sealer)
        for sender_id in (OURS, OTHERS):
            await make_sender_id(tx, gateway_id, sender_id)
    await client.put("/v1/policy", json={"opt_out_scope": "sender"})
    url = f"https://sms.example.com/callbacks/{gateway_id}/token-of-first/inbound"
    handsets = Handsets(anonymous, url, str(gateway_id), GATEWAY_SECRET)
    for sender_id in (OURS, OTHERS):
        condition = {"field": "sender_ids", "operator": "contains", "value": sender_id}
        await automation(client, name=f"as {sender_id}", event="opt_in", sender_id=sender_id, conditions=[condition])
        assert (await handsets.write(MSISDN, "STOP", To=sender_id)).status_code == 200
    assert (await handsets.write(MSISDN, "START", To=OTHERS)).status_code == 200
    await automate(worker)
    assert [message.sender_id for message in await messages(engine)] == [OTHERS]


async def test_a_contact_that_is_gone(client: AsyncClient, engine: AsyncEngine, worker: HandWorker) -> None:
    await automation(client)
    told = await tell(client, contact_id="0197c0de-0000-7000-8000-000000000001")
    await automate(worker)
    assert [run["outcome"] for run in await led_to(client, told)] == ["no_contact"]


async def test_a_template_that_is_gone(client: AsyncClient, engine: AsyncEngine, worker: HandWorker) -> None:
    """Deleted by an earlier version, say, which let one go that was in use."""
    rule = await automation(client)
    async with begin(engine) as tx:
        await tx.execute(delete(TemplateRow))
    told = await tell(client)
    await automate(worker)
    (run,) = await led_to(client, told)
    assert run["outcome"] == "template_gone"
    assert rule["template_id"] in run["detail"]
    assert "PATCH" in run["detail"]
    assert await messages(engine) == []


async def test_a_template_in_use_stays(client: AsyncClient) -> None:
    first, second = await automation(client, name="first"), await automation(client, name="second")
    url, kept = f"/v1/templates/{first['template_id']}", second["template_id"]
    await client.patch(f"/v1/automations/{second['id']}", json={"template_id": first["template_id"]})
    refused = await client.delete(url)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/template-in-use")
    for part in ("'first'", "'second'", first["id"], second["id"], "PATCH", "stop"):
        assert part in refused.json()["detail"]
    await client.patch(f"/v1/automations/{second['id']}", json={"template_id": kept})
    assert "'second'" not in (await client.delete(url)).json()["detail"]
    await client.post(f"/v1/automations/{first['id']}/stop")
    assert (await client.delete(url)).status_code == 204
    # What was off when its template went is not switched on again without one.
    on = await client.patch(f"/v1/automations/{first['id']}", json={"enabled": True})
    assert (on.status_code, on.json()["type"]) == (404, "/problems/unknown-template")
    assert [error["pointer"] for error in on.json()["errors"]] == ["/template_id"]
    tried = (await client.post(f"/v1/automations/{first['id']}/dry-run", json={"msisdn": MSISDN})).json()
    assert (tried["outcome"], first["template_id"] in tried["detail"]) == ("template_gone", True)
    on = await client.patch(f"/v1/automations/{first['id']}", json={"enabled": True, "template_id": kept})
    assert (on.status_code, on.json()["enabled"]) == (200, True)


async def test_of_a_delete_and_a_switching_on_at_once_one_is_refused(client: AsyncClient, engine: AsyncEngine) -> None:
    rule = await automation(client, enabled=False)
    url = f"/v1/automations/{rule['id']}"
    async with begin(engine) as tx:
        # As the route that switches it on has it until its transaction ends.
        await tx.execute(update(Automation).values(enabled=True))
        assert await hold_template(tx, UUID(rule["template_id"]))
        deleting = asyncio.create_task(client.delete(f"/v1/templates/{rule['template_id']}"))
        done, _ = await asyncio.wait([deleting], timeout=0.3)
        assert not done
    assert ((await deleting).status_code, (await client.get(url)).json()["enabled"]) == (409, True)


async def test_a_person_gets_no_more_than_the_cap(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, by_hand: HandClock
) -> None:
    await automation(client, cap={"messages": 2, "hours": 24})
    for number in range(4):
        await tell(client, f"e-{number}")
    await tell(client, "other", msisdn=OTHER)
    await automate(worker)
    assert [message.msisdn for message in await messages(engine)].count(MSISDN) == 2
    assert len(await messages(engine)) == 3
    await by_hand.advance(hours=25)
    await tell(client, "tomorrow")
    await automate(worker)
    assert len(await messages(engine)) == 4


async def test_the_policy_s_switch_and_quiet_hours(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker
) -> None:
    rule = await automation(client)
    policy = (await client.get("/v1/policy")).json()
    quiet = {**policy, "quiet_hours": [{"start": "00:00", "end": "23:59"}], "time_zone": "UTC"}
    quiet = {name: value for name, value in quiet.items() if name not in ("updated_at", "updated_by")}
    assert (await client.put("/v1/policy", json=quiet)).status_code == 200
    dry = (await client.post(f"/v1/automations/{rule['id']}/dry-run", json={"msisdn": "+447700900001"})).json()
    assert dry["outcome"] == "message"
    opens = datetime.fromisoformat(dry["not_before"])
    assert opens.astimezone(UTC).minute == 59 or opens <= worker.now() + timedelta(minutes=1)
    off = quiet | {"activated": quiet["activated"] | {"automations": False}}
    assert (await client.put("/v1/policy", json=off)).status_code == 200
    told = await tell(client)
    worker.rules.forget()
    await automate(worker)
    assert [run["outcome"] for run in await led_to(client, told)] == ["switched_off"]


async def test_a_dry_run_sends_nothing(client: AsyncClient, engine: AsyncEngine, worker: HandWorker) -> None:
    async with begin(engine) as tx:
        contact_id = await make_contact(tx, msisdn=MSISDN, name="Ada")
    rule = await automation(client, delay_seconds=300)
    dry = await client.post(f"/v1/automations/{rule['id']}/dry-run", json={"contact_id": str(contact_id)})
    assert dry.status_code == 200
    assert (dry.json()["text"], dry.json()["segments"]) == ("Hi Ada!", 1)
    assert datetime.fromisoformat(dry.json()["not_before"]) == worker.now() + timedelta(seconds=300)
    assert await automate(worker) == 0
    assert await messages(engine) == []
    assert (await client.get("/v1/events")).json()["items"] == []


async def test_a_stop_calls_back_what_is_at_the_door_too(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker
) -> None:
    """It may come back from there; as waiting only what waits is counted."""
    rule = await automation(client, delay_seconds=3600)
    for number in range(4):
        await tell(client, f"e-{number}")
    await automate(worker)
    statuses = (Status.QUEUED, Status.SENDING, Status.UNCONFIRMED, Status.SUBMITTED)
    async with begin(engine) as tx:
        for message, status in zip(await messages(engine), statuses, strict=True):
            await tx.execute(update(Message).where(Message.id == message.id).values(status=status))
    assert (await client.post(f"/v1/automations/{rule['id']}/stop")).json()["cancelled"] == 1
    asked = [message.cancel_requested_at is not None for message in await messages(engine)]
    assert asked == [True, True, True, False]


async def test_of_many_who_want_a_name_at_once_one_has_it(client: AsyncClient) -> None:
    template = await made(client, "templates", name="t", text="Hello")
    body = {"event": "order_paid", "template_id": template["id"]}
    answers = await asyncio.gather(*(client.post("/v1/automations", json=body | {"name": "wanted"}) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19
    others = [await made(client, "automations", **body, name=f"other {number}") for number in range(8)]
    answers = await asyncio.gather(
        *(client.patch(f"/v1/automations/{other['id']}", json={"name": "the one"}) for other in others)
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7


async def test_a_dry_run_takes_no_data_that_an_event_could_not_have(client: AsyncClient) -> None:
    rule = await automation(client)
    answer = await client.post(
        f"/v1/automations/{rule['id']}/dry-run", json={"msisdn": MSISDN, "data": {"not a name": 1}}
    )
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/data"]


async def test_a_stop_calls_back_what_waits(client: AsyncClient, engine: AsyncEngine, worker: HandWorker) -> None:
    rule = await automation(client, delay_seconds=3600)
    for number in range(3):
        await tell(client, f"e-{number}")
    await automate(worker)
    stopped = await client.post(f"/v1/automations/{rule['id']}/stop")
    assert (stopped.status_code, stopped.json()["cancelled"]) == (200, 3)
    assert stopped.json()["automation"]["enabled"] is False
    assert all(message.cancel_requested_at is not None for message in await messages(engine))
    told = await tell(client, "after")
    await automate(worker)
    assert await led_to(client, told) == []
    assert (await client.delete(f"/v1/automations/{rule['id']}")).status_code == 204
    assert len(await messages(engine)) == 3


async def test_a_stop_waits_for_what_is_being_made(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker
) -> None:
    """Messages that are on their way into the table when it comes are called back as well."""
    rule = await automation(client)
    told = await tell(client)
    async with begin(engine) as tx:
        # Nobody writes down what an event led to: by then its message is made, and cannot be seen.
        await tx.execute(text("LOCK TABLE automation_runs IN SHARE MODE"))
        making = asyncio.create_task(automate(worker))
        async with asyncio.timeout(10):
            while not await tx.scalar(WAITING_TO_WRITE):
                await asyncio.sleep(0.02)
        stopping = asyncio.create_task(client.post(f"/v1/automations/{rule['id']}/stop"))
        await asyncio.wait({stopping}, timeout=0.5)
    await making
    assert (await stopping).json()["cancelled"] == 1
    assert [each["outcome"] for each in await led_to(client, told)] == ["message"]
    assert all(message.cancel_requested_at is not None for message in await messages(engine))


async def test_an_erased_person_is_in_no_event(client: AsyncClient, engine: AsyncEngine, worker: HandWorker) -> None:
    contact = await made(client, "contacts", msisdn=MSISDN, name="Ada")
    told = [await tell(client, "one", data={"who": "Ada"}), await tell(client, "two", contact_id=contact["id"])]
    assert (await client.post(f"/v1/contacts/{contact['id']}/erase", json={})).status_code in (200, 202)
    await erase(worker)
    for each in told:
        event = (await client.get(f"/v1/events/{each.json()['event_id']}")).json()
        assert (event["msisdn"], event["contact_id"], event["data"]) == (None, None, {})


async def test_one_that_is_on_is_not_deleted(client: AsyncClient) -> None:
    rule = await automation(client)
    answer = await client.delete(f"/v1/automations/{rule['id']}")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/automation-on")


async def test_events_from_inside(client: AsyncClient, engine: AsyncEngine, worker: HandWorker) -> None:
    await made(client, "contacts", msisdn=OTHER, name="Ben")
    assert (await client.get("/v1/events")).json()["items"] == []  # nobody waited for it
    await automation(client, name="welcome", event="contact_added")
    await automation(client, name="back", event="opt_in", text="Good to have you back.")
    await made(client, "contacts", msisdn=MSISDN, name="Ada")
    await automate(worker)
    assert [message.text for message in await messages(engine)] == ["Hi Ada!"]
    await client.post("/v1/opt-outs", json={"msisdn": MSISDN})
    (opt_out,) = (await client.get("/v1/opt-outs")).json()["items"]
    assert (await client.delete(f"/v1/opt-outs/{opt_out['id']}")).status_code == 204
    await automate(worker)
    assert {message.text for message in await messages(engine)} == {"Hi Ada!", "Good to have you back."}


async def test_an_automation_that_fails_holds_up_nobody(
    client: AsyncClient, engine: AsyncEngine, worker: HandWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await automation(client, name="first")
    await automation(client, name="second")

    def broken(asked: Any, given: Any) -> Any:
        if asked.id == UUID(first["id"]):
            raise ZeroDivisionError
        return plan(asked, given)

    monkeypatch.setattr("dispatcher.beside.automate.plan", broken)
    told = await tell(client)
    await automate(worker)
    assert {(run["outcome"], run["detail"]) for run in await led_to(client, told)} == {
        ("failed", "ZeroDivisionError"),
        ("message", None),
    }


@pytest.mark.parametrize(
    ("over", "status", "pointer"),
    [
        ({"event": "Order Paid"}, 422, "/event"),
        ({"conditions": [{"field": "a..b", "operator": "equals", "value": 1}]}, 422, "/conditions/0/field"),
        ({"conditions": [{"field": "a", "operator": "like", "value": 1}]}, 422, "/conditions/0/operator"),
        ({"conditions": [{"field": "a", "operator": "in", "value": 1}]}, 422, "/conditions/0/value"),
        ({"conditions": [{"field": "a", "operator": "above", "value": "x"}]}, 422, "/conditions/0/value"),
        ({"conditions": [{"field": "a", "operator": "equals", "value": 1}] * 21}, 422, "/conditions"),
        ({"delay_seconds": -1}, 422, "/delay_seconds"),
        ({"delay_seconds": 30 * 86_400 + 1}, 422, "/delay_seconds"),
        ({"sender_id": "NOBODY"}, 422, "/sender_id"),
        ({"cap": {"messages": 0, "hours": 1}}, 422, "/cap/messages"),
        ({"template_id": "0197c0de-0000-7000-8000-000000000001"}, 404, None),
    ],
)
async def test_what_no_automation_can_be(
    client: AsyncClient, over: dict[str, Any], status: int, pointer: str | None
) -> None:
    template = await made(client, "templates", name="t", text="Hello")
    body = {"name": "x", "event": "order_paid", "template_id": template["id"]} | over
    answer = await client.post("/v1/automations", json=body)
    assert answer.status_code == status, answer.text
    if pointer:
        assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert (await client.get("/v1/automations")).json()["items"] == []


@pytest.mark.parametrize(
    ("over", "pointer"),
    [
        ({"id": ""}, "/id"),
        ({"name": "contact_added"}, "/name"),
        ({"name": "Order paid"}, "/name"),
        ({"msisdn": "555"}, "/msisdn"),
        ({"data": {"not a name": 1}}, "/data"),
        ({"data": {"a": {"b": {"c": {"d": {"e-f": 1}}}}}}, "/data"),
        ({"data": [1]}, "/data"),
        ({"when": "now"}, "/when"),
    ],
)
async def test_what_no_event_can_be(client: AsyncClient, over: dict[str, Any], pointer: str) -> None:
    answer = await client.post("/v1/events", json={"id": "e", "name": "order_paid", "msisdn": MSISDN} | over)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_an_event_is_about_one_person(client: AsyncClient) -> None:
    for person in ({}, {"msisdn": MSISDN, "contact_id": "0197c0de-0000-7000-8000-000000000001"}):
        answer = await client.post("/v1/events", json={"id": "e", "name": "order_paid"} | person)
        assert answer.status_code == 422
        told = "contact_id and msisdn are both given" if person else "Neither contact_id nor msisdn is given"
        assert told in answer.json()["detail"]


async def test_a_change_is_told_with_its_difference(client: AsyncClient) -> None:
    rule = await automation(client)
    changed = await client.patch(f"/v1/automations/{rule['id']}", json={"delay_seconds": 60, "cap": None, "name": "x"})
    assert (changed.status_code, changed.json()["delay_seconds"]) == (200, 60)
    entries = (await client.get("/v1/audit?subject_kind=automation")).json()["items"]
    details = {entry["action"]: entry["detail"] for entry in entries}
    assert details["automation.changed"] == {"delay_seconds": {"from": 0, "to": 60}}
    taken = await client.post("/v1/automations", json={"name": "x", "event": "y", "template_id": rule["template_id"]})
    assert taken.json()["type"] == "/problems/automation-name-taken"
    assert taken.json()["errors"][0]["pointer"] == "/name"


async def test_who_may(client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine, worker: HandWorker) -> None:
    async with begin(engine) as tx:
        keys = {scope: await make_api_key(tx, scope) for scope in ("send", "read")}
    event = {"id": "e", "name": "order_paid", "msisdn": MSISDN}
    headers = {scope: {"Authorization": f"Bearer {key.text}"} for scope, key in keys.items()}
    assert (await anonymous.post("/v1/events", json=event)).status_code == 401
    assert (await anonymous.post("/v1/events", json=event, headers=headers["read"])).status_code == 403
    assert (await anonymous.post("/v1/events", json=event, headers=headers["send"])).status_code == 202
    assert (await anonymous.get("/v1/events", headers=headers["send"])).status_code == 403
    await automation(client)
    await tell(client, "e-2")
    await automate(worker)
    again = await anonymous.post("/v1/events", json=event | {"id": "e-2"}, headers=headers["send"])
    assert (again.status_code, again.json()["status"], again.json()["led_to"]) == (200, "handled", [])
    assert [each["outcome"] for each in (await tell(client, "e-2")).json()["led_to"]] == ["message"]
    assert (await anonymous.get("/v1/automations", headers=headers["read"])).status_code == 200
    assert (await anonymous.post("/v1/automations", json={}, headers=headers["send"])).status_code == 403


async def test_names_switched_off_are_refused_and_send_nothing(
    client: AsyncClient, worker: HandWorker, engine: AsyncEngine, sealer: Sealer
) -> None:
    async with begin(engine) as tx:
        await make_sender_id(tx, await make_gateway(tx, sealer), "LAPWING")
    template = await made(client, "templates", name="t", text="Hi!")
    body = {"name": "x", "event": "order_paid", "template_id": template["id"], "sender_id": "LAPWING"}
    refused = await client.post("/v1/automations", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/sender_id")
    assert "alphanumeric_senders" in refused.json()["detail"]
    await client.patch("/v1/policy", json={"alphanumeric_senders": True})
    one = await made(client, "automations", **body)
    for asked, outcome in ((True, "message"), (False, "switched_off")):
        await client.patch("/v1/policy", json={"alphanumeric_senders": asked})
        tried = await client.post(f"/v1/automations/{one['id']}/dry-run", json={"msisdn": MSISDN})
        assert tried.json()["outcome"] == outcome
    told = await tell(client)
    await automate(worker)
    assert [each["outcome"] for each in await led_to(client, told)] == ["switched_off"]
