"""What an automation makes of one event: the message as it would be, or the reason why there is none. Pure.

The dispatcher does it with what it finds in the database, and a dry run tells it with the same words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from shared.domain import policy as rules
from shared.domain.automation import Condition, Outcome, find_failing, why_failing
from shared.domain.contact import Consent
from shared.domain.policy import Feature, Policy
from shared.domain.rest import first_open
from shared.domain.segments import Measured, measure
from shared.domain.tag_values import values_of
from shared.domain.template import TEMPLATE_TAGS, compile_template
from shared.domain.voucher import end_of
from shared.errors import Invalid


class Asked(Protocol):
    """An automation, as its row has it."""

    id: UUID
    event: str
    template_id: UUID
    conditions: Sequence[Mapping[str, Any]]
    delay_seconds: int
    respect_quiet_hours: bool
    sender_id: str | None
    cap_messages: int | None
    cap_hours: int | None


@dataclass(frozen=True, slots=True)
class Person:
    """Whom an event is about; `contact` is a row, or None for a loose number."""

    msisdn: str
    contact: Any = None
    opted_out: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`text` and what follows is there when a message is to be made; `ends` is of the voucher that it is about."""

    outcome: Outcome
    detail: str | None = None
    text: str = ""
    measured: Measured | None = None
    not_before: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """What is known when an event is looked at. `text` is the template's, None when that is gone."""

    data: Mapping[str, Any]
    person: Person | None
    text: str | None
    recent: int
    policy: Policy
    now: datetime


def plan(automation: Asked, given: Given) -> Plan:
    """The answer of one automation to one event. Total: whatever comes, there is one."""
    conditions = [Condition.read(each) for each in automation.conditions]
    failing = find_failing(conditions, given.data)
    if failing is not None:
        condition = conditions[failing]
        why = why_failing(condition, given.data)
        told = f"/conditions/{failing}: {condition.field} {condition.word}"
        return Plan(Outcome.NOT_MATCHED, f"{told} ({why})" if why else told)
    return next(_reasons(automation, given), None) or _written(automation, given)


def _reasons(automation: Asked, given: Given) -> Iterator[Plan]:
    """Why there is no message, whatever it would say; the first counts."""
    person, policy = given.person, given.policy
    if not policy.activated.get(Feature.AUTOMATIONS, True):
        yield Plan(Outcome.SWITCHED_OFF, "The policy has automations switched off.")
    if told := rules.find_sender_refused(policy, automation.sender_id):
        yield Plan(Outcome.SWITCHED_OFF, told)
    if person is None:
        yield Plan(Outcome.NO_CONTACT, "The event names no number, and its contact is not there.")
        return
    yield from _unwilling(person)
    if told := rules.find_country_refused(policy, person.msisdn):
        yield Plan(Outcome.COUNTRY_NOT_ALLOWED, told)
    if automation.cap_messages is not None and given.recent >= automation.cap_messages:
        yield Plan(Outcome.CAPPED, f"{given.recent} within {automation.cap_hours} hours")
    if given.text is None:
        told = f"The template {automation.template_id} is not there; PATCH the automation with another template_id."
        yield Plan(Outcome.TEMPLATE_GONE, told)


def _unwilling(person: Person) -> Iterator[Plan]:
    """What the person said against it."""
    if person.opted_out:
        yield Plan(Outcome.OPTED_OUT)
    if getattr(person.contact, "consent_status", None) == Consent.WITHDRAWN:
        yield Plan(Outcome.NO_CONSENT, "The contact's consent_status is withdrawn.")


def _written(automation: Asked, given: Given) -> Plan:
    assert given.person is not None
    assert given.text is not None
    person = given.person
    try:
        values = values_of(msisdn=person.msisdn, contact=person.contact, variables=given.data)
        filled = compile_template(given.text, known=TEMPLATE_TAGS).fill(values)
    except Invalid as refusal:
        return Plan(Outcome.TOO_LONG, refusal.detail)
    if filled.missing or not filled.text.strip():
        return Plan(Outcome.MISSING_TAGS, ", ".join(filled.missing) or "the text is empty")
    measured = measure(filled.text)
    told = rules.find_too_long(given.policy, characters=measured.characters, segments=measured.segments)
    if told:
        return Plan(Outcome.TOO_LONG, told)
    not_before = _opens(automation, person, given)
    if not_before is None:
        return Plan(Outcome.NEVER_OPEN, "The policy's quiet hours leave no hour of a week.")
    ends = end_of(automation.event, given.data, now=given.now)
    if ends is not None and not_before >= ends:
        told = (
            f"The voucher ends at {_shown(ends)}, and the message could leave at {_shown(not_before)} at the earliest."
        )
        return Plan(Outcome.TOO_LATE, told)
    return Plan(Outcome.MESSAGE, text=filled.text, measured=measured, not_before=not_before, ends=ends)


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _opens(automation: Asked, person: Person, given: Given) -> datetime | None:
    """When it may go: after the delay, and not before the person may be disturbed."""
    moment = given.now + timedelta(seconds=automation.delay_seconds)
    windows = tuple(given.policy.quiet_hours)
    if not (automation.respect_quiet_hours and windows):
        return moment
    clock = getattr(person.contact, "time_zone", None), getattr(person.contact, "location_id", None)
    opened = first_open(given.policy, windows, (person.msisdn, *clock), moment)
    return None if opened is None else max(opened, moment)
