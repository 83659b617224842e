"""The door's own rules: what it refuses, whom it connects to, how long it waits, what it says."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network

import httpx
import pytest
import respx

from dispatcher.door.engine import (
    BodyTooLarge,
    ClosedUnanswered,
    CutBody,
    Limits,
    TlsFailure,
    Unreachable,
    UnsendableRequest,
)
from dispatcher.door.lines import Slots, resolve
from dispatcher.door.transport import Cause, EngineName, Transport
from shared.adapter import Answer, Call
from shared.domain.outcome import Lost
from tests.dispatcher.hostile_server import OK, Exchange, FullBacklog, HostileServer, free_port, hang, saying

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
SECRET = "s3cr3t-and-+12025550142"  # a canary
ENGINES: list[EngineName] = ["pyreqwest", "httpx"]


class Names:
    """A resolver whose answers the test decides, one after the other; the last one stays."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, name: str, port: int) -> list[str]:
        assert name.endswith(".invalid")
        assert port
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Engine(httpx.AsyncBaseTransport):
    """Answers in the network's place."""

    def __init__(self, answer: Callable[[], httpx.Response]) -> None:
        self.answer = answer
        self.asked = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        assert request.url
        return self.answer()


def raising(error: BaseException) -> Engine:
    def answer() -> httpx.Response:
        raise error

    return Engine(answer)


def post(url: str = "https://gateway.invalid/send") -> Call:
    return Call("POST", url, (("Authorization", SECRET),), SECRET.encode())


@pytest.fixture(params=ENGINES)
async def build(request: pytest.FixtureRequest) -> AsyncIterator[Callable[..., Transport]]:
    """Makes doors of one engine, allowed on loopback, and closes them."""
    doors: list[Transport] = []

    def make(resolver: Names | None = None, *, limits: Limits | None = None) -> Transport:
        door = Transport(
            request.param,
            allowed_networks=LOOPBACK,
            limits=limits or Limits(connect_timeout=2.0),
            resolver=resolver or resolve,
        )
        doors.append(door)
        return door

    yield make
    for door in doors:
        await door.aclose()


UNFIT = [
    pytest.param(Call("POST", "ftp://gateway.invalid/"), id="another scheme"),
    pytest.param(Call("POST", "file:///etc/passwd"), id="a file"),
    pytest.param(Call("POST", "gateway.invalid/send"), id="no scheme"),
    pytest.param(Call("POST", "http:///send"), id="no host"),
    pytest.param(Call("POST", ""), id="no URL"),
    pytest.param(Call("POST", "http://user:word@gateway.invalid/"), id="user info"),
    pytest.param(Call("POST", "http://user@gateway.invalid/"), id="user"),
    pytest.param(Call("POST", "http://gateway.invalid\\@other.invalid/"), id="backslash"),
    pytest.param(Call("POST", "http://gateway.invalid/\r\nX: y"), id="line break in the URL"),
    pytest.param(Call("POST", "http://gate way.invalid/"), id="space in the host"),
    pytest.param(Call("POST", "http://1.2.3.4.5/"), id="address of five"),
    pytest.param(Call("POST", "http://gateway.invalid:99999/"), id="no such port"),
    pytest.param(Call("POST", "http://gateway.invalid:0/"), id="port 0"),
    pytest.param(Call("CONNECT", "http://gateway.invalid/"), id="CONNECT"),
    pytest.param(Call("GET / HTTP/1.1\r\nX:", "http://gateway.invalid/"), id="method"),
    pytest.param(Call("POST", "http://gateway.invalid/", (("X", "a\r\nY: b"),)), id="break in a value"),
    pytest.param(Call("POST", "http://gateway.invalid/", (("X", "a\nb"),)), id="LF in a value"),
    pytest.param(Call("POST", "http://gateway.invalid/", (("X", "a\0b"),)), id="NUL in a value"),
    pytest.param(Call("POST", "http://gateway.invalid/", (("X", "é"),)), id="not ASCII"),
    pytest.param(Call("POST", "http://gateway.invalid/", (("X: y\r\nZ", "a"),)), id="break in a name"),
    pytest.param(Call("POST", "http://gateway.invalid/", (("", "a"),)), id="no name"),
    pytest.param(Call("POST", "http://gateway.invalid/", (("Host", "other.invalid"),)), id="another host"),
    pytest.param(Call("POST", "http://gateway.invalid/", (("transfer-encoding", "chunked"),)), id="framing"),
    pytest.param(Call("POST", "http://gateway.invalid/", (("Proxy-Authorization", "x"),)), id="proxy"),
]


