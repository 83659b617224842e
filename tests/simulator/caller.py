"""A client of the simulator over real sockets: as Twilio's users call it, and byte by byte."""

import json
import socket
from base64 import b64encode
from collections.abc import Mapping
from http.client import HTTPConnection
from typing import Any, NamedTuple
from urllib.parse import urlencode

from deploy.simulator.launch import Simulator

TO = "+12025550142"
FROM = "+12025550100"
FORM = "application/x-www-form-urlencoded"


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


def basic(user: str, secret: str) -> str:
    return "Basic " + b64encode(f"{user}:{secret}".encode()).decode()


class Caller:
    """Calls one simulator as its account."""

    def __init__(self, simulator: Simulator, *, timeout: float = 5.0) -> None:
        self._simulator = simulator
        self._timeout = timeout
        self.account = f"/2010-04-01/Accounts/{simulator.account_sid}"
        self.authorization = basic(simulator.account_sid, simulator.auth_token)

    def request(
        self, method: str, path: str, body: str | bytes | None = None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        line = HTTPConnection("127.0.0.1", self._simulator.port, timeout=self._timeout)
        try:
            line.request(method, path, body, dict(headers or {}))
            answer = line.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            line.close()

    def get(self, path: str) -> Answer:
        return self.request("GET", path, headers={"Authorization": self.authorization})

    def send(self, **fields: str) -> Answer:
        """Send a good message, but for the fields given; an empty one is left out."""
        return self.request(
            "POST",
            f"{self.account}/Messages.json",
            urlencode(filled(fields)),
            headers={"Authorization": self.authorization, "Content-Type": FORM},
        )

    def raw(self, *, expect: bool = False, **fields: str) -> socket.socket:
        """Write a send on a bare socket and hand over the socket; with `expect`, its head only."""
        body = urlencode(filled(fields)).encode()
        extra = "Expect: 100-continue\r\n" if expect else ""
        head = (
            f"POST {self.account}/Messages.json HTTP/1.1\r\nHost: simulator\r\n"
            f"Authorization: {self.authorization}\r\nContent-Type: {FORM}\r\n{extra}"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        line = socket.create_connection(("127.0.0.1", self._simulator.port), timeout=self._timeout)
        line.sendall(head if expect else head + body)
        return line


def filled(fields: Mapping[str, str]) -> dict[str, str]:
    wanted = {"To": TO, "From": FROM, "Body": "Your table is ready"} | dict(fields)
    return {name: value for name, value in wanted.items() if value}


def read_all(line: socket.socket) -> bytes:
    """Everything until the other end closes."""
    with line:
        return b"".join(iter(lambda: line.recv(65_536), b""))
