"""The default engine behind the one door: an httpx transport over pyreqwest, for one peer.

Its exceptions say what left the machine: `httpx.ConnectError`, `ConnectTimeout`, `PoolTimeout` and
`UnsendableRequest` mean that nothing did, every other one that something may have. It never
follows, never asks again, reads no proxies from the environment and decompresses no further than
the cap. Exceptions carry no URL.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import NoReturn

import httpx
from pyreqwest import exceptions as engine_errors
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.http import HeaderMap
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from dispatcher.door.coding import CannotUnpack, unpacked
from shared.addresses import Address


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine keeps to, in seconds, connections and bytes."""

    connect_timeout: float = 5.0
    # A call that has to begin soon waits no longer than this for its connection to stand.
    hasty_connect_timeout: float = 1.0
    # A gateway that closes a quiet connection just as we write leaves a message of unknown fate.
    # Most keep theirs for 15 s or more; letting go first makes that rare.
    idle_timeout: float = 5.0
    address_ttl: float = 60.0  # until a name is looked up and checked again
    max_connections: int = 500
    body_cap: int = 65_536


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom an engine talks to: the host as the URL names it, at the one address it may be at."""

    host: str
    port: int
    address: Address
    verify_tls: bool = True


_BODY_STAGES = frozenset({"error decoding response body", "request or response body error"})
# Of a packed body a little more than the cap is read: what cannot be made smaller grows by some bytes.
_PACKING = 1024
_OF_PACKED = frozenset({"content-encoding", "content-length"})
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})

_Headers = Sequence[tuple[str, str]] | Sequence[tuple[bytes, bytes]]
EngineFactory = Callable[[Peer, Limits], httpx.AsyncBaseTransport]


class UnsendableRequest(httpx.TransportError):
    """The engine would not put this request on the wire; nothing was sent."""


class TlsFailure(httpx.ConnectError):
    """The connection stood, its encryption did not; nothing was sent."""


class Unreachable(httpx.ConnectError):
    """No way to the address (or no name, no free port here); nothing was sent."""


class ClosedUnanswered(httpx.RemoteProtocolError):
    """The peer hung up before a whole answer head; it may have read the request."""


class CutBody(httpx.RemoteProtocolError):
    """The answer's body ended early, or could not be decoded."""

    head: httpx.Response | None = None  # of the answer: its status and its headers


class BodyTooLarge(httpx.ReadError):
    """The answer's body is larger than the cap, after decompression."""

    head: httpx.Response | None = None


@contextmanager
def body_of_answer(status: int, headers: Callable[[], _Headers]) -> Iterator[None]:
    """Whatever is wrong with the body, the head was read: it goes with the exception."""
    try:
        yield
    except (CutBody, BodyTooLarge) as error:
        error.head = httpx.Response(status, headers=headers())
        raise


class ReadBody(httpx.AsyncByteStream):
    """A body that is here already, decoded and within the cap; httpx need not read it again."""

    def __init__(self, body: bytes) -> None:
        self.body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.body


