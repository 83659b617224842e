"""The shapes of profiles as clients send and see them."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints, field_validator

from api.examples import shown
from api.otp_profiles import examples
from api.schemas import Body, Out
from shared.domain import otp, otp_text
from shared.domain.msisdn import parse_region
from shared.domain.otp_limits import DAY
from shared.errors import Invalid

SHORTEST_TTL = 60
LONGEST_TTL = 3600

Name = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=otp_text.LONGEST_TEXT)]
Wait = Annotated[int, Field(ge=10, le=3600)]


class SpeedIn(Body):
    """At most `count` in any `seconds`."""

    count: int = Field(ge=1, le=1_000_000)
    seconds: int = Field(ge=1, le=7 * DAY)


Speeds = Annotated[list[SpeedIn], Field(min_length=1, max_length=4)]


class ProfileLimits(Body):
    """What is left out is as the deployment has it (`GET /v1/otp/limits`)."""

    number: Speeds | None = Field(default=None, description="For one number.")
    prefix: Speeds | None = Field(default=None, description="For a number's first digits, all but four.")
    ip: Speeds | None = Field(default=None, description="For a `client_ip`; of IPv6 its /64.")
    session: Speeds | None = Field(default=None, description="For a `session`.")
    profile: Speeds | None = Field(default=None, description="For all of this profile.")


class TestNumber(Body):
    """A number that is sent nothing and whose code is always this one."""

    __test__ = False  # no test, whatever pytest thinks

    msisdn: str = Field(max_length=64)
    code: Annotated[str, StringConstraints(pattern=r"^[0-9]{4,10}$")]


class _Profile(Body):
    @field_validator("region", check_fields=False)
    @classmethod
    def _known_region(cls, region: str | None) -> str | None:
        return None if region is None else _region(region)

    @field_validator("allowed_countries", check_fields=False)
    @classmethod
    def _known_countries(cls, countries: list[str] | None) -> list[str] | None:
        return None if countries is None else sorted({_region(country) for country in countries})

    @field_validator("text", check_fields=False)
    @classmethod
    def _template(cls, text: str) -> str:
        try:
            return otp_text.read_template(text)
        except Invalid as refusal:
            raise ValueError(refusal.detail) from None

    @field_validator("web_domain", check_fields=False)
    @classmethod
    def _host(cls, domain: str | None) -> str | None:
        try:
            return None if domain is None else otp_text.read_domain(domain)
        except Invalid as refusal:
            raise ValueError(refusal.detail) from None


def _region(code: str) -> str:
    try:
        return parse_region(code)
    except Invalid:
        raise ValueError("Give a country's two-letter code, such as ZA or GB.") from None


class ProfileIn(_Profile):
    model_config = shown(examples.GIVEN)

    name: Name = Field(description="How `POST /v1/otp` names it.")
    enabled: bool = Field(default=True, description="Switched off, only the form of numbers is checked.")
    length: int = Field(default=otp.USUAL_LENGTH, ge=otp.SHORTEST_CODE, le=otp.LONGEST_CODE, description="Digits.")
    ttl_seconds: int = Field(default=otp.USUAL_TTL_SECONDS, ge=SHORTEST_TTL, le=LONGEST_TTL)
    max_attempts: int = Field(default=otp.USUAL_ATTEMPTS, ge=1, le=20, description="Codes that may be tried.")
    resend_waits: list[Wait] = Field(
        default=list(otp.USUAL_WAITS), min_length=1, max_length=10, description="Seconds; the last one holds on."
    )
    max_sends: int = Field(default=otp.USUAL_SENDS, ge=1, le=10, description="Messages for one password.")
    text: Text = Field(default=otp_text.USUAL_TEXT, description="With `{{ code }}` once, and `{{ minutes }}`.")
    sender_id: str | None = Field(default=None, description="A registered sender, by its value or its id.")
    location_id: str | None = Field(default=None, max_length=200, description="Which gateways serve it.")
    web_domain: str | None = Field(
        default=None,
        max_length=300,
        description="The host of the page that asks: adds the last line `@host #code`, which browsers fill in by "
        "themselves on that page alone. Leave it out where the page has no name or no TLS.",
    )
    region: str | None = Field(default=None, description="ISO country of numbers without a country code.")
    allowed_countries: list[str] | None = Field(
        default=None, min_length=1, max_length=250, description="Countries passwords go to; else `region`'s alone."
    )
    limits: ProfileLimits = Field(default_factory=ProfileLimits)
    test_numbers: list[TestNumber] = Field(
        default_factory=list,
        max_length=20,
        description="For trying out, of ranges that nobody has: no SMS goes out. Only an admin may set them.",
    )


class ProfilePatch(_Profile):
    """What is left out stays."""

    model_config = shown(examples.CHANGE)

    name: Name = ""
    enabled: bool = True
    length: int = Field(default=otp.USUAL_LENGTH, ge=otp.SHORTEST_CODE, le=otp.LONGEST_CODE)
    ttl_seconds: int = Field(default=otp.USUAL_TTL_SECONDS, ge=SHORTEST_TTL, le=LONGEST_TTL)
    max_attempts: int = Field(default=otp.USUAL_ATTEMPTS, ge=1, le=20)
    resend_waits: list[Wait] = Field(default=list(otp.USUAL_WAITS), min_length=1, max_length=10)
    max_sends: int = Field(default=otp.USUAL_SENDS, ge=1, le=10)
    text: Text = otp_text.USUAL_TEXT
    sender_id: str | None = None
    location_id: str | None = Field(default=None, max_length=200)
    web_domain: str | None = Field(default=None, max_length=300)
    region: str | None = None
    allowed_countries: list[str] | None = Field(default=None, min_length=1, max_length=250)
    limits: ProfileLimits = Field(default_factory=ProfileLimits)
    test_numbers: list[TestNumber] = Field(default_factory=list, max_length=20)


class TestNumberOut(Out):
    __test__ = False  # no test, whatever pytest thinks

    msisdn: str
    code: str


class ProfileOut(Out):
    model_config = shown(examples.PROFILE)

    id: UUID
    name: str
    enabled: bool
    length: int
    ttl_seconds: int
    max_attempts: int
    resend_waits: list[int]
    max_sends: int
    text: str
    sender_id: str | None
    location_id: str | None
    web_domain: str | None
    region: str | None
    allowed_countries: list[str] | None
    limits: dict[str, Any] = Field(description="What differs from the deployment's limits.")
    test_numbers: list[TestNumberOut]
    segments: int = Field(description="What one message of it takes.")
    warnings: list[str] = Field(description="What should be looked at before real people use it.")
    created_at: datetime
    updated_at: datetime
