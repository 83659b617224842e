"""A client that sends personal messages all the while, one after the other, and keeps what was acknowledged."""

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from proof.client import Client
from proof.numbers import fictional
from proof.promises import Promises


@dataclass(frozen=True, slots=True)
class Sent:
    """One acknowledged message; times are Unix seconds."""

    id: str
    asked_at: float
    acknowledged_at: float


class Chatter:
    """Talks in a thread of its own between `with`; whatever it could not get acknowledged is in `failures`."""

    def __init__(
        self, api: Client, promises: Promises, *, per_second: float, name: str = "chatter", most: int = 100_000
    ) -> None:
        self.sent: list[Sent] = []
        self.failures: list[Exception] = []
        self._api = api
        self._promises = promises
        self._pause = 1 / per_second
        self._name = name
        self._most = most
        self._numbers = fictional(500, skip=40_000)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._talk, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(90.0)

    def _talk(self) -> None:
        number = 0
        while number < self._most and not self._stop.wait(self._pause):
            msisdn = self._numbers[number % len(self._numbers)]
            number += 1
            asked_at = time.time()
            try:
                id_ = self._promises.send(self._api, msisdn, f"{self._name} {number}")
            except Exception as failure:  # noqa: BLE001 - told to whoever judges
                self.failures.append(failure)
            else:
                self.sent.append(Sent(id_, asked_at, time.time()))
