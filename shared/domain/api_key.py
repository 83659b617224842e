"""What may be done with an API key, and until when the old one lives beside its successor."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final

from shared.errors import Conflict, Invalid

OVERLAP: Final = timedelta(days=1)
LONGEST_OVERLAP: Final = timedelta(days=90)


class KeyNotLive(Conflict):
    """The key was revoked or has expired; nothing can be made of it."""


class KeyRotated(Conflict):
    """The key has a successor that works already: two keys live at a time, not three."""

    remedy: ClassVar[str] = (
        "Use the successor that `detail` names. Where it was lost or has leaked, revoke it, and rotate this one again."
    )


class PredecessorLives(Conflict):
    """Another key of its line still works, the one before it or two others: two keys live at a time, not three."""

    remedy: ClassVar[str] = "Revoke a key that `detail` names once nobody uses it, or wait for its end."


def check_live(*, expires_at: datetime | None, revoked_at: datetime | None, now: datetime) -> None:
    if revoked_at is not None:
        raise KeyNotLive("The key is revoked, for good; make a new one.")
    if expires_at is not None and expires_at <= now:
        raise KeyNotLive("The key has expired; make a new one, or give it a later `expires_at`.")


def check_alone(*, successor: str | None, other: str | None) -> None:
    """Raise where another key of the line works: the successor of this one, or any other."""
    if successor is not None:
        raise KeyRotated(
            f"The key {successor} is its successor already. Use that one; where it was lost or has leaked, revoke it "
            f"(DELETE /v1/api-keys/{successor}) and rotate this one again."
        )
    if other is not None:
        raise PredecessorLives(
            f"The key {other}, which came before it, still works. Revoke it (DELETE /v1/api-keys/{other}) once nobody "
            "uses it, or wait for its end; then rotate this one."
        )


def check_room(others: Sequence[str]) -> None:
    """Raise where two keys of the line work already, so that one that has ended cannot be given a later end."""
    if len(others) > 1:
        raise PredecessorLives(
            f"The key has ended, and two of its line work already: {others[0]} and {others[1]}. Revoke one of them "
            f"(DELETE /v1/api-keys/{others[0]}), or wait for its end; then give this one a later `expires_at`.",
            pointer="/expires_at",
        )


def check_ahead(moment: datetime | None, *, pointer: str, now: datetime) -> None:
    if moment is not None and moment <= now:
        raise Invalid("Give a time that is ahead.", pointer=pointer)


def end_of_old(wanted: datetime | None, *, expires_at: datetime | None, now: datetime) -> datetime:
    """Until when the old key works: as wanted, for a day otherwise, and never longer than it would have anyway."""
    check_ahead(wanted, pointer="/old_until", now=now)
    if wanted is not None and wanted - now > LONGEST_OVERLAP:
        raise Invalid(
            f"The old key may live on for {LONGEST_OVERLAP.days} days at most; name an earlier time.",
            pointer="/old_until",
        )
    end = wanted or now + OVERLAP
    return end if expires_at is None else min(end, expires_at)
