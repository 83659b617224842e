"""What a campaign would come to, before it starts: the binding digest of its words, and when it would be done. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import ClassVar, Final

from shared.domain.quiet_hours import QuietWindow, next_open
from shared.errors import Conflict

# How finely a day is looked at for its open hours, and how far ahead.
STEP: Final = timedelta(minutes=5)
FURTHEST: Final = timedelta(days=30)


class ConfirmationRefused(Conflict):
    """The confirmation does not stand for this campaign as it is now."""

    remedy: ClassVar[str] = "Ask for a new estimate, look at it, and start with the confirmation in it."


class ConfirmationUsed(ConfirmationRefused):
    """The confirmation has started a campaign before; each stands for one start."""


class AudienceGrown(Conflict):
    """The campaign would reach more people than were confirmed."""

    remedy: ClassVar[str] = "Ask for a new estimate, look at it, and resume with the confirmation in it."


class TextsGrown(AudienceGrown):
    """The campaign's texts would take more segments than were confirmed."""


@dataclass(frozen=True, slots=True)
class Bound:
    """To how much a start is held: people, and segments; None where nobody confirmed a number."""

    recipients: int | None = None
    segments: int | None = None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What was confirmed: these words to these people."""

    content: bytes
    audience: str
    recipients: int


def digest_of_content(
    sender_id: str | None, steps: Iterable[tuple[str, Sequence[object]]], *, skip_landlines: bool
) -> bytes:
    """Binds a confirmation to what is sent as whom: texts and attachments in their order. Times may still move."""
    digest = sha256(repr(sender_id).encode())
    if skip_landlines:
        digest.update(b"skip_landlines")
    for text, attachments in steps:
        digest.update(repr((text, list(attachments))).encode())
    return digest.digest()


def check(confirmed: Confirmed, *, content: bytes, audience: str, recipients: int) -> None:
    """Refuse to send anything but what was confirmed, to anybody but who was counted."""
    if content != confirmed.content:
        raise ConfirmationRefused("The campaign says something else than was confirmed; ask for a new estimate.")
    if audience != confirmed.audience:
        raise ConfirmationRefused(
            f"The audience has changed since it was confirmed: {confirmed.recipients} recipients then, "
            f"{recipients} now; ask for a new estimate."
        )


def check_not_grown(*, confirmed: int | None, recipients: int) -> None:
    """Refuse to send to more people than were confirmed, if anybody confirmed a number."""
    if confirmed is not None and recipients > confirmed:
        raise AudienceGrown(
            f"{confirmed} recipients were confirmed, and {recipients} would be written to now; ask for a new estimate "
            "(POST /v1/campaigns/{id}/estimate), and resume with the confirmation in it."
        )


def check_not_heavier(*, confirmed: int | None, segments: int | None) -> None:
    """Refuse to send more segments than were confirmed; `segments` is None where that was not measured."""
    if confirmed is not None and (segments is None or segments > confirmed):
        now = "the texts take more" if segments is None else f"{segments} would be sent now"
        raise TextsGrown(
            f"{confirmed} segments were confirmed, and {now}; ask for a new estimate "
            "(POST /v1/campaigns/{id}/estimate), and resume with the confirmation in it."
        )


def finish_time(
    begins: datetime, *, seconds: float, windows: tuple[QuietWindow, ...], zones: tuple[str, ...]
) -> datetime | None:
    """When so many seconds of sending are over that rest in quiet hours; None if not within a month."""
    if not windows:
        return begins + timedelta(seconds=seconds)
    moment, left = begins, timedelta(seconds=seconds)
    while moment - begins < FURTHEST:
        opens = next_open(windows, zones, moment)
        if opens is None:
            return None
        if opens > moment:
            moment = opens
        elif left <= STEP:
            return moment + left
        else:
            moment, left = moment + STEP, left - STEP
    return None
