"""Secrets that stand out, the forms in which they could turn up, and a gateway that repeats whatever it is told."""

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import TracebackType
from typing import Any, ClassVar, Self
from urllib.parse import quote, quote_plus

# Characters in them that every notation writes in its own way.
_TAIL = "/+9c&41=7f"


def canary(name: str) -> str:
    return f"canary-{name}{_TAIL}"


def forms(secret: str) -> Iterator[str]:
    """As it is, and as JSON, HTML, URLs, hex and base64 write it, wherever in a longer text it stands."""
    yield secret
    written = json.dumps(secret)[1:-1]
    yield from (written, written.replace("/", "\\/"), html.escape(secret), html.escape(secret, quote=False))
    yield from (quote(secret, safe=""), quote(secret), quote_plus(secret), quote(quote(secret, safe=""), safe=""))
    yield secret.encode().hex()
    for encode in (b64encode, urlsafe_b64encode):
        for before in range(3):
            whole = encode(bytes(before) + secret.encode()).decode()
            yield whole[4 if before else 0 : (before + len(secret)) // 3 * 4 - 4]


def found(secrets: Mapping[str, str], text: str) -> set[str]:
    """The names of those secrets that stand in the text in some form."""
    return {name for name, secret in secrets.items() if any(form in text for form in forms(secret))}


def where(secrets: Mapping[str, str], text: str) -> list[str]:
    """What stands around the first place of each secret that is found."""
    places = []
    for name in sorted(found(secrets, text)):
        at = min(at for form in forms(secrets[name]) if (at := text.find(form)) >= 0)
        places.append(f"{name}: ...{text[max(0, at - 200) : at + 80]}")
    return places


class _Parrot(BaseHTTPRequestHandler):
    server: "_Server"

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length).decode("utf-8", "replace")
        heard = f"{self.requestline}\n{self.headers}\n{body}"
        self.server.heard.append(heard)
        status, more = self.server.mood
        said = {"said": heard, "message": heard, "error": heard, "status": "ERROR", **more}
        if "Authentication" in self.path:
            status, said = 200, {"token": self.server.token, "expiresInMinutes": 60}
        written = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(written)))
        self.send_header("X-You-Said", " ".join(str(self.headers).split()))
        self.end_headers()
        self.wfile.write(written)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names are http.server's

    def log_message(self, *_: object) -> None:
        """Nothing: what it hears is kept."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    heard: ClassVar[list[str]]
    mood: tuple[int, Mapping[str, Any]]
    token: str


@dataclass
class Parrot:
    """An HTTP server that quotes each request in its answer: line, headers and body, in a field and in a header."""

    token: str
    _server: _Server = field(init=False)

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Parrot)
        self._server.heard = []  # type: ignore[misc]  # one for each server
        self._server.token = self.token
        self.feel(200)
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del kind, error, trace
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def heard(self) -> str:
        return "\n".join(self._server.heard)

    def feel(self, status: int, more: Mapping[str, Any] | None = None) -> None:
        """How it answers from now on."""
        self._server.mood = status, more or {}
