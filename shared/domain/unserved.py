"""Single messages that are due and that no enabled gateway takes: why, and what an operator is told. Pure.

A gateway that fails or rests comes back by itself and is no reason; one that is withdrawn or empty needs its owner.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from shared.domain.notice import Kind, Notice
from shared.domain.routing import Route, serves

# All gateways together, as the subject of a notice.
GATEWAYS: Final = ("gateways", UUID("0197c0de-0000-7000-8000-00000000d0f3"))
# A gateway may be changed, or a dispatcher begin: what waits for a moment is no news.
PATIENCE_SECONDS: Final = 10.0
_MOST_NAMED: Final = 10


class Cause(StrEnum):
    """Why nobody takes them; later ones are worse."""

    NONE_SUITED = "none_suited"  # none of those enabled has their sender, or serves their location
    ALL_SHUT = "all_shut"  # those enabled are withdrawn or empty
    NONE_ENABLED = "none_enabled"


_WORSE: Final = tuple(Cause)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages of one sender and location that are due. `long`: at least one of them for longer than is usual."""

    sender_id: str | None
    location_id: str | None
    messages: int
    long: bool


@dataclass(frozen=True, slots=True)
class Unserved:
    """Those of them that nobody takes."""

    cause: Cause
    waiting: tuple[Waiting, ...]

    @property
    def is_news(self) -> bool:
        return any(one.long for one in self.waiting)

    def is_worse_than(self, told: Cause | None) -> bool:
        """Whether this is news to who was told of the other one; None was told of nothing."""
        return told is None or _WORSE.index(self.cause) > _WORSE.index(told)


def find_unserved(routes: Sequence[Route], waiting: Sequence[Waiting]) -> Unserved | None:
    """What of this no enabled gateway takes; None where each has one."""
    left = tuple(
        one
        for one in waiting
        if not any(serves(route, sender_id=one.sender_id, location_id=one.location_id) for route in routes)
    )
    if not left:
        return None
    if not routes:
        return Unserved(Cause.NONE_ENABLED, left)
    return Unserved(Cause.ALL_SHUT if all(route.shut for route in routes) else Cause.NONE_SUITED, left)


_TOLD: Final = {
    Cause.NONE_ENABLED: ("no gateway is enabled", "Enable one with POST /v1/gateways/{id}/enable."),
    Cause.ALL_SHUT: (
        "every enabled gateway is withdrawn or empty",
        "Mend what GET /v1/gateways says of their health, and enable or top up one.",
    ),
    Cause.NONE_SUITED: (
        "no enabled gateway has their sender or serves their location",
        "Enable one that does: GET /v1/sender-ids says which gateways have a sender, location_ids what each serves.",
    ),
}


def gateway_missing(unserved: Unserved) -> Notice:
    why, remedy = _TOLD[unserved.cause]
    messages = sum(one.messages for one in unserved.waiting)
    return Notice(
        Kind.GATEWAY_MISSING,
        GATEWAYS,
        "Messages wait, and no gateway takes them",
        f"{messages} passwords or other single messages are due, and {why}. They go out when one takes them, and "
        f"expire when their time is over. {remedy}",
        {
            "cause": unserved.cause.value,
            "messages": messages,
            "sender_ids": _named(one.sender_id for one in unserved.waiting),
            "location_ids": _named(one.location_id for one in unserved.waiting),
        },
    )


def gateway_found() -> Notice:
    return Notice(
        Kind.GATEWAY_FOUND,
        GATEWAYS,
        "Messages have a gateway again",
        "Whatever single messages are due have a gateway that takes them. Those whose time was over have expired.",
    )


def _named(words: Iterable[str | None]) -> list[str]:
    return sorted({word for word in words if word is not None})[:_MOST_NAMED]
