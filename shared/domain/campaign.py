"""The life of a campaign and of its messages' schedule, as law.

Owners' commands may be refused, with a sentence; what the dispatcher observes never is.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from shared.domain.message import Status as MessageStatus
from shared.errors import Conflict, FieldError


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
    AUDIENCE = "audience"  # it would reach more people than were confirmed
    SEGMENTS = "segments"  # its texts would take more segments than were confirmed


class Which(StrEnum):
    """Which messages of a campaign are to be sent once more."""

    FAILED = "failed"  # refused, or given up by the network
    UNSENT = "unsent"  # expired or cancelled before a gateway had them
    UNCONFIRMED = "unconfirmed"  # a gateway may have them


class Event(StrEnum):
    """What an owner may ask of a campaign, and what the dispatcher observes of one."""

    EDIT = "edit"
    MOVE = "move"  # another time for a message that is not begun
    DELETE = "delete"
    DUPLICATE = "duplicate"
    START = "start"
    UNSCHEDULE = "unschedule"
    DUE = "due"  # observed: its first send_at has come
    FINISH = "finish"  # observed: nothing of it is open
    HOLD = "hold"  # observed: it needs its owner
    RESUME = "resume"
    STOP = "stop"
    RESTART = "restart"
    RESEND = "resend"
    ARCHIVE = "archive"
    UNARCHIVE = "unarchive"


def _stays(*statuses: Status) -> Mapping[Status, frozenset[Status]]:
    return {status: frozenset({status}) for status in statuses}


def _leads(*statuses: Status, to: Status | Sequence[Status]) -> Mapping[Status, frozenset[Status]]:
    targets = frozenset([to] if isinstance(to, Status) else to)
    return dict.fromkeys(statuses, targets)


# The whole law: where each event may lead from each status. A status that an event does not name refuses it, or, where
# the event is observed, is left as it is.
LAW: Final[Mapping[Event, Mapping[Status, frozenset[Status]]]] = MappingProxyType(
    {
        Event.EDIT: _stays(Status.DRAFT, Status.SCHEDULED),
        Event.MOVE: _stays(Status.DRAFT, Status.SCHEDULED, Status.RUNNING, Status.HELD),
        Event.DELETE: _stays(Status.DRAFT),
        Event.DUPLICATE: _stays(*Status),
        Event.START: _leads(Status.DRAFT, to=(Status.SCHEDULED, Status.RUNNING)),
        Event.UNSCHEDULE: _leads(Status.SCHEDULED, Status.HELD, to=Status.DRAFT),
        Event.DUE: _leads(Status.SCHEDULED, to=Status.RUNNING),
        Event.FINISH: _leads(Status.RUNNING, to=Status.COMPLETED),
        Event.HOLD: _leads(Status.SCHEDULED, Status.RUNNING, to=Status.HELD),
        Event.RESUME: _leads(Status.HELD, to=(Status.SCHEDULED, Status.RUNNING)),
        Event.STOP: _leads(Status.SCHEDULED, Status.RUNNING, Status.HELD, to=Status.STOPPED),
        Event.RESTART: _leads(Status.STOPPED, to=(Status.SCHEDULED, Status.RUNNING)),
        Event.RESEND: _stays(Status.STOPPED, Status.COMPLETED),
        Event.ARCHIVE: _leads(Status.DRAFT, Status.STOPPED, Status.COMPLETED, to=Status.ARCHIVED),
        Event.UNARCHIVE: _leads(Status.ARCHIVED, to=(Status.DRAFT, Status.STOPPED, Status.COMPLETED)),
    }
)

MOVES: Final[Mapping[Status, frozenset[Status]]] = MappingProxyType(
    {
        status: frozenset(target for paths in LAW.values() for target in paths.get(status, ()) if target is not status)
        for status in Status
    }
)

WHICH: Final[Mapping[Which, frozenset[MessageStatus]]] = MappingProxyType(
    {
        Which.FAILED: frozenset({MessageStatus.FAILED, MessageStatus.UNDELIVERED}),
        Which.UNSENT: frozenset({MessageStatus.EXPIRED, MessageStatus.CANCELLED}),
        Which.UNCONFIRMED: frozenset({MessageStatus.UNCONFIRMED}),
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


class CampaignNotStartable(Conflict):
    """The campaign has already started, ended, or has nobody to reach."""


class CampaignNotStoppable(Conflict):
    """The campaign is not under way, so there is nothing to stop."""


class CampaignNotScheduled(Conflict):
    """The campaign does not wait for its time, or has begun, so there is nothing to unschedule."""


class CampaignNotArchivable(Conflict):
    """The campaign is still under way, or archived already."""


class CampaignNotEditable(Conflict):
    """The campaign has started; what it says and whom it reaches is settled."""


class CampaignNotDeletable(Conflict):
    """Only a draft can be deleted; anything else is a record of what was sent."""


class OptInNotAcknowledged(Conflict):
    """Nobody has said that the recipients agreed to be written to."""


class CampaignNotRestartable(Conflict):
    """Only a stopped campaign can be restarted, once all that it had under way has ended."""


class CampaignNotHeld(Conflict):
    """The campaign is not held, so there is nothing to resume."""


class CampaignNotArchived(Conflict):
    """The campaign is not in the archive."""


class CampaignNotResendable(Conflict):
    """Nothing of the campaign can be sent again: it is still under way, or there is no such message."""


class MessageNotMovable(Conflict):
    """The message has begun to be sent, or never will be; its time is settled."""


_WHOM: Final = ("target_group_ids", "contact_ids", "msisdns")
_NOT_KEPT: Final = "The policy's retention_days are over and messages of the campaign are not kept any more, so"


def start(
    status: Status,
    *,
    has_recipients: bool,
    opt_in_acknowledged: bool,
    send_ats: Sequence[datetime | None],
    now: datetime,
) -> Status:
    """What a draft becomes when its owner lets it go: `running` if a message is due, else `scheduled`."""
    if not allows(Event.START, status):
        raise CampaignNotStartable(f"The campaign is {status}; only a draft can be started.")
    if not send_ats:
        sentence = "The campaign has no message; add one with a text under `messages`."
        raise CampaignNotStartable(sentence, pointer="/messages")
    _check_consent(has_recipients=has_recipients, opt_in_acknowledged=opt_in_acknowledged, way_out="")
    return _begun(send_ats, now=now)


def _begun(send_ats: Sequence[datetime | None], *, now: datetime) -> Status:
    """What a campaign is whose owner let it go: `running` as soon as one of its messages is due."""
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
        sentence = (
            "The campaign has no recipients; name target_group_ids, contact_ids or msisdns that hold somebody"
            f"{way_out}."
        )
        raise CampaignNotStartable(sentence, errors=[FieldError(f"/{name}", sentence) for name in _WHOM])
    if not opt_in_acknowledged:
        raise OptInNotAcknowledged(
            f"Set opt_in_acknowledged to true to confirm that the recipients agreed to be written to{way_out}.",
            pointer="/opt_in_acknowledged",
        )


def unschedule(status: Status, *, begun: bool) -> Status:
    """A draft again, to be changed: what waits for its time, and what is held before anything of it has begun."""
    if not allows(Event.UNSCHEDULE, status) or begun:
        told = " and has begun" if status is Status.HELD else ""
        raise CampaignNotScheduled(
            f"The campaign is {status}{told}; only what has not begun can be made a draft again."
        )
    return Status.DRAFT


def stop(status: Status) -> Status:
    if not allows(Event.STOP, status):
        raise CampaignNotStoppable(f"The campaign is {status}; only a scheduled, running or held one can be stopped.")
    return Status.STOPPED


def restart(
    status: Status, *, emptied: bool, whole: bool, send_ats: Sequence[datetime | None], now: datetime
) -> Status:
    """What a stopped campaign becomes with the rebuilt schedule `send_ats` of its unsent messages.

    `whole`: all its messages are still kept.
    """
    if not allows(Event.RESTART, status):
        raise CampaignNotRestartable(f"The campaign is {status}; only a stopped one can be restarted.")
    if not whole:
        raise CampaignNotRestartable(f"{_NOT_KEPT} whom it did not reach is not known any more. Duplicate it.")
    if not emptied:
        raise CampaignNotRestartable(
            "The stop is still at work: messages on their way to a gateway have to end first. Try again in a moment."
        )
    if not send_ats:
        raise CampaignNotRestartable(
            "Every message of the campaign was sent before it was stopped; resend what did not arrive, or duplicate it."
        )
    return _begun(send_ats, now=now)


def resume(status: Status, *, frozen: bool, send_ats: Sequence[datetime | None], now: datetime) -> Status:
    """What a held campaign becomes at its owner's word; one whose audience was settled had begun."""
    if not allows(Event.RESUME, status):
        raise CampaignNotHeld(f"The campaign is {status}; only a held one can be resumed.")
    return Status.RUNNING if frozen else _begun(send_ats, now=now)


