"""A raw HTTP server that misbehaves as told, and counts what it has read.

Speaks bytes, so that it can say what no HTTP library would; knows nothing of the code under test.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(eq=False)
class Exchange:
    """One request that was read, and the connection to do something bad to."""

    request: bytes
    number: int  # of the request on this server, from 1
    writer: asyncio.StreamWriter
    server: "HostileServer"

    async def say(self, *parts: bytes) -> None:
        for part in parts:
            self.server.sent += len(part)
            self.writer.write(part)
            await self.writer.drain()

    def hang_up(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        """Close with an RST instead of a FIN."""
        plug: socket.socket = self.writer.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Script = Callable[[Exchange], Awaitable[None]]


async def answer_ok(exchange: Exchange) -> None:
    await exchange.say(OK)


async def hang(_: Exchange) -> None:
    await asyncio.Event().wait()


@dataclass(eq=False)
class HostileServer:
    """`async with HostileServer(script) as server:` then `server.url`."""

    script: Script = answer_ok
    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    sent: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/send"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, self.host, self.port, ssl=self.tls, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:  # what nobody read any more would keep its socket open
            with contextlib.suppress(AttributeError):  # asyncio's own, for one that is over and has no loop any more
                writer.transport.abort()
        await asyncio.sleep(0.02)  # for the loop to let go of them, and of failed handshakes

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while not writer.is_closing():
                self.requests.append(await _read_request(reader))
                exchange = Exchange(self.requests[-1], len(self.requests), writer, self)
                await self.script(exchange)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()


async def _read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return head + await reader.readexactly(int(length[1]) if length else 0)


def saying(*parts: bytes, then_hang_up: bool = True) -> Script:
    """A script that answers with these bytes, one write each."""

    async def script(exchange: Exchange) -> None:
        await exchange.say(*parts)
        if then_hang_up:
            exchange.hang_up()

    return script


def in_turn(scripts: Sequence[Script]) -> Script:
    """The first request gets the first script, and so on; the last one is repeated."""

    async def script(exchange: Exchange) -> None:
        await scripts[min(exchange.number, len(scripts)) - 1](exchange)

    return script


class FullBacklog:
    """A port whose queue of connections is full: a further one gets no answer at all."""

    def __enter__(self) -> int:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        port: int = self._listener.getsockname()[1]
        self._waiting = [socket.socket() for _ in range(4)]
        for plug in self._waiting:
            plug.settimeout(0)
            plug.connect_ex(("127.0.0.1", port))
        return port

    def __exit__(self, *_: object) -> None:
        for plug in (*self._waiting, self._listener):
            plug.close()

    def make_room(self) -> None:
        """From now on there is a place: whoever has knocked in vain gets in when it knocks again."""
        for plug in self._waiting:
            plug.close()
        self._listener.settimeout(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._listener.accept()[0].close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        port: int = plug.getsockname()[1]
        return port
