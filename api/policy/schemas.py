"""The policy as clients write and read it. What each rule does to a request is in `shared/domain/policy.py`."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from api import example_world as world
from api.examples import shown
from api.schemas import Body, Out
from shared.domain import policy as law
from shared.domain.attachment import LARGEST
from shared.domain.contact import read_time_zone
from shared.domain.keywords import MOST_OWN, Keyword
from shared.domain.message import MAX_SEGMENTS
from shared.domain.msisdn import parse_region
from shared.domain.policy import EditWhenScheduled, OptOutScope, Policy, QuotaUnit
from shared.domain.quiet_hours import DAYS
from shared.errors import Invalid

MAX_WINDOWS: Final = 14
MAX_LOCATIONS: Final = 1_000
MAX_COUNTRIES: Final = 250
TEN_YEARS: Final = 3_650

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]

EXAMPLE: Final[dict[str, Any]] = {
    "schedule_min_lead_minutes": 15,
    "schedule_max_ahead_days": 7,
    "edit_when_scheduled": "schedule_only",
    "stop_when_running": True,
    "move_when_running": True,
    "require_opt_in_acknowledgement": True,
    "require_consent": False,
    "max_chars": 480,
    "max_segments": 4,
    "quota_unit": "per_160",
    "opt_out_scope": "all",
    "keywords": {"stop": {"sv": ["avsluta"], "sw": ["acha"]}, "start": {"sv": ["anmäl"]}, "help": {}},
    "quiet_hours": [{"start": "20:00", "end": "08:00", "days": None}],
    "quiet_hours_kinds": ["campaign"],
    "time_zone": "Africa/Johannesburg",
    "location_time_zones": {"cape-town-1": "Africa/Johannesburg"},
    "late_after_minutes": 60,
    "frequency_cap": {"messages": 3, "hours": 168},
    "default_region": "ZA",
    "alphanumeric_senders": False,
    "allowed_countries": ["ZA", "NA"],
    "retention_days": 365,
    "max_attachment_bytes": 1_000_000,
    "activated": {"campaigns": True, "personal": True, "otp": True, "automations": False},
}


Language = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z]{2,4})?$")]
Words = Annotated[list[Annotated[str, StringConstraints(min_length=1)]], Field(min_length=1, max_length=MOST_OWN)]


class KeywordsIn(Body):
    """Whole messages from handsets that mean stop, start or help, by language (`sw`, `pt-BR`)."""

    stop: dict[Language, Words] = Field(default_factory=dict)
    start: dict[Language, Words] = Field(default_factory=dict)
    help: dict[Language, Words] = Field(default_factory=dict)

    def given(self) -> dict[str, dict[str, list[str]]]:
        """The families that hold any."""
        return {family: languages for family, languages in self if languages}


class QuietWindowIn(Body):
    """A window in which nobody is disturbed, by the recipient's clock; it may pass midnight."""

    start: Clock = Field(examples=["20:00"])
    end: Clock = Field(examples=["08:00"], description="The same as `start` is the whole day.")
    days: list[Day] | None = Field(default=None, min_length=1, description="Those it starts on; null is every day.")


class FrequencyCapIn(Body):
    """At most so many campaign messages to one number within so many hours."""

    messages: int = Field(ge=1, le=1_000)
    hours: int = Field(ge=1, le=24 * 366)


class ActivatedIn(Body):
    campaigns: bool = True
    personal: bool = Field(default=True, description="Personal and voucher messages.")
    otp: bool = True
    automations: bool = True


