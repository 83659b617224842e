"""A confirmed campaign whose audience grows until its time comes: nobody gets it before its owner confirms again."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import respx
from httpx import AsyncClient
from sqlalchemy import select

from dispatcher.path.due import due
from dispatcher.path.finish import finish
from shared.db import begin
from shared.models import Campaign, CampaignRecipient, Message, NoticeRow
from tests.dispatcher.answers import at
from tests.factories import make_contact, make_gateway, make_msisdn
from tests.stages import expand_all, pump_all, statuses
from tests.worlds import HandClock, HandWorker

NUMBERS = [make_msisdn(number) for number in range(6)]


@pytest.fixture(autouse=True)
async def gateway(worker: HandWorker, router: respx.MockRouter) -> respx.Route:
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer)
        for number in NUMBERS[:3]:
            await make_contact(tx, msisdn=number, location_id="delft")
    return at(router)


async def join(worker: HandWorker, *numbers: str) -> None:
    """More people of whom the group's condition holds."""
    async with worker.transaction() as tx:
        for number in numbers:
            await make_contact(tx, msisdn=number, location_id="delft")


async def estimate(client: AsyncClient, campaign_id: str) -> dict[str, Any]:
    answer = await client.post(f"/v1/campaigns/{campaign_id}/estimate")
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def scheduled(client: AsyncClient, worker: HandWorker, *, confirmed: bool = True) -> str:
    """A campaign to the three of Delft, for in an hour."""
    condition = {"field": "location_id", "op": "equals", "value": "delft"}
    group = {"name": "Delft", "kind": "dynamic", "conditions": condition}
    answer = await client.post("/v1/target-groups", json=group)
    assert answer.status_code == 201, answer.text
    step = {"text": "Hello.", "send_at": (worker.now() + timedelta(hours=1)).isoformat()}
    body = {"name": "Spring offer", "target_group_ids": [answer.json()["id"]], "messages": [step]}
    answer = await client.post("/v1/campaigns", json=body | {"opt_in_acknowledged": True})
    assert answer.status_code == 201, answer.text
    campaign_id: str = answer.json()["id"]
    given: dict[str, Any] = {}
    if confirmed:
        told = await estimate(client, campaign_id)
        assert told["recipients"] == 3
        given = {"confirmation": told["confirmation"]}
    answer = await client.post(f"/v1/campaigns/{campaign_id}/start", json=given)
    assert (answer.status_code, answer.json()["status"]) == (200, "scheduled"), answer.text
    return campaign_id


async def its_time_comes(worker: HandWorker, by_hand: HandClock) -> None:
    await by_hand.advance(hours=1)
    await go_on(worker)


async def go_on(worker: HandWorker) -> None:
    await due(worker)
    await expand_all(worker)
    await pump_all(worker)
    await finish(worker)


async def campaign_of(client: AsyncClient, campaign_id: str) -> tuple[str, str | None]:
    told = (await client.get(f"/v1/campaigns/{campaign_id}")).json()
    return told["status"], told["held_reason"]


async def resume(client: AsyncClient, campaign_id: str, **given: Any) -> httpx.Response:
    return await client.post(f"/v1/campaigns/{campaign_id}/resume", json=given)


async def check_nothing_began(worker: HandWorker, campaign_id: str) -> None:
    async with begin(worker.engine) as tx:
        row = (await tx.execute(select(Campaign).where(Campaign.id == UUID(campaign_id)))).one()
        assert (row.frozen_at, row.recipients, row.confirmed_recipients) == (None, None, 3)
        assert (await tx.execute(select(CampaignRecipient))).all() == []
        assert (await tx.execute(select(Message))).all() == []


async def test_more_people_than_confirmed_get_nothing(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: respx.Route
) -> None:
    campaign_id = await scheduled(client, worker)
    await join(worker, NUMBERS[3])
    await its_time_comes(worker, by_hand)
    assert await campaign_of(client, campaign_id) == ("held", "audience")
    told = (await client.get(f"/v1/campaigns/{campaign_id}")).json()
    assert (told["confirmed_recipients"], told["recipients"]) == (3, None)
    await check_nothing_began(worker, campaign_id)
    assert not gateway.called
    async with begin(worker.engine) as tx:
        (notice,) = (await tx.execute(select(NoticeRow))).all()
    assert "more people than were confirmed" in notice.text


