"""One client's connection: bytes into requests, answers into bytes, one exchange at a time.

Written for speed on asyncio's protocols: no streams, no task per request.
"""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, cast

import httptools

from deploy.simulator.contract import Reply, Request

MAX_BODY = 4 * 1024 * 1024
_NO_LINGER = struct.pack("ii", 1, 0)
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


def encoded(reply: Reply, *, keep_alive: bool, length: int | None = None) -> bytes:
    """The answer as bytes; `length` is what to claim in place of the true length."""
    line = _STATUS_LINES.get(reply.status) or b"HTTP/1.1 %d Status\r\n" % reply.status
    extra = b"".join(b"%b: %b\r\n" % header for header in reply.headers)
    if not keep_alive:
        extra += b"Connection: close\r\n"
    return b"%bContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n%b" % (
        line,
        reply.content_type,
        len(reply.body) if length is None else length,
        extra,
        reply.body,
    )


class Connection(asyncio.Protocol):
    """Requests that arrive while one is being answered wait their turn."""

    __slots__ = (
        "_body",
        "_can_write",
        "_expect",
        "_handle",
        "_headers",
        "_parser",
        "_size",
        "_target",
        "_transport",
        "_waiting",
        "busy",
        "closing",
        "connections",
    )

    def __init__(
        self,
        handle: Callable[["Connection", Request], None],
        *,
        expect: Callable[[], bool],
        connections: "set[Connection]",
    ) -> None:
        self._handle = handle
        self._expect = expect
        self.connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[Request] = deque()
        self._can_write: asyncio.Event | None = None
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = 0
        self.busy: Request | None = None
        self.closing = False

    # What asyncio and the parser call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's by behaviour, not by class.
        self._transport = cast("asyncio.Transport", transport)
        self.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._transport = None
        self.connections.discard(self)
        if self._can_write is not None:
            self._can_write.set()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._refuse(400, b"this is not HTTP/1.1")

    def pause_writing(self) -> None:
        self._can_write = asyncio.Event()

    def resume_writing(self) -> None:
        if self._can_write is not None:
            self._can_write.set()
            self._can_write = None

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers = {}
        self._body = []
        self._size = 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        if b"expect" in self._headers and self._expect():
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > MAX_BODY:
            self._refuse(413, b"the body is larger than 4 MiB")
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        request = Request(self._parser.get_method(), self._target, self._headers)
        body = self._body
        request.body = body[0] if len(body) == 1 else b"".join(body)
        request.keep_alive = self._parser.should_keep_alive()
        if self.busy is not None:
            self._waiting.append(request)
        elif not self.closing:
            self.busy = request
            self._handle(self, request)

    # What the gateway calls.

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def answer(self, data: bytes) -> None:
        """Write a whole answer and turn to the next request."""
        self.write(data)
        request, self.busy = self.busy, None
        if self.closing or (request is not None and not request.keep_alive):
            self.close()
        elif self._waiting:
            self.busy = self._waiting.popleft()
            self._handle(self, self.busy)

    def close(self) -> None:
        """End the connection once what was written has left."""
        self.closing = True
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """End the connection with an RST, whatever was to be said."""
        self.closing = True
        if self._transport is not None:
            line: socket.socket = self._transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self._transport.abort()

    async def drained(self) -> bool:
        """Wait until there is room to write; whether anybody is still there to read."""
        if self._can_write is not None:
            await self._can_write.wait()
        return self.is_open

    def _refuse(self, status: int, reason: bytes) -> None:
        self._waiting.clear()
        self.closing = True
        reply = Reply(status, reason, b"text/plain")
        self.answer(encoded(reply, keep_alive=False))
