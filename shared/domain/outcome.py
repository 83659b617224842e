"""What a hand-over to a gateway came to. Every answer, and every silence, has one of these.

The line that matters runs between what certainly did not arrive and everything else: only the former may be
handed over again.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Fault(StrEnum):
    """Whose fault a refusal is, which says what may be done about it."""

    MESSAGE = "message"  # any gateway would refuse it: final
    OPTED_OUT = "opted_out"  # the recipient said no: final, and joins our opt-outs
    ACCOUNT = "account"  # this gateway refuses all of ours: withdraw it, next one
    GATEWAY = "gateway"  # this gateway will not take this message: next one
    THROTTLED = "throttled"  # not now: later


@dataclass(frozen=True, slots=True)
class Accepted:
    """The gateway took it. `reference` is its own id; `segments` what it says it will charge."""

    reference: str | None = None
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The gateway said no, and therefore has not sent it. `retry_after` is in seconds."""

    fault: Fault
    code: str
    detail: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer that says what became of it. `cause` is a short slug: `refused_connection`, `read_timeout`, ...

    `blameless`: the gateway did its work and accounted for it, only not message by message. Nothing is wrong with it.
    """

    may_have_arrived: bool
    cause: str
    blameless: bool = False
    # Of an answer that began, and whose body could not be read. A gateway's says nothing without it.
    status: int | None = field(default=None, compare=False)


Outcome = Accepted | Refused | Lost


class OutcomeName(StrEnum):
    """How an outcome is written down and counted."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    LOST = "lost"  # may have arrived
    NOT_SENT = "not_sent"  # certainly did not


def name_of(outcome: Outcome) -> OutcomeName:
    match outcome:
        case Accepted():
            return OutcomeName.ACCEPTED
        case Refused():
            return OutcomeName.REFUSED
        case Lost(may_have_arrived=True):
            return OutcomeName.LOST
        case Lost():
            return OutcomeName.NOT_SENT


def is_certain_no(outcome: Outcome) -> bool:
    """Whether the message certainly did not reach the gateway's queue, so that it may be handed over again."""
    match outcome:
        case Refused():
            return True
        case Lost(may_have_arrived=may):
            return not may
        case Accepted():
            return False
