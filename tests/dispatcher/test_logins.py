"""Logins, through the real door to a real server: one for everybody, renewed in time, and failing without harm."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from uuid import UUID

import pytest

from dispatcher.door.logins import PAUSE_SECONDS, Logins
from dispatcher.door.transport import Transport
from shared.adapter import Account, Answer, Sms
from shared.domain.outcome import Accepted, Fault, Lost, Outcome, Refused
from shared.gateways import smsportal
from tests.dispatcher.hostile_server import Exchange, HostileServer

LIFE = 3600.0
EXPIRED = {"errorCode": "AuthenticationToken.Expired", "errorMessage": "The token has expired."}
FAILED = Lost(may_have_arrived=False, cause="login_failed")


@dataclass
class Gateway:
    """A gateway that gives out numbered tokens, takes only those in `good`, and counts."""

    status: int = 200
    minutes: int = 60
    retry_after: str = ""
    pause: float = 0.02
    given: int = 0
    sends: int = 0
    good: set[str] = field(default_factory=set)

    async def script(self, exchange: Exchange) -> None:
        if b"/v3/Authentication" in exchange.request:
            assert b"authorization: basic " in exchange.request.lower()
            self.given += 1
            token = f"token-{self.given}"
            await asyncio.sleep(self.pause)
            if self.status == 200:
                self.good.add(token)
            await self._say(exchange, self.status, {"token": token, "schema": "JWT", "expiresInMinutes": self.minutes})
            return
        self.sends += 1
        if any(f"Bearer {token}\r\n".encode() in exchange.request for token in self.good):
            await self._say(exchange, 200, {"messages": 1, "eventId": 7, "parts": 1})
        else:
            await self._say(exchange, 401, EXPIRED)

    async def _say(self, exchange: Exchange, status: int, body: object) -> None:
        said = json.dumps(body).encode()
        more = f"Retry-After: {self.retry_after}\r\n" if self.retry_after else ""
        await exchange.say(f"HTTP/1.1 {status} X\r\n{more}Content-Length: {len(said)}\r\n\r\n".encode() + said)


class Clock:
    """What time it is for the logins."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class World:
    logins: Logins
    gateway: Gateway
    account: Account
    clock: Clock
    transport: Transport

    async def token(self, account: Account | None = None) -> str:
        ready = await self.logins.ready_account(account or self.account)
        assert isinstance(ready, Account), ready
        return ready.secrets["access_token"]

    async def send(self) -> Outcome:
        """What a hand-over does: with the token there is, and once more with a new one if it was refused."""
        sms = Sms(UUID(int=1), 1, msisdn="+12025550142", text="Hello")
        outcome: Outcome | None = None
        for last in (False, True):
            ready = await self.logins.ready_account(self.account)
            if not isinstance(ready, Account):
                return ready
            heard = await self.transport.perform(smsportal.build_send(ready, [sms]), deadline=5)
            assert isinstance(heard, Answer)
            (outcome,) = smsportal.read_send([sms], heard)
            if last or not self.logins.has_ended(ready, heard):
                break
        assert outcome is not None
        return outcome


@pytest.fixture
async def world() -> AsyncIterator[World]:
    gateway, clock = Gateway(), Clock()
    transport = Transport(allowed_networks=[ip_network("127.0.0.0/8")])
    async with HostileServer(gateway.script) as server:
        account = Account(
            UUID(int=9),
            {"authentication": "token", "base_url": server.url.removesuffix("/send")},
            {"client_id": "id", "api_secret": "a-secret"},
        )
        logins = Logins(transport, kind_of=lambda _: "smsportal", deadline=5, clock=clock)
        try:
            yield World(logins, gateway, account, clock, transport)
        finally:
            await logins.aclose()
            await transport.aclose()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.WARNING):
        yield caplog


async def test_fifty_at_once_are_one_login(world: World) -> None:
    tokens = await asyncio.gather(*(world.token() for _ in range(50)))
    assert set(tokens) == {"token-1"}
    assert world.gateway.given == 1
    assert await world.token() == "token-1"
    assert world.gateway.given == 1