async def test_it_goes_on_when_its_owner_confirms_again(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: respx.Route
) -> None:
    campaign_id = await scheduled(client, worker)
    await join(worker, NUMBERS[3])
    await its_time_comes(worker, by_hand)
    refused = await resume(client, campaign_id)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/audience-grown")
    assert "3 recipients were confirmed, and 4" in refused.json()["detail"]
    told = await estimate(client, campaign_id)
    assert told["recipients"] == 4
    answer = await resume(client, campaign_id, confirmation=told["confirmation"])
    assert (answer.status_code, answer.json()["status"]) == (200, "running"), answer.text
    await go_on(worker)
    assert await campaign_of(client, campaign_id) == ("completed", None)
    assert await statuses(worker.engine) == {"submitted": 4}
    assert gateway.call_count == 4


async def test_it_is_held_once_more_if_it_grows_once_more(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: respx.Route
) -> None:
    campaign_id = await scheduled(client, worker)
    await join(worker, NUMBERS[3])
    await its_time_comes(worker, by_hand)
    told = await estimate(client, campaign_id)
    await join(worker, NUMBERS[4])
    refused = await resume(client, campaign_id, confirmation=told["confirmation"])
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/confirmation-refused")
    told = await estimate(client, campaign_id)
    assert (await resume(client, campaign_id, confirmation=told["confirmation"])).status_code == 200
    await join(worker, NUMBERS[5])
    await go_on(worker)
    assert await campaign_of(client, campaign_id) == ("held", "audience")
    used = await resume(client, campaign_id, confirmation=told["confirmation"])
    assert (used.status_code, used.json()["type"]) == (409, "/problems/confirmation-used")
    assert not gateway.called


async def test_it_goes_on_by_itself_once_it_fits_again(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: respx.Route
) -> None:
    campaign_id = await scheduled(client, worker)
    await join(worker, NUMBERS[3])
    await its_time_comes(worker, by_hand)
    (newcomer,) = (await client.get("/v1/contacts", params={"msisdn": NUMBERS[3]})).json()["items"]
    await client.patch(f"/v1/contacts/{newcomer['id']}", json={"location_id": "leiden"})
    assert (await resume(client, campaign_id)).status_code == 200
    await go_on(worker)
    assert await statuses(worker.engine) == {"submitted": 3}


async def test_it_is_made_fit_by_leaving_somebody_out(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: respx.Route
) -> None:
    campaign_id = await scheduled(client, worker)
    await join(worker, NUMBERS[3])
    await its_time_comes(worker, by_hand)
    path = f"/v1/campaigns/{campaign_id}/exclusions"
    assert (await client.post(path, json={"msisdns": [NUMBERS[3]]})).json() == {"changed": 1, "excluded": 1}
    taken_in = await client.request("DELETE", path, json={"msisdns": [NUMBERS[3]]})
    assert (taken_in.status_code, taken_in.json()["type"]) == (409, "/problems/campaign-not-editable")
    assert (await resume(client, campaign_id)).status_code == 200
    await go_on(worker)
    assert await statuses(worker.engine) == {"submitted": 3}
    late = await client.post(path, json={"msisdns": [NUMBERS[2]]})
    assert (late.status_code, late.json()["type"]) == (409, "/problems/campaign-not-editable")


