"""Every event that docs/webhooks.md lists: made to happen over the api and the path, and taken, signed, by a receiver.

What has a notice is told by it; where another module's test shows how that comes about, the notice is written here.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import httpx
import pytest
import respx

from dispatcher.beside.health import health
from dispatcher.beside.otp_expiries import tell_expired
from dispatcher.beside.quota import keep_quota
from dispatcher.beside.webhooks import Courier
from dispatcher.path.due import due
from dispatcher.path.finish import cancel_requested
from dispatcher.path.receipts import receipts
from dispatcher.queries.health import mark_slow
from shared.domain import balance, notice, otp_notices, unserved
from shared.domain.campaign import HeldReason
from shared.domain.event import EventType
from shared.domain.message import Status
from shared.domain.otp_conversion import Conversion
from shared.domain.otp_limits import Limits
from shared.queries.holds import hold_campaigns
from shared.queries.notices import insert_notice
from tests.api.test_inbound import handsets
from tests.dispatcher.answers import ACCOUNT, MESSAGE, at, in_turn, refused
from tests.dispatcher.hook_receiver import Receiver, carry, make_webhook
from tests.dispatcher.test_passwords import texts_of
from tests.dispatcher.test_webhooks import pass_time
from tests.factories import make_message, make_msisdn, make_opt_out, make_receipt
from tests.handsets import Handsets
from tests.stages import execute, pump_all, pump_once, run_to_the_end
from tests.worlds import HandClock, HandWorker

__all__ = ["handsets"]

PAGE: Final = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()
NUMBER: Final = make_msisdn(7)
SILENT: Final = httpx.ReadTimeout("nothing came")
DOWN: Final = httpx.ConnectError("refused")


@dataclass(frozen=True)
class Scene:
    """All that can happen: a client, a worker, a first gateway, and time."""

    client: httpx.AsyncClient
    worker: HandWorker
    router: respx.MockRouter
    gateway_id: UUID
    by_hand: HandClock
    handsets: Handsets

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.client.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def queue(self, **over: Any) -> UUID:
        async with self.worker.transaction() as tx:
            return await make_message(tx, self.worker.pepper, now=self.worker.now(), **over)

    async def tell(self, news: notice.Notice) -> None:
        async with self.worker.transaction() as tx:
            await insert_notice(tx, news, now=self.worker.now())


@pytest.fixture
async def scene(
    client: httpx.AsyncClient,
    worker: HandWorker,
    router: respx.MockRouter,
    handsets: Handsets,
    first: UUID,
    by_hand: HandClock,
) -> Scene:
    scene = Scene(client, worker, router, first, by_hand, handsets)
    await scene.ask("POST", f"/v1/gateways/{handsets.gateway_id}/disable")  # it is for what handsets write
    return scene


Recipe = Callable[[Scene], Awaitable[None]]


def sent(answer: Any = None) -> Recipe:
    """A message that is handed over, to a gateway that answers so."""

    async def happen(scene: Scene) -> None:
        at(scene.router) if answer is None else at(scene.router, answer=answer)
        await scene.queue()
        await pump_once(scene.worker, "urgent")

    return happen


def told_by_receipt(status: Status) -> Recipe:
    async def happen(scene: Scene) -> None:
        at(scene.router)
        message_id = await scene.queue()
        await pump_once(scene.worker, "urgent")
        async with scene.worker.transaction() as tx:
            now = scene.worker.now()
            await make_receipt(tx, scene.gateway_id, now=now, message_id=message_id, status=status)
        await receipts(scene.worker)

    return happen


async def expire(scene: Scene) -> None:
    await scene.queue(expires_at=scene.worker.now())
    await pump_once(scene.worker, "urgent")


async def skip(scene: Scene) -> None:
    async with scene.worker.transaction() as tx:
        await make_opt_out(tx, scene.worker.pepper, make_msisdn(0))
    await scene.queue()
    await pump_once(scene.worker, "urgent")


async def call_back(scene: Scene) -> None:
    message = await scene.ask("POST", "/v1/messages", {"msisdn": NUMBER, "text": "Hello."})
    await scene.ask("POST", f"/v1/messages/{message['id']}/cancel")
    await cancel_requested(scene.worker)


async def draft(scene: Scene, **over: Any) -> str:
    step = {"text": "Hello.", **over}
    wanted = {"name": "Spring", "msisdns": [NUMBER], "messages": [step], "opt_in_acknowledged": True}
    campaign = await scene.ask("POST", "/v1/campaigns", wanted)
    return str(campaign["id"])


async def start(scene: Scene) -> str:
    campaign_id = await draft(scene)
    await scene.ask("POST", f"/v1/campaigns/{campaign_id}/start")
    await due(scene.worker)
    return campaign_id


async def schedule(scene: Scene) -> None:
    campaign_id = await draft(scene, send_at=(scene.worker.now() + timedelta(days=1)).isoformat())
    await scene.ask("POST", f"/v1/campaigns/{campaign_id}/start")


async def complete(scene: Scene) -> None:
    at(scene.router)
    await start(scene)
    await run_to_the_end(scene.worker)


async def stop(scene: Scene) -> None:
    await scene.ask("POST", f"/v1/campaigns/{await start(scene)}/stop")


async def hold(scene: Scene) -> None:
    campaign_id = UUID(await start(scene))
    async with scene.worker.transaction() as tx:
        await hold_campaigns(tx, [campaign_id], HeldReason.QUOTA, now=scene.worker.now())


async def ask_for_code(scene: Scene) -> Any:
    await scene.ask("POST", "/v1/otp-profiles", {"name": "page", "max_attempts": 2})
    return await scene.ask("POST", "/v1/otp", {"msisdn": NUMBER, "profile": "page"})


async def begin_password(scene: Scene) -> None:
    await ask_for_code(scene)


async def resend(scene: Scene) -> None:
    begun = await ask_for_code(scene)
    await scene.by_hand.advance(seconds=begun["resend_after"])
    await scene.ask("POST", f"/v1/otp/{begun['id']}/resend")


def guess(times: int) -> Recipe:
    async def happen(scene: Scene) -> None:
        begun = await ask_for_code(scene)
        for _ in range(times):
            await scene.ask("POST", f"/v1/otp/{begun['id']}/verify", {"code": "wrong"})

    return happen


async def verify(scene: Scene) -> None:
    handset = at(scene.router)
    begun = await ask_for_code(scene)
    await pump_all(scene.worker, "urgent")
    (code,) = re.findall(r"\d{6}", texts_of(handset)[-1])
    assert (await scene.ask("POST", f"/v1/otp/{begun['id']}/verify", {"code": code}))["verified"]


async def let_expire(scene: Scene) -> None:
    await tell_expired(scene.worker)
    await scene.ask("POST", "/v1/otp-profiles", {"name": "brief", "ttl_seconds": 60})
    await scene.ask("POST", "/v1/otp", {"msisdn": NUMBER, "profile": "brief"})
    await scene.by_hand.advance(seconds=66)
    while await tell_expired(scene.worker):
        pass


async def cancel_password(scene: Scene) -> None:
    begun = await ask_for_code(scene)
    await scene.ask("POST", f"/v1/otp/{begun['id']}/cancel")


async def write(scene: Scene) -> None:
    assert (await scene.handsets.write(NUMBER, "Hello to you.")).is_success


async def rest(scene: Scene) -> None:
    at(scene.router, answer=in_turn(DOWN))
    for number in range(12):
        await scene.queue(msisdn=make_msisdn(number))
    for _ in range(12):
        await pump_once(scene.worker, "urgent")
        await health(scene.worker)


async def slow(scene: Scene) -> None:
    async with scene.worker.transaction() as tx:
        assert await mark_slow(tx, scene.gateway_id, reason="it answers late", by=scene.worker.name)


async def restore(scene: Scene) -> None:
    await sent(refused(ACCOUNT, status=401))(scene)
    await scene.ask("POST", f"/v1/gateways/{scene.gateway_id}/enable")


def granted(units: int, *, messages: int) -> Recipe:
    """So much quota, and messages that take a unit each; the books are kept after each of them."""

    async def happen(scene: Scene) -> None:
        await scene.ask("POST", "/v1/quota/grants", {"units": units, "period": "month"})
        for number in range(messages):
            await scene.ask("POST", "/v1/messages", {"msisdn": make_msisdn(number), "text": "Hello."})
            while await keep_quota(scene.worker):
                pass

    return happen


def noticed(make: Callable[[Scene], notice.Notice]) -> Recipe:
    async def happen(scene: Scene) -> None:
        await scene.tell(make(scene))

    return happen


CHECK: Final = balance.check_of({"every_minutes": 5, "warn_below": "10", "stop_below": "1"})
CONVERSION: Final = Conversion(sent=50, verified=1)


def of_balance(kind: notice.Kind) -> Recipe:
    assert CHECK is not None
    check = CHECK
    return noticed(
        lambda scene: balance.notice_of(kind, scene.gateway_id, name="Main", amount=Decimal(5), unit="USD", check=check)
    )


def of_spending(hour: int) -> Recipe:
    limits = Limits(speeds={}, hour_segments=10, day_segments=1_000, failures=20)
    (news,) = otp_notices.of_spending(otp_notices.Booked(hour, hour), segments=1, limits=limits)
    return noticed(lambda _: news)


async def try_webhook(scene: Scene) -> None:
    (webhook,) = (await scene.ask("GET", "/v1/webhooks"))["items"]
    await scene.ask("POST", f"/v1/webhooks/{webhook['id']}/test")


RECIPES: Final[dict[EventType, Recipe]] = {
    EventType.MESSAGE_SUBMITTED: sent(),
    EventType.MESSAGE_SENT: told_by_receipt(Status.SENT),
    EventType.MESSAGE_DELIVERED: told_by_receipt(Status.DELIVERED),
    EventType.MESSAGE_UNDELIVERED: told_by_receipt(Status.UNDELIVERED),
    EventType.MESSAGE_FAILED: sent(refused(MESSAGE)),
    EventType.MESSAGE_UNCONFIRMED: sent(in_turn(SILENT)),
    EventType.MESSAGE_EXPIRED: expire,
    EventType.MESSAGE_SKIPPED: skip,
    EventType.MESSAGE_CANCELLED: call_back,
    EventType.CAMPAIGN_SCHEDULED: schedule,
    EventType.CAMPAIGN_STARTED: complete,
    EventType.CAMPAIGN_COMPLETED: complete,
    EventType.CAMPAIGN_STOPPED: stop,
    EventType.CAMPAIGN_HELD: hold,
    EventType.OTP_STARTED: begin_password,
    EventType.OTP_RESENT: resend,
    EventType.OTP_FAILED: guess(1),
    EventType.OTP_VERIFIED: verify,
    EventType.OTP_EXHAUSTED: guess(2),
    EventType.OTP_EXPIRED: let_expire,
    EventType.OTP_CANCELLED: cancel_password,
    EventType.INBOUND_RECEIVED: write,
    EventType.GATEWAY_WITHDRAWN: sent(refused(ACCOUNT, status=401)),
    EventType.GATEWAY_RESTING: rest,
    EventType.GATEWAY_SLOW: slow,
    EventType.GATEWAY_RESTORED: restore,
    EventType.GATEWAY_BALANCE_LOW: of_balance(notice.Kind.BALANCE_LOW),
    EventType.GATEWAY_BALANCE_EMPTY: of_balance(notice.Kind.BALANCE_EMPTY),
    EventType.GATEWAY_BALANCE_RECOVERED: of_balance(notice.Kind.BALANCE_RECOVERED),
    EventType.GATEWAY_BALANCE_UNREADABLE: noticed(
        lambda scene: balance.unreadable(
            scene.gateway_id, name="Main", state=balance.State.OK, failures=3, reason="It did not answer."
        )
    ),
    EventType.GATEWAY_MISSING: noticed(
        lambda _: unserved.gateway_missing(
            unserved.Unserved(unserved.Cause.NONE_ENABLED, (unserved.Waiting(None, None, 1, long=True),))
        )
    ),
    EventType.GATEWAY_FOUND: noticed(lambda _: unserved.gateway_found()),
    EventType.OTP_BLOCKED: noticed(
        lambda _: otp_notices.blocked(
            uuid4(), scope="prefix", value="+447700", conversion=CONVERSION, time=timedelta(hours=1)
        )
    ),
    EventType.OTP_CONVERSION_LOW: noticed(
        lambda _: otp_notices.alarmed(uuid4(), scope="country", value="GB", conversion=CONVERSION)
    ),
    EventType.OTP_SPEND_NEAR: of_spending(8),
    EventType.OTP_SPEND_REACHED: of_spending(10),
    EventType.OTP_FAILURES: noticed(lambda _: otp_notices.guessing(otp_notices.Failures(100, 90, 60))),
    EventType.QUOTA_LOW: granted(5, messages=4),
    EventType.QUOTA_EXHAUSTED: granted(2, messages=2),
    EventType.NOTICE_TOLD: noticed(lambda _: notice.database_restored(uuid4(), campaigns=1, messages=2)),
    EventType.WEBHOOK_TEST: try_webhook,
}


def documented() -> dict[str, set[str]]:
    """What the page says is in an event's `data`; "the same" is what the line above has."""
    found: dict[str, set[str]] = {}
    keys: set[str] = set()
    for kind, said in re.findall(r"^\| `([a-z]+\.[a-z_]+)` \|[^|]*\|([^|]*)\|$", PAGE, re.MULTILINE):
        named = set(re.findall(r"`(\w+)`", said))
        found[kind] = keys | named if "the same" in said else named
        keys = keys if "the same and" in said else found[kind]
    return found