@pytest.mark.parametrize("call", UNFIT)
async def test_calls_that_are_no_requests_are_refused(call: Call) -> None:
    engine = Engine(lambda: httpx.Response(200))
    outcome = await Transport(engine).perform(call, deadline=1)
    assert outcome == Lost(may_have_arrived=False, cause=Cause.BAD_REQUEST)
    assert engine.asked == 0


LOST = [
    (UnsendableRequest("x"), False, Cause.BAD_REQUEST),
    (TlsFailure("x"), False, Cause.TLS_FAILURE),
    (Unreachable("x"), False, Cause.UNREACHABLE),
    (httpx.ConnectError("x"), False, Cause.REFUSED_CONNECTION),
    (httpx.ConnectTimeout("x"), False, Cause.CONNECT_TIMEOUT),
    (httpx.PoolTimeout("x"), False, Cause.POOL_TIMEOUT),
    (httpx.UnsupportedProtocol("x"), False, Cause.BAD_REQUEST),
    (httpx.ReadTimeout("x"), True, Cause.READ_TIMEOUT),
    (httpx.WriteTimeout("x"), True, Cause.READ_TIMEOUT),
    (TimeoutError("x"), True, Cause.READ_TIMEOUT),
    (httpx.ReadError("x"), True, Cause.CONNECTION_LOST),
    (httpx.WriteError("x"), True, Cause.CONNECTION_LOST),
    (httpx.CloseError("x"), True, Cause.CONNECTION_LOST),
    (ClosedUnanswered("x"), True, Cause.CLOSED_UNANSWERED),
    (httpx.RemoteProtocolError("x"), True, Cause.UNREADABLE_ANSWER),
    (httpx.LocalProtocolError("x"), True, Cause.UNREADABLE_ANSWER),
    (httpx.DecodingError("x"), True, Cause.CUT_BODY),
    (CutBody("x"), True, Cause.CUT_BODY),
    (BodyTooLarge("x"), True, Cause.BODY_TOO_LARGE),
    (httpx.TransportError("x"), True, Cause.UNFORESEEN),
    (httpx.TooManyRedirects("x"), True, Cause.UNFORESEEN),
    (OSError("x"), True, Cause.UNFORESEEN),
    (ConnectionRefusedError("x"), True, Cause.UNFORESEEN),
    (RuntimeError("x"), True, Cause.UNFORESEEN),
    (RecursionError("x"), True, Cause.UNFORESEEN),
]


@pytest.mark.parametrize(
    ("error", "may_have_arrived", "cause"), [pytest.param(*row, id=type(row[0]).__name__) for row in LOST]
)
async def test_every_failure_of_an_engine_has_a_fate(error: Exception, *, may_have_arrived: bool, cause: Cause) -> None:
    engine = raising(error)
    outcome = await Transport(engine).perform(post(), deadline=1)
    assert outcome == Lost(may_have_arrived=may_have_arrived, cause=cause)
    assert engine.asked == 1


async def test_what_was_unforeseen_is_logged_by_name_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await Transport(raising(ZeroDivisionError(SECRET))).perform(post(), deadline=1)
    assert "ZeroDivisionError" in caplog.text
    assert SECRET not in caplog.text


async def test_failures_hold_no_url(build: Callable[..., Transport], caplog: pytest.LogCaptureFixture) -> None:
    door = build()
    with caplog.at_level(logging.DEBUG, logger="dispatcher"):
        await door.perform(post(f"http://127.0.0.1:{free_port()}/?key={SECRET}"), deadline=0.3)
        async with HostileServer(saying(b"garbage\r\n\r\n")) as server:
            await door.perform(post(f"{server.url}?key={SECRET}"), deadline=0.3)
    assert SECRET not in caplog.text


