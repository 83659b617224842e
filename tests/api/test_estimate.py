"""The estimate: exact numbers before a start, and a confirmation that holds the start to them."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from httpx import AsyncClient
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.db import begin
from shared.models import Gateway
from shared.sealing import Sealer
from tests.conftest import Clock
from tests.factories import make_contact, make_gateway, make_msisdn, make_opt_out, make_sender_id, make_target_group

NUMBERS = [make_msisdn(number) for number in range(5)]
US = "+12025550142"
LANDLINE = "+442079460123"  # of London, and set aside for fiction
OURS, OTHERS = "+12025550100", "+12025550101"


async def draft(client: AsyncClient, **over: Any) -> str:
    body = {
        "name": "Spring offer",
        "msisdns": NUMBERS,
        "messages": [{"text": "Hello."}],
        "opt_in_acknowledged": True,
    } | over
    answer = await client.post("/v1/campaigns", json=body)
    assert answer.status_code == 201, answer.text
    campaign_id: str = answer.json()["id"]
    return campaign_id


async def estimate(client: AsyncClient, campaign_id: str) -> dict[str, Any]:
    answer = await client.post(f"/v1/campaigns/{campaign_id}/estimate")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def start(client: AsyncClient, campaign_id: str, confirmation: str) -> httpx.Response:
    return await client.post(f"/v1/campaigns/{campaign_id}/start", json={"confirmation": confirmation})


def refused(answer: httpx.Response, kind: str) -> str:
    assert answer.status_code == 409, answer.text
    assert answer.json()["type"] == f"/problems/{kind}"
    detail: str = answer.json()["detail"]
    return detail


async def test_every_text_is_measured(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        await make_contact(tx, msisdn=NUMBERS[0], name="A" * 160)
        await make_contact(tx, msisdn=NUMBERS[1], name="😀" * 36)
    steps = [{"text": 'Hi {{ name | default("") }}'}, {"text": "Bye."}]
    told = await estimate(client, await draft(client, messages=steps))
    # Two of the five greetings have 2 segments, though one of them is but 39 characters long.
    assert (told["recipients"], told["messages"], told["segments"]) == (5, 10, 12)
    assert (told["units"], told["unit"]) == (12, "segment")
    assert (told["skipped"], told["unfit"]) == ({}, 0)
    assert told["quota"] == {"before": None, "after": None}
    await client.put("/v1/policy", json={"quota_unit": "per_160"})
    told = await estimate(client, await draft(client, name="Blocks", messages=steps))
    assert (told["segments"], told["units"], told["unit"]) == (12, 11, "per_160")


async def test_each_number_counts_once(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        contact_id = await make_contact(tx, msisdn=NUMBERS[0])
        group_id = await make_target_group(tx, contact_id)
    campaign_id = await draft(
        client, target_group_ids=[str(group_id)], contact_ids=[str(contact_id)], msisdns=[NUMBERS[0], *NUMBERS]
    )
    told = await estimate(client, campaign_id)
    assert (told["audience"], told["recipients"]) == (5, 5)


async def test_every_reason_to_skip_is_counted(client: AsyncClient, engine: AsyncEngine, pepper: bytes) -> None:
    async with begin(engine) as tx:
        await make_opt_out(tx, pepper, NUMBERS[0])
        for number in NUMBERS[:4]:
            await make_contact(tx, msisdn=number, consent_status="granted")
        group_id = await make_target_group(tx, await make_contact(tx, msisdn=US, consent_status="granted"))
    campaign_id = await draft(client, target_group_ids=[str(group_id)])
    await client.put("/v1/policy", json={"require_consent": True, "allowed_countries": ["GB"]})
    told = await estimate(client, campaign_id)
    assert told["skipped"] == {"country": 1, "no_consent": 1, "opted_out": 1}
    assert (told["audience"], told["recipients"], told["segments"]) == (6, 3, 3)


async def test_an_opt_out_counts_for_its_senders(
    client: AsyncClient, engine: AsyncEngine, pepper: bytes, sealer: Sealer
) -> None:
    async with begin(engine) as tx:
        gateway_id = await make_gateway(tx, sealer)
        for own in (OURS, OTHERS):
            await make_sender_id(tx, gateway_id, own)
        await make_opt_out(tx, pepper, NUMBERS[0])
        await make_opt_out(tx, pepper, NUMBERS[1], sender_ids=[OURS])
    counts = {OURS: 2, OTHERS: 1, None: 2}
    for sender_id, opted_out in counts.items():
        told = await estimate(client, await draft(client, name=f"as {sender_id}", sender_id=sender_id))
        assert (told["skipped"], told["recipients"]) == ({"opted_out": opted_out}, 5 - opted_out)


async def test_what_would_fail_is_counted(client: AsyncClient, engine: AsyncEngine) -> None:
    await client.put("/v1/policy", json={"max_chars": 20})
    async with begin(engine) as tx:
        await make_contact(tx, msisdn=NUMBERS[0], fields={"word": "a" * 30})
    told = await estimate(client, await draft(client, messages=[{"text": "Hi {{ fields.word | default('') }}"}]))
    assert (told["unfit"], told["messages"], told["units"]) == (1, 4, 4)


async def test_a_confirmation_starts_what_was_confirmed(client: AsyncClient) -> None:
    campaign_id = await draft(client)
    told = await estimate(client, campaign_id)
    assert (await start(client, campaign_id, told["confirmation"])).json()["status"] == "running"


async def test_a_confirmation_works_once(client: AsyncClient, clock: Clock) -> None:
    later = (clock.now + timedelta(hours=1)).isoformat()
    campaign_id = await draft(client, messages=[{"text": "Hello.", "send_at": later}])
    told = await estimate(client, campaign_id)
    assert (await start(client, campaign_id, told["confirmation"])).json()["status"] == "scheduled"
    await client.post(f"/v1/campaigns/{campaign_id}/unschedule")
    assert "before" in refused(await start(client, campaign_id, told["confirmation"]), "confirmation-used")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"messages": [{"text": "Other words."}]}, "says something else", id="other words"),
        pytest.param(
            {"messages": [{"text": "Hello."}, {"text": "Bye."}]}, "says something else", id="one more message"
        ),
        pytest.param({"msisdns": [*NUMBERS, US]}, "5 recipients then, 6 now", id="one more recipient"),
        pytest.param({"msisdns": NUMBERS[1:]}, "5 recipients then, 4 now", id="one fewer"),
        pytest.param({"msisdns": [*NUMBERS[1:], US]}, "5 recipients then, 5 now", id="another one"),
    ],
)
async def test_a_confirmation_ends_with_what_it_confirmed(client: AsyncClient, change: Any, words: str) -> None:
    campaign_id = await draft(client)
    told = await estimate(client, campaign_id)
    await client.patch(f"/v1/campaigns/{campaign_id}", json=change)
    assert words in refused(await start(client, campaign_id, told["confirmation"]), "confirmation-refused")
    assert (await client.get(f"/v1/campaigns/{campaign_id}")).json()["status"] == "draft"
    again = await estimate(client, campaign_id)
    assert (await start(client, campaign_id, again["confirmation"])).status_code == 200


async def test_a_group_that_grew_ends_it_too(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        group_id = str(await make_target_group(tx, await make_contact(tx, msisdn=NUMBERS[0])))
        another = str(await make_contact(tx, msisdn=NUMBERS[1]))
    campaign_id = await draft(client, target_group_ids=[group_id], msisdns=[])
    told = await estimate(client, campaign_id)
    await client.post(f"/v1/target-groups/{group_id}/members", json={"contact_ids": [another]})
    assert "1 recipients then, 2 now" in refused(
        await start(client, campaign_id, told["confirmation"]), "confirmation-refused"
    )


async def test_times_may_still_move(client: AsyncClient, clock: Clock) -> None:
    campaign_id = await draft(client)
    told = await estimate(client, campaign_id)
    later = (clock.now + timedelta(hours=1)).isoformat()
    await client.patch(f"/v1/campaigns/{campaign_id}", json={"messages": [{"text": "Hello.", "send_at": later}]})
    assert (await start(client, campaign_id, told["confirmation"])).json()["status"] == "scheduled"


@pytest.mark.parametrize("given", ["", "confirm_", "confirm_zz", "confirm_" + "0" * 32, "x" * 100])
async def test_a_confirmation_that_is_none(client: AsyncClient, given: str) -> None:
    campaign_id = await draft(client)
    refused(await start(client, campaign_id, given), "confirmation-refused")


async def test_a_confirmation_of_another_campaign(client: AsyncClient) -> None:
    other = await estimate(client, await draft(client, name="Other"))
    refused(await start(client, await draft(client), other["confirmation"]), "confirmation-refused")


async def test_what_has_begun_is_not_estimated(client: AsyncClient) -> None:
    campaign_id = await draft(client)
    await client.post(f"/v1/campaigns/{campaign_id}/start")
    answer = await client.post(f"/v1/campaigns/{campaign_id}/estimate")
    assert "is running" in refused(answer, "campaign-not-startable")


async def test_nobody_there(client: AsyncClient) -> None:
    told = await estimate(client, await draft(client, msisdns=[]))
    assert (told["audience"], told["segments"], told["finishes_at"]) == (0, 0, None)
    unknown = "0197c0de-0000-7000-8000-00000000ffff"
    assert (await client.post(f"/v1/campaigns/{unknown}/estimate")).status_code == 404


async def test_cost_by_country(client: AsyncClient) -> None:
    assert (await client.put("/v1/prices/gb", json={"price": "0.04", "currency": "EUR"})).json()["country"] == "GB"
    campaign_id = await draft(client, msisdns=[*NUMBERS, US])
    (cost,) = (await estimate(client, campaign_id))["cost"]
    assert cost == {
        "currency": "EUR",
        "total": "0.20",
        "countries": [{"country": "GB", "segments": 5, "price": "0.04", "cost": "0.20"}],
        "unpriced_segments": 1,
    }
    await client.put("/v1/prices/US", json={"price": "0.0079", "currency": "USD"})
    costs = (await estimate(client, campaign_id))["cost"]
    assert [(one["currency"], one["total"], one["unpriced_segments"]) for one in costs] == [
        ("EUR", "0.20", 0),
        ("USD", "0.0079", 0),
    ]
    listed = (await client.get("/v1/prices")).json()["items"]
    assert [(one["country"], one["price"]) for one in listed] == [("GB", "0.04"), ("US", "0.0079")]
    assert (await client.delete("/v1/prices/US")).status_code == 204
    assert (await client.delete("/v1/prices/US")).status_code == 404


@pytest.mark.parametrize(
    ("country", "body", "pointer"),
    [
        ("XX", {"price": "1", "currency": "EUR"}, "{country}"),
        ("GB", {"price": "-1", "currency": "EUR"}, "/price"),
        ("GB", {"price": "1", "currency": "euro"}, "/currency"),
        ("GB", {"currency": "EUR"}, "/price"),
    ],
)
async def test_a_price_that_cannot_be(client: AsyncClient, country: str, body: Any, pointer: str) -> None:
    answer = await client.put(f"/v1/prices/{country}", json=body)
    assert answer.status_code == 422, answer.text
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def test_when_it_would_be_done(client: AsyncClient, engine: AsyncEngine, sealer: Sealer, clock: Clock) -> None:
    async with begin(engine) as tx:
        gateway_id = await make_gateway(tx, sealer, pace={"segments_per_second": 0.01})
    clock.now = clock.now.replace(hour=12, minute=0, second=0) + timedelta(days=1)
    campaign_id = await draft(client)
    told = await estimate(client, campaign_id)
    assert told["finishes_at"] == (clock.now + timedelta(seconds=500)).isoformat().replace("+00:00", "Z")
    quiet = (clock.now + timedelta(seconds=300)).strftime("%H:%M")
    await client.put("/v1/policy", json={"quiet_hours": [{"start": quiet, "end": "14:00"}], "time_zone": "UTC"})
    async with begin(engine) as tx:
        for number in NUMBERS:
            await make_contact(tx, msisdn=number, time_zone="UTC")
    told = await estimate(client, campaign_id)
    # Two fifths of it are left for after the quiet hours.
    done = clock.now.replace(hour=14) + timedelta(seconds=200)
    assert told["finishes_at"] == done.isoformat().replace("+00:00", "Z")
    async with begin(engine) as tx:
        await tx.execute(update(Gateway).where(Gateway.id == gateway_id).values(pace=None))
    assert (await estimate(client, campaign_id))["finishes_at"] is None


@pytest.mark.parametrize(
    ("pace", "per_minute", "seconds"),
    [
        pytest.param({"segments_per_second": 1}, 2, 150, id="its own pace is the slower"),
        pytest.param({"segments_per_second": 0.01}, 60, 500, id="the gateway is"),
        pytest.param(None, 5, 60, id="the gateway has none"),
    ],
)
async def test_its_own_pace_is_known_to_the_estimate(
    client: AsyncClient,
    engine: AsyncEngine,
    sealer: Sealer,
    clock: Clock,
    pace: dict[str, float] | None,
    per_minute: int,
    seconds: int,
) -> None:
    async with begin(engine) as tx:
        await make_gateway(tx, sealer, pace=pace)
    told = await estimate(client, await draft(client, max_per_minute=per_minute))
    assert told["finishes_at"] == (clock.now + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


async def test_nobody_to_hand_it_to_is_told_before_the_start(
    client: AsyncClient, engine: AsyncEngine, sealer: Sealer
) -> None:
    """By the estimate, by the campaign, and by the answer to its start, which is not refused: gateways may come."""
    campaign_id = await draft(client)
    told = await estimate(client, campaign_id)
    (warning,) = told["warnings"]
    assert warning.startswith("No gateway is enabled")
    assert (await client.get(f"/v1/campaigns/{campaign_id}")).json()["warnings"] == [warning]
    async with begin(engine) as tx:
        gateway_id = await make_gateway(tx, sealer)
    assert (await estimate(client, campaign_id))["warnings"] == []
    changes: list[tuple[dict[str, Any], list[str]]] = [
        ({"health": "withdrawn"}, ["Every gateway that could take it is withdrawn or empty ('"]),
        ({"health": "open"}, []),
        ({"health": "ok", "balance": 1, "balance_check": {"stop_below": "2"}}, ["Every gateway that could take it"]),
        ({"balance": 3}, []),
        ({"enabled": False}, ["No gateway is enabled"]),
    ]
    for values, words in changes:
        async with begin(engine) as tx:
            await tx.execute(update(Gateway).where(Gateway.id == gateway_id).values(values))
        found = (await estimate(client, campaign_id))["warnings"]
        assert [one[: len(start)] for one, start in zip(found, words, strict=True)] == words
    started = await start(client, campaign_id, (await estimate(client, campaign_id))["confirmation"])
    assert (started.status_code, started.json()["warnings"]) == (200, [warning])
    await client.post(f"/v1/campaigns/{campaign_id}/stop")
    assert (await client.get(f"/v1/campaigns/{campaign_id}")).json()["warnings"] == []


async def test_nobody_has_its_sender(client: AsyncClient, engine: AsyncEngine, sealer: Sealer) -> None:
    async with begin(engine) as tx:
        spare = await make_gateway(tx, sealer, "spare", enabled=False)
        await make_gateway(tx, sealer, "main")
        await make_sender_id(tx, spare, OURS)
    told = await estimate(client, await draft(client, sender_id=OURS))
    (warning,) = told["warnings"]
    assert warning.startswith(f"No enabled gateway has the sender '{OURS}'")


async def test_tags_in_another_manner_are_told_before_the_start(
    client: AsyncClient, engine: AsyncEngine, sealer: Sealer
) -> None:
    """They would be read as they stand; the campaign and its estimate name each, and the tag to write."""
    async with begin(engine) as tx:
        await make_gateway(tx, sealer)
    campaign_id = await draft(client, messages=[{"text": "Hi {{ msisdn }}"}, {"text": "Dear {name}, %PLAN%"}])
    told = (await estimate(client, campaign_id))["warnings"]
    assert [one.split(" is ")[0] for one in told] == ["Message 2: `{name}`", "Message 2: `%PLAN%`"]
    assert ("{{ name }}" in told[0], "{{ fields.plan }}" in told[1]) == (True, True)
    assert (await client.get(f"/v1/campaigns/{campaign_id}")).json()["warnings"] == told
    changed = await client.patch(f"/v1/campaigns/{campaign_id}", json={"messages": [{"text": "Dear %name%"}]})
    (alone,) = changed.json()["warnings"]
    assert alone.startswith("`%name%` is no tag")


async def test_landlines_are_told_and_passed_over_when_asked(
    client: AsyncClient, engine: AsyncEngine, sealer: Sealer
) -> None:
    """They count as recipients until their owner says otherwise; that word is part of what is confirmed."""
    async with begin(engine) as tx:
        await make_gateway(tx, sealer)
    campaign_id = await draft(client, msisdns=[*NUMBERS[:2], LANDLINE, US])
    told = await estimate(client, campaign_id)
    assert (told["recipients"], told["landlines"], told["skipped"]) == (4, 1, {})
    (warning,) = told["warnings"]
    assert (warning[:2], "skip_landlines" in warning) == ("1 ", True)
    path = f"/v1/campaigns/{campaign_id}"
    changed = await client.patch(path, json={"skip_landlines": True})
    assert (changed.status_code, changed.json()["skip_landlines"]) == (200, True)
    assert refused(await start(client, campaign_id, told["confirmation"]), "confirmation-refused")
    told = await estimate(client, campaign_id)
    assert (told["recipients"], told["landlines"], told["skipped"], told["warnings"]) == (3, 0, {"landline": 1}, [])
    copied = await client.post(f"{path}/duplicate")
    assert copied.json()["skip_landlines"] is True
    assert (await start(client, campaign_id, told["confirmation"])).status_code == 200
