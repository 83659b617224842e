"""Messages as the gateway holds them, and the archive that look-ups read.

The archive is bounded: the oldest messages leave it, as they leave no ledger.
"""

from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

STOP_WORDS = frozenset({"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"})
START_WORDS = frozenset({"start", "unstop", "yes"})


@dataclass(frozen=True, slots=True)
class Account:
    """The one account the gateway knows."""

    sid: str
    auth_token: str = field(repr=False)
    api_key: str
    api_secret: str = field(repr=False)


class Send(NamedTuple):
    """One message somebody asks us to take; `m` and `a` are the sender's own id and attempt.

    `batch` is the request's own id and `segments` what the message costs, where the dialect tells; `parts` how many
    receipts it has of its own kind, each under an id of its own.
    """

    to: str
    sender: str
    text: str
    service: str = ""
    callback_url: str = ""
    m: str | None = None
    a: str | None = None
    batch: int = 0
    segments: int = 0
    parts: int = 1
    media: tuple[str, ...] = ()


@dataclass(slots=True)
class Message:
    """A message whose life was decided when it was taken: its status is a look at the clock."""

    sid: str
    send: Send
    dialect: str
    created: float
    sent_at: float
    ended_at: float
    ends_as: str
    error_code: int | None = None

    @property
    def parts(self) -> "list[Message]":
        """The message as those see it who count its parts: the first under its own id, each other under one more."""
        return [self, *(replace(self, sid=f"{self.sid}-{number}") for number in range(2, self.send.parts + 1))]

    def status(self, now: float) -> str:
        if now >= self.ended_at:
            return self.ends_as
        if now >= self.sent_at and self.ends_as != "failed":
            return "sent"
        return "accepted" if self.send.service else "queued"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message from a handset."""

    sid: str
    sender: str
    to: str
    text: str
    opt_out_type: str | None = None


class Archive:
    """Accepted messages, the newest `keep` of them, and who wrote STOP to whom."""

    def __init__(self, *, keep: int) -> None:
        self._keep = keep
        self._all: dict[str, Message] = {}
        self._to: defaultdict[str, deque[Message]] = defaultdict(deque)
        self._opted_out: set[tuple[str, str]] = set()
        self._silent: set[str] = set()

    def add(self, message: Message) -> None:
        if self._keep == 0:
            return
        if len(self._all) >= self._keep:
            self._forget_oldest()
        # A sid that was handed out twice stays with its first message, as a look-up would find it.
        self._all.setdefault(message.sid, message)
        self._to[message.send.to].append(message)

    def find(self, sid: str) -> Message | None:
        return self._all.get(sid)

    def newest_first(self, to: str | None) -> Iterator[Message]:
        if to is not None:
            return reversed(self._to.get(to, deque()))
        return reversed(self._all.values())

    def hear(self, arrival: Arrival) -> None:
        """A STOP blocks the pair, a START frees it."""
        pair = (arrival.sender, arrival.to)
        word = arrival.text.strip().lower()
        if word in STOP_WORDS or arrival.opt_out_type == "STOP":
            self._opted_out.add(pair)
            self._silent.add(arrival.sender)
        elif word in START_WORDS or arrival.opt_out_type == "START":
            self._opted_out.discard(pair)
            self._silent.discard(arrival.sender)

    def is_opted_out(self, to: str, sender: str) -> bool:
        return (to, sender) in self._opted_out

    def wants_nothing(self, to: str) -> bool:
        """Whether the last of STOP and START from there was a STOP, whoever it was for."""
        return to in self._silent

    def _forget_oldest(self) -> None:
        oldest = self._all.pop(next(iter(self._all)))
        same_number = self._to[oldest.send.to]
        same_number.popleft()
        if not same_number:
            del self._to[oldest.send.to]
