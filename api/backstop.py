"""Answers what nobody below has answered: a fault that nobody foresaw, and a body that the framework found too large.

Outside of it are only the front door and, for pages of another origin, the headers by which a browser shows them an
answer: they see these refusals as well.
"""

from typing import Final

from fastapi.routing import iter_route_contexts
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.handlers import respond, respond_to_the_unforeseen
from api.problems import MEDIA_TYPE, ContentTooLarge

_TOO_LARGE: Final = 413


class Backstop:
    """Lets nothing rise above itself, but from an answer that is half told already."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._limits: dict[object, int | None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id: str = scope["state"]["request_id"]
        begun = replaced = False

        async def pass_on(message: Message) -> None:
            nonlocal begun, replaced
            if message["type"] == "http.response.start":
                begun = True
                if message["status"] == _TOO_LARGE and _is_plain(message):
                    # The framework's body limit answers in plain words, below the reach of our handlers.
                    replaced = True
                    await respond(self._refusal(scope), request_id=request_id)(scope, receive, send)
            if not replaced:
                await send(message)

        try:
            await self._app(scope, receive, pass_on)
        except Exception as error:
            answer = respond_to_the_unforeseen(error, request_id=request_id)
            if begun:
                raise  # let the server hang up, so that the client notices
            await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> ContentTooLarge:
        if self._limits is None:
            contexts = iter_route_contexts(scope["app"].routes)
            self._limits = {context.endpoint: getattr(context, "max_body_size", None) for context in contexts}
        limit = self._limits.get(scope.get("endpoint"))
        takes = f"the {limit:,} bytes that this path takes" if limit else "this path takes"
        return ContentTooLarge(f"The body is larger than {takes}; send it in parts.")


def _is_plain(message: Message) -> bool:
    return (b"content-type", MEDIA_TYPE.encode()) not in message["headers"]
