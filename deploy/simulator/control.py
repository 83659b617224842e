"""The routes that turn the simulator itself: dials, inbound messages, counts. Never faulty."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from deploy.simulator import dials
from deploy.simulator import ledger as book
from deploy.simulator.checks import BadDial, Check, between, choice, flag, text, url, whole
from deploy.simulator.client import Heard
from deploy.simulator.connection import Connection, encoded
from deploy.simulator.contract import Dialect, Post, Reply, Request
from deploy.simulator.dials import Dials
from deploy.simulator.gateway import Gateway
from deploy.simulator.messages import Arrival

_INBOUND: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "from": text,
        "to": text,
        "text": text,
        "url": url,
        "opt_out_type": choice("STOP", "START", "HELP"),
        "dialect": text,
        "sid": text,
        "forged": flag,
        "copies": whole(1, 1000),
    }
)


class Control:
    """Answers `/control/...` for one gateway."""

    def __init__(self, gateway: Gateway, *, first: Dials) -> None:
        self._gateway = gateway
        self._first = first
        self._tasks: set[asyncio.Task[None]] = set()
        self._routes: Mapping[tuple[bytes, bytes], Callable[[Any], Awaitable[Reply]]] = {
            (b"GET", b"/control/dials"): self._dials,
            (b"PUT", b"/control/dials"): self._turn,
            (b"DELETE", b"/control/dials"): self._reset,
            (b"POST", b"/control/inbound"): self._inbound,
            (b"POST", b"/control/quiesce"): self._quiesce,
            (b"POST", b"/control/stop_listening"): self._stop_listening,
            (b"GET", b"/control/ledger/stats"): self._stats,
        }

    def handle(self, connection: Connection, request: Request) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(connection, request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, connection: Connection, request: Request) -> None:
        connection.answer(encoded(await self._reply(request), keep_alive=request.keep_alive))

    async def _reply(self, request: Request) -> Reply:
        route = self._routes.get((request.method, request.path))
        if route is None:
            known = ", ".join(f"{method.decode()} {path.decode()}" for method, path in self._routes)
            return _problem(404, "path", f"is no control route; there are {known}")
        try:
            return await route(json.loads(request.body) if request.body else {})
        except BadDial as bad:
            return _problem(422, bad.name, bad.reason)
        except ValueError:
            return _problem(422, "body", "must be JSON")

    async def _dials(self, _: Any) -> Reply:
        return Reply(200, dials.as_json(self._gateway.world.dials))

    async def _turn(self, wanted: Any) -> Reply:
        return await self._turned(dials.turned(self._gateway.world.dials, wanted))

    async def _reset(self, _: Any) -> Reply:
        return await self._turned(self._first)

    async def _turned(self, found: Dials) -> Reply:
        self._gateway.turn(found)
        await self._gateway.listener.settled()
        return Reply(200, dials.as_json(found))

    async def _stats(self, _: Any) -> Reply:
        return Reply(200, json.dumps(self._counts()).encode())

    def _counts(self) -> dict[str, object]:
        """What was counted is in the ledger by the time anybody reads the count."""
        self._gateway.ledger.flush()
        busy = sum(line.busy is not None for line in self._gateway.listener.connections)
        return self._gateway.stats.as_json() | {"in_flight": busy}

    async def _stop_listening(self, wanted: Any) -> Reply:
        seconds = between(0, 3600)("seconds", _field(wanted, "seconds", 2))
        assert isinstance(seconds, float)
        self._gateway.listener.close_for(seconds)
        return Reply(200, json.dumps({"seconds": seconds}).encode())

    async def _quiesce(self, wanted: Any) -> Reply:
        seconds = between(0, 3600)("timeout", _field(wanted, "timeout", 30))
        assert isinstance(seconds, float)
        quiet = await self._gateway.receipts.settled(seconds)
        return Reply(200, json.dumps({"quiet": quiet} | self._counts()).encode())

    async def _inbound(self, wanted: Any) -> Reply:
        given = _checked(wanted)
        place = given.get("url") or self._gateway.world.dials.inbound_url
        if not place:
            raise BadDial("url", "is needed, here or as the dial inbound_url")
        dialect = self._dialect(given.get("dialect", "twilio"))
        arrival = Arrival(
            sid=given.get("sid") or self._gateway.new_sid(dialect),
            sender=given["from"],
            to=given["to"],
            text=given["text"],
            opt_out_type=given.get("opt_out_type"),
        )
        self._gateway.world.archive.hear(arrival)
        post = dialect.inbound(self._gateway.world, arrival, url=place, forged=given.get("forged", False))
        answers = await asyncio.gather(*(self._heard(post) for _ in range(given.get("copies", 1))))
        self._note(arrival, answers)
        told = [
            {"status": heard.status, "detail": heard.detail, "body": heard.body.decode("latin-1")} for heard in answers
        ]
        return Reply(200, json.dumps({"sid": arrival.sid, "answers": told, **told[0]}).encode())

    def _dialect(self, name: str) -> Dialect:
        dialects = {dialect.NAME: dialect for dialect in self._gateway.dialects.values()}
        found = dialects.get(name)
        if found is None:
            raise BadDial("dialect", f"must be one of {', '.join(dialects)}")
        return found

    async def _heard(self, post: Post) -> Heard:
        heard: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        self._gateway.client.post(post, heard.set_result)
        return await heard

    def _note(self, arrival: Arrival, answers: Sequence[Heard]) -> None:
        for heard in answers:
            self._gateway.ledger.note(
                book.INBOUND,
                at=time.time(),
                sid=arrival.sid,
                to=arrival.to,
                result="sent" if 200 <= heard.status < 400 else "lost",
                reason=heard.detail or f"HTTP {heard.status}",
            )


def _field(wanted: Any, name: str, default: object) -> object:
    if not isinstance(wanted, dict):
        raise BadDial("body", "must be a JSON object")
    return wanted.get(name, default)


def _checked(wanted: Any) -> dict[str, Any]:
    if not isinstance(wanted, dict):
        raise BadDial("body", "must be a JSON object")
    for name in wanted:
        if name not in _INBOUND:
            raise BadDial(name, f"is nothing an inbound message has; it has {', '.join(_INBOUND)}")
    for name in ("from", "to", "text"):
        if name not in wanted:
            raise BadDial(name, "is needed")
    return {name: _INBOUND[name](name, value) for name, value in wanted.items()}


def _problem(status: int, name: str, reason: str) -> Reply:
    problem = {"status": status, "name": name, "detail": f"{name} {reason}"}
    return Reply(status, json.dumps(problem).encode(), b"application/problem+json")
