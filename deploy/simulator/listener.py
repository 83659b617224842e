"""A listening port that can be closed and opened again, and stays ours in between.

While it is closed, a bound socket that does not listen holds the port: connecting is refused.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable

from deploy.simulator.connection import Connection

BACKLOG = 4096


class Listener:
    """One port. Closing it also ends the kept connections nobody is using."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._holder = _bound(host, port)
        self.port: int = self._holder.getsockname()[1]
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._factory: Callable[[], asyncio.BaseProtocol] | None = None
        self._wanted = True
        self._task: asyncio.Task[None] | None = None
        self._closed_until = 0.0
        self._tls: ssl.SSLContext | None = None

    async def start(self, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        self._factory = factory
        await self._open()

    def set_open(self, wanted: bool) -> None:
        self._wanted = wanted
        if wanted:
            self._reopen()
        else:
            self._close()

    def set_tls(self, tls: ssl.SSLContext | None) -> None:
        """Speak TLS from now on, or no more; connections of the other kind are ended."""
        if tls is not self._tls:
            self._tls = tls
            self._close()
            self._reopen()

    async def settled(self) -> None:
        """Once the port is what it was last told to be."""
        if self._task is not None:
            await self._task

    def close_for(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._closed_until = max(self._closed_until, loop.time() + seconds)
        self._close()
        loop.call_later(seconds, self._reopen)

    def stop(self) -> None:
        self._wanted = False
        self._close()
        self._holder.close()

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in tuple(self.connections):
            connection.closing = True
            if connection.busy is None:
                connection.close()

    def _reopen(self) -> None:
        early = asyncio.get_running_loop().time() < self._closed_until - 0.01
        if self._server is None and self._wanted and not early:
            self._task = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        assert self._factory is not None
        if self._server is not None:
            return
        line = _bound(self._host, self.port)
        self._server = await asyncio.get_running_loop().create_server(
            self._factory, sock=line, backlog=BACKLOG, ssl=self._tls
        )


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    line = socket.socket(family, socket.SOCK_STREAM)
    # Lets the holder and the listener share the port; the kernel still refuses a second listener.
    line.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    line.bind((host, port))
    return line
