"""Taking in a file: the key first, and only then the body.

The framework alone reads a form of any allowed size before it looks at the key: anybody could fill the disk.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from api.deps import recognise
from api.idempotency import IdempotentRoute
from api.security import require
from shared.clock import utc_now


class UploadRoute(IdempotentRoute):
    """A POST whose body is not read for a caller who may not send it. A slow one holds no database connection."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            require(await recognise(request, now=utc_now()), "manage")
            return await handle(request)

        return answer