class Rules(Body):
    """Every rule. What is not named takes its default."""

    model_config = shown(EXAMPLE)

    schedule_min_lead_minutes: int = Field(
        default=0,
        ge=0,
        le=10_080,
        description="A `send_at` lies at least so far ahead. Sending at once is no schedule.",
    )
    schedule_max_ahead_days: int = Field(default=365, ge=1, le=365)
    edit_when_scheduled: EditWhenScheduled = Field(
        default=EditWhenScheduled.EVERYTHING,
        description="`schedule_only` locks words, recipients and sender of a scheduled campaign; times may be moved.",
    )
    stop_when_running: bool = Field(default=True, description="Whether an owner may stop a campaign that runs.")
    move_when_running: bool = Field(
        default=True, description="Whether a message that has not begun may be moved when its campaign has."
    )
    require_opt_in_acknowledgement: bool = Field(
        default=True, description="A campaign starts only after somebody vouched for the recipients' consent."
    )
    require_consent: bool = Field(
        default=False, description="Campaigns skip contacts whose `consent_status` is not `granted`."
    )
    max_chars: int | None = Field(default=None, ge=1, le=1_600, description="Longest text, in characters.")
    max_segments: int = Field(default=MAX_SEGMENTS, ge=1, le=MAX_SEGMENTS)
    quota_unit: QuotaUnit = Field(
        default=QuotaUnit.SEGMENT, description="`per_160` counts each 160 characters begun, whatever the encoding."
    )
    opt_out_scope: OptOutScope = Field(
        default=OptOutScope.ALL,
        description="Whose messages a STOP holds back: everybody's, or those of the sender it was written to.",
    )
    keywords: KeywordsIn = Field(
        default_factory=KeywordsIn,
        description="Words of your own beside those that are built in, by language. They count everywhere.",
    )
    quiet_hours: list[QuietWindowIn] = Field(default_factory=list, max_length=MAX_WINDOWS)
    quiet_hours_kinds: list[Literal["campaign", "personal", "voucher"]] = Field(
        default=["campaign"], description="Which messages wait. One-time passwords never do."
    )
    time_zone: str | None = Field(
        default=None, description="IANA zone of recipients that tell none by contact, location or number; else UTC."
    )
    location_time_zones: dict[str, str] = Field(
        default_factory=dict, max_length=MAX_LOCATIONS, description="IANA zone of each `location_id`."
    )
    late_after_minutes: int = Field(
        default=60, ge=1, le=10_080, description="A campaign that could not start for so long waits for its owner."
    )
    frequency_cap: FrequencyCapIn | None = None
    default_region: str | None = Field(
        default=None, description="Country of numbers without a country code, where a request names none."
    )
    alphanumeric_senders: bool = Field(default=False, description="Whether a name may stand as the sender.")
    allowed_countries: list[str] | None = Field(
        default=None, max_length=MAX_COUNTRIES, description="ISO codes; null allows all."
    )
    retention_days: int | None = Field(
        default=None, ge=1, le=TEN_YEARS, description="How long messages are kept; null keeps them."
    )
    max_attachment_bytes: int = Field(
        default=5_000_000, ge=1, le=LARGEST, description="Largest file that may go with a message."
    )
    activated: ActivatedIn = Field(default_factory=ActivatedIn, description="What may be used at all.")

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return None if value is None else _read_zone(value)

    @field_validator("location_time_zones")
    @classmethod
    def _zones(cls, value: dict[str, str]) -> dict[str, str]:
        return {location: _read_zone(zone) for location, zone in value.items()}

    @field_validator("default_region")
    @classmethod
    def _region(cls, value: str | None) -> str | None:
        return None if value is None else _read_region(value)

    @field_validator("allowed_countries")
    @classmethod
    def _regions(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else sorted({_read_region(code) for code in value})

    @model_validator(mode="after")
    def _open_sometime(self) -> "Rules":
        whole = {day for window in self.quiet_hours if window.start == window.end for day in window.days or DAYS}
        if len(whole) == len(DAYS):
            raise ValueError("quiet_hours close every hour of every day; leave an hour open")
        return self

    def to_policy(self) -> Policy:
        return law.read({**self.model_dump(mode="json"), "keywords": self.keywords.given()})


def _read_zone(value: str) -> str:
    try:
        zone = read_time_zone(value)
    except Invalid as refusal:
        raise ValueError(
            f"{value[:64]!r} is not in the IANA database; write a name such as Africa/Johannesburg"
        ) from refusal
    if zone is None:
        raise ValueError("the time zone is empty; write a name such as Africa/Johannesburg, or leave it out")
    return zone


def _read_region(value: str) -> str:
    try:
        return parse_region(value)
    except Invalid as refusal:
        raise ValueError(
            f"{value[:64]!r} is not a known country; give its two-letter code, such as ZA or GB"
        ) from refusal


class QuietWindowOut(Out):
    start: str
    end: str
    days: list[Day] | None


class FrequencyCapOut(Out):
    messages: int
    hours: int


class ActivatedOut(Out):
    campaigns: bool
    personal: bool
    otp: bool
    automations: bool


class PolicyOut(Out):
    """The rules in force, those that nobody set included."""

    model_config = shown({**EXAMPLE, "updated_at": world.CREATED, "updated_by": world.API_KEY})

    schedule_min_lead_minutes: int
    schedule_max_ahead_days: int
    edit_when_scheduled: EditWhenScheduled
    stop_when_running: bool
    move_when_running: bool
    require_opt_in_acknowledgement: bool
    require_consent: bool
    max_chars: int | None
    max_segments: int
    quota_unit: QuotaUnit
    opt_out_scope: OptOutScope
    keywords: dict[Keyword, dict[str, list[str]]]
    quiet_hours: list[QuietWindowOut]
    quiet_hours_kinds: list[str]
    time_zone: str | None
    location_time_zones: dict[str, str]
    late_after_minutes: int
    frequency_cap: FrequencyCapOut | None
    default_region: str | None
    alphanumeric_senders: bool
    allowed_countries: list[str] | None
    retention_days: int | None
    max_attachment_bytes: int
    activated: ActivatedOut
    updated_at: datetime | None = Field(description="When it was last changed; null while all are defaults.")
    updated_by: str | None
