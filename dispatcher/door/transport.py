"""The one door: performs a Call at a gateway and returns its Answer, or Lost.

Lost says whether the call may have arrived. The door connects to checked addresses only, follows no
redirect, sends nothing twice, reads no proxies from the environment, and has one deadline over
everything. It knows no gateway and decides nothing.
"""

import asyncio
import logging
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from time import monotonic
from typing import Literal, NamedTuple

import httpx

from dispatcher.door.deadlines import Deadlines
from dispatcher.door.engine import (
    BodyTooLarge,
    ClosedUnanswered,
    CutBody,
    EngineFactory,
    Limits,
    ReadBody,
    ReqwestEngine,
    TlsFailure,
    Unreachable,
    UnsendableRequest,
    body_of_answer,
)
from dispatcher.door.lines import Host, Line, Lines, NoAddress, Resolver, Rules, Way, resolve
from dispatcher.door.plain_engine import PlainEngine
from shared.adapter import Answer, Call
from shared.addresses import Address, Network, UnreadableHost, host_of
from shared.domain.outcome import Lost
from shared.headers import is_taken

log = logging.getLogger(__name__)

EngineName = Literal["pyreqwest", "httpx"]
ENGINES: dict[EngineName, EngineFactory] = {"pyreqwest": ReqwestEngine, "httpx": PlainEngine}

_DEFAULT_LIMITS = Limits()
_HEADER_CAP = 32_768
# Who takes long to connect to is given its time for so long; then it may have become quicker.
_PATIENT_SECONDS = 60.0


class Cause(StrEnum):
    """Why there is no answer, as it is recorded and counted."""

    BAD_REQUEST = "bad_request"  # no request that this door would send
    FORBIDDEN_ADDRESS = "forbidden_address"
    DNS_FAILURE = "dns_failure"
    DNS_TIMEOUT = "dns_timeout"
    POOL_TIMEOUT = "pool_timeout"  # the deadline came before a connection was free
    REFUSED_CONNECTION = "refused_connection"
    UNREACHABLE = "unreachable"
    CONNECT_TIMEOUT = "connect_timeout"
    LEASE_MARGIN = "lease_margin"  # the name, or a free connection, took so long that nothing may leave any more
    TLS_FAILURE = "tls_failure"
    # From here on bytes may have left.
    READ_TIMEOUT = "read_timeout"  # the deadline
    CLOSED_UNANSWERED = "closed_unanswered"
    CONNECTION_LOST = "connection_lost"
    UNREADABLE_ANSWER = "unreadable_answer"
    CUT_BODY = "cut_body"
    BODY_TOO_LARGE = "body_too_large"
    HEADERS_TOO_LARGE = "headers_too_large"
    UNFORESEEN = "unforeseen"


# The first match wins: subclasses stand before their bases. True is `may_have_arrived`.
_LOST_BY: tuple[tuple[type[Exception], bool, Cause], ...] = (
    (UnsendableRequest, False, Cause.BAD_REQUEST),
    (httpx.UnsupportedProtocol, False, Cause.BAD_REQUEST),
    (TlsFailure, False, Cause.TLS_FAILURE),
    (Unreachable, False, Cause.UNREACHABLE),
    (httpx.ConnectTimeout, False, Cause.CONNECT_TIMEOUT),
    (httpx.PoolTimeout, False, Cause.POOL_TIMEOUT),
    (httpx.ConnectError, False, Cause.REFUSED_CONNECTION),
    (BodyTooLarge, True, Cause.BODY_TOO_LARGE),
    (CutBody, True, Cause.CUT_BODY),
    (httpx.DecodingError, True, Cause.CUT_BODY),
    (ClosedUnanswered, True, Cause.CLOSED_UNANSWERED),
    (httpx.ProtocolError, True, Cause.UNREADABLE_ANSWER),
    (httpx.TimeoutException, True, Cause.READ_TIMEOUT),
    (TimeoutError, True, Cause.READ_TIMEOUT),
    (httpx.NetworkError, True, Cause.CONNECTION_LOST),
)
_CONNECT_CAUSES = frozenset({Cause.REFUSED_CONNECTION, Cause.UNREACHABLE, Cause.CONNECT_TIMEOUT, Cause.TLS_FAILURE})

# Nobody takes a message and says one of these: where the body cannot be read, it is as good as none.
_TOLD_BY_HEAD = frozenset({401, 402, 403, 404, 405, 429})

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
# The door says these by itself; a call's own are left out.
_DROPPED = frozenset({"accept-encoding", "connection", "content-length", "keep-alive"})
_OURS = {
    "user-agent": ("User-Agent", "Lapwing"),
    "accept": ("Accept", "*/*"),
    "accept-encoding": ("Accept-Encoding", "gzip, deflate"),
}