class ReqwestEngine(httpx.AsyncBaseTransport):
    """pyreqwest as an httpx transport: answers come read, decoded and within the cap."""

    def __init__(self, peer: Peer, limits: Limits) -> None:
        self._read_at_most = limits.body_cap + _PACKING
        self._cap = limits.body_cap
        self._client = _client(peer, limits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = self._build(request)
        try:
            async with asked as answer:
                with body_of_answer(answer.status, lambda: _readable(answer.headers)):
                    headers, body = await self._read(answer)
                return httpx.Response(answer.status, headers=headers, stream=ReadBody(body))
        except engine_errors.PyreqwestError as error:
            _retell(error)

    async def _read(self, answer: Response) -> tuple[list[tuple[str, str]], bytes]:
        """The headers and the body, decoded and within the cap."""
        try:
            body = await answer.body_reader.read(self._read_at_most)
        except engine_errors.PyreqwestError as error:
            _retell(error)
        packed = b"" if body is None else bytes(body)
        headers = _readable(answer.headers)
        codings = [value for name, value in headers if name == "content-encoding"]
        try:
            whole = packed if not codings else unpacked(packed, codings, at_most=self._cap + 1)
        except CannotUnpack:
            if len(packed) < self._read_at_most:
                raise CutBody("body cut or unreadable") from None
            whole = packed
        if len(whole) > self._cap:
            raise BodyTooLarge("body over the cap")
        if codings:
            headers = [(name, value) for name, value in headers if name not in _OF_PACKED]
        return headers, whole

    async def aclose(self) -> None:
        await self._client.close()

    def _build(self, request: httpx.Request) -> StreamRequest:
        """The request in pyreqwest's form; its buffer takes what will be read, in one await."""
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        body = request.read()
        if not body and request.method in WITH_BODY:  # hyper names the length of other bodies
            headers.append(("Content-Length", "0"))
        try:
            return (
                self._client.request(request.method, str(request.url))
                .headers(headers)
                .body_bytes(body)
                .streamed_read_buffer_limit(self._read_at_most)
                .build_streamed()
            )
        except (engine_errors.PyreqwestError, ValueError):
            raise UnsendableRequest("refused by the engine") from None


def _readable(headers: HeaderMap) -> list[tuple[str, str]]:
    """The answer's headers, without those that are not ASCII (which pyreqwest cannot tell)."""
    try:
        return list(headers.items())
    except ValueError:
        readable: list[tuple[str, str]] = []
        for name in dict.fromkeys(headers.keys()):
            with suppress(ValueError):
                readable.extend((name, value) for value in headers.getall(name))
        return readable


def _client(peer: Peer, limits: Limits) -> Client:
    return (
        ClientBuilder()
        .resolve(peer.host, str(peer.address), peer.port)
        .no_proxy()
        .follow_redirects(enable=False)
        .referer(enable=False)
        .http1_only()
        .gzip(enable=False)  # it reads the first member alone
        .deflate(enable=False)
        .brotli(enable=False)
        .zstd(enable=False)
        .connect_timeout(timedelta(seconds=limits.connect_timeout))
        .pool_idle_timeout(timedelta(seconds=limits.idle_timeout))
        .pool_max_idle_per_host(limits.max_connections)
        .danger_accept_invalid_certs(enable=not peer.verify_tls)
        .build()
    )


def _retell(error: engine_errors.PyreqwestError) -> NoReturn:
    """Raise the httpx exception that says what left the machine.

    pyreqwest has one ConnectError for "refused" and for "closed after reading the request", and
    one ConnectTimeoutError for every timeout; only hyper-util's word for the stage, among the
    causes, tells them apart. Without that word nothing is certain. The causes hold the URL, so
    they end here.
    """
    causes = _causes(error)
    if "client error (Connect)" in causes:
        _retell_connect(error, causes)
    if isinstance(error, engine_errors.BuilderError):
        raise UnsendableRequest("refused by the engine") from None
    if isinstance(error, TimeoutError):
        raise httpx.ReadTimeout("timed out") from None
    if not _BODY_STAGES.isdisjoint(causes):
        raise CutBody("body cut or unreadable") from None
    if isinstance(error, engine_errors.DecodeError):
        raise httpx.RemoteProtocolError("not an HTTP answer") from None
    if "connection closed before message completed" in causes:
        raise ClosedUnanswered("closed without an answer") from None
    raise httpx.ReadError("connection lost") from None


def _retell_connect(error: engine_errors.PyreqwestError, causes: Sequence[str]) -> NoReturn:
    if isinstance(error, TimeoutError):
        raise httpx.ConnectTimeout("no connection in time") from None
    if any(cause.startswith("Connection refused") for cause in causes):
        raise httpx.ConnectError("connection refused") from None
    if "tcp connect error" in causes or "dns error" in causes:
        raise Unreachable("no way to the address") from None
    raise TlsFailure("TLS handshake failed") from None


def _causes(error: engine_errors.PyreqwestError) -> list[str]:
    if not isinstance(error, engine_errors.DetailedPyreqwestError):
        return []
    return [cause["message"] for cause in error.details["causes"] or ()]
