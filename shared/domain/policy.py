"""The operator's sending rules, as one value, and what each of them says to a request. Pure: values in, sentences out.

What is stored is what somebody set; a rule that nobody set has its default here, so a new rule needs no migration. A
`find_` function answers with the sentence of a refusal, or None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from shared.domain import msisdn as numbers
from shared.domain.keywords import OwnWords
from shared.domain.message import MAX_SEGMENTS
from shared.domain.quiet_hours import QuietWindow
from shared.domain.sender_id import SenderKind, parse
from shared.errors import Conflict, Invalid


class EditWhenScheduled(StrEnum):
    EVERYTHING = "everything"
    SCHEDULE_ONLY = "schedule_only"  # words and recipients are locked, times are not


class QuotaUnit(StrEnum):
    SEGMENT = "segment"  # as it goes over the air
    PER_160 = "per_160"  # each 160 characters begun, whatever the encoding


class OptOutScope(StrEnum):
    """Whose messages a person's STOP holds back."""

    ALL = "all"
    SENDER = "sender"  # of the one that they wrote to


class Feature(StrEnum):
    """What an operator may have switched on or off."""

    CAMPAIGNS = "campaigns"
    PERSONAL = "personal"
    OTP = "otp"
    AUTOMATIONS = "automations"


class NotActivated(Conflict):
    """The operator has switched this sort of sending off; an admin may switch it on under `activated` of the policy."""


class CampaignDetailsLocked(Conflict):
    """The policy locks what a scheduled campaign says and whom it reaches; its times may still be moved."""


class CampaignTimesLocked(Conflict):
    """The policy does not let the times of a campaign be moved once it has begun."""


class CampaignNotStoppableByPolicy(Conflict):
    """The policy does not let a running campaign be stopped."""


class NotScheduledByPolicy(Invalid):
    """The campaign's times are not what the policy allows."""


class CountryNotAllowed(Invalid):
    """The policy does not let messages go to this number's country."""


class SenderNotAllowed(Invalid):
    """The policy does not let a name stand where the sender's number is."""


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """At most so many campaign messages to one number within so many hours."""

    messages: int
    hours: int


_ALL_ON: Final[Mapping[Feature, bool]] = MappingProxyType(dict.fromkeys(Feature, True))


@dataclass(frozen=True, slots=True)
class Policy:
    """Every rule with its default."""

    schedule_min_lead_minutes: int = 0
    schedule_max_ahead_days: int = 365
    edit_when_scheduled: EditWhenScheduled = EditWhenScheduled.EVERYTHING
    stop_when_running: bool = True
    move_when_running: bool = True
    require_opt_in_acknowledgement: bool = True
    require_consent: bool = False
    max_chars: int | None = None
    max_segments: int = MAX_SEGMENTS
    quota_unit: QuotaUnit = QuotaUnit.SEGMENT
    opt_out_scope: OptOutScope = OptOutScope.ALL
    keywords: OwnWords = field(default_factory=dict)
    quiet_hours: Sequence[QuietWindow] = ()
    quiet_hours_kinds: Sequence[str] = ("campaign",)
    time_zone: str | None = None
    location_time_zones: Mapping[str, str] = field(default_factory=dict)
    late_after_minutes: int = 60
    frequency_cap: FrequencyCap | None = None
    default_region: str | None = None
    alphanumeric_senders: bool = False
    allowed_countries: Sequence[str] | None = None
    retention_days: int | None = None
    max_attachment_bytes: int = 5_000_000
    activated: Mapping[Feature, bool] = field(default_factory=lambda: _ALL_ON)


_READERS: Final[Mapping[str, Any]] = {
    "edit_when_scheduled": EditWhenScheduled,
    "quota_unit": QuotaUnit,
    "opt_out_scope": OptOutScope,
    "keywords": lambda families: {
        family: {language: tuple(words) for language, words in languages.items()}
        for family, languages in families.items()
    },
    "quiet_hours": lambda windows: tuple(QuietWindow.read(window) for window in windows),
    "quiet_hours_kinds": tuple,
    "frequency_cap": lambda cap: None if cap is None else FrequencyCap(**cap),
    "allowed_countries": lambda countries: None if countries is None else tuple(countries),
    "activated": lambda switches: {feature: bool(switches.get(feature, True)) for feature in Feature},
}


def read(rules: Mapping[str, Any]) -> Policy:
    """The policy from its stored form; a rule of a newer version is passed over."""
    known = {one.name for one in fields(Policy)}
    return Policy(**{name: _READERS.get(name, _same)(value) for name, value in rules.items() if name in known})


def _same(value: Any) -> Any:
    return value


def write(policy: Policy) -> dict[str, Any]:
    """Every rule as JSON holds it."""
    return {name: _plain(value) for name, value in ((one.name, getattr(policy, one.name)) for one in fields(Policy))}


def changed(was: Policy, named: Mapping[str, Any]) -> Policy:
    """The policy with the rules that are named, as JSON holds them, in place of its own; None is a rule's default.

    The switches under `activated` are named one by one; every other rule is one thing.
    """
    rules = {**write(was), **named}
    if (switches := named.get("activated")) is not None:
        turned = {**write(was)["activated"], **switches}
        rules["activated"] = {feature: on for feature, on in turned.items() if on is not None}
    return read({name: value for name, value in rules.items() if value is not None})