class UnfitCall(ValueError):
    """A Call that this door would not put on the wire."""


@dataclass(frozen=True, slots=True)
class _Destination:
    """A URL as it is sent, and the host that its connection is checked for."""

    url: httpx.URL
    netloc: str
    host: str
    port: int
    literal: Address | None


class _Times(NamedTuple):
    """When a call has to be over, by the loop's clock, and begun; and how many seconds it had."""

    until: float
    start_by: float
    deadline: float


class Transport:
    """The door itself: one for a process, closed when it ends.

    `engine` is a name (GATEWAY_HTTP_ENGINE), or an httpx transport that answers in the network's
    place: it is asked as it is, and then no address is looked up or checked.
    """

    def __init__(
        self,
        engine: EngineName | httpx.AsyncBaseTransport = "pyreqwest",
        *,
        allowed_networks: Sequence[Network] = (),
        verify_tls: bool = True,
        limits: Limits = _DEFAULT_LIMITS,
        resolver: Resolver = resolve,
    ) -> None:
        self._limits = limits
        self._verify_tls = verify_tls
        self._engine: httpx.AsyncBaseTransport | None = None
        factory: EngineFactory = ReqwestEngine
        if isinstance(engine, httpx.AsyncBaseTransport):
            self._engine = engine
        else:
            factory = ENGINES[engine]
        self._deadlines = Deadlines()
        self._lines = Lines(Rules(factory, limits, tuple(allowed_networks), resolver))

    async def perform(
        self, call: Call, *, deadline: float, verify_tls: bool = True, start_by: float = math.inf
    ) -> Answer | Lost:
        """The answer within `deadline` seconds, or Lost. Raises nothing but CancelledError.

        After `start_by` (monotonic seconds) nothing is given to a connection any more. One that has to be made first
        stands a moment later or is given up, but where the peer is known to take longer. The certificate is checked
        unless the door or this call says otherwise.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        until = now + deadline
        try:
            destination = _destination(call.url)
            request = _request(call, destination)
        except (ValueError, TypeError, httpx.InvalidURL):
            return Lost(may_have_arrived=False, cause=Cause.BAD_REQUEST)
        times = _Times(until, start_by, deadline)
        if self._engine is not None:
            return await self._send(request, self._engine, times)
        line = await self._line(destination, verify_tls=verify_tls and call.verify_tls)
        line.used_at = now
        ways = line.fresh_ways(now) or await line.ways(until=until)
        if isinstance(ways, NoAddress):
            return Lost(may_have_arrived=False, cause=ways)
        if not await line.slots.take(until=until):
            return Lost(may_have_arrived=False, cause=Cause.POOL_TIMEOUT)
        try:
            return await self._reach(request, line, ways, times)
        finally:
            line.slots.release()

    async def aclose(self) -> None:
        """Close every connection; calls still on the line are lost."""
        await self._lines.aclose()
        self._deadlines.close()
        if self._engine is not None:
            await self._engine.aclose()

    async def _line(self, destination: _Destination, *, verify_tls: bool) -> Line:
        host = Host(destination.host, destination.port, self._verify_tls and verify_tls)
        line = self._lines.known(host)
        return line or await self._lines.line(host, literal=destination.literal)

    async def _reach(self, request: httpx.Request, line: Line, ways: Sequence[Way], times: _Times) -> Answer | Lost:
        """Send by the first way that leads anywhere; only a failed connection tries the next one.

        No new try begins in the deadline's second half: cut short, it could not be told from one
        that arrived.
        """
        outcome: Answer | Lost = Lost(may_have_arrived=False, cause=Cause.UNREACHABLE)
        loop = asyncio.get_running_loop()
        for way in ways:
            hasty = times.start_by < math.inf and line.has_haste(way, loop.time())
            try:
                engine = line.enter(way, hasty=hasty)
            except Exception as error:  # noqa: BLE001 - an engine that was not built sent nothing
                _log_unforeseen(error)
                return Lost(may_have_arrived=False, cause=Cause.UNFORESEEN)
            try:
                outcome = await self._send(request, engine, times)
            finally:
                await way.leave()
            if isinstance(outcome, Answer) or outcome.cause not in _CONNECT_CAUSES:
                break
            line.demote(way)
            if hasty and outcome.cause is Cause.CONNECT_TIMEOUT:
                # No fault of the peer's: it is asked again, in its own time.
                way.patient_until = loop.time() + _PATIENT_SECONDS
                outcome = Lost(may_have_arrived=False, cause=Cause.LEASE_MARGIN)
            if times.until - loop.time() < times.deadline / 2:
                break
        return outcome

    async def _send(self, request: httpx.Request, engine: httpx.AsyncBaseTransport, times: _Times) -> Answer | Lost:
        loop = asyncio.get_running_loop()
        if monotonic() > times.start_by:
            return Lost(may_have_arrived=False, cause=Cause.LEASE_MARGIN)
        if loop.time() >= times.until:
            return Lost(may_have_arrived=False, cause=Cause.POOL_TIMEOUT)
        watch = self._deadlines.start(loop, times.until)
        try:
            response = await engine.handle_async_request(request)
            if isinstance(response.stream, ReadBody):  # our engines read it, within the cap
                return _answer(response, response.stream.body)
            return _answer(response, await self._read(response))
        except asyncio.CancelledError:
            if not self._deadlines.ran_out(watch):
                raise
            return Lost(may_have_arrived=True, cause=Cause.READ_TIMEOUT)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises, the call has a fate
            return _heard_by(error)
        finally:
            self._deadlines.end(watch)

    async def _read(self, response: httpx.Response) -> bytes:
        """The body of an answer that another engine gave, within the cap."""
        if response.is_stream_consumed:
            body = response.content
        else:
            body = b""
            try:
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > self._limits.body_cap:
                        break
            finally:
                await response.aclose()
        with body_of_answer(response.status_code, lambda: response.headers.raw):
            if len(body) > self._limits.body_cap:
                raise BodyTooLarge("body over the cap")
        return body


def _heard_by(error: Exception) -> Answer | Lost:
    head = error.head if isinstance(error, BodyTooLarge | CutBody) else None
    if head is not None and head.status_code in _TOLD_BY_HEAD:
        return _answer(head, b"")
    for kind, may_have_arrived, cause in _LOST_BY:
        if isinstance(error, kind):
            status = None if head is None else head.status_code
            return Lost(may_have_arrived=may_have_arrived, cause=cause, status=status)
    _log_unforeseen(error)
    return Lost(may_have_arrived=True, cause=Cause.UNFORESEEN)


def _log_unforeseen(error: Exception) -> None:
    # Its name only: the text may hold the URL, and that a number, a message, a secret.
    log.error("unforeseen failure of the engine: %s", type(error).__name__)


def _request(call: Call, to: _Destination) -> httpx.Request:
    """The call as httpx says it. The length of the body is for the engine to say."""
    if call.method not in _METHODS:
        raise UnfitCall("method: one of GET, POST, PUT, PATCH, DELETE")
    headers = _checked(call.headers, to.netloc)
    return httpx.Request(call.method, to.url, headers=headers, stream=httpx.ByteStream(call.body))


@lru_cache(maxsize=512)
def _checked(named: tuple[tuple[str, str], ...], netloc: str) -> httpx.Headers:
    """A call's headers, fit to be sent, with the door's own. A gateway's are mostly the same."""
    headers = [("Host", netloc)]
    missing = dict(_OURS)
    for name, value in named:
        lowered = name.lower()
        if is_taken(name):
            raise UnfitCall(f"header {lowered}: leave it to the transport")
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise UnfitCall("header: a token and printable ASCII")
        if lowered in _DROPPED:
            continue
        missing.pop(lowered, None)
        headers.append((name, value))
    return httpx.Headers([*headers, *missing.values()])