async def test_respx_answers_in_the_networks_place() -> None:
    router = respx.Router()
    route = router.post("https://gateway.invalid/send", content=SECRET.encode()).respond(
        201, json={"sid": "SM1"}, headers=[("X-A", "1"), ("x-a", "2")]
    )
    door = Transport(httpx.MockTransport(router.async_handler))
    outcome = await door.perform(post(), deadline=1)
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.body) == (201, b'{"sid":"SM1"}')
    assert outcome.headers["x-a"] == "1, 2"
    assert route.calls.last.request.headers["authorization"] == SECRET
    await door.aclose()


async def test_streams_of_another_engine_are_capped() -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b"x" * 1024

    outcome = await Transport(Engine(lambda: httpx.Response(200, content=endless()))).perform(post(), deadline=1)
    assert outcome == Lost(may_have_arrived=True, cause=Cause.BODY_TOO_LARGE)
    assert read < 80


class Hanging(httpx.AsyncBaseTransport):
    """Never answers; deaf, it takes a cancellation for an answer."""

    def __init__(self, *, deaf: bool = False) -> None:
        self.deaf = deaf

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if not self.deaf:
                raise
        return httpx.Response(200, request=request)


async def test_the_deadline_is_total_and_leaves_no_cancellation_behind() -> None:
    task = asyncio.current_task()
    assert task
    door = Transport(Hanging())
    begun = time.monotonic()
    outcome = await door.perform(post(), deadline=0.2)
    assert outcome == Lost(may_have_arrived=True, cause=Cause.READ_TIMEOUT)
    assert 0.2 <= time.monotonic() - begun < 5
    assert task.cancelling() == 0
    await asyncio.sleep(0.01)
    assert isinstance(await Transport(Hanging(deaf=True)).perform(post(), deadline=0.1), Answer)
    assert task.cancelling() == 0
    await asyncio.sleep(0.01)


async def test_a_deadline_that_is_over_sends_nothing() -> None:
    engine = Engine(lambda: httpx.Response(200))
    outcome = await Transport(engine).perform(post(), deadline=0)
    assert outcome == Lost(may_have_arrived=False, cause=Cause.POOL_TIMEOUT)
    assert engine.asked == 0


async def test_a_cancellation_goes_through(build: Callable[..., Transport]) -> None:
    arrived = asyncio.Event()

    async def announce_and_hang(exchange: Exchange) -> None:
        arrived.set()
        await hang(exchange)

    async with HostileServer(announce_and_hang) as server:
        task = asyncio.create_task(build().perform(post(server.url), deadline=5))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_many_deadlines_each_end_their_own_call(build: Callable[..., Transport]) -> None:
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.8)
        await exchange.say(OK)

    async with HostileServer(slow) as server:
        door = build()
        await door.perform(post(server.url), deadline=5)  # the engine is built
        deadlines = [0.4, 4.0] * 10
        outcomes = await asyncio.gather(*(door.perform(post(server.url), deadline=seconds) for seconds in deadlines))
    lost = Lost(may_have_arrived=True, cause=Cause.READ_TIMEOUT)
    assert [outcome == lost for outcome in outcomes] == [seconds < 1 for seconds in deadlines]


async def test_waiting_for_a_free_connection_left_nothing(build: Callable[..., Transport]) -> None:
    async with HostileServer(hang) as server:
        door = build(limits=Limits(max_connections=2))
        deadlines = [0.8, 0.8, 0.3, 0.3, 0.3]
        outcomes = await asyncio.gather(*(door.perform(post(server.url), deadline=seconds) for seconds in deadlines))
    assert outcomes.count(Lost(may_have_arrived=False, cause=Cause.POOL_TIMEOUT)) == 3
    assert outcomes.count(Lost(may_have_arrived=True, cause=Cause.READ_TIMEOUT)) == 2
    assert len(server.requests) == 2


async def test_after_its_last_moment_nothing_leaves(build: Callable[..., Transport]) -> None:
    """Neither at once, nor when the wait for a free connection took so long."""
    late = Lost(may_have_arrived=False, cause=Cause.LEASE_MARGIN)
    engine = Engine(lambda: httpx.Response(200))
    assert await Transport(engine).perform(post(), deadline=5, start_by=time.monotonic() - 0.001) == late
    assert engine.asked == 0

    async def dawdle(exchange: Exchange) -> None:
        await asyncio.sleep(0.5)
        await exchange.say(OK)

    async with HostileServer(dawdle) as server:
        door = build(limits=Limits(max_connections=1))
        soon = time.monotonic() + 0.25
        outcomes = await asyncio.gather(*(door.perform(post(server.url), deadline=5, start_by=soon) for _ in range(3)))
    assert isinstance(outcomes[0], Answer)
    assert outcomes[1:] == [late, late]
    assert len(server.requests) == 1