async def test_what_is_stopped_is_not_held_any_more(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    campaign_id = await scheduled(client, worker)
    await join(worker, NUMBERS[3])
    await its_time_comes(worker, by_hand)
    assert (await client.post(f"/v1/campaigns/{campaign_id}/stop")).status_code == 200
    assert await campaign_of(client, campaign_id) == ("stopped", None)
    told = (await client.get(f"/v1/campaigns/{campaign_id}/timeline")).json()["items"]
    assert [one["detail"]["reason"] for one in told if one["event"] == "held"] == ["audience"]


async def test_it_may_be_changed_as_a_draft_and_started_anew(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: respx.Route
) -> None:
    await client.post("/v1/quota/grants", json={"units": 10})
    worker.rules.forget()
    campaign_id = await scheduled(client, worker)
    await join(worker, NUMBERS[3])
    await its_time_comes(worker, by_hand)
    path = f"/v1/campaigns/{campaign_id}"
    told = (await client.post(f"{path}/unschedule")).json()
    assert (told["status"], told["held_reason"], told["started_at"]) == ("draft", None, None)
    assert (told["confirmed_recipients"], told["confirmed_segments"]) == (None, None)
    assert (await client.get("/v1/quota")).json()["reserved"] == 0
    assert (await client.patch(path, json={"messages": [{"text": "Hi."}]})).status_code == 200
    assert (await client.post(f"{path}/start")).json()["status"] == "running"
    await go_on(worker)
    assert await statuses(worker.engine) == {"submitted": 4}
    assert all(b"Hi." in call.request.content for call in gateway.calls)


async def test_what_is_held_on_its_way_is_no_draft_any_more(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    campaign_id = await personal(client, worker, steps=2)
    await its_time_comes(worker, by_hand)
    await rename(client, NUMBERS[0], LONG)
    await its_time_comes(worker, by_hand)
    assert await campaign_of(client, campaign_id) == ("held", "segments")
    refused = await client.post(f"/v1/campaigns/{campaign_id}/unschedule")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/campaign-not-scheduled")
    assert "held and has begun" in refused.json()["detail"]


async def test_details_that_are_locked_stay_so_while_it_is_held(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    assert (await client.put("/v1/policy", json={"edit_when_scheduled": "schedule_only"})).status_code == 200
    campaign_id = await scheduled(client, worker)
    await join(worker, NUMBERS[3])
    await its_time_comes(worker, by_hand)
    locked = await client.post(f"/v1/campaigns/{campaign_id}/exclusions", json={"msisdns": [NUMBERS[3]]})
    assert (locked.status_code, locked.json()["type"]) == (409, "/problems/campaign-details-locked")


async def test_who_is_taken_in_again_counts_too(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: respx.Route
) -> None:
    """Nobody's word but a confirmation raises the number; an owner who includes somebody has not confirmed them."""
    campaign_id = await scheduled(client, worker)
    answer = await client.patch(f"/v1/campaigns/{campaign_id}", json={"msisdns": [NUMBERS[5]]})
    assert answer.status_code == 200, answer.text
    await its_time_comes(worker, by_hand)
    assert await campaign_of(client, campaign_id) == ("held", "audience")
    assert not gateway.called


@pytest.mark.parametrize(
    ("confirmed", "joined", "sent"),
    [pytest.param(True, 0, 3, id="as many as confirmed"), pytest.param(False, 3, 6, id="nobody confirmed a number")],
)
async def test_others_are_not_held_up(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, confirmed: bool, joined: int, sent: int
) -> None:
    campaign_id = await scheduled(client, worker, confirmed=confirmed)
    await join(worker, *NUMBERS[3 : 3 + joined])
    await its_time_comes(worker, by_hand)
    assert await campaign_of(client, campaign_id) == ("completed", None)
    assert await statuses(worker.engine) == {"submitted": sent}


async def test_fewer_people_need_no_new_word(client: AsyncClient, worker: HandWorker, by_hand: HandClock) -> None:
    campaign_id = await scheduled(client, worker)
    (gone,) = (await client.get("/v1/contacts", params={"msisdn": NUMBERS[0]})).json()["items"]
    await client.delete(f"/v1/contacts/{gone['id']}")
    await its_time_comes(worker, by_hand)
    assert await campaign_of(client, campaign_id) == ("completed", None)
    assert await statuses(worker.engine) == {"submitted": 2}


async def test_a_new_start_without_a_confirmation_asks_for_none(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    campaign_id = await scheduled(client, worker)
    await client.post(f"/v1/campaigns/{campaign_id}/unschedule")
    await client.post(f"/v1/campaigns/{campaign_id}/start")
    await join(worker, NUMBERS[3])
    await its_time_comes(worker, by_hand)
    assert await statuses(worker.engine) == {"submitted": 4}


async def test_what_has_begun_needs_no_confirmation(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    campaign_id = await scheduled(client, worker)
    told = await estimate(client, campaign_id)
    await by_hand.advance(hours=1)
    await due(worker)
    await client.post("/v1/quota/grants", json={"units": 1})
    worker.rules.forget()
    await expand_all(worker)
    assert await campaign_of(client, campaign_id) == ("held", "quota")
    refused = await client.post(f"/v1/campaigns/{campaign_id}/estimate")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/campaign-not-startable")
    refused = await resume(client, campaign_id, confirmation=told["confirmation"])
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/confirmation-refused")
    assert "audience is settled" in refused.json()["detail"]


async def test_the_quota_is_reserved_for_what_is_confirmed(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock
) -> None:
    async def reserved() -> int:
        told: dict[str, int] = (await client.get("/v1/quota")).json()
        return told["reserved"]

    await client.post("/v1/quota/grants", json={"units": 4})
    worker.rules.forget()
    campaign_id = await scheduled(client, worker)
    await join(worker, NUMBERS[3], NUMBERS[4])
    await its_time_comes(worker, by_hand)
    assert (await campaign_of(client, campaign_id), await reserved()) == (("held", "audience"), 3)
    told = await estimate(client, campaign_id)
    refused = await resume(client, campaign_id, confirmation=told["confirmation"])
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/quota-exceeded")
    assert (await campaign_of(client, campaign_id), await reserved()) == (("held", "audience"), 3)
    await client.post("/v1/quota/grants", json={"units": 1})
    assert (await resume(client, campaign_id, confirmation=told["confirmation"])).status_code == 200
    assert await reserved() == 5
    await go_on(worker)
    assert await statuses(worker.engine) == {"submitted": 5}


async def test_two_dispatchers_hold_it_once(
    client: AsyncClient, worker: HandWorker, another: Any, by_hand: HandClock
) -> None:
    campaign_id = await scheduled(client, worker)
    await join(worker, NUMBERS[3])
    await by_hand.advance(hours=1)
    for one in (worker, another(), worker):
        await due(one)
    assert await campaign_of(client, campaign_id) == ("held", "audience")
    async with begin(worker.engine) as tx:
        assert len((await tx.execute(select(NoticeRow))).all()) == 1


# --- texts that grow


LONG = "Maximiliane " * 8


async def personal(client: AsyncClient, worker: HandWorker, *, steps: int = 1) -> str:
    """A campaign to three people by their names, of whom one has said no; confirmed, for in an hour and later."""
    for place, number in enumerate(NUMBERS[:3]):
        (one,) = (await client.get("/v1/contacts", params={"msisdn": number})).json()["items"]
        await client.patch(f"/v1/contacts/{one['id']}", json={"name": f"Al{place}"})
    await client.post("/v1/opt-outs", json={"msisdn": NUMBERS[2]})
    words = "Hello {{ name }}, " + "x" * 140
    messages = [
        {"text": words, "send_at": (worker.now() + timedelta(hours=1 + place)).isoformat()} for place in range(steps)
    ]
    body = {"name": "By name", "msisdns": NUMBERS[:3], "messages": messages, "opt_in_acknowledged": True}
    campaign_id: str = (await client.post("/v1/campaigns", json=body)).json()["id"]
    told = await estimate(client, campaign_id)
    assert (told["recipients"], told["segments"]) == (2, 2 * steps)
    answer = await client.post(f"/v1/campaigns/{campaign_id}/start", json={"confirmation": told["confirmation"]})
    assert answer.status_code == 200, answer.text
    return campaign_id


async def rename(client: AsyncClient, number: str, name: str) -> None:
    (one,) = (await client.get("/v1/contacts", params={"msisdn": number})).json()["items"]
    assert (await client.patch(f"/v1/contacts/{one['id']}", json={"name": name})).status_code == 200


async def test_more_segments_than_confirmed_are_not_begun(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: respx.Route
) -> None:
    campaign_id = await personal(client, worker)
    await rename(client, NUMBERS[0], LONG)
    await its_time_comes(worker, by_hand)
    assert await campaign_of(client, campaign_id) == ("held", "segments")
    await check_nothing_began(worker, campaign_id)
    refused = await resume(client, campaign_id)
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/texts-grown")
    assert "2 segments were confirmed, and 3" in refused.json()["detail"]
    told = await estimate(client, campaign_id)
    assert told["segments"] == 3
    assert (await resume(client, campaign_id, confirmation=told["confirmation"])).status_code == 200
    await go_on(worker)
    assert await campaign_of(client, campaign_id) == ("completed", None)
    assert await statuses(worker.engine) == {"submitted": 2, "skipped": 1}
    assert gateway.call_count == 2


@pytest.mark.parametrize("mended", [pytest.param(True, id="short again"), pytest.param(False, id="of nobody else")])
async def test_as_many_segments_as_confirmed_go_out(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, mended: bool
) -> None:
    """Who has said no counts neither then nor now, and a change that makes nothing longer holds nothing up."""
    campaign_id = await personal(client, worker)
    await rename(client, NUMBERS[0 if mended else 2], LONG)
    if mended:
        await by_hand.advance(hours=1)
        await go_on(worker)
        assert await campaign_of(client, campaign_id) == ("held", "segments")
        await rename(client, NUMBERS[0], "Bo")
        assert (await resume(client, campaign_id)).status_code == 200
        await go_on(worker)
    else:
        await its_time_comes(worker, by_hand)
    assert await campaign_of(client, campaign_id) == ("completed", None)
    assert await statuses(worker.engine) == {"submitted": 2, "skipped": 1}


async def test_longer_words_of_its_owner_are_looked_at_too(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: respx.Route
) -> None:
    campaign_id = await personal(client, worker)
    (step,) = (await client.get(f"/v1/campaigns/{campaign_id}")).json()["messages"]
    longer = {"messages": [{"text": "y" * 200, "send_at": step["send_at"]}]}
    assert (await client.patch(f"/v1/campaigns/{campaign_id}", json=longer)).status_code == 200
    await its_time_comes(worker, by_hand)
    assert await campaign_of(client, campaign_id) == ("held", "segments")
    assert not gateway.called


async def test_a_sequence_that_grows_on_its_way_stops_before_what_is_too_much(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: respx.Route
) -> None:
    campaign_id = await personal(client, worker, steps=2)
    await its_time_comes(worker, by_hand)
    assert await statuses(worker.engine) == {"submitted": 2, "skipped": 1}
    await rename(client, NUMBERS[0], LONG)
    await its_time_comes(worker, by_hand)
    assert await campaign_of(client, campaign_id) == ("held", "segments")
    assert gateway.call_count == 2
    told = (await client.get(f"/v1/campaigns/{campaign_id}")).json()
    assert (told["confirmed_recipients"], told["confirmed_segments"]) == (3, 4)
    # Half of it is sent: there is nothing to estimate anew, and its owner's word is for the rest.
    answer = await resume(client, campaign_id)
    assert (answer.status_code, answer.json()["confirmed_segments"]) == (200, None), answer.text
    await go_on(worker)
    assert await campaign_of(client, campaign_id) == ("completed", None)
    assert await statuses(worker.engine) == {"submitted": 4, "skipped": 2}


async def test_too_many_texts_to_fill_twice_are_stopped_by_the_slice(
    client: AsyncClient, worker: HandWorker, by_hand: HandClock, gateway: respx.Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.path.weighing.MOST_TEXTS", 2)
    campaign_id = await personal(client, worker)
    await rename(client, NUMBERS[0], LONG)
    await its_time_comes(worker, by_hand)
    assert await campaign_of(client, campaign_id) == ("held", "segments")
    assert not gateway.called
    async with begin(worker.engine) as tx:
        assert (await tx.execute(select(Message))).all() == []
