"""Both engines over real sockets: what left the machine, told right for every way to fail.

Each fault is a line in a table: what the server does, and what the door must say of it.
"""

import asyncio
import datetime as dt
import gzip
import random
import re
import ssl
import time
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dispatcher.door.engine import Limits
from dispatcher.door.transport import Cause, EngineName, Transport
from shared.adapter import Answer, Call
from shared.domain.outcome import Lost
from tests.dispatcher.hostile_server import (
    OK,
    Exchange,
    FullBacklog,
    HostileServer,
    Script,
    answer_ok,
    free_port,
    hang,
    in_turn,
    saying,
)

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
LIMITS = Limits(connect_timeout=5.0)
HASTY = Limits(connect_timeout=0.5)  # where it plays a part
DEADLINE = 10.0  # where it plays none
SHORT = 0.4  # where it does
MEGABYTE = 1 << 20

CREATED = b"HTTP/1.1 201 Created\r\n"
CHUNKED = CREATED + b"Transfer-Encoding: chunked\r\n\r\n"


def post(url: str) -> Call:
    form = (("Content-Type", "application/x-www-form-urlencoded"),)
    return Call("POST", url, form, b"To=%2B12025550142&Body=hello")


def get(url: str) -> Call:
    return Call("GET", f"{url}?to=%2B12025550142&text=hello")


