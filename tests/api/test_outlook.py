"""What whoever has a message accepted is told when no gateway would take it: it waits, and nothing of it is lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import event, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.outlook import FRESH_SECONDS
from api.resources import Resources
from shared.clock import utc_now
from shared.db import begin
from shared.models import Gateway, Message
from tests.conftest import Clock
from tests.factories import make_gateway, make_msisdn, make_sender_id

WAITS = "This message waits, because nothing can send it right now."
NO_CODE = "No code can be sent right now."


@pytest.fixture(autouse=True)
def look_each_time(resources: Resources) -> None:
    """The clock of the outlook goes on with each look."""
    ticks = iter(range(0, 1_000_000, int(2 * FRESH_SECONDS)))
    resources.outlook._clock = lambda: float(next(ticks))


async def gateway(resources: Resources, **over: Any) -> UUID:
    async with begin(resources.engine) as tx:
        return await make_gateway(tx, resources.sealer, **over)


async def send(client: httpx.AsyncClient, **over: Any) -> dict[str, Any]:
    answer = await client.post("/v1/messages", json={"msisdn": make_msisdn(1), "text": "Hello."} | over)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    assert "carried" not in told
    return told


async def start(client: httpx.AsyncClient, **over: Any) -> dict[str, Any]:
    answer = await client.post("/v1/otp", json={"msisdn": "+447700900123"} | over)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


@contextmanager
def questions(engine: AsyncEngine) -> Iterator[list[str]]:
    """The statements about gateways that are asked meanwhile."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM gateways" in statement:
            asked.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine.sync_engine, "before_cursor_execute", note)


@pytest.mark.parametrize("kind", ["personal", "voucher"])
async def test_message_without_a_gateway_is_accepted_and_says_that_it_waits(
    client: httpx.AsyncClient, resources: Resources, kind: str
) -> None:
    await gateway(resources, enabled=False)
    told = await send(client, kind=kind)
    assert told["status"] == "queued"
    assert told["advice"].startswith(WAITS)
    (warning,) = told["warnings"]
    assert "GET /v1/gateways says" in warning
    assert (await client.get(f"/v1/messages/{told['id']}")).json()["advice"].startswith(WAITS)


async def test_password_without_a_gateway_says_that_no_code_can_be_sent(
    client: httpx.AsyncClient, resources: Resources, clock: Clock
) -> None:
    told = await start(client)
    assert (told["sent"], told["status"]) == (True, "pending")
    assert told["advice"].startswith(NO_CODE)
    clock.advance(timedelta(seconds=31))
    again = await client.post(f"/v1/otp/{told['id']}/resend")
    assert again.json()["advice"].startswith(NO_CODE)
    await gateway(resources)
    clock.advance(timedelta(seconds=61))
    assert (await client.post(f"/v1/otp/{told['id']}/resend")).json()["advice"] is None