async def test_after_a_slow_name_nothing_leaves() -> None:
    async def slow_name(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(0.3)
        return ["127.0.0.1"]

    async with HostileServer(hang) as server:
        door = Transport(allowed_networks=[ip_network("127.0.0.0/8")], resolver=slow_name)
        url = server.url.replace("127.0.0.1", "gateway.example")
        outcome = await door.perform(post(url), deadline=5, start_by=time.monotonic() + 0.1)
        await door.aclose()
    assert outcome == Lost(may_have_arrived=False, cause=Cause.LEASE_MARGIN)
    assert server.requests == []


HASTY = Limits(connect_timeout=3.0, hasty_connect_timeout=0.3)


async def test_after_a_slow_connection_nothing_leaves(build: Callable[..., Transport]) -> None:
    """Once nothing at all, for no fault of the peer's; then it has its own time, and that is its fault."""
    with FullBacklog() as port:
        door, url = build(limits=HASTY), f"http://127.0.0.1:{port}/"
        begun = time.monotonic()
        first = await door.perform(post(url), deadline=8, start_by=begun + 0.1)
        took = time.monotonic() - begun
        second = await door.perform(post(url), deadline=8, start_by=time.monotonic() + 5)
    assert first == Lost(may_have_arrived=False, cause=Cause.LEASE_MARGIN)
    assert took < HASTY.connect_timeout
    assert second == Lost(may_have_arrived=False, cause=Cause.CONNECT_TIMEOUT)


async def test_who_connects_slowly_is_reached_all_the_same(build: Callable[..., Transport]) -> None:
    """A connection that stands within a second, where the hasty have less."""
    backlog = FullBacklog()
    with backlog as port:
        door, url = build(limits=HASTY), f"http://127.0.0.1:{port}/"
        late = await door.perform(post(url), deadline=8, start_by=time.monotonic() + 5)
        asyncio.get_running_loop().call_later(0.5, backlog.make_room)  # its second knock comes after a second
        outcome = await door.perform(post(url), deadline=4, start_by=time.monotonic() + 5)
    assert late == Lost(may_have_arrived=False, cause=Cause.LEASE_MARGIN)
    # It stood, and the call was made: nobody answers it here.
    assert outcome == Lost(may_have_arrived=True, cause=Cause.READ_TIMEOUT)


async def test_calls_that_need_not_begin_soon_have_all_the_time(build: Callable[..., Transport]) -> None:
    with FullBacklog() as port:
        outcome = await build(limits=HASTY).perform(post(f"http://127.0.0.1:{port}/"), deadline=8)
    assert outcome == Lost(may_have_arrived=False, cause=Cause.CONNECT_TIMEOUT)


async def test_slots_are_given_in_turn_and_none_is_lost() -> None:
    slots = Slots(2)
    served: list[int] = []

    async def call(number: int) -> None:
        if await slots.take(until=asyncio.get_running_loop().time() + (0.05 if number % 7 == 3 else 30)):
            served.append(number)
            await asyncio.sleep(0.01)
            slots.release()

    calls = [asyncio.create_task(call(number)) for number in range(60)]
    await asyncio.sleep(0.025)
    for call_ in calls[20:30]:
        call_.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert served == sorted(served)
    assert not set(served).intersection(range(20, 30))
    loop = asyncio.get_running_loop()
    assert [await slots.take(until=loop.time() + 0.01) for _ in range(3)] == [True, True, False]


FORBIDDEN = [
    "http://127.0.0.1/",
    "http://127.0.0.1./",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://0/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/",
    "http://10.0.0.1/",
    "http://192.168.0.1:8080/",
    "http://１２７.0.0.1/",  # noqa: RUF001 - full-width digits are the point
    "http://127。0。0。1/",
    "http://localhost/",
    "http://LOCALHOST./",
]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("url", FORBIDDEN)
async def test_private_addresses_are_not_connected_to(engine: EngineName, url: str) -> None:
    door = Transport(engine)
    outcome = await door.perform(post(url), deadline=1)
    assert isinstance(outcome, Lost)
    assert not outcome.may_have_arrived
    assert outcome.cause in {Cause.FORBIDDEN_ADDRESS, Cause.BAD_REQUEST}
    await door.aclose()


SPELT = ["127.0.0.1", "127.0.0.1.", "2130706433", "0x7f.1", "0177.1", "[::ffff:127.0.0.1]"]


@pytest.mark.parametrize("host", SPELT)
async def test_an_allowed_address_is_reached_in_every_spelling(build: Callable[..., Transport], host: str) -> None:
    async with HostileServer() as server:
        outcome = await build().perform(post(f"http://{host}:{server.port}/"), deadline=1)
    assert isinstance(outcome, Answer)
    assert b"\r\nHost: 127.0.0.1:" in server.requests[0]


ANSWERS_OF_DNS = [
    pytest.param(["169.254.169.254"], Cause.FORBIDDEN_ADDRESS, id="metadata"),
    pytest.param(["10.0.0.1"], Cause.FORBIDDEN_ADDRESS, id="private"),
    pytest.param(["127.0.0.1", "10.0.0.1"], Cause.FORBIDDEN_ADDRESS, id="one good, one bad"),
    pytest.param(["::ffff:10.0.0.1"], Cause.FORBIDDEN_ADDRESS, id="private, mapped"),
    pytest.param(["fe80::1%eth0"], Cause.FORBIDDEN_ADDRESS, id="link-local with a zone"),
    pytest.param([], Cause.DNS_FAILURE, id="none"),
    pytest.param(["nonsense"], Cause.DNS_FAILURE, id="nonsense"),
    pytest.param(OSError("no such name"), Cause.DNS_FAILURE, id="failure"),
    pytest.param(RuntimeError("broken"), Cause.DNS_FAILURE, id="broken resolver"),
]


@pytest.mark.parametrize(("answer", "cause"), ANSWERS_OF_DNS)
async def test_what_a_name_stands_for_is_checked(
    build: Callable[..., Transport], answer: list[str], cause: Cause
) -> None:
    async with HostileServer() as server:
        door = build(Names(answer))
        outcome = await door.perform(post(f"http://gw.invalid:{server.port}/"), deadline=1)
    assert outcome == Lost(may_have_arrived=False, cause=cause)
    assert server.connections == 0


async def test_a_name_is_looked_up_once_and_only_here(build: Callable[..., Transport]) -> None:
    """`.invalid` has no address anywhere else: that it is reached shows that the pin holds."""
    names = Names(["127.0.0.1"])
    async with HostileServer() as server:
        door = build(names)
        url = f"http://GW.invalid.:{server.port}/"
        outcomes = await asyncio.gather(*(door.perform(post(url), deadline=1) for _ in range(20)))
    assert all(isinstance(outcome, Answer) for outcome in outcomes)
    assert names.asked == 1
    assert f"\r\nHost: gw.invalid:{server.port}\r\n".encode() in server.requests[0]


async def test_a_name_that_rebinds_is_refused_and_never_connected_to(build: Callable[..., Transport]) -> None:
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    async with HostileServer() as server:
        door = build(names, limits=Limits(address_ttl=0.2))
        url = f"http://gw.invalid:{server.port}/"
        assert isinstance(await door.perform(post(url), deadline=1), Answer)
        await asyncio.sleep(0.22)
        at_the_turn = await door.perform(post(url), deadline=1)  # by the address checked before
        await asyncio.sleep(0.02)
        after = await door.perform(post(url), deadline=1)
    assert isinstance(at_the_turn, Answer)
    assert after == Lost(may_have_arrived=False, cause=Cause.FORBIDDEN_ADDRESS)


async def test_a_name_server_that_fails_later_stops_nothing_for_a_while(build: Callable[..., Transport]) -> None:
    names = Names(["127.0.0.1"], OSError("no answer"))
    async with HostileServer() as server:
        door = build(names, limits=Limits(address_ttl=0.2))
        url = f"http://gw.invalid:{server.port}/"
        for _ in range(3):
            assert isinstance(await door.perform(post(url), deadline=1), Answer)
            await asyncio.sleep(0.22)
        await asyncio.sleep(0.5)
        outcome = await door.perform(post(url), deadline=1)
    assert outcome == Lost(may_have_arrived=False, cause=Cause.DNS_FAILURE)


async def test_a_name_server_that_hangs_left_nothing(build: Callable[..., Transport]) -> None:
    class Silent(Names):
        async def __call__(self, name: str, port: int) -> list[str]:
            await asyncio.Event().wait()
            return [name, str(port)]

    door = build(Silent([]))
    begun = time.monotonic()
    outcomes = await asyncio.gather(*(door.perform(post("http://gw.invalid/"), deadline=1) for _ in range(3)))
    assert outcomes == [Lost(may_have_arrived=False, cause=Cause.DNS_TIMEOUT)] * 3
    assert time.monotonic() - begun < 2.5  # and not one after the other


async def test_an_address_that_cannot_be_reached_is_followed_by_the_next(build: Callable[..., Transport]) -> None:
    async with HostileServer() as server:
        names = Names(["127.0.0.2", "127.0.0.1"])
        door = build(names)
        url = f"http://gw.invalid:{server.port}/"
        for _ in range(3):
            assert isinstance(await door.perform(post(url), deadline=1), Answer)
    assert (len(server.requests), server.connections) == (3, 1)


async def test_an_address_that_hangs_up_is_not_followed_by_the_next(build: Callable[..., Transport]) -> None:
    async def hang_up(exchange: Exchange) -> None:
        exchange.hang_up()

    async with (
        HostileServer(hang_up, host="127.0.0.2") as first,
        HostileServer(host="127.0.0.1", port=first.port) as second,
    ):
        door = build(Names(["127.0.0.2", "127.0.0.1"]))
        outcome = await door.perform(post(f"http://gw.invalid:{first.port}/"), deadline=1)
    assert outcome == Lost(may_have_arrived=True, cause=Cause.CLOSED_UNANSWERED)
    assert (len(first.requests), len(second.requests)) == (1, 0)


async def test_all_addresses_out_of_reach_left_nothing(build: Callable[..., Transport]) -> None:
    with FullBacklog() as port:
        door = build(Names(["127.0.0.2", "127.0.0.1"]))
        outcome = await door.perform(post(f"http://gw.invalid:{port}/"), deadline=3)
    assert outcome == Lost(may_have_arrived=False, cause=Cause.CONNECT_TIMEOUT)


async def test_a_move_to_another_address_cuts_no_call_off(build: Callable[..., Transport]) -> None:
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.3)
        await exchange.say(OK)

    async with HostileServer(slow, host="127.0.0.1") as old, HostileServer(host="127.0.0.2", port=old.port) as new:
        door = build(Names(["127.0.0.1"], ["127.0.0.2"]), limits=Limits(address_ttl=0.05))
        url = f"http://gw.invalid:{old.port}/"
        on_its_way = asyncio.create_task(door.perform(post(url), deadline=2))
        await asyncio.sleep(0.1)
        turning = asyncio.create_task(door.perform(post(url), deadline=2))
        await asyncio.sleep(0.02)
        assert isinstance(await door.perform(post(url), deadline=1), Answer)
        assert len(new.requests) == 1
        assert isinstance(await on_its_way, Answer)
        assert isinstance(await turning, Answer)
    gc.collect()  # an engine that was dropped unclosed would warn here, and warnings are errors


async def test_more_peers_than_can_be_remembered_are_all_reached(
    build: Callable[..., Transport], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatcher.door.lines._MAX_LINES", 3)
    async with HostileServer() as server:
        door = build(Names(["127.0.0.1"]))
        for number in range(8):
            url = f"http://gw{number % 5}.invalid:{server.port}/"
            assert isinstance(await door.perform(post(url), deadline=1), Answer)
    assert len(server.requests) == 8


async def test_no_secret_in_a_repr(build: Callable[..., Transport]) -> None:
    async with HostileServer() as server:
        door = build()
        await door.perform(post(f"{server.url}?key={SECRET}"), deadline=1)
        assert SECRET not in repr(door) + repr(vars(door)) + repr(post())