def archive(status: Status) -> Status:
    if not allows(Event.ARCHIVE, status):
        raise CampaignNotArchivable(
            f"The campaign is {status}; only a draft, a stopped or a completed one can be archived."
        )
    return Status.ARCHIVED


def unarchive(status: Status, *, stopped: bool, completed: bool) -> Status:
    """What an archived campaign was before."""
    if not allows(Event.UNARCHIVE, status):
        raise CampaignNotArchived(f"The campaign is {status}; only an archived one can be taken out of the archive.")
    if stopped:
        return Status.STOPPED
    return Status.COMPLETED if completed else Status.DRAFT


def check_editable(status: Status) -> None:
    if not allows(Event.EDIT, status):
        raise CampaignNotEditable(f"The campaign is {status}; only a draft or a scheduled one can be changed.")


def check_excludable(status: Status, *, frozen: bool) -> None:
    """Whether somebody may still be left out: of what may be changed, and of what is held before it has begun."""
    if status is not Status.HELD or frozen:
        check_editable(status)


def check_movable(status: Status, step: StepStatus) -> None:
    """Whether a message of the sequence may be given another time."""
    if not allows(Event.MOVE, status):
        raise MessageNotMovable(
            f"The campaign is {status}; a message's time can be changed in a draft, a scheduled, running or held one."
        )
    if step is not StepStatus.PENDING:
        raise MessageNotMovable(f"The message is {step}; only a pending one can be given another time.")


def check_measurable(status: Status, *, frozen: bool) -> None:
    """Whether what a campaign would come to can be told: nothing of it has begun."""
    if not (allows(Event.EDIT, status) or (status is Status.HELD and not frozen)):
        raise CampaignNotStartable(f"The campaign is {status}; only what has not begun can be estimated.")


def check_deletable(status: Status) -> None:
    if not allows(Event.DELETE, status):
        raise CampaignNotDeletable(
            f"The campaign is {status}; only a draft can be deleted, anything else is a record of what was sent."
        )


def check_resendable(status: Status, *, whole: bool) -> None:
    """`whole`: all its messages are still kept."""
    if not allows(Event.RESEND, status):
        raise CampaignNotResendable(
            f"The campaign is {status}; only of a stopped or completed one messages can be sent again."
        )
    if not whole:
        raise CampaignNotResendable(f"{_NOT_KEPT} what became of each is not known any more. Duplicate it.")


def allows(event: Event, status: Status) -> bool:
    return status in LAW[event]


def sources_of(target: Status) -> frozenset[Status]:
    """The statuses a campaign may come from, for a guarded UPDATE."""
    return frozenset(status for status, targets in MOVES.items() if target in targets)
