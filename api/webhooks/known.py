"""Answers that wait until every dispatcher knows who wants to be told, so that nothing after them is missed.

Dispatchers keep what webhooks want in memory, and say in the transaction in which they read it that they live
(`keep_book`). Whoever is alive and has read nothing since is waited for: half a second, as a rule.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any, Final

from fastapi import Depends, Request, Response
from starlette.types import Receive, Scope, Send

from api.idempotency import IdempotentRoute
from api.resources import Resources
from api.webhooks import queries
from shared.db import reading

PATIENCE_SECONDS: Final = 3.0
LOOK_SECONDS: Final = 0.05

log = logging.getLogger(__name__)


async def _mark(request: Request) -> None:
    request.state.is_news = True


# What a route depends on whose answer has to wait.
NEWS: Final = Depends(_mark)


class _Waiting(Response):
    """The same answer, which waits: it is sent when the route's transaction is over."""

    def __init__(self, answer: Response, resources: Resources) -> None:
        super().__init__(answer.body, status_code=answer.status_code, background=answer.background)
        self.raw_headers = answer.raw_headers
        self._resources = resources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _until_known(self._resources)
        await super().__call__(scope, receive, send)


class KnownRoute(IdempotentRoute):
    """A route whose answer may wait for the dispatchers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            response = await handle(request)
            is_news = getattr(request.state, "is_news", False)
            return _Waiting(response, request.app.state.resources) if is_news else response

        return answer


async def _until_known(resources: Resources) -> None:
    """What was done is done: an answer that comes too early, or a database that is away, costs events and no more."""
    give_up = monotonic() + PATIENCE_SECONDS
    try:
        async with reading(resources.engine) as tx:
            since = await queries.read_moment(tx)
        while monotonic() < give_up:
            async with reading(resources.engine) as tx:
                if not await queries.has_unaware_dispatchers(tx, since=since):
                    return
            await asyncio.sleep(LOOK_SECONDS)
        log.warning("a dispatcher has not heard of a webhook yet")
    except Exception as error:  # noqa: BLE001 - the answer is as true without
        log.warning("a webhook's answer did not wait", extra={"cause": type(error).__name__})
