"""Visitors of splash pages: each asks for a code, reads it off the handset, types it, and keeps what was answered.

Some load the page again, some guess, some have the code sent again, some call it off.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, Self

from proof.client import Refused, Unanswered
from proof.evidence import read_entries
from proof.numbers import mobiles
from proof.password_laws import Visit, code_in
from proof.world import World

PROFILE: Final = "splash"
MAX_ATTEMPTS: Final = 4
MAX_SENDS: Final = 3
HANDSET_SECONDS: Final = 12.0
ANSWER_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.1
_FREE: Final = [{"count": 100_000, "seconds": 60}]
_LIMITS: Final = dict.fromkeys(("number", "prefix", "ip", "session", "profile", "deployment"), _FREE)
_TOO_MANY: Final = 429


def open_page(world: World) -> None:
    """A profile without limits that matter; its codes stay at home, where no country is ever stopped."""
    world.api.request("PUT", "/v1/otp/limits", _LIMITS | {"hour_segments": 1_000_000, "day_segments": 1_000_000})
    page = {
        "name": PROFILE,
        "text": "Code {{ code }}.",
        "ttl_seconds": 120,
        "max_attempts": MAX_ATTEMPTS,
        "max_sends": MAX_SENDS,
        "resend_waits": [10],
        "region": "US",
    }
    world.api.post("/v1/otp-profiles", page)


def begin(world: World, msisdn: str) -> Visit:
    """Ask for a password until there is an answer."""
    answer = world.api.insist("POST", "/v1/otp", _asked(msisdn), seconds=ANSWER_SECONDS)
    return Visit(str(answer["id"]), msisdn, sends=int(answer["sent"]))


class Handsets:
    """What the gateways' ledgers say that each handset shows, looked up at most ten times a second."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._seen: dict[str, str] = {}
        self._looked_at = 0.0

    def find_code(self, msisdn: str, *, seconds: float) -> str | None:
        give_up = time.monotonic() + seconds
        while True:
            with self._lock:
                if time.monotonic() > self._looked_at + PAUSE_SECONDS:
                    self._look()
                    self._looked_at = time.monotonic()
                found = self._seen.get(msisdn)
            if found is not None or time.monotonic() > give_up:
                return found
            time.sleep(PAUSE_SECONDS)

    def _look(self) -> None:
        for entry in read_entries(self._world):
            code = code_in(entry)
            if entry.to is not None and code is not None:
                self._seen[entry.to] = code


class Crowd:
    """So many visitors at a time between `with`; whoever could not get an answer is in `failures`."""

    def __init__(self, world: World, *, visitors: int, chance: random.Random, numbers: Iterator[str]) -> None:
        self.visits: list[Visit] = []
        self.unseen = 0  # codes that did not come in time
        self.failures: list[Exception] = []
        self._world = world
        self._handsets = Handsets(world)
        self._chance = chance
        self._numbers = numbers
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._come_and_go, daemon=True) for _ in range(visitors)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * ANSWER_SECONDS)

    def _come_and_go(self) -> None:
        manners: list[Callable[[Visit], None]] = [self._plain, self._plain, self._again, self._guess, self._cancel]
        while not self._stop.is_set():
            with self._lock:
                msisdn, manner = next(self._numbers), self._chance.choice(manners)
            try:
                visit = begin(self._world, msisdn)
                self.visits.append(visit)
                manner(visit)
            except Exception as failure:  # noqa: BLE001 - told to whoever judges
                self.failures.append(failure)
            time.sleep(PAUSE_SECONDS)

    def _plain(self, visit: Visit) -> None:
        """Loads the page twice, types a wrong code, then the right one, and that once more."""
        again = self._world.api.insist("POST", "/v1/otp", _asked(visit.msisdn), seconds=ANSWER_SECONDS)
        visit.reloaded.add(str(again["id"]))
        visit.sends += int(again["sent"])
        code = self._read(visit)
        if code is not None:
            self._type(visit, _other(code))
            self._enter(visit, code)
            self._enter(visit, code)

    def _again(self, visit: Visit) -> None:
        """Has it sent again, as often as may be, and types what came last."""
        for _ in range(MAX_SENDS - 1):
            # The wait of ten seconds is cut short; everything else is as it is.
            self._world.postgres.ask(
                f"UPDATE otps SET resend_at = now() - interval '1 s' WHERE id = '{visit.id}'", database="lapwing"
            )
            try:
                answer = self._world.api.insist("POST", f"/v1/otp/{visit.id}/resend", seconds=ANSWER_SECONDS)
            except Refused as refusal:
                if refusal.status != _TOO_MANY:
                    raise
            else:
                visit.sends += int(answer["sent"])
        code = self._read(visit)
        if code is not None:
            self._enter(visit, code)

    def _guess(self, visit: Visit) -> None:
        """More often than may be; then not even the right code helps."""
        code = self._read(visit)
        if code is not None:
            for _ in range(MAX_ATTEMPTS + 2):
                self._type(visit, _other(code))
            self._enter(visit, code)

    def _cancel(self, visit: Visit) -> None:
        self._world.api.insist("POST", f"/v1/otp/{visit.id}/cancel", seconds=ANSWER_SECONDS)
        visit.cancelled = True
        visit.ended_at = time.time()
        code = self._handsets.find_code(visit.msisdn, seconds=1.0)  # it may have left before
        if code is not None:
            self._enter(visit, code)

    def _read(self, visit: Visit) -> str | None:
        code = self._handsets.find_code(visit.msisdn, seconds=HANDSET_SECONDS)
        if code is None:
            self.unseen += 1
        return code

    def _type(self, visit: Visit, code: str) -> None:
        """A wrong code, once: where no answer comes, nobody knows whether it counted."""
        told = self._verify(visit, code)
        if told is not None:
            visit.guesses += not told
            visit.verified += told

    def _enter(self, visit: Visit, code: str) -> None:
        """The right code, until there is an answer."""
        give_up = time.monotonic() + ANSWER_SECONDS
        while (told := self._verify(visit, code)) is None:
            visit.doubtful += 1
            if time.monotonic() > give_up:
                raise Unanswered(f"{visit.id}: no answer to the right code")
            time.sleep(PAUSE_SECONDS)
        visit.verified += told
        visit.denied += not told
        if told:
            visit.ended_at = time.time()

    def _verify(self, visit: Visit, code: str) -> bool | None:
        """None where no answer came."""
        try:
            answer = self._world.api.post(f"/v1/otp/{visit.id}/verify", {"code": code, "session": visit.msisdn})
        except Unanswered:
            return None
        except Refused as refusal:
            if refusal.status < 500:
                raise
            return None
        return bool(answer["verified"])


def numbers() -> Iterator[str]:
    """Numbers of fiction that passwords may go to, each once."""
    return mobiles(region="US")


def _asked(msisdn: str) -> dict[str, Any]:
    return {"msisdn": msisdn, "profile": PROFILE, "session": msisdn}


def _other(code: str) -> str:
    """Not this code."""
    return f"{(int(code) + 1) % 10 ** len(code):0{len(code)}d}"
