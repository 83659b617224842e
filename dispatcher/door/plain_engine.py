"""The pure-Python engine (`GATEWAY_HTTP_ENGINE=httpx`): an httpx transport over httpcore.

Keeps the promises of `engine.py`, in its words, where there is no wheel of pyreqwest. Its pool is
quadratic in the connections: not for campaigns at full speed.
"""

import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, NoReturn, cast

import httpcore
import httpx
from httpcore import AsyncNetworkBackend, AsyncNetworkStream

from dispatcher.door.coding import CannotUnpack, decoder_of
from dispatcher.door.engine import (
    WITH_BODY,
    BodyTooLarge,
    ClosedUnanswered,
    CutBody,
    Limits,
    Peer,
    ReadBody,
    TlsFailure,
    Unreachable,
    body_of_answer,
)

# No longer true of a decoded body; httpx would decode it once more.
_ENCODED = (b"content-encoding", b"content-length")


class PlainEngine(httpx.AsyncBaseTransport):
    """httpcore as an httpx transport: answers come read, decoded and within the cap."""

    def __init__(self, peer: Peer, limits: Limits) -> None:
        self._cap = limits.body_cap
        self._timeouts = {"connect": limits.connect_timeout}
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(verify=peer.verify_tls),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_connections,
            keepalive_expiry=limits.idle_timeout,
            network_backend=_Pinned(peer),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = await self._pool.handle_async_request(self._build(request))
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            _retell(error)
        try:
            with body_of_answer(answer.status, lambda: answer.headers):
                body = await self._read(answer)
        finally:
            await answer.aclose()
        headers = [(name, value) for name, value in answer.headers if name.lower() not in _ENCODED]
        return httpx.Response(answer.status, headers=headers, stream=ReadBody(body))

    async def aclose(self) -> None:
        await self._pool.aclose()

    def _build(self, request: httpx.Request) -> httpcore.Request:
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        body = request.read()
        headers = request.headers.raw
        if body or request.method in WITH_BODY:
            headers.append((b"Content-Length", str(len(body)).encode()))
        return httpcore.Request(
            method=request.method, url=url, headers=headers, content=body, extensions={"timeout": self._timeouts}
        )

    async def _read(self, answer: httpcore.Response) -> bytes:
        codings = [value.decode("latin-1") for name, value in answer.headers if name.lower() == b"content-encoding"]
        body = bytearray()
        chunks = cast("AsyncGenerator[bytes]", aiter(answer.aiter_stream()))
        try:
            decode = decoder_of(codings)
            async with aclosing(chunks):
                async for chunk in chunks:
                    body += decode.feed(chunk, at_most=self._cap + 1 - len(body))
                    if len(body) > self._cap:
                        raise BodyTooLarge("body over the cap")
            decode.end()
        except (httpcore.NetworkError, httpcore.ProtocolError, CannotUnpack):
            raise CutBody("body cut or unreadable") from None
        return bytes(body)


def _retell(error: Exception) -> NoReturn:
    """Raise the httpx exception of the same meaning; in httpcore a ConnectError is certain."""
    match error:
        case httpcore.ConnectTimeout():
            raise httpx.ConnectTimeout("no connection in time") from None
        case httpcore.ConnectError():
            raise httpx.ConnectError("connection refused") from None
        case httpcore.TimeoutException():
            raise httpx.ReadTimeout("timed out") from None
        case httpcore.RemoteProtocolError() if "disconnected" in str(error):
            raise ClosedUnanswered("closed without an answer") from None
        case httpcore.RemoteProtocolError():
            raise httpx.RemoteProtocolError("not an HTTP answer") from None
        case _:
            raise httpx.ReadError("connection lost") from None


class _Pinned(AsyncNetworkBackend):
    """Connects to the peer's checked address, whatever name it is asked for."""

    def __init__(self, peer: Peer) -> None:
        self._address = str(peer.address)
        self._backend = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - only its checked address counts
        port: int,
        *rest: Any,
        **options: Any,
    ) -> AsyncNetworkStream:
        try:
            stream = await self._backend.connect_tcp(self._address, port, *rest, **options)
        except httpcore.ConnectError as error:
            if _is_refused(error):
                raise
            raise Unreachable("no way to the address") from None
        return _Handshaking(stream)


class _Handshaking(AsyncNetworkStream):
    """A stream that tells a failed handshake from a refused connection."""

    def __init__(self, stream: AsyncNetworkStream) -> None:
        self._stream = stream

    async def start_tls(self, ssl_context: ssl.SSLContext, *rest: Any, **options: Any) -> AsyncNetworkStream:
        try:
            return await self._stream.start_tls(ssl_context, *rest, **options)
        except httpcore.ConnectError:
            raise TlsFailure("TLS handshake failed") from None

    async def read(self, *args: Any, **options: Any) -> bytes:
        return await self._stream.read(*args, **options)

    async def write(self, *args: Any, **options: Any) -> None:
        await self._stream.write(*args, **options)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _is_refused(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        error = error.__cause__
    return False
