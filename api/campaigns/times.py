"""When the messages of a sequence go: neither in the past nor out of sight, and in the order they are written."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from api.moments import find_past, find_too_far
from shared.domain import policy as rules
from shared.domain.policy import Policy
from shared.errors import FieldError


@dataclass(frozen=True, slots=True)
class Times:
    """One message's time and its latest time; `at` is where the body names them, None where it does not."""

    at: str | None
    send_at: datetime | None
    send_by: datetime | None


def check_times(sequence: Sequence[Times], *, policy: Policy, now: datetime) -> list[FieldError]:
    """What is wrong with the times of a sequence, in its order."""
    errors = [error for times in sequence if times.at is not None for error in _check(times, policy, now=now)]
    return errors or _check_order(sequence)


def _check(times: Times, policy: Policy, *, now: datetime) -> list[FieldError]:
    errors: list[FieldError] = []
    if told := _badly_timed(policy, times.send_at, now=now):
        errors.append(FieldError(f"{times.at}/send_at", told))
    if told := find_too_far("send_by", times.send_by, now=now):
        errors.append(FieldError(f"{times.at}/send_by", told))
    if times.send_by and times.send_by <= (times.send_at or now):
        errors.append(FieldError(f"{times.at}/send_by", "send_by must be later than send_at, and ahead of now."))
    return errors


def _badly_timed(policy: Policy, send_at: datetime | None, *, now: datetime) -> str | None:
    """What is wrong with a message's time. With a lead of nothing, a moment ago is still now."""
    if told := find_past("send_at", send_at, now=now):
        return told
    moment = send_at if policy.schedule_min_lead_minutes or send_at is None else max(send_at, now)
    return rules.find_badly_timed(policy, "send_at", moment, now=now)


def _check_order(sequence: Sequence[Times]) -> list[FieldError]:
    """A recipient reads a sequence in its order, so no message may be due before the one in front of it."""
    errors: list[FieldError] = []
    latest: datetime | None = None
    for times in sequence:
        if latest is not None and (times.send_at is None or times.send_at < latest):
            told = f"The message before it goes at {latest.isoformat()}; name a send_at that is not earlier."
            errors.append(FieldError("/messages" if times.at is None else f"{times.at}/send_at", told))
        else:
            latest = times.send_at
    return errors