async def test_page_that_is_loaded_again_says_so_while_the_code_waits(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    first, again = [await start(client, session="a") for _ in range(2)]
    assert (again["id"], again["sent"]) == (first["id"], False)
    assert again["advice"].startswith(NO_CODE)
    async with begin(resources.engine) as tx:
        await tx.execute(update(Message).values(status="delivered"))
    assert (await start(client, session="a"))["advice"] is None


async def test_test_number_waits_for_nothing(client: httpx.AsyncClient) -> None:
    numbers = [{"msisdn": "+447700900123", "code": "123456"}]
    made = await client.post("/v1/otp-profiles", json={"name": "splash", "test_numbers": numbers})
    assert made.status_code == 201, made.text
    assert (await start(client, profile="splash"))["advice"] is None


async def test_with_one_there_is_nothing_to_say(client: httpx.AsyncClient, resources: Resources) -> None:
    gateway_id = await gateway(resources)
    told = await send(client)
    assert (told["advice"], told["warnings"]) == (None, [])
    assert (await start(client))["advice"] is None
    async with begin(resources.engine) as tx:
        await tx.execute(update(Gateway).where(Gateway.id == gateway_id).values(health="withdrawn"))
    assert (await client.get(f"/v1/messages/{told['id']}")).json()["advice"].startswith(WAITS)
    async with begin(resources.engine) as tx:
        await tx.execute(update(Message).values(status="delivered"))
    assert (await client.get(f"/v1/messages/{told['id']}")).json()["advice"] is None


async def test_it_goes_by_sender_and_location(client: httpx.AsyncClient, resources: Resources) -> None:
    cafe = await gateway(resources, location_ids=["cafe"])
    other = await gateway(resources, name="other", location_ids=["hotel"])
    async with begin(resources.engine) as tx:
        await make_sender_id(tx, cafe, "+12025550101")
        await make_sender_id(tx, other, "+12025550102")
    assert (await send(client, location_id="cafe", sender_id="+12025550101"))["advice"] is None
    assert (await send(client, location_id="cafe", sender_id="+12025550102"))["advice"].startswith(WAITS)
    assert (await send(client, location_id="bar"))["advice"].startswith(WAITS)
    assert (await send(client))["advice"].startswith(WAITS)


async def test_what_is_for_later_may_find_another_world(client: httpx.AsyncClient, clock: Clock) -> None:
    assert (await send(client, send_at=(clock.now + timedelta(hours=1)).isoformat()))["advice"] is None


async def test_what_is_called_back_goes_out_no_more(client: httpx.AsyncClient) -> None:
    told = await send(client)
    answer = await client.post(f"/v1/messages/{told['id']}/cancel")
    assert (answer.json()["status"], answer.json()["advice"]) == ("queued", None)


async def test_resent_message_says_so_as_well(client: httpx.AsyncClient, resources: Resources) -> None:
    told = await send(client)
    async with begin(resources.engine) as tx:
        await tx.execute(update(Message).values(status="failed"))
    answer = await client.post(f"/v1/messages/{told['id']}/resend")
    assert answer.json()["advice"].startswith(WAITS)


async def test_many_acceptances_are_one_look(client: httpx.AsyncClient, resources: Resources) -> None:
    resources.outlook._clock = lambda: 7.0
    await gateway(resources)
    with questions(resources.engine) as asked:
        for _ in range(5):
            assert (await send(client))["advice"] is None
    assert len(asked) == 1


# --- quiet hours that last until its end

EARLY = "This message will not be sent"


async def rest_until(client: httpx.AsyncClient, *, hours: int, **over: Any) -> None:
    """Quiet hours from an hour ago until in so many hours, on a clock in UTC."""
    now = utc_now()
    window = {name: (now + timedelta(hours=by)).strftime("%H:%M") for name, by in (("start", -1), ("end", hours))}
    rules = {"quiet_hours": [window], "quiet_hours_kinds": ["campaign", "voucher"]}
    answer = await client.patch("/v1/policy", json=rules | over)
    assert answer.status_code == 200, answer.text


def ending(**ahead: float) -> dict[str, Any]:
    return {"kind": "voucher", "voucher": {"valid_until": (utc_now() + timedelta(**ahead)).isoformat()}}


async def contact_of(client: httpx.AsyncClient, zone: str) -> str:
    made = await client.post("/v1/contacts", json={"msisdn": make_msisdn(1), "time_zone": zone})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def test_voucher_that_ends_within_quiet_hours_says_that_it_can_only_expire(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    await gateway(resources)
    await rest_until(client, hours=4)
    contact = await contact_of(client, "Etc/UTC")
    told = await send(client, msisdn=None, contact_id=contact, **ending(hours=2))
    assert told["advice"].startswith(EARLY)
    (warning,) = told["warnings"]
    assert "valid_until" in warning
    assert "quiet_hours_kinds" in warning
    assert (await client.get(f"/v1/messages/{told['id']}")).json()["advice"].startswith(EARLY)
    # Where a dispatcher put it off: to its end.
    async with begin(resources.engine) as tx:
        await tx.execute(update(Message).values(not_before=Message.expires_at))
    assert (await client.get(f"/v1/messages/{told['id']}")).json()["advice"].startswith(EARLY)
    async with begin(resources.engine) as tx:
        await tx.execute(update(Message).values(status="expired"))
    assert not (await client.get(f"/v1/messages/{told['id']}")).json()["advice"].startswith(EARLY)


@pytest.mark.parametrize(
    ("hours", "rules", "zone"),
    [
        pytest.param(9, {}, "Etc/UTC", id="it opens before its end"),
        pytest.param(None, {}, "Etc/UTC", id="of a kind that does not rest"),
        pytest.param(2, {"quiet_hours_kinds": ["campaign"]}, "Etc/UTC", id="nor in this policy"),
        pytest.param(2, {"quiet_hours": []}, "Etc/UTC", id="no quiet hours"),
        pytest.param(2, {}, "Etc/GMT-12", id="it is day where they are"),
    ],
)
async def test_what_may_leave_in_time_is_nothing_to_tell_of(
    client: httpx.AsyncClient, resources: Resources, hours: int | None, rules: dict[str, Any], zone: str
) -> None:
    await gateway(resources)
    await rest_until(client, hours=4, **rules)
    told = await send(
        client, msisdn=None, contact_id=await contact_of(client, zone), **(ending(hours=hours) if hours else {})
    )
    assert (told["advice"], told["warnings"]) == (None, [])
