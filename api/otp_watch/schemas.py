"""The shapes of limits, blocks and figures."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from api.examples import shown
from api.otp_profiles.schemas import ProfileLimits, Speeds
from api.otp_watch import examples
from api.schemas import Out
from shared.domain.otp_conversion import State
from shared.domain.otp_limits import USUAL_DAY_SEGMENTS, USUAL_FAILURES, USUAL_HOUR_SEGMENTS

_MOST = 100_000_000


class LimitsIn(ProfileLimits):
    """The deployment's limits. What is left out is as usual; a profile may have others of its own."""

    model_config = shown(examples.LIMITS_GIVEN)

    deployment: Speeds | None = Field(default=None, description="For all passwords together.")
    hour_segments: int = Field(
        default=USUAL_HOUR_SEGMENTS, ge=0, le=_MOST, description="Segments in one hour of the clock; then none go out."
    )
    day_segments: int = Field(
        default=USUAL_DAY_SEGMENTS, ge=0, le=_MOST, description="Segments in 24 hours; then none go out."
    )
    failures: int = Field(
        default=USUAL_FAILURES,
        ge=1,
        le=100,
        description="Wrong codes for one number in 24 hours, over all its passwords; a right one forgets them.",
    )


class SpeedOut(Out):
    count: int
    seconds: int


class LimitsOut(Out):
    model_config = shown(examples.LIMITS)

    number: list[SpeedOut]
    prefix: list[SpeedOut]
    ip: list[SpeedOut]
    session: list[SpeedOut]
    profile: list[SpeedOut]
    deployment: list[SpeedOut]
    hour_segments: int
    day_segments: int
    failures: int
    updated_at: datetime | None = Field(description="None while they are as usual.")
    updated_by: str | None


class BlockOut(Out):
    """Where passwords are not used: throttled to a few, blocked for a time that doubles, or only told of."""

    model_config = shown(examples.BLOCK)

    id: UUID
    scope: Literal["prefix", "country"]
    value: str = Field(description="The numbers' first digits, all but four; or an ISO country.")
    state: State
    level: int = Field(description="How many blocks followed each other; each lasts twice as long.")
    until: datetime
    is_active: bool
    sent: int = Field(description="What it was judged by: passwords sent.")
    verified: int = Field(description="And those of them that were used.")
    created_at: datetime
    updated_at: datetime
    lifted_at: datetime | None
    lifted_by: str | None


class PartOut(Out):
    value: str
    started: int
    verified: int
    conversion: float | None


class StatsOut(Out):
    """Passwords that began in the time, without those of test numbers."""

    model_config = shown(examples.STATS)

    since: datetime
    until: datetime
    started: int
    verified: int
    conversion: float | None = Field(description="Verified of started; None of nothing.")
    sends: int = Field(description="Messages, those sent again included.")
    wrong_codes: int
    median_seconds_to_verify: float | None
    countries: list[PartOut] = Field(description="The twenty with the most.")
    prefixes: list[PartOut] = Field(description="The twenty with the most.")
    gateways: list[PartOut] = Field(description="By the gateway of a password's last message.")