def _answer(response: httpx.Response, body: bytes) -> Answer | Lost:
    headers: dict[str, str] = {}
    size = 0
    for raw_name, raw_value in response.headers.raw:
        size += len(raw_name) + len(raw_value)
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if size > _HEADER_CAP:
        return Lost(may_have_arrived=True, cause=Cause.HEADERS_TOO_LARGE)
    return Answer(response.status_code, headers, body)


def _destination(url: str) -> _Destination:
    # With a query it is another one each time (and may hold a number and a text).
    return _read_url(url) if "?" in url else _remembered(url)


def _read_url(text: str) -> _Destination:
    url = httpx.URL(text)
    if url.scheme not in {"http", "https"}:
        raise UnfitCall("url: http or https")
    if url.userinfo:
        raise UnfitCall("url: credentials belong into a header")
    raw_host = url.raw_host.decode("ascii")
    try:
        host = host_of(raw_host)
    except UnreadableHost:
        raise UnfitCall("url: no readable host") from None
    if url.fragment or str(host) != raw_host:  # what was checked is what the engine gets to read
        url = url.copy_with(fragment=None, host=str(host))
    port = (443 if url.scheme == "https" else 80) if url.port is None else url.port
    if not 0 < port < 65_536:
        raise UnfitCall("url: no such port")
    literal = None if isinstance(host, str) else host
    return _Destination(url, url.netloc.decode("ascii"), str(host), port, literal)


_remembered = lru_cache(maxsize=512)(_read_url)