def test_every_event_has_a_recipe() -> None:
    assert set(RECIPES) == set(EventType)
    assert documented().keys() == {str(kind) for kind in EventType}


@pytest.mark.parametrize("kind", EventType)
async def test_it_happens_and_is_told(scene: Scene, courier: Courier, receiver: Receiver, kind: EventType) -> None:
    """As the page has it: under its type, signed, with the fields that are listed, and to who chose it alone."""
    chosen = "message.sent" if kind is EventType.WEBHOOK_TEST else kind
    await make_webhook(scene.worker, receiver.server.url, chosen)
    await RECIPES[kind](scene)
    await carry(courier)
    told = [one.told for one in receiver.taken]
    assert {one["type"] for one in told} == {kind}
    missing = (documented()[kind] | {"id"}) - set(told[-1]["data"])
    assert not missing


@pytest.mark.parametrize(
    "kind",
    [
        EventType.CAMPAIGN_SCHEDULED,
        EventType.CAMPAIGN_STARTED,
        EventType.CAMPAIGN_COMPLETED,
        EventType.CAMPAIGN_STOPPED,
        EventType.CAMPAIGN_HELD,
    ],
)
async def test_every_try_says_the_same(scene: Scene, courier: Courier, receiver: Receiver, kind: EventType) -> None:
    """Whatever becomes of the campaign meanwhile: between two tries, and before it is sent again on request."""
    webhook_id = await make_webhook(scene.worker, receiver.server.url, kind)
    await RECIPES[kind](scene)
    engine = scene.worker.engine
    await execute(engine, "UPDATE campaigns SET name = 'Summer'")  # before anything is sent
    receiver.status_of = lambda _: 500
    await carry(courier)
    await execute(engine, "UPDATE campaigns SET name = 'Autumn', owner = 'somebody else'")
    receiver.status_of = lambda _: 200
    await pass_time(scene.worker, timedelta(minutes=1))
    await carry(courier)
    first, second = receiver.got
    await execute(engine, "UPDATE campaigns SET name = 'Winter'")
    await scene.ask("POST", f"/v1/webhooks/{webhook_id}/redeliver", {"event_id": first.id})
    await carry(courier)
    assert first.told["data"]["name"] == "Spring"
    assert {(one.id, one.body) for one in receiver.got} == {(second.id, second.body)}
    assert len(receiver.got) == 3


async def test_a_password_is_told_from_its_start_to_its_end(scene: Scene, courier: Courier, receiver: Receiver) -> None:
    await make_webhook(scene.worker, receiver.server.url, "otp.*")
    await guess(3)(scene)
    await carry(courier)
    assert [one.type for one in receiver.taken] == ["otp.started", "otp.failed", "otp.exhausted"]
    assert receiver.taken[1].told["data"]["attempts_left"] == 1
    assert len({one.told["data"]["id"] for one in receiver.taken}) == 1


async def test_what_is_not_there_is_told_to_nobody(scene: Scene, courier: Courier, receiver: Receiver) -> None:
    await make_webhook(scene.worker, receiver.server.url, "*")
    await scene.ask("POST", f"/v1/otp/{uuid4()}/verify", {"code": "wrong"})
    await carry(courier)
    assert receiver.taken == []
