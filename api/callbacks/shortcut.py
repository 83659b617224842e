"""The short way for callbacks: plain ASGI ahead of the framework, which would cost more than all that is done here.

Callbacks come twice as fast as messages leave. What this does not know (other paths, other methods) it passes on;
what it refuses, it refuses as the framework's handlers would.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from api.callbacks import routes
from api.callbacks.desk import Desk, desk_of
from api.callbacks.reception import Asked, take_inbound, take_status
from api.callbacks.turns import Turns
from api.handlers import respond
from api.problems import ContentTooLarge
from shared.adapter import Reply
from shared.errors import ServiceError

# Some gateways tell hundreds of receipts in one request. No stranger gets so far: the token comes first.
LARGEST_BODY: Final = 256 << 10
NO_CONTENT: Final = 204

Take = Callable[[Desk, Asked], Awaitable[Reply]]

_ADDRESS = re.compile(r"/callbacks/([^/]+)/([^/]+)/(status|inbound)")
# The function stands for the route in the log and the metrics.
_TAKERS: Final[Mapping[str, tuple[Take, object]]] = {
    "status": (take_status, routes.receive_status),
    "inbound": (take_inbound, routes.receive_inbound),
}


class _HungUp(Exception):
    pass


class Shortcut:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._turns = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        known = _ADDRESS.fullmatch(path) if path.startswith("/callbacks/") else None
        if known is None or scope["type"] != "http" or scope["method"] not in {"GET", "POST"}:
            await self._app(scope, receive, send)
            return
        await self._turns.take()
        gateway_id, token, what = known.groups()
        take, scope["endpoint"] = _TAKERS[what]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        asked = Asked(
            gateway_id=gateway_id,
            token=token,
            method=scope["method"],
            path=scope["raw_path"],
            query=scope["query_string"],
            headers=headers,
            read=lambda: _read(receive, announced=headers.get("content-length", "")),
        )
        try:
            reply = await take(desk_of(scope["app"]), asked)
        except ServiceError as error:
            refusal = respond(error, request_id=scope["state"].get("request_id"))
            await refusal(scope, receive, send)
        except _HungUp:
            return
        else:
            await _answer(reply, send)


async def _read(receive: Receive, *, announced: str) -> bytes:
    """The whole body, or none of it."""
    if announced.isdecimal() and int(announced[:12]) > LARGEST_BODY:
        raise _too_large()
    pieces, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise _HungUp
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > LARGEST_BODY:
            raise _too_large()
        pieces.append(piece)
        more = message.get("more_body", False)
    return b"".join(pieces)


def _too_large() -> ContentTooLarge:
    return ContentTooLarge(
        f"The body is larger than a callback's may be: {LARGEST_BODY} bytes. Have the vendor send fewer at once."
    )


async def _answer(reply: Reply, send: Send) -> None:
    headers = [] if reply.status == NO_CONTENT else [(b"content-length", str(len(reply.body)).encode())]
    if reply.media_type is not None and reply.status != NO_CONTENT:
        headers.append((b"content-type", reply.media_type.encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})
