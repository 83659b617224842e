"""What a gateway may answer to a hand-over in Twilio's dialect, for scripting the far side of the door."""

import itertools
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import httpx
import respx

_numbers = itertools.count(1)


def taken(_request: httpx.Request | None = None) -> httpx.Response:
    """It took the message, and names it."""
    body = {"sid": f"SM{next(_numbers):032x}", "status": "queued", "num_segments": "1"}
    return httpx.Response(201, json=body)


def refused(code: int, *, status: int = 400, **headers: str) -> httpx.Response:
    body = {"code": code, "message": "No.", "status": status}
    return httpx.Response(status, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


MESSAGE = 21211  # not a valid number: any gateway would refuse it
OPTED_OUT = 21610
ACCOUNT = 20003  # authentication failed
GATEWAY = 21606  # this sender cannot be used here
THROTTLED = 20429


def at(router: respx.MockRouter, name: str = "first", answer: Any = taken) -> respx.Route:
    """The gateway of that name: answers with a response, or with what a function of the request gives or raises."""
    route = router.post(host=f"{name}.example.com", path__regex=r".*/Messages\.json")
    if isinstance(answer, httpx.Response):
        return route.mock(return_value=answer)
    return route.mock(side_effect=answer)


def asked(router: respx.MockRouter, name: str = "first") -> respx.Route:
    """Where the gateway of that name lists its messages."""
    return router.get(host=f"{name}.example.com", path__regex=r".*/Messages\.json")


def numbers_of(route: respx.Route) -> list[str]:
    """To whom it was asked to send, in order."""
    return [parse_qs(call.request.content.decode())["To"][0] for call in route.calls]


def in_turn(*answers: Any) -> Callable[[httpx.Request], httpx.Response]:
    """One answer after the other, the last one for ever."""
    left = list(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        found: httpx.Response = now(request) if callable(now) else now
        return found

    return answer