@pytest.fixture(params=["pyreqwest", "httpx"])
async def door(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    engine: EngineName = request.param
    transport = Transport(engine, allowed_networks=LOOPBACK, limits=LIMITS)
    yield transport
    await transport.aclose()


@pytest.fixture(params=["pyreqwest", "httpx"])
async def hasty_door(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    """One that gives up connecting soon."""
    engine: EngineName = request.param
    transport = Transport(engine, allowed_networks=LOOPBACK, limits=HASTY)
    yield transport
    await transport.aclose()


async def close_after_read(exchange: Exchange) -> None:
    exchange.hang_up()


async def reset_after_read(exchange: Exchange) -> None:
    exchange.reset()


async def half_head_then_reset(exchange: Exchange) -> None:
    await exchange.say(b"HTTP/1.1 201 Cre")
    exchange.reset()


async def cut_by_reset(exchange: Exchange) -> None:
    await exchange.say(CREATED + b"Content-Length: 20\r\n\r\n{")
    await asyncio.sleep(0.05)
    exchange.reset()


async def drip(exchange: Exchange) -> None:
    await exchange.say(CREATED + b"Content-Length: 1000\r\n\r\n")
    while True:
        await exchange.say(b"x")
        await asyncio.sleep(0.03)


async def drip_head(exchange: Exchange) -> None:
    for byte in CREATED * 1000:
        await exchange.say(bytes([byte]))
        await asyncio.sleep(0.03)


async def stall_after_continue(exchange: Exchange) -> None:
    await exchange.say(b"HTTP/1.1 100 Continue\r\n\r\n")
    await hang(exchange)


async def hundred_megabytes(exchange: Exchange) -> None:
    await exchange.say(b"HTTP/1.1 200 OK\r\nContent-Length: 104857600\r\n\r\n")
    await exchange.say(*[b"x" * MEGABYTE] * 100)


async def endless_chunks(exchange: Exchange) -> None:
    await exchange.say(CHUNKED)
    while True:
        await exchange.say(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")


def encoded(body: bytes, *, coding: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n"
    return head % (coding, len(body)) + body


def bomb(wbits: int) -> bytes:
    """100 MB of nothing; made piece by piece, or the peak of memory would be our own."""
    packer = zlib.compressobj(wbits=wbits)
    return b"".join(packer.compress(bytes(MEGABYTE)) for _ in range(100)) + packer.flush()


BOMB = bomb(16 + zlib.MAX_WBITS)
FLAT_BOMB = bomb(zlib.MAX_WBITS)

MAY_HAVE_ARRIVED = [
    pytest.param(hang, Cause.READ_TIMEOUT, id="hangs"),
    pytest.param(drip, Cause.READ_TIMEOUT, id="drips its body"),
    pytest.param(drip_head, Cause.READ_TIMEOUT, id="drips its head"),
    pytest.param(stall_after_continue, Cause.READ_TIMEOUT, id="continues and stalls"),
    pytest.param(close_after_read, Cause.CLOSED_UNANSWERED, id="reads and hangs up"),
    pytest.param(reset_after_read, Cause.CONNECTION_LOST, id="reads and resets"),
    pytest.param(half_head_then_reset, Cause.CONNECTION_LOST, id="resets within the head"),
    pytest.param(saying(CREATED + b"Content-Length: 20\r\n\r\n{"), Cause.CUT_BODY, id="accepts, then cuts"),
    pytest.param(cut_by_reset, Cause.CUT_BODY, id="accepts, then resets"),
    pytest.param(saying(CHUNKED + b"5\r\nab"), Cause.CUT_BODY, id="cuts a chunk"),
    pytest.param(saying(CHUNKED + b"zz\r\nab\r\n"), Cause.CUT_BODY, id="chunk of no size"),
    pytest.param(saying(CHUNKED + b"f" * 30 + b"\r\nab\r\n"), Cause.CUT_BODY, id="chunk of absurd size"),
    pytest.param(saying(b"\0\xff\xfe garbage\r\n\r\n"), Cause.UNREADABLE_ANSWER, id="garbage"),
    pytest.param(saying(b"220 smtp ready\r\n\r\n"), Cause.UNREADABLE_ANSWER, id="another protocol"),
    pytest.param(
        saying(CREATED + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nab"), Cause.UNREADABLE_ANSWER, id="two lengths"
    ),
    pytest.param(saying(CREATED + b"X: " + b"a" * 2_000_000 + b"\r\n\r\n"), Cause.UNREADABLE_ANSWER, id="head of 2 MB"),
    pytest.param(
        saying(CREATED + b"X: " + b"a" * 40_000 + b"\r\nContent-Length: 0\r\n\r\n"),
        Cause.HEADERS_TOO_LARGE,
        id="header of 40 kB",
    ),
    pytest.param(hundred_megabytes, Cause.BODY_TOO_LARGE, id="100 MB"),
    pytest.param(endless_chunks, Cause.BODY_TOO_LARGE, id="endless"),
    pytest.param(
        saying(CREATED + b"Content-Length: 99999999999999999\r\n\r\n" + b"x" * MEGABYTE),
        Cause.BODY_TOO_LARGE,
        id="length of 100 PB",
    ),
    pytest.param(saying(encoded(BOMB, coding=b"gzip")), Cause.BODY_TOO_LARGE, id="gzip bomb"),
    pytest.param(saying(encoded(FLAT_BOMB, coding=b"deflate")), Cause.BODY_TOO_LARGE, id="deflate bomb"),
    pytest.param(saying(encoded(b"nonsense!", coding=b"gzip")), Cause.CUT_BODY, id="no gzip"),
    pytest.param(saying(encoded(b"nonsense!", coding=b"br")), Cause.CUT_BODY, id="unasked coding"),
    pytest.param(saying(encoded(gzip.compress(b"a" * 999)[:-9], coding=b"gzip")), Cause.CUT_BODY, id="cut gzip"),
    pytest.param(
        saying(encoded(gzip.compress(b"a") + gzip.compress(b"b")[:-3], coding=b"gzip")), Cause.CUT_BODY, id="cut member"
    ),
    pytest.param(
        saying(encoded(gzip.compress(b"a" * 40_000) * 2, coding=b"gzip")),
        Cause.BODY_TOO_LARGE,
        id="two gzip over the cap",
    ),
]


@pytest.mark.parametrize("build", [post, get], ids=["POST", "GET"])
@pytest.mark.parametrize(("script", "cause"), MAY_HAVE_ARRIVED)
async def test_what_was_read_may_have_arrived_and_is_sent_once(
    door: Transport, build: Callable[[str], Call], script: Script, cause: Cause
) -> None:
    async with HostileServer(script) as server:
        deadline = SHORT if cause is Cause.READ_TIMEOUT else DEADLINE
        begun = time.monotonic()
        outcome = await door.perform(build(server.url), deadline=deadline)
        took = time.monotonic() - begun
        await asyncio.sleep(0.02)  # a hidden second request would be on its way
    assert outcome == Lost(may_have_arrived=True, cause=cause)
    assert len(server.requests) == 1
    assert took < deadline + 0.3
    assert server.sent < 32 * MEGABYTE


@pytest.mark.parametrize("build", [post, get], ids=["POST", "GET"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(close_after_read, id="hangs up"),
        pytest.param(reset_after_read, id="resets"),
        pytest.param(half_head_then_reset, id="resets within the head"),
    ],
)
async def test_a_reused_connection_lost_after_the_read_is_not_sent_again(
    door: Transport, build: Callable[[str], Call], fault: Script
) -> None:
    """Where aiohttp sends a GET a second time, and the caller hears 200."""
    async with HostileServer(in_turn([answer_ok, fault, answer_ok])) as server:
        assert isinstance(await door.perform(build(server.url), deadline=DEADLINE), Answer)
        outcome = await door.perform(build(server.url), deadline=DEADLINE)
        await asyncio.sleep(0.02)
    assert isinstance(outcome, Lost)
    assert outcome.may_have_arrived
    assert len(server.requests) == 2
    assert server.connections == 1, "the connection was not reused, so this proves nothing"


@pytest.mark.parametrize("build", [post, get], ids=["POST", "GET"])
async def test_a_connection_closed_while_idle_costs_no_message(door: Transport, build: Callable[[str], Call]) -> None:
    async with HostileServer(saying(OK)) as server:
        for number in range(1, 6):
            assert isinstance(await door.perform(build(server.url), deadline=DEADLINE), Answer)
            assert len(server.requests) == number
            await asyncio.sleep(0.02)
    assert server.connections == 5


@pytest.mark.parametrize("build", [post, get], ids=["POST", "GET"])
async def test_a_connection_closed_as_we_write_is_told_right(door: Transport, build: Callable[[str], Call]) -> None:
    """Racing the server's FIN: an answer, or Lost; but what was read twice was sent twice."""
    async with HostileServer(saying(OK)) as server:
        outcomes = [await door.perform(build(server.url), deadline=DEADLINE) for _ in range(50)]
        await asyncio.sleep(0.02)
    lost = [outcome for outcome in outcomes if isinstance(outcome, Lost)]
    certain = [outcome for outcome in lost if not outcome.may_have_arrived]
    answered = len(outcomes) - len(lost)
    assert answered <= len(server.requests) <= len(outcomes) - len(certain)


async def test_a_refused_connection_left_nothing(door: Transport) -> None:
    outcome = await door.perform(post(f"http://127.0.0.1:{free_port()}/"), deadline=DEADLINE)
    assert outcome == Lost(may_have_arrived=False, cause=Cause.REFUSED_CONNECTION)


async def test_an_unknown_name_left_nothing(door: Transport) -> None:
    outcome = await door.perform(post("http://gateway.invalid/"), deadline=DEADLINE)
    assert outcome == Lost(may_have_arrived=False, cause=Cause.DNS_FAILURE)


async def test_a_connection_not_made_in_time_left_nothing(hasty_door: Transport) -> None:
    with FullBacklog() as port:
        outcome = await hasty_door.perform(post(f"http://127.0.0.1:{port}/"), deadline=DEADLINE)
    assert outcome == Lost(may_have_arrived=False, cause=Cause.CONNECT_TIMEOUT)


@pytest.mark.parametrize("engine", ["pyreqwest", "httpx"])
async def test_a_deadline_within_the_connecting_proves_nothing(engine: EngineName) -> None:
    door = Transport(engine, allowed_networks=LOOPBACK, limits=Limits(connect_timeout=5))
    with FullBacklog() as port:
        outcome = await door.perform(post(f"http://127.0.0.1:{port}/"), deadline=SHORT)
    await door.aclose()
    assert outcome == Lost(may_have_arrived=True, cause=Cause.READ_TIMEOUT)


async def test_a_silent_tls_handshake_left_nothing(hasty_door: Transport) -> None:
    silent = HostileServer(hang)
    async with silent:
        url = silent.url.replace("http:", "https:")
        outcome = await hasty_door.perform(post(url), deadline=DEADLINE)
    assert outcome == Lost(may_have_arrived=False, cause=Cause.CONNECT_TIMEOUT)


async def test_tls_to_a_server_without_it_left_nothing(door: Transport) -> None:
    async def say_no(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(say_no, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        outcome = await door.perform(post(f"https://127.0.0.1:{port}/"), deadline=DEADLINE)
    assert outcome == Lost(may_have_arrived=False, cause=Cause.TLS_FAILURE)


def peak_of_memory(*, since_now: bool = False) -> int:
    """In kB. Other tests before this one must not hide a peak, so it can be set back."""
    if since_now:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
async def test_memory_stays_flat_under_huge_answers(door: Transport) -> None:
    scripts: Sequence[Script] = [
        hundred_megabytes,
        saying(encoded(BOMB, coding=b"gzip")),
        saying(encoded(FLAT_BOMB, coding=b"deflate")),
        endless_chunks,
    ]
    async with HostileServer(in_turn(scripts)) as server:
        before = peak_of_memory(since_now=True)
        for _ in scripts:
            outcome = await door.perform(post(server.url), deadline=10)
            assert outcome == Lost(may_have_arrived=True, cause=Cause.BODY_TOO_LARGE)
        grown = peak_of_memory() - before
    assert grown < 32 * 1024  # in kB


BODY_OF_CAP = b"x" * 65_536
CHUNKED_GZIP = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
INCOMPRESSIBLE = random.Random(1).randbytes(65_536)

ANSWERS = [
    pytest.param(saying(OK), 200, b"ok", id="plain"),
    pytest.param(saying(b"HTTP/1.1 204 No Content\r\n\r\n"), 204, b"", id="no content"),
    pytest.param(saying(b"HTTP/1.0 200 OK\r\n\r\nuntil the end"), 200, b"until the end", id="1.0"),
    pytest.param(saying(CHUNKED, b"2\r\n{}\r\n", b"1\r\n \r\n", b"0\r\n\r\n"), 201, b"{} ", id="chunked"),
    pytest.param(saying(b"HTTP/1.1 100 Continue\r\n\r\n" * 3, OK), 200, b"ok", id="continues, then answers"),
    pytest.param(saying(encoded(gzip.compress(b"hello"), coding=b"gzip")), 200, b"hello", id="gzip"),
    pytest.param(
        saying(encoded(b"".join(map(gzip.compress, (b"hel", b"", b"lo"))), coding=b"GZip")),
        200,
        b"hello",
        id="gzip in members",
    ),
    pytest.param(
        saying(
            CHUNKED_GZIP,
            *(b"1\r\n%c\r\n" % byte for byte in gzip.compress(b"hel") + gzip.compress(b"lo")),
            b"0\r\n\r\n",
        ),
        201,
        b"hello",
        id="gzip in members, byte by byte",
    ),
    pytest.param(
        saying(encoded(gzip.compress(b"hello") + b"\0\0", coding=b"gzip")),
        200,
        b"hello",
        id="gzip with something behind it",
    ),
    pytest.param(saying(encoded(b"", coding=b"gzip")), 200, b"", id="nothing, in gzip"),
    pytest.param(saying(encoded(zlib.compress(b"hello"), coding=b"deflate")), 200, b"hello", id="deflate"),
    pytest.param(saying(encoded(b"hello", coding=b"identity")), 200, b"hello", id="identity"),
    pytest.param(saying(encoded(gzip.compress(BODY_OF_CAP), coding=b"gzip")), 200, BODY_OF_CAP, id="cap, gzip"),
    pytest.param(
        saying(encoded(gzip.compress(INCOMPRESSIBLE), coding=b"gzip")), 200, INCOMPRESSIBLE, id="cap, incompressible"
    ),
    pytest.param(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n" + BODY_OF_CAP), 200, BODY_OF_CAP, id="cap"),
    pytest.param(saying(b"HTTP/1.1 429 Slow Down\r\nContent-Length: 0\r\n\r\n"), 429, b"", id="throttled"),
    pytest.param(saying(b"HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nbad"), 503, b"bad", id="server error"),
]


@pytest.mark.parametrize("build", [post, get], ids=["POST", "GET"])
@pytest.mark.parametrize(("script", "status", "body"), ANSWERS)
async def test_answers_come_back_as_values(
    door: Transport, build: Callable[[str], Call], script: Script, status: int, body: bytes
) -> None:
    async with HostileServer(script) as server:
        outcome = await door.perform(build(server.url), deadline=DEADLINE)
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.body) == (status, body)


SLOW_DOWN = b"HTTP/1.1 429 Slow Down\r\nRetry-After: 7\r\n"
REFUSED_UNREADABLY = [
    pytest.param(saying(SLOW_DOWN + b"Content-Length: 65537\r\n\r\n" + BODY_OF_CAP + b"x"), id="too large"),
    pytest.param(
        saying(SLOW_DOWN + b"Content-Encoding: br\r\nContent-Length: 9\r\n\r\nnonsense!"), id="unasked coding"
    ),
]


@pytest.mark.parametrize("script", REFUSED_UNREADABLY)
async def test_a_status_that_refuses_by_itself_needs_no_body(door: Transport, script: Script) -> None:
    async with HostileServer(script) as server:
        outcome = await door.perform(post(server.url), deadline=DEADLINE)
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.headers["retry-after"], outcome.body) == (429, "7", b"")


@pytest.mark.parametrize("status", [200, 202, 400, 409, 422, 500, 503])
async def test_any_other_says_nothing_without_its_body(door: Transport, status: int) -> None:
    head = f"HTTP/1.1 {status} So\r\nContent-Length: 65537\r\n\r\n".encode()
    async with HostileServer(saying(head + BODY_OF_CAP + b"x")) as server:
        outcome = await door.perform(post(server.url), deadline=DEADLINE)
    assert isinstance(outcome, Lost)
    assert (outcome.may_have_arrived, outcome.cause, outcome.status) == (True, Cause.BODY_TOO_LARGE, status)


async def test_one_byte_over_the_cap_is_over(door: Transport) -> None:
    big = b"HTTP/1.1 200 OK\r\nContent-Length: 65537\r\n\r\n" + BODY_OF_CAP + b"x"
    async with HostileServer(saying(big)) as server:
        outcome = await door.perform(post(server.url), deadline=DEADLINE)
    assert outcome == Lost(may_have_arrived=True, cause=Cause.BODY_TOO_LARGE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_answers_and_not_followed(door: Transport, status: int) -> None:
    async with HostileServer() as elsewhere:
        head = b"HTTP/1.1 %d Elsewhere\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"
        script = saying(head % (status, elsewhere.url.encode()))
        async with HostileServer(script) as server:
            outcome = await door.perform(post(server.url), deadline=DEADLINE)
    assert isinstance(outcome, Answer)
    assert (outcome.status, outcome.headers["location"]) == (status, elsewhere.url)
    assert elsewhere.requests == []


async def test_headers_are_lower_case_and_joined(door: Transport) -> None:
    head = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nRETRY-AFTER: 7\r\nX-N: caf\xe9\r\n"
    async with HostileServer(saying(head + b"Content-Length: 0\r\n\r\n")) as server:
        outcome = await door.perform(post(server.url), deadline=DEADLINE)
    assert isinstance(outcome, Answer)
    assert outcome.headers["x-a"] == "1, 2"
    assert outcome.headers["retry-after"] == "7"


async def test_a_request_is_what_the_call_says_and_little_more(door: Transport) -> None:
    async with HostileServer() as server:
        call = Call(
            "POST",
            f"http://127.0.0.1:{server.port}/a%20b/c?to=%2B12025550142&text=h%C3%A4+%26",
            (("Authorization", "Basic abc"), ("X-Odd", "a, b"), ("Accept-Encoding", "br")),
            b'{"text": "hello"}',
        )
        await door.perform(call, deadline=DEADLINE)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    assert line == "POST /a%20b/c?to=%2B12025550142&text=h%C3%A4+%26 HTTP/1.1"
    assert body == b'{"text": "hello"}'
    assert {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)} == {
        "host": f"127.0.0.1:{server.port}",
        "authorization": "Basic abc",
        "x-odd": "a, b",
        "user-agent": "Lapwing",
        "accept": "*/*",
        "accept-encoding": "gzip, deflate",
        "content-length": "17",
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_an_empty_body_has_a_length(door: Transport, method: str) -> None:
    async with HostileServer() as server:
        outcome = await door.perform(Call(method, server.url), deadline=DEADLINE)
    assert isinstance(outcome, Answer)
    assert b"\r\ncontent-length: 0\r\n" in server.requests[0].lower()


async def test_connections_are_reused(door: Transport) -> None:
    async with HostileServer() as server:
        for _ in range(5):
            assert isinstance(await door.perform(post(server.url), deadline=DEADLINE), Answer)
    assert server.connections == 1


async def test_idle_connections_are_let_go() -> None:
    for engine in ("pyreqwest", "httpx"):
        limits = Limits(idle_timeout=0.05)
        door = Transport(engine, allowed_networks=LOOPBACK, limits=limits)
        async with HostileServer() as server:
            await door.perform(post(server.url), deadline=DEADLINE)
            await asyncio.sleep(0.2)
            await door.perform(post(server.url), deadline=DEADLINE)
        assert server.connections == 2
        await door.aclose()


async def test_an_ipv6_literal_is_reached(door: Transport) -> None:
    async with HostileServer(host="::1") as server:
        assert isinstance(await door.perform(post(server.url), deadline=DEADLINE), Answer)


@pytest.mark.parametrize("engine", ["pyreqwest", "httpx"])
async def test_proxies_of_the_environment_are_not_asked(engine: EngineName, monkeypatch: pytest.MonkeyPatch) -> None:
    async with HostileServer() as proxy, HostileServer() as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.lower(), proxy.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        door = Transport(engine, allowed_networks=LOOPBACK, limits=LIMITS)
        outcome = await door.perform(post(server.url), deadline=DEADLINE)
        await door.aclose()
    assert isinstance(outcome, Answer)
    assert (len(server.requests), proxy.connections) == (1, 0)


class Authority:
    """A certificate authority of our own, in a directory that goes away."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        builder = _certificate(self._name, self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.file = folder / "authority.pem"
        signed = builder.sign(self._key, hashes.SHA256())
        self.file.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def server_context(self, *names: x509.GeneralName) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
        signed = (
            _certificate(subject, self._name, key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        file = self._folder / "server.pem"
        file.write_bytes(
            signed.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(file)
        return context


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


BY_ADDRESS = x509.IPAddress(ip_address("127.0.0.1"))


async def test_a_certificate_of_an_unknown_authority_left_nothing(door: Transport, tmp_path: Path) -> None:
    tls = Authority(tmp_path).server_context(BY_ADDRESS)
    async with HostileServer(tls=tls) as server:
        refused = await door.perform(post(server.url), deadline=DEADLINE)
        assert server.requests == []
        taken = await door.perform(post(server.url), deadline=DEADLINE, verify_tls=False)
        by_its_own_word = await door.perform(replace(post(server.url), verify_tls=False), deadline=DEADLINE)
        still_refused = await door.perform(post(server.url), deadline=DEADLINE)
    assert refused == Lost(may_have_arrived=False, cause=Cause.TLS_FAILURE)
    assert isinstance(taken, Answer)
    assert isinstance(by_its_own_word, Answer)
    assert still_refused == refused


@pytest.mark.parametrize("engine", ["pyreqwest", "httpx"])
async def test_certificates_are_checked_for_the_name_of_the_url(
    engine: EngineName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def resolver(_name: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    door = Transport(engine, allowed_networks=LOOPBACK, limits=LIMITS, resolver=resolver)
    tls = authority.server_context(x509.DNSName("gateway.invalid"))
    async with HostileServer(tls=tls) as server:
        right = await door.perform(post(f"https://gateway.invalid:{server.port}/"), deadline=DEADLINE)
        wrong = await door.perform(post(f"https://other.invalid:{server.port}/"), deadline=DEADLINE)
    await door.aclose()
    assert isinstance(right, Answer)
    assert wrong == Lost(may_have_arrived=False, cause=Cause.TLS_FAILURE)
    assert len(server.requests) == 1