async def test_an_account_that_needs_no_login_stays_as_it_is(world: World) -> None:
    by_key = replace(world.account, settings={**world.account.settings, "authentication": "basic"})
    assert await world.logins.ready_account(by_key) is by_key
    other_kind = Logins(world.transport, kind_of=lambda _: "twilio", deadline=5)
    assert await other_kind.ready_account(world.account) is world.account
    assert not other_kind.has_ended(world.account, Answer(401))
    assert world.gateway.given == 0


async def test_a_token_is_renewed_before_it_ends_and_nobody_waits(world: World) -> None:
    await world.token()
    world.clock.now += LIFE * 0.9 - 1
    assert await world.token() == "token-1"
    assert world.gateway.given == 1
    world.clock.now += 2
    assert [await world.token() for _ in range(10)] == ["token-1"] * 10
    await _until(world, "token-2")
    assert world.gateway.given == 2


async def test_a_token_past_its_end_is_not_used(world: World) -> None:
    await world.token()
    world.clock.now += LIFE + 1
    assert set(await asyncio.gather(*(world.token() for _ in range(20)))) == {"token-2"}
    assert world.gateway.given == 2


async def test_a_renewal_that_fails_leaves_the_token_in_use(world: World) -> None:
    await world.token()
    world.clock.now += LIFE * 0.95
    world.gateway.status = 503
    assert await world.token() == "token-1"
    await _quiet(world)
    assert [await world.token() for _ in range(5)] == ["token-1"] * 5
    assert world.gateway.given == 2
    world.clock.now += PAUSE_SECONDS + 0.1
    world.gateway.status = 200
    assert await world.token() == "token-1"
    await _until(world, "token-3")


async def test_a_refused_token_costs_one_login_for_all(world: World) -> None:
    await world.token()
    world.gateway.good.clear()
    outcomes = await asyncio.gather(*(world.send() for _ in range(30)))
    assert set(outcomes) == {Accepted("7", 1)}
    assert world.gateway.given == 2


async def test_a_token_that_is_never_taken_is_asked_for_once_more_and_no_oftener(world: World) -> None:
    world.gateway.good = set()
    world.gateway.status = 201  # a token that counts for nothing, so no login at all
    assert await world.send() == FAILED
    world.clock.now += PAUSE_SECONDS + 0.1
    world.gateway.status = 200
    world.gateway.good = _Never()
    assert await world.send() == Refused(Fault.ACCOUNT, "AuthenticationToken.Expired", "The token has expired.")
    assert (world.gateway.given, world.gateway.sends) == (3, 2)


class _Never(set[str]):
    """A set that stays empty."""

    def add(self, element: str, /) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "outcome"), [(401, "refused"), (403, "refused"), (500, "failed"), (503, "failed"), (302, "failed")]
)
async def test_a_failed_login_is_a_certain_no(
    world: World, said: pytest.LogCaptureFixture, status: int, outcome: str
) -> None:
    world.gateway.status = status
    found = await asyncio.gather(*(world.logins.ready_account(world.account) for _ in range(20)))
    assert world.gateway.given == 1
    for one in found:
        if outcome == "failed":
            assert one == FAILED
        else:
            assert isinstance(one, Refused)
            assert one.fault is Fault.ACCOUNT
    assert world.gateway.sends == 0
    assert f"login {outcome}" in said.text
    assert "a-secret" not in said.text


async def test_after_a_failure_there_is_a_pause_and_then_another_try(world: World) -> None:
    world.gateway.status = 500
    for _ in range(5):
        assert await world.logins.ready_account(world.account) == FAILED
    assert world.gateway.given == 1
    world.gateway.status = 200
    world.clock.now += PAUSE_SECONDS + 0.1
    assert await world.token() == "token-2"


