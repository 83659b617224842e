"""What every new message begins with, whoever makes it."""

from datetime import datetime
from typing import Any

from shared.domain import policy as rules
from shared.domain.message import PRIORITY_OF, Kind, Status
from shared.domain.policy import Policy
from shared.domain.segments import measure
from shared.errors import Invalid
from shared.ids import uuid7


class TextTooManySegments(Invalid):
    """The text is longer than one message may be, in segments or in characters."""


class UnknownSender(Invalid):
    """No gateway has this sender."""


def fresh(kind: Kind, caller: str, now: datetime) -> dict[str, Any]:
    """The columns of a message that nobody has seen yet."""
    return {
        "id": uuid7(now),
        "kind": kind,
        "status": Status.QUEUED,
        "priority": PRIORITY_OF[kind],
        "created_by": caller,
        "created_at": now,
        "status_at": now,
    }


def measured(text: str, policy: Policy, *, pointer: str = "/text") -> dict[str, Any]:
    """A text as it is stored, with what it takes on the air."""
    if not text.strip():
        raise Invalid("The text is empty; write what to send.", pointer=pointer)
    found = measure(text)
    if told := rules.find_too_long(policy, characters=found.characters, segments=found.segments):
        raise TextTooManySegments(told, pointer=pointer)
    return {"text": text, "encoding": found.encoding.value, "segments": found.segments}
