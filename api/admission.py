"""Routes that ask for the key before anything else: before the body is read, and before an earlier answer is repeated.

The framework reads a body, and runs what stands in `dependencies`, ahead of the guard that a route names in its
signature. Here the guard is found in that signature and asked first, so that no route has to remember it.
"""

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import params
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from api.bodies import JsonRequest
from api.deps import SCOPE_OF, admit, time_of
from api.security import Scope, require
from shared.errors import Invalid


class GuardedRoute(APIRoute):
    """Who may not call it is told so, whatever else the request holds."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        info = None if self.body_field is None else self.body_field.field_info
        reads_json = info is not None and not isinstance(info, params.Form)
        may_lack_body = info is not None and not info.is_required()

        async def answer(request: Request) -> Response:
            await self.check_caller(request)
            asked = JsonRequest(request.scope, request.receive) if reads_json else request
            if may_lack_body:
                await _check_body(asked)
            return await handle(asked)

        return answer

    async def check_caller(self, request: Request) -> None:
        """Raise for a key that is of no use here, has too little scope, or asks too often; without one, too."""
        caller = await admit(request, now=await time_of(request))
        for scope in scopes_of(self.dependant):
            require(caller, scope)


async def _check_body(request: Request) -> None:
    """A body that may be left out is an object or is not there. The framework takes null for the latter."""
    if (await request.body()).strip() == b"null":
        raise Invalid("The body is null; leave it out, or send an object such as {}.", pointer="")


def scopes_of(dependant: Dependant) -> Iterator[Scope | None]:
    """What the guards among all that a route depends on ask of a key; nothing for a route that has none."""
    for each in dependant.dependencies:
        if each.call in SCOPE_OF:
            yield SCOPE_OF[each.call]
        yield from scopes_of(each)
