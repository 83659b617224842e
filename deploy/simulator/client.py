"""The gateway's own HTTP client: requests over a small pool of kept connections per origin.

It makes one try and tells how it went; trying again is the caller's decision.
"""

import asyncio
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, cast
from urllib.parse import unquote, urlsplit

import httptools

from deploy.simulator.contract import Post


class Heard(NamedTuple):
    """What came back; status 0 is no answer, and `detail` says why."""

    status: int
    detail: str = ""
    body: bytes = b""


class _Job(NamedTuple):
    data: bytes
    done: Callable[[Heard], None]
    largest: int


class Client:
    """All origins. `limits` is asked anew each time: (connections per origin, timeout in s)."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *, limits: Callable[[], tuple[int, float]]) -> None:
        self._loop = loop
        self._limits = limits
        self._origins: dict[str, _Origin] = {}

    def post(self, post: Post, done: Callable[[Heard], None]) -> None:
        """Send once; `done` is called exactly once, never before this returns."""
        scheme, _, rest = post.url.partition("#")[0].partition("://")
        cut = len(rest)
        for mark in "/?":
            cut = min(cut, rest.find(mark) % (len(rest) + 1))
        key = f"{scheme}://{rest[:cut]}"
        origin = self._origins.get(key)
        if origin is None:
            origin = self._origins[key] = _Origin(key, self._loop, limits=self._limits)
        target = rest[cut:]
        origin.submit(_Job(origin.request(post, target), done, post.largest))


class _Origin:
    """One scheme, host and port, with its kept connections and what waits for one."""

    def __init__(self, url: str, loop: asyncio.AbstractEventLoop, *, limits: Callable[[], tuple[int, float]]) -> None:
        parts = urlsplit(url)
        self._loop = loop
        self.limits = limits
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._secure else 80)
        self._fixed = f"Host: {parts.netloc.rpartition('@')[2]}\r\n"
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._fixed += f"Authorization: Basic {b64encode(user.encode()).decode()}\r\n"
        self._waiting: deque[_Job] = deque()
        self._idle: list[_Line] = []
        self._lines: set[_Line] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._sweeping = False

    def request(self, post: Post, target: str) -> bytes:
        target = target if target.startswith("/") else f"/{target}"
        extra = "".join(f"{name}: {value}\r\n" for name, value in post.headers.items())
        if post.method == "GET":
            return f"GET {target} HTTP/1.1\r\n{self._fixed}{extra}\r\n".encode()
        head = f"POST {target} HTTP/1.1\r\n{self._fixed}{extra}Content-Length: {len(post.body)}\r\nContent-Type: "
        return head.encode("utf-8") + post.content_type + b"\r\n\r\n" + post.body

    def submit(self, job: _Job) -> None:
        self._waiting.append(job)
        self._loop.call_soon(self._hand_out)

    def now(self) -> float:
        return self._loop.time()

    def freed(self, line: "_Line") -> None:
        if self._waiting:
            line.send(self._waiting.popleft())
        else:
            self._idle.append(line)

    def gone(self, line: "_Line") -> None:
        self._lines.discard(line)
        if line in self._idle:
            self._idle.remove(line)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._idle:
            self._idle.pop().send(self._waiting.popleft())
        most, _ = self.limits()
        room = most - len(self._lines) - len(self._connecting)
        for _ in range(min(room, len(self._waiting) - len(self._connecting))):
            task = self._loop.create_task(self._connect())
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self) -> None:
        _, timeout = self.limits()
        try:
            async with asyncio.timeout(timeout):
                _, line = await self._loop.create_connection(
                    lambda: _Line(self), self._host, self._port, ssl=self._secure or None
                )
        except OSError as error:
            self._unreachable(f"could not connect: {error or type(error).__name__}")
            return
        self._lines.add(line)
        self.freed(line)
        if not self._sweeping:
            self._sweeping = True
            self._loop.call_later(0.25, self._sweep)

    def _unreachable(self, reason: str) -> None:
        """Nobody is there: that is one try for everything that waits."""
        if self._lines:
            return
        waiting, self._waiting = self._waiting, deque()
        for job in waiting:
            job.done(Heard(0, reason))

    def _sweep(self) -> None:
        now = self.now()
        for line in [line for line in self._lines if line.deadline < now]:
            line.give_up()
        self._sweeping = bool(self._lines)
        if self._sweeping:
            self._loop.call_later(0.25, self._sweep)


class _Line(asyncio.Protocol):
    """One kept connection; it carries one request at a time."""

    def __init__(self, origin: _Origin) -> None:
        self._origin = origin
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._job: _Job | None = None
        self._body = b""
        self._status = 0
        self._why = "the connection was closed without an answer"
        self.deadline = float("inf")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's by behaviour, not by class.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if exc is not None:
            self._why = f"the connection broke: {exc}"
        # An answer without a length ends with the connection.
        self._tell(Heard(self._status, "" if self._status else self._why, self._body))
        self._origin.gone(self)

    def send(self, job: _Job) -> None:
        if self._transport is None or self._transport.is_closing():
            self._origin.submit(job)
            return
        self._job = job
        self._body = b""
        self._status = 0
        self.deadline = self._origin.now() + self._origin.limits()[1]
        self._transport.write(job.data)

    def give_up(self) -> None:
        self._why = "no answer in time"
        self._status = 0
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._why = f"the answer is not HTTP: {error}"
            self.give_up()

    def on_headers_complete(self) -> None:
        self._status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        if self._job is not None and len(self._body) < self._job.largest:
            self._body += body

    def on_message_complete(self) -> None:
        if self._status < 200:
            self._status = 0
            return
        self._tell(Heard(self._status, "", self._body))
        if self._transport is not None and self._parser.should_keep_alive():
            self._origin.freed(self)
        elif self._transport is not None:
            self._transport.close()

    def _tell(self, heard: Heard) -> None:
        job, self._job = self._job, None
        self.deadline = float("inf")
        if job is not None:
            job.done(heard)
