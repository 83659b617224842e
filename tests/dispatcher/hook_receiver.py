"""An owner's system on loopback: takes events, checks them with the reference library, and fails as told."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from sqlalchemy import insert
from standardwebhooks.webhooks import Webhook

from dispatcher.beside.webhooks import Courier, fan_out
from dispatcher.worker import Worker, keep_book
from shared import models
from shared.ids import uuid7
from shared.sealing import place_of_webhook
from tests.dispatcher.hostile_server import Exchange, HostileServer

SECRET: Final = bytes(range(32))


@dataclass(frozen=True, slots=True)
class Got:
    """One request that was verified."""

    id: str
    body: bytes
    headers: dict[str, str]

    @property
    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.body)
        return told

    @property
    def type(self) -> str:
        return str(self.told["type"])


@dataclass(eq=False)
class Receiver:
    """`async with receiver.server:`; `status_of` decides each answer, by default 204."""

    secret: str
    status_of: Callable[[Got], int] = lambda _: 204
    got: list[Got] = field(default_factory=list)
    taken: list[Got] = field(default_factory=list)
    server: HostileServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = HostileServer(self._answer)

    async def _answer(self, exchange: Exchange) -> None:
        head, _, body = exchange.request.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        Webhook(self.secret).verify(body, headers)
        got = Got(headers["webhook-id"], body, headers)
        self.got.append(got)
        status = self.status_of(got)
        if status < 300:
            self.taken.append(got)
        await exchange.say(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())

    def types_by_subject(self) -> dict[str, list[str]]:
        """What was taken of each subject, in the order in which it came."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for one in self.taken:
            found[one.told["data"]["id"]].append(one.type)
        return dict(found)

    def doubled(self) -> list[str]:
        """Events that were taken more than once."""
        return [id_ for id_, count in Counter(one.id for one in self.taken).items() if count > 1]


async def make_webhook(worker: Worker, url: str, *events: str, **over: Any) -> UUID:
    """One that signs with SECRET, and that this dispatcher knows of."""
    webhook_id = uuid7()
    row = {
        "id": webhook_id,
        "url": url,
        "events": list(events or ("*",)),
        "secret_sealed": worker.sealer.seal(SECRET, place=place_of_webhook(webhook_id)),
        "created_at": worker.now(),
        "updated_at": worker.now(),
    }
    async with worker.transaction() as tx:
        await tx.execute(insert(models.Webhook).values(row | over))
    await keep_book(worker)
    return webhook_id


async def carry(courier: Courier) -> int:
    """Until nothing is due; how often a receiver was served."""
    served = 0
    while await fan_out(courier.worker):
        pass
    while count := await courier.look():
        served += count
        await courier.drain()
    return served
