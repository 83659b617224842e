"""The life of a campaign and of its messages' schedule, as law.

Owners' commands may be refused, with a sentence; what the dispatcher observes never is.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from shared.errors import Conflict


class Status(StrEnum):
    DRAFT = "draft"
    SCHEDULED = "scheduled"  # confirmed, waits for its first send_at
    RUNNING = "running"
    COMPLETED = "completed"  # no message of it is open
    STOPPED = "stopped"  # its owner called back what was not sent
    HELD = "held"  # needs its owner; held_reason says why
    ARCHIVED = "archived"


class StepStatus(StrEnum):
    """Of one campaign message."""

    PENDING = "pending"
    EXPANDING = "expanding"  # recipients are being turned into messages, and the first are on their way
    SENDING = "sending"  # every recipient has a message
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class HeldReason(StrEnum):
    LATE = "late"
    QUOTA = "quota"
    NO_GATEWAY = "no_gateway"
    ERROR_RATE = "error_rate"
    RESTORED = "restored"


MOVES: Final[Mapping[Status, frozenset[Status]]] = MappingProxyType(
    {
        Status.DRAFT: frozenset({Status.SCHEDULED, Status.RUNNING, Status.ARCHIVED}),
        Status.SCHEDULED: frozenset({Status.DRAFT, Status.RUNNING, Status.STOPPED, Status.HELD}),
        Status.RUNNING: frozenset({Status.COMPLETED, Status.STOPPED, Status.HELD}),
        Status.COMPLETED: frozenset({Status.ARCHIVED}),
        Status.STOPPED: frozenset({Status.SCHEDULED, Status.RUNNING, Status.ARCHIVED}),
        Status.HELD: frozenset({Status.SCHEDULED, Status.RUNNING, Status.STOPPED}),
        Status.ARCHIVED: frozenset(),
    }
)

STEP_MOVES: Final[Mapping[StepStatus, frozenset[StepStatus]]] = MappingProxyType(
    {
        StepStatus.PENDING: frozenset({StepStatus.EXPANDING, StepStatus.CANCELLED}),
        StepStatus.EXPANDING: frozenset({StepStatus.SENDING, StepStatus.CANCELLED}),
        StepStatus.SENDING: frozenset({StepStatus.COMPLETED, StepStatus.CANCELLED}),
        StepStatus.COMPLETED: frozenset(),
        StepStatus.CANCELLED: frozenset({StepStatus.PENDING}),
    }
)

EDITABLE: Final = frozenset({Status.DRAFT, Status.SCHEDULED})
ARCHIVABLE: Final = frozenset({Status.DRAFT, Status.STOPPED, Status.COMPLETED})
STOPPABLE: Final = frozenset({Status.SCHEDULED, Status.RUNNING, Status.HELD})


class CampaignNotStartable(Conflict):
    """The campaign has already started, ended, or has nobody to reach."""


class CampaignNotStoppable(Conflict):
    """The campaign is not under way, so there is nothing to stop."""


class CampaignNotScheduled(Conflict):
    """The campaign does not wait for its time, so there is nothing to unschedule."""


class CampaignNotArchivable(Conflict):
    """The campaign is still under way, or archived already."""


class CampaignNotEditable(Conflict):
    """The campaign has started; what it says and whom it reaches is settled."""


class CampaignNotDeletable(Conflict):
    """Only a draft can be deleted; anything else is a record of what was sent."""


class OptInNotAcknowledged(Conflict):
    """Nobody has said that the recipients agreed to be written to."""


def start(
    status: Status,
    *,
    has_recipients: bool,
    opt_in_acknowledged: bool,
    send_ats: Sequence[datetime | None],
    now: datetime,
) -> Status:
    """What a draft becomes when its owner lets it go: `running` if a message is due, else `scheduled`."""
    if status is not Status.DRAFT:
        raise CampaignNotStartable(f"The campaign is {status}; only a draft can be started.")
    if not send_ats:
        raise CampaignNotStartable("The campaign has no message; add one with a text under `messages`.")
    _check_consent(has_recipients=has_recipients, opt_in_acknowledged=opt_in_acknowledged, way_out="")
    due = any(send_at is None or send_at <= now for send_at in send_ats)
    return Status.RUNNING if due else Status.SCHEDULED


def check_still_startable(status: Status, *, has_recipients: bool, opt_in_acknowledged: bool) -> None:
    """A scheduled campaign runs by itself, so a change must not take away what it was started with."""
    if status is Status.SCHEDULED:
        _check_consent(
            has_recipients=has_recipients,
            opt_in_acknowledged=opt_in_acknowledged,
            way_out=", or unschedule the campaign first",
        )


def _check_consent(*, has_recipients: bool, opt_in_acknowledged: bool, way_out: str) -> None:
    if not has_recipients:
        raise CampaignNotStartable(
            "The campaign has no recipients; name target_group_ids, contact_ids or msisdns that hold somebody"
            f"{way_out}."
        )
    if not opt_in_acknowledged:
        raise OptInNotAcknowledged(
            f"Set opt_in_acknowledged to true to confirm that the recipients agreed to be written to{way_out}."
        )


def unschedule(status: Status) -> Status:
    if status is not Status.SCHEDULED:
        raise CampaignNotScheduled(f"The campaign is {status}; only a scheduled one can be made a draft again.")
    return Status.DRAFT


def stop(status: Status) -> Status:
    if status not in STOPPABLE:
        raise CampaignNotStoppable(f"The campaign is {status}; only a scheduled, running or held one can be stopped.")
    return Status.STOPPED


def archive(status: Status) -> Status:
    if status not in ARCHIVABLE:
        raise CampaignNotArchivable(
            f"The campaign is {status}; only a draft, a stopped or a completed one can be archived."
        )
    return Status.ARCHIVED


def check_editable(status: Status) -> None:
    if status not in EDITABLE:
        raise CampaignNotEditable(f"The campaign is {status}; only a draft or a scheduled one can be changed.")


def check_deletable(status: Status) -> None:
    if status is not Status.DRAFT:
        raise CampaignNotDeletable(
            f"The campaign is {status}; only a draft can be deleted, anything else is a record of what was sent."
        )


def sources_of(target: Status) -> frozenset[Status]:
    """The statuses a campaign may come from, for a guarded UPDATE."""
    return frozenset(status for status, targets in MOVES.items() if target in targets)
