"""A client of the api as an owner's product would be one: JSON over HTTP, and patience only where it is asked for.

Safe to use from several threads; each has a connection of its own.
"""

import json
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlencode

TIMEOUT_SECONDS = 30.0
PAUSE_SECONDS = 0.1


class Refused(RuntimeError):
    """The api answered, and the answer was no."""

    def __init__(self, status: int, problem: Any, *, asked: str) -> None:
        super().__init__(f"{asked}: {status} {json.dumps(problem)[:500]}")
        self.status = status
        self.problem = problem


class Unanswered(RuntimeError):
    """No answer came, or none that anybody could read: what became of the request is not known."""


class Client:
    """Calls one api with one key."""

    def __init__(self, host: str, port: int, *, key: str, seconds: float = TIMEOUT_SECONDS) -> None:
        self.host = host
        self.port = port
        self._key = key
        self._seconds = seconds
        self._local = threading.local()
        self._lines: set[HTTPConnection] = set()

    def patient(self, seconds: float) -> "Client":
        """One that waits so long for an answer."""
        return Client(self.host, self.port, key=self._key, seconds=seconds)

    def close(self) -> None:
        """Every thread's connection; to be called when no thread asks any more."""
        while self._lines:
            self._lines.pop().close()

    def get(self, path: str, **query: Any) -> Any:
        asked = f"{path}?{urlencode(query)}" if query else path
        return self.request("GET", asked)

    def post(self, path: str, body: Any = None, *, idempotency_key: str | None = None) -> Any:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return self.request("POST", path, body, headers=headers)

    def request(self, method: str, path: str, body: Any = None, *, headers: Mapping[str, str] | None = None) -> Any:
        """The answer's JSON, or Refused, or Unanswered."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"} | dict(headers or {})
        status, heard = self._exchange(method, path, data, sent)
        try:
            found = json.loads(heard) if heard else None
        except ValueError:
            found = heard[:200].decode("latin-1")
        if not 200 <= status < 300:
            raise Refused(status, found, asked=f"{method} {path}")
        return found

    def insist(self, method: str, path: str, body: Any = None, *, seconds: float = 60.0, key: str | None = None) -> Any:
        """Ask again, with one and the same Idempotency-Key, until there is an answer that will not change."""
        headers = {"Idempotency-Key": key or new_key()} if method == "POST" else {}
        give_up = time.monotonic() + seconds
        while True:
            try:
                return self.request(method, path, body, headers=headers)
            except Unanswered:
                if time.monotonic() > give_up:
                    raise
            except Refused as refusal:
                busy = refusal.status >= 500 or (refusal.status == 409 and "still at work" in str(refusal))
                if not busy or time.monotonic() > give_up:
                    raise
            time.sleep(PAUSE_SECONDS)

    def upload(self, path: str, data: bytes, **fields: str) -> Any:
        """A CSV file with the fields of its form."""
        boundary = f"----{secrets.token_hex(16)}"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="contacts.csv"\r\n'
        parts.append(f"{head}Content-Type: text/csv\r\n\r\n".encode() + data + b"\r\n")
        body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
        return self.request("POST", path, body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})

    def list(self, path: str, **query: Any) -> Iterator[Any]:
        """Every item of a paged list."""
        cursor: str | None = None
        while True:
            page = self.get(path, **query, limit=200, **({"cursor": cursor} if cursor else {}))
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _exchange(self, method: str, path: str, data: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        fresh = getattr(self._local, "line", None) is None
        try:
            answer = self._ask(method, path, data, headers)
            return answer.status, answer.read()
        except (OSError, HTTPException) as error:
            self._forget()
            # A kept connection that the api closed in the meantime says nothing about this request, if it only reads.
            if not fresh and method == "GET":
                return self._exchange(method, path, data, headers)
            raise Unanswered(f"{method} {path}: {type(error).__name__}: {error}") from error

    def _ask(self, method: str, path: str, data: bytes, headers: Mapping[str, str]) -> HTTPResponse:
        line: HTTPConnection | None = getattr(self._local, "line", None)
        if line is None:
            line = self._local.line = HTTPConnection(self.host, self.port, timeout=self._seconds)
            self._lines.add(line)
        line.request(method, path, data, dict(headers))
        return line.getresponse()

    def _forget(self) -> None:
        line: HTTPConnection | None = getattr(self._local, "line", None)
        if line is not None:
            self._lines.discard(line)
            line.close()
        self._local.line = None


def new_key() -> str:
    return secrets.token_urlsafe(16)
