"""`?wait=`: an answer that waits, for some seconds, until a message has gone its way.

It waits after the route is done: its transaction is over, and no connection is held. One task for the process looks at
all the messages that somebody waits for, with one query each time.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import Query
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.idempotency import REPLAYED, IdempotentRoute
from api.messages import queries
from api.messages.outlook import OF_NOW
from api.messages.views import read_made
from shared.db import reading
from shared.domain.message import FINAL, OPEN, Status

log = logging.getLogger(__name__)

LONGEST_SECONDS: Final = 10
LOOK_SECONDS: Final = 0.1
OUTAGE_SECONDS: Final = 1.0
# Beyond that, whoever asks is answered at once: the status is as true, only earlier.
MOST_WAITING: Final = 1_000

Goal = Literal["submitted", "final"]
Wait = Annotated[
    float, Query(ge=0, le=LONGEST_SECONDS, description="Answer once the message got so far, or after so many seconds.")
]
WaitFor = Annotated[
    Goal,
    Query(
        description="How far: `submitted` is a gateway's answer, whatever it is; `final` is `delivered`, "
        "`undelivered`, `failed`, `expired`, `skipped` or `cancelled`."
    ),
]


@dataclass(frozen=True, slots=True)
class Awaited:
    """What a request waits for, and how its answer is then read anew."""

    message_id: UUID
    goal: Goal
    seconds: float
    watch: "Watch"
    read: Callable[[AsyncConnection], Awaitable[bytes]]


class Watch:
    """Looks at all the messages that somebody waits for, for as long as somebody does."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self._waiting: dict[UUID, list[tuple[Goal, asyncio.Future[None]]]] = {}
        self._count = 0
        self._looking: asyncio.Task[None] | None = None

    async def wait(self, message_id: UUID, goal: Goal, *, seconds: float) -> bool:
        """Until the message got so far, or the time is over; False, and at once, where too many wait already."""
        if self._count >= MOST_WAITING:
            return False
        future = asyncio.get_running_loop().create_future()
        entry = (goal, future)
        self._waiting.setdefault(message_id, []).append(entry)
        self._count += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_while_waited_for())
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await future
        finally:
            self._count -= 1
            self._forget(message_id, entry)
        return True

    def _forget(self, message_id: UUID, entry: tuple[Goal, asyncio.Future[None]]) -> None:
        left = [one for one in self._waiting.get(message_id, ()) if one is not entry]
        if left:
            self._waiting[message_id] = left
        else:
            self._waiting.pop(message_id, None)

    async def _look_while_waited_for(self) -> None:
        while self._waiting:
            try:
                async with reading(self.engine) as tx:
                    rows = await queries.list_statuses(tx, list(self._waiting))
            except Exception as error:  # noqa: BLE001 - whoever waits is answered when the time is over
                log.warning("nobody can be waited for", extra={"cause": type(error).__name__})
                await asyncio.sleep(OUTAGE_SECONDS)
                continue
            for row in rows:
                for goal, future in self._waiting.get(row.id, ()):
                    if is_reached(row.status, goal) and not future.done():
                        future.set_result(None)
            await asyncio.sleep(LOOK_SECONDS)


def is_reached(status: Status, goal: Goal) -> bool:
    return status in FINAL if goal == "final" else status not in OPEN


class _Waiting(Response):
    """Another answer, sent when what it waits for has come, with what is true by then."""

    def __init__(self, answer: Response, awaited: Awaited) -> None:
        super().__init__(answer.body, status_code=answer.status_code, background=answer.background)
        self.raw_headers = answer.raw_headers
        self._awaited = awaited

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        awaited = self._awaited
        # Also when it did not get so far in time: it may have got somewhere.
        if await awaited.watch.wait(awaited.message_id, awaited.goal, seconds=awaited.seconds):
            try:
                async with reading(awaited.watch.engine) as tx:
                    self.body = await awaited.read(tx)
                self.headers["content-length"] = str(len(self.body))
            except Exception as error:  # noqa: BLE001 - the answer as it was is as true, only older
                log.warning("an answer was not renewed", extra={"cause": type(error).__name__})
        await super().__call__(scope, receive, send)


class WaitingRoute(IdempotentRoute):
    """A route whose answer may wait: it says so in `request.state.awaited`.

    Where an answer is repeated the route itself is not asked; it waits again all the same, for who asks for that.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        takes_wait = any(field.alias == "wait" for field in self.dependant.query_params)

        async def answer(request: Request) -> Response:
            response = await handle(request)
            awaited: Awaited | None = getattr(request.state, "awaited", None)
            if awaited is None and takes_wait and response.headers.get(REPLAYED):
                awaited = _awaited_again(request, response)
            return response if awaited is None else _Waiting(response, awaited)

        return answer


class _Patience(BaseModel):
    """What the route would have read from the query."""

    wait: Wait = 0
    wait_for: WaitFor = "submitted"


def _awaited_again(request: Request, answer: Response) -> Awaited | None:
    """What is waited for, by an answer that was given before; None where nobody asks for that."""
    try:
        patience = _Patience.model_validate(dict(request.query_params))
    except ValidationError as refused:
        errors = [{**error, "loc": ("query", *error["loc"])} for error in refused.errors()]
        raise RequestValidationError(errors) from None
    if not patience.wait:
        return None
    told = json.loads(bytes(answer.body))
    warnings = [one for one in told["warnings"] if one not in OF_NOW]  # which is found out anew
    message_id, caller, state = UUID(told["id"]), request.state.caller, request.app.state
    return Awaited(
        message_id,
        patience.wait_for,
        patience.wait,
        state.watch,
        lambda tx: read_made(tx, message_id, caller, state.resources, warnings),
    )
