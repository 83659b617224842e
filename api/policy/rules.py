"""What each rule of the policy may be, for those who set all of them and for those who change one."""

from typing import Annotated, Final, Literal, Self

from pydantic import Field, StringConstraints, field_validator, model_validator

from api.schemas import Body
from shared.domain.attachment import LARGEST
from shared.domain.contact import read_time_zone
from shared.domain.keywords import MOST_OWN
from shared.domain.message import MAX_SEGMENTS
from shared.domain.msisdn import parse_region
from shared.domain.policy import EditWhenScheduled, OptOutScope, QuotaUnit
from shared.domain.quiet_hours import DAYS
from shared.errors import Invalid

MAX_WINDOWS: Final = 14
MAX_LOCATIONS: Final = 1_000
MAX_COUNTRIES: Final = 250
TEN_YEARS: Final = 3_650

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Clock = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]

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


class ActivatedPatch(Body):
    """The switches that are named are turned, the others stay; null is the default, on."""

    campaigns: bool | None = None
    personal: bool | None = Field(default=None, description="Personal and voucher messages.")
    otp: bool | None = None
    automations: bool | None = None


MinLead = Annotated[
    int, Field(ge=0, le=10_080, description="A `send_at` lies at least so far ahead. Sending at once is no schedule.")
]
MaxAhead = Annotated[int, Field(ge=1, le=365)]
Editing = Annotated[
    EditWhenScheduled,
    Field(
        description="`schedule_only` locks words, recipients and sender of a scheduled campaign; times may be moved."
    ),
]
Stopping = Annotated[bool, Field(description="Whether an owner may stop a campaign that runs.")]
Moving = Annotated[bool, Field(description="Whether a message that has not begun may be moved when its campaign has.")]
Acknowledging = Annotated[
    bool, Field(description="A campaign starts only after somebody vouched for the recipients' consent.")
]
Consenting = Annotated[bool, Field(description="Campaigns skip contacts whose `consent_status` is not `granted`.")]
MaxChars = Annotated[int | None, Field(ge=1, le=1_600, description="Longest text, in characters.")]
MaxSegments = Annotated[int, Field(ge=1, le=MAX_SEGMENTS)]
Unit = Annotated[QuotaUnit, Field(description="`per_160` counts each 160 characters begun, whatever the encoding.")]
Scope = Annotated[
    OptOutScope,
    Field(description="Whose messages a STOP holds back: everybody's, or those of the sender it was written to."),
]
OwnWords = Annotated[
    KeywordsIn,
    Field(description="Words of your own beside those that are built in, by language. They count everywhere."),
]
QuietHours = Annotated[list[QuietWindowIn], Field(max_length=MAX_WINDOWS)]
QuietKinds = Annotated[
    list[Literal["campaign", "personal", "voucher"]],
    Field(description="Which messages wait. One-time passwords never do."),
]
Zone = Annotated[
    str | None, Field(description="IANA zone of recipients that tell none by contact, location or number; else UTC.")
]
LocationZones = Annotated[
    dict[str, str], Field(max_length=MAX_LOCATIONS, description="IANA zone of each `location_id`.")
]
LateAfter = Annotated[
    int, Field(ge=1, le=10_080, description="A campaign that could not start for so long waits for its owner.")
]
Region = Annotated[
    str | None, Field(description="Country of numbers without a country code, where a request names none.")
]
Names = Annotated[bool, Field(description="Whether a name may stand as the sender.")]
Countries = Annotated[list[str] | None, Field(max_length=MAX_COUNTRIES, description="ISO codes; null allows all.")]
Retention = Annotated[int | None, Field(ge=1, le=TEN_YEARS, description="How long messages are kept; null keeps them.")]
LargestFile = Annotated[int, Field(ge=1, le=LARGEST, description="Largest file that may go with a message.")]
Activated = Annotated[ActivatedIn, Field(description="What may be used at all.")]
ActivatedSwitches = Annotated[
    ActivatedPatch, Field(description="What may be used at all: the switches that are named, the others stay.")
]


class Checked(Body):
    """What a type does not say of a rule, for every body that names rules."""

    @field_validator("time_zone", check_fields=False)
    @classmethod
    def _zone(cls, value: str | None) -> str | None:
        return None if value is None else _read_zone(value)

    @field_validator("location_time_zones", check_fields=False)
    @classmethod
    def _zones(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        return None if value is None else {location: _read_zone(zone) for location, zone in value.items()}

    @field_validator("default_region", check_fields=False)
    @classmethod
    def _region(cls, value: str | None) -> str | None:
        return None if value is None else _read_region(value)

    @field_validator("allowed_countries", check_fields=False)
    @classmethod
    def _regions(cls, value: list[str] | None) -> list[str] | None:
        return None if value is None else sorted({_read_region(code) for code in value})

    @model_validator(mode="after")
    def _open_sometime(self) -> Self:
        windows: list[QuietWindowIn] = getattr(self, "quiet_hours", None) or []
        whole = {day for window in windows if window.start == window.end for day in window.days or DAYS}
        if len(whole) == len(DAYS):
            raise ValueError("quiet_hours close every hour of every day; leave an hour open")
        return self


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