def _plain(value: Any) -> Any:
    match value:
        case QuietWindow():
            return value.write()
        case FrequencyCap():
            return asdict(value)
        case StrEnum():
            return value.value
        case Mapping():
            return {str(key): _plain(each) for key, each in value.items()}
        case tuple() | list():
            return [_plain(each) for each in value]
        case _:
            return value


def difference(was: Policy, now: Policy) -> dict[str, dict[str, Any]]:
    """What a change changed, rule by rule, for the audit log."""
    before, after = write(was), write(now)
    return {name: {"from": before[name], "to": after[name]} for name in after if before[name] != after[name]}


def beyond_defaults(policy: Policy) -> dict[str, Any]:
    """The rules that are not as they would be by themselves: all that need be stored."""
    return {name: change["to"] for name, change in difference(Policy(), policy).items()}


def check_activated(policy: Policy, feature: Feature) -> None:
    if not policy.activated[feature]:
        raise NotActivated(
            f"{feature.capitalize()} are switched off here; an admin may set activated.{feature} under "
            "PATCH /v1/policy."
            if feature is not Feature.PERSONAL
            else "Personal messages are switched off here; an admin may set activated.personal under PATCH /v1/policy."
        )


def find_badly_timed(policy: Policy, field: str, moment: datetime | None, *, now: datetime) -> str | None:
    """What is wrong with a time that a message is scheduled for; sending at once is not scheduling."""
    if moment is None:
        return None
    lead = timedelta(minutes=policy.schedule_min_lead_minutes)
    if moment - now < lead:
        return f"{field} must be at least {policy.schedule_min_lead_minutes} minutes ahead; name a later time."
    if moment - now > timedelta(days=policy.schedule_max_ahead_days):
        return f"{field} is more than {policy.schedule_max_ahead_days} days ahead; name an earlier one."
    return None


def check_schedule(policy: Policy, send_ats: Sequence[datetime | None], *, now: datetime) -> None:
    """Refuse to start by times that were good when they were written and are no more."""
    if not policy.schedule_min_lead_minutes:
        return
    for place, send_at in enumerate(send_ats):
        if told := find_badly_timed(policy, "send_at", send_at, now=now):
            raise NotScheduledByPolicy(f"Message {place + 1}: {told}", pointer=f"/messages/{place}/send_at")


def find_too_long(policy: Policy, *, characters: int, segments: int) -> str | None:
    """What is wrong with a text's length; the characters come first, since a person counts those."""
    if policy.max_chars is not None and characters > policy.max_chars:
        over = characters - policy.max_chars
        noun = "character" if over == 1 else "characters"
        return f"The text has {characters} characters, {over} {noun} too many; shorten it to {policy.max_chars}."
    if segments > policy.max_segments:
        return f"The text takes {segments} segments, and a message may have {policy.max_segments}; shorten it."
    return None


def find_sender_refused(policy: Policy, sender_id: str | None) -> str | None:
    """What is wrong with a sender that is a name."""
    if sender_id is None or policy.alphanumeric_senders or parse(sender_id).kind is not SenderKind.ALPHANUMERIC:
        return None
    return (
        f"The sender {sender_id!r} is a name, and names are switched off here; use a number, leave sender_id out, or "
        "have an admin set alphanumeric_senders under PATCH /v1/policy."
    )


def check_sender(policy: Policy, sender_id: str | None) -> None:
    """Refuse to let a campaign go, or go on, as a name while names are switched off."""
    if told := find_sender_refused(policy, sender_id):
        raise SenderNotAllowed(told, pointer="/sender_id")


def find_country_refused(policy: Policy, msisdn: str) -> str | None:
    """What is wrong with a number's country."""
    if policy.allowed_countries is None:
        return None
    country = numbers.country_of(msisdn)
    if country in policy.allowed_countries:
        return None
    return (
        f"Messages to {country or 'a number of no country'} are not allowed here; give a number of "
        f"{', '.join(policy.allowed_countries)}, or have an admin add the country to allowed_countries under "
        "PATCH /v1/policy."
    )


def check_editable(policy: Policy, *, scheduled: bool) -> None:
    """Refuse changes of a scheduled campaign where only its times may change."""
    if scheduled and policy.edit_when_scheduled is EditWhenScheduled.SCHEDULE_ONLY:
        raise CampaignDetailsLocked(
            "The campaign is scheduled, and its details are locked; move the time of a message with "
            "PATCH /v1/campaigns/{id}/messages/{message_id}, or unschedule the campaign first."
        )


def check_movable(policy: Policy, *, begun: bool) -> None:
    """Refuse to move a message of a campaign that has begun. Of a scheduled one, times are never locked."""
    if begun and not policy.move_when_running:
        raise CampaignTimesLocked(
            "The campaign has begun, and its times are locked; an admin may set move_when_running under "
            "PATCH /v1/policy."
        )


def check_stoppable(policy: Policy, *, running: bool) -> None:
    if running and not policy.stop_when_running:
        raise CampaignNotStoppableByPolicy(
            "A running campaign cannot be stopped here; an admin may set stop_when_running under PATCH /v1/policy."
        )
