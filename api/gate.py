"""How large the head of a request may be, and how slowly its body may come. Who dawdles is answered and hung up on.

How long a body may be is counted where it is read (`api/limits.py`). A head that never ends is the proxy's to cut off:
no application sees a request before its head is whole.
"""

import asyncio
from time import monotonic
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.handlers import respond
from api.problems import HeadersTooLarge, RequestTimeout
from shared.errors import ServiceError

LARGEST_HEAD: Final = 16 << 10
MOST_HEADERS: Final = 100
LONGEST_TARGET: Final = 8 << 10
# A body may take so long, and longer the more of it is there: a drip a second is no upload.
BODY_SECONDS: Final = 30.0
BYTES_A_SECOND: Final = 4 << 10


class Gate:
    """Before anything looks at the request, but for a browser's question whether a page may: that has one answer."""

    def __init__(self, app: ASGIApp, *, body_seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = _refusal_of_head(scope)
        if refusal is not None:
            await _refuse(refusal, scope, receive, send)
            return
        body = _Body(scope, receive, send, seconds=self._body_seconds)
        await self._app(scope, body.receive, body.send)


class _Body:
    """A request's body on its way in, with an eye on the clock; once it came too late nothing else is told."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, seconds: float) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._ends = monotonic() + seconds
        self._whole = False
        self._late = False

    async def receive(self) -> Message:
        if self._whole:
            return await self._receive()  # what comes now is the client's leaving, which may take as long as it likes
        try:
            async with asyncio.timeout(self._ends - monotonic()):
                message = await self._receive()
        except TimeoutError:
            self._late = True
            refusal = RequestTimeout(
                "The body stopped on its way here, or came in drips. Send the request again; with an Idempotency-Key "
                "nothing can happen twice."
            )
            await _refuse(refusal, self._scope, self._receive, self._send)
            return {"type": "http.disconnect"}
        self._ends += len(message.get("body", b"")) / BYTES_A_SECOND
        self._whole = not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if not self._late:
            await self._send(message)


def _refusal_of_head(scope: Scope) -> ServiceError | None:
    headers = scope["headers"]
    target = len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"])
    if target > LONGEST_TARGET:
        return HeadersTooLarge(f"The address of the request is longer than {LONGEST_TARGET:,} bytes; shorten it.")
    if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > LARGEST_HEAD:
        return HeadersTooLarge(
            f"The headers are more than {MOST_HEADERS} or larger than {LARGEST_HEAD:,} bytes; leave out what is not "
            "needed, such as cookies."
        )
    return None


async def _refuse(refusal: ServiceError, scope: Scope, receive: Receive, send: Send) -> None:
    answer = respond(refusal, request_id=scope["state"].get("request_id"), headers={"Connection": "close"})
    await answer(scope, receive, send)
