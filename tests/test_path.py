"""The path of a campaign, from `POST /v1/campaigns` to its report, through the sandbox gateway. Read this first.

Every stage is the real one, called by hand; the one clock stands still until it is moved. The sandbox decides by the
last digit of the number what becomes of a message.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
import respx
from httpx import AsyncClient

from dispatcher.path.due import due
from dispatcher.path.expand import expand
from dispatcher.path.finish import finish
from dispatcher.path.receipts import receipts
from shared.ids import uuid7
from tests.conftest import Clock
from tests.factories import make_contact, make_gateway, make_msisdn, make_opt_out, make_target_group
from tests.stages import check_tallies, pump_once
from tests.worlds import HandClock, HandWorker, by_hand, router, worker

__all__ = ["by_hand", "router", "worker"]

NUMBERS = [make_msisdn(number) for number in range(10)]  # one for each last digit
OPTED_OUT = make_msisdn(10)


@pytest.fixture
async def target_group_id(worker: HandWorker, clock: Clock) -> str:
    """Eleven people with names, of whom one has opted out; and a gateway that sends nothing.

    They are a millisecond apart, because an audience is in the order of its contacts' ids.
    """
    async with worker.transaction() as tx:
        await make_gateway(tx, worker.sealer, kind="sandbox")
        people = [
            await make_contact(
                tx, id=uuid7(clock.now + timedelta(milliseconds=place)), msisdn=msisdn, name=f"Guest {msisdn[-2:]}"
            )
            for place, msisdn in enumerate([*NUMBERS, OPTED_OUT])
        ]
        await make_opt_out(tx, worker.pepper, OPTED_OUT)
        return str(await make_target_group(tx, *people))


async def report(client: AsyncClient, campaign: Mapping[str, Any]) -> dict[str, int]:
    """The report's counts, without the zeros. They add up to the recipients, whenever it is asked for."""
    answer = await client.get(f"/v1/campaigns/{campaign['id']}/report")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert sum(told["counts"].values()) == told["recipients"] * len(told["messages"]) == 11
    return {status: count for status, count in told["counts"].items() if count}


async def test_campaign_from_post_to_report(
    client: AsyncClient,
    worker: HandWorker,
    clock: Clock,
    by_hand: HandClock,
    router: respx.MockRouter,
    target_group_id: str,
) -> None:
    # An owner makes a campaign for eight this evening ...
    evening = clock.now + timedelta(hours=2)
    answer = await client.post(
        "/v1/campaigns",
        json={
            "name": "Spring offer",
            "target_group_ids": [target_group_id],
            "messages": [{"text": "Dear {{ name }}, your table waits.", "send_at": evening.isoformat()}],
            "opt_in_acknowledged": True,
        },
    )
    assert answer.status_code == 201, answer.text
    campaign = answer.json()
    assert campaign["status"] == "draft"
    assert await report(client, campaign) == {"queued": 11}

    # ... and lets it go: it waits for its time.
    answer = await client.post(f"/v1/campaigns/{campaign['id']}/start")
    assert answer.json()["status"] == "scheduled"
    assert await due(worker) == 0
    assert await report(client, campaign) == {"queued": 11}

    # due: the time has come, the audience is frozen.
    await by_hand.advance(hours=2)
    assert await due(worker) == 1
    assert (await client.get(f"/v1/campaigns/{campaign['id']}")).json()["status"] == "running"
    assert await report(client, campaign) == {"queued": 11}

    # expand: a message for each recipient, ten at a time.
    assert [await expand(worker), await expand(worker), await expand(worker)] == [10, 1, 0]
    assert await report(client, campaign) == {"queued": 11}

    # pump: eight slots, so eight at a time; who opted out is left out in the claim.
    assert await pump_once(worker) == 8
    assert await report(client, campaign) == {"queued": 3, "submitted": 7, "unconfirmed": 1}
    assert await pump_once(worker) == 3
    assert await report(client, campaign) == {
        "queued": 1,  # 8: too busy on the first attempt, and asked again in a second
        "submitted": 7,  # 0 to 6
        "unconfirmed": 1,  # 7: no answer; never sent again by itself
        "failed": 1,  # 9: refused
        "skipped": 1,
    }
    assert await finish(worker) == 0  # one is still open
    await by_hand.advance(seconds=2)
    assert await pump_once(worker) == 1

    # receipts: what the gateway told afterwards.
    assert await receipts(worker) == 8
    the_end = {"delivered": 7, "undelivered": 1, "unconfirmed": 1, "failed": 1, "skipped": 1}
    assert await report(client, campaign) == the_end

    # finish: nothing is open, and the report stays as it is.
    assert await finish(worker) == 1
    told = (await client.get(f"/v1/campaigns/{campaign['id']}/report")).json()
    assert (told["status"], told["recipients"]) == ("completed", 11)
    assert await report(client, campaign) == the_end
    assert told["segments"] == 9  # what a gateway took, or may have taken
    assert told["started_at"] == evening.isoformat().replace("+00:00", "Z")
    assert await pump_once(worker) == 0
    assert not router.calls  # the sandbox is asked in this process
    await check_tallies(worker.engine)

    # Each message tells its own story.
    listed = (await client.get(f"/v1/campaigns/{campaign['id']}/messages")).json()["items"]
    ends = {one["msisdn"][-2:]: one["status"] for one in listed}
    assert ends == {
        **{f"{digit:02}": "delivered" for digit in (0, 1, 2, 3, 4, 5, 8)},
        "06": "undelivered",
        "07": "unconfirmed",
        "09": "failed",
        "10": "skipped",
    }
    busy = next(one for one in listed if one["msisdn"].endswith("08"))
    story = (await client.get(f"/v1/messages/{busy['id']}")).json()
    assert story["text"] == "Dear Guest 08, your table waits."
    assert [one["outcome"] for one in story["attempts"]] == ["refused", "accepted"]
    assert [one["status"] for one in story["receipts"]] == ["delivered"]
