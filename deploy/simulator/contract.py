"""What a dialect and the simulated gateway say to each other.

A dialect is one file of functions in `dialects/`: it reads requests into `Send`s, words the
answers, and writes receipts and inbound messages. It keeps nothing and does no I/O.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, Protocol

from deploy.simulator.dials import Dials
from deploy.simulator.messages import Account, Archive, Arrival, Message, Send

JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"


class Request:
    """One HTTP request, read to its end. A plain class: thousands are made each second."""

    __slots__ = ("body", "headers", "keep_alive", "method", "path", "query")

    def __init__(self, method: bytes, target: bytes, headers: Mapping[bytes, bytes]) -> None:
        self.method = method
        self.path, _, self.query = target.partition(b"?")
        self.headers = headers
        self.body = b""
        self.keep_alive = True


class Reply(NamedTuple):
    """One HTTP answer. `refused` names a refusal for the ledger and the counts."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    refused: str | None = None


@dataclass(slots=True)
class World:
    """What a dialect may look at. `dials` is replaced when they are turned.

    `taken` messages and the segments `spent` on them are counted since the balance or the price was set.
    """

    account: Account
    archive: Archive
    dials: Dials
    taken: int = 0
    spent: int = 0

    @property
    def left(self) -> Decimal:
        """The balance, less the price of every message that was taken."""
        return Decimal(self.dials.balance) - Decimal(self.dials.price) * self.taken


class Submission(NamedTuple):
    """A readable request to take messages: one, or a batch.

    `turned_away` are those of a batch that are refused by themselves, with the reason; `answer` words the answer where
    that takes more than the messages taken. `known_by` is an id under which the gateway takes nothing twice; what comes
    under it again is answered with `again`, or as it was the first time.
    """

    sends: Sequence[Send]
    turned_away: Sequence[tuple[Send, str]] = ()
    answer: Callable[[World, Sequence[Message]], Reply] | None = None
    known_by: str | None = None
    again: Reply | None = None


class Ask(NamedTuple):
    """Anything else, answered by the dialect itself: look-ups, balances, its own refusals."""

    operation: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class Post:
    """A request the gateway makes itself: a receipt or an inbound message."""

    url: str
    body: bytes
    content_type: bytes = FORM
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"  # a GET has no body
    largest: int = 64 * 1024  # of the answer; what is beyond is not kept


class Dialect(Protocol):
    """How one kind of gateway speaks; modules in `dialects/` satisfy it with functions, tables as a `Shape`."""

    @property
    def NAME(self) -> str: ...  # noqa: N802 - a module's constant

    @property
    def PREFIX(self) -> bytes:  # noqa: N802 - as above
        """The first segment of every path."""

    def new_sid(self, run: str, number: int) -> str:
        """An id; `run` is 16 hex digits that no other process of the simulator has."""

    def read(self, world: World, request: Request, *, now: float) -> Submission | Ask: ...

    def accepted(self, world: World, messages: Sequence[Message]) -> Reply: ...

    def refused(self, status: int, code: int | None) -> Reply:
        """The dialect's words for a refusal, or for a failure of its own."""

    def receipt(self, world: World, message: Message, *, status: str, forged: bool) -> Post: ...

    def inbound(self, world: World, arrival: Arrival, *, url: str, forged: bool) -> Post: ...
