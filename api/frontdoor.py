"""What every request passes, whatever it asks for: its id, its line in the log, its metrics, the headers of its answer.

Plain ASGI, so that streams pass through. The log names the route's template, never the path: a callback's path
holds its token.
"""

import logging
import re
import time
from dataclasses import dataclass, field
from typing import Final

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.ids import uuid7
from shared.metrics import HttpMetrics

log = logging.getLogger("lapwing.request")

UNMATCHED: Final = "unmatched"
_HUNG_UP: Final = 499  # the client left before it was answered
_SANE_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,100}")
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
# As they are sent: put together for every answer, and receipts come by the thousand a second.
_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_HSTS: Final = (b"strict-transport-security", b"max-age=31536000")
# Asked every few seconds by machines, or several times for every message: their lines would bury the others. What was
# refused is told all the same.
_QUIET: Final = frozenset({"/livez", "/readyz", "/metrics", "/callbacks/{gateway_id}/{token}/status"})
_REFUSED: Final = 400


@dataclass(slots=True)
class _Passage:
    """What is known of one request on its way through."""

    request_id: str
    began: float = field(default_factory=time.perf_counter)
    status: int = 0  # of the answer, once its head has left


class Frontdoor:
    """The outermost layer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._routes: dict[object, str] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passage = _Passage(_request_id(scope))
        scope.setdefault("state", {})["request_id"] = passage.request_id

        async def pass_on(message: Message) -> None:
            await self._pass_on(message, passage, scope, send)

        try:
            await self._app(scope, receive, pass_on)
        finally:
            self._write_down(scope, passage)

    async def _pass_on(self, message: Message, passage: _Passage, scope: Scope, send: Send) -> None:
        if message["type"] != "http.response.start":
            await send(message)
            return
        headers = list(message["headers"])
        passage.status = message["status"]
        own = {name for name, _ in headers}
        headers += [one for one in _HEADERS if one[0] not in own]
        if scope["app"].state.resources.public_url.startswith("https://"):
            headers.append(_HSTS)
        headers.append((b"x-request-id", passage.request_id.encode()))
        allowance = scope["state"].get("allowance")
        if allowance is not None:
            headers += [(name.lower().encode(), value.encode()) for name, value in allowance.headers.items()]
        await send({**message, "headers": headers})

    def _write_down(self, scope: Scope, passage: _Passage) -> None:
        seconds = time.perf_counter() - passage.began
        route = self._route(scope)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        status = passage.status or _HUNG_UP
        metrics: HttpMetrics = scope["app"].state.metrics
        metrics.requests.labels(route, method, str(status)).inc()
        metrics.seconds.labels(route).observe(seconds)
        caller = scope["state"].get("caller")
        log.log(
            logging.DEBUG if route in _QUIET and status < _REFUSED else logging.INFO,
            "request",
            extra={
                "method": method,
                "route": route,
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
                "request_id": passage.request_id,
                "key_id": caller.id if caller else None,
            },
        )

    def _route(self, scope: Scope) -> str:
        """The route's path without what a client put into it."""
        if self._routes is None:
            self._routes = _routes_of(scope["app"])
        return self._routes.get(scope.get("endpoint"), UNMATCHED)


def _routes_of(app: FastAPI) -> dict[object, str]:
    return {context.endpoint: context.path or UNMATCHED for context in iter_route_contexts(app.routes)}


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _SANE_ID.fullmatch(given) else str(uuid7())