@pytest.mark.parametrize(("asked", "pause"), [("120", 120.0), ("0", PAUSE_SECONDS), ("", PAUSE_SECONDS)])
async def test_a_login_that_is_asked_to_wait_waits_and_says_for_how_long(
    world: World, asked: str, pause: float
) -> None:
    world.gateway.status, world.gateway.retry_after = 429, asked
    found = await asyncio.gather(*(world.logins.ready_account(world.account) for _ in range(20)))
    first = Refused(
        Fault.THROTTLED,
        "login_throttled",
        "the gateway asks for time before the next login",
        float(asked) if asked else None,
    )
    assert set(found) == {first}
    assert "429" in (world.logins.why_not(world.account) or "")
    world.gateway.status = 200
    world.clock.now += pause - 0.25
    left = await world.logins.ready_account(world.account)
    assert isinstance(left, Refused)
    assert left == replace(first, retry_after=0.25 if asked else None)
    assert world.gateway.given == 1
    world.clock.now += 0.5
    assert await world.token() == "token-2"


async def test_a_renewal_that_is_asked_to_wait_waits_past_the_token_s_end(world: World) -> None:
    await world.token()
    world.clock.now += LIFE - 60
    world.gateway.status, world.gateway.retry_after = 429, "120"
    assert await world.token() == "token-1"
    await _quiet(world)
    world.gateway.status = 200
    world.clock.now += 59
    assert await world.token() == "token-1"
    world.clock.now += 2
    left = await world.logins.ready_account(world.account)
    assert isinstance(left, Refused)
    assert (left.fault, left.retry_after) == (Fault.THROTTLED, 59.0)
    assert world.gateway.given == 2
    world.clock.now += 60
    assert await world.token() == "token-3"


async def test_nobody_listens(world: World, said: pytest.LogCaptureFixture) -> None:
    away = replace(world.account, settings={**world.account.settings, "base_url": "http://127.0.0.1:1"})
    assert await world.logins.ready_account(away) == FAILED
    assert "refused_connection" in [getattr(record, "cause", "") for record in said.records]


async def test_other_credentials_are_another_login(world: World) -> None:
    assert await world.token() == "token-1"
    changed = replace(world.account, secrets={"client_id": "id", "api_secret": "another"})
    assert await world.token(changed) == "token-2"
    assert await world.token(replace(changed)) == "token-2"


async def test_credentials_changed_while_a_login_is_under_way(world: World) -> None:
    world.gateway.pause = 0.1
    changed = replace(world.account, secrets={"client_id": "id", "api_secret": "another"})
    old = asyncio.create_task(world.token())
    await asyncio.sleep(0.02)
    new = asyncio.create_task(world.token(changed))
    assert {await old, await new} == {"token-1", "token-2"}
    assert await world.token(changed) == new.result()
    assert world.gateway.given == 2


async def test_refused_credentials_that_are_mended_count_at_once(world: World) -> None:
    world.gateway.status = 401
    assert isinstance(await world.logins.ready_account(world.account), Refused)
    world.gateway.status = 200
    mended = replace(world.account, secrets={"client_id": "id", "api_secret": "the right one"})
    assert await world.token(mended) == "token-2"


async def test_who_gives_up_waiting_does_not_end_the_login_of_the_others(world: World) -> None:
    first, second = (asyncio.create_task(world.token()) for _ in range(2))
    await asyncio.sleep(0.005)
    first.cancel()
    assert await second == "token-1"
    assert world.gateway.given == 1


async def test_a_late_refusal_of_an_old_token_leaves_the_new_one(world: World) -> None:
    old = await world.logins.ready_account(world.account)
    assert isinstance(old, Account)
    refusal = Answer(401, {}, json.dumps(EXPIRED).encode())
    assert world.logins.has_ended(old, refusal)
    assert await world.token() == "token-2"
    assert world.logins.has_ended(old, refusal)
    assert await world.token() == "token-2"
    assert not world.logins.has_ended(old, Answer(403))


async def _until(world: World, token: str) -> None:
    async with asyncio.timeout(5):
        while await world.token() != token:
            await asyncio.sleep(0.01)


async def _quiet(world: World) -> None:
    """Until no login is under way."""
    async with asyncio.timeout(5):
        while world.logins._tasks:
            await asyncio.sleep(0.01)
