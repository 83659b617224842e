"""A small web server that takes receipts and inbound messages and keeps what it was told."""

import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType, TracebackType
from typing import NamedTuple, Self
from urllib.parse import parse_qsl


class Told(NamedTuple):
    target: str
    signature: str | None
    params: list[tuple[str, str]]
    raw: bytes
    method: str = "POST"
    headers: Mapping[str, str] = MappingProxyType({})
    content_type: str = ""

    @property
    def fields(self) -> dict[str, str]:
        return dict(self.params)


class Receiver:
    """Answers with the statuses given, then 204 for ever; each after a pause."""

    def __init__(self, statuses: Iterable[int] = (), *, port: int = 0, pause: float = 0.0) -> None:
        self._pause = pause
        self.told: list[Told] = []
        self._statuses = iter(list(statuses))
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.receiver = self
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def url(self, target: str = "/status?m=one&a=1") -> str:
        return f"http://127.0.0.1:{self.port}{target}"

    def statuses(self) -> list[str]:
        """The message statuses told, in order."""
        return [told.fields["MessageStatus"] for told in self.told]

    def take(self, told: Told) -> int:
        self.told.append(told)
        time.sleep(self._pause)
        return next(self._statuses, 204)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        for line in tuple(self._server.lines):
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: Receiver

    def __init__(self, place: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(place, handler)
        self.lines: set[socket.socket] = set()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        self.server.lines.add(self.request)
        super().setup()

    def finish(self) -> None:
        self.server.lines.discard(self.request)
        super().finish()

    def do_GET(self) -> None:
        self._take(b"", parse_qsl(self.path.partition("?")[2], keep_blank_values=True))

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"] or 0))
        self._take(raw, parse_qsl(raw.decode(), keep_blank_values=True))

    def _take(self, raw: bytes, params: list[tuple[str, str]]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        content_type = headers.get("content-type", "")
        told = Told(self.path, headers.get("x-twilio-signature"), params, raw, self.command, headers, content_type)
        status = self.server.receiver.take(told)
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "11")
        self.end_headers()
        if status != 204:
            self.wfile.write(b"<Response/>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - named by its parent
        pass
