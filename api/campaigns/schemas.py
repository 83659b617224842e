"""The shapes of campaigns as clients send and see them."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from api import example_world as world
from api.campaigns import examples
from api.campaigns.results.schemas import SummaryOut
from api.examples import shown
from api.policy.rules import QuietWindowIn
from api.policy.schemas import QuietWindowOut
from api.schemas import Body, Moment, Out
from shared.domain.attachment import MOST
from shared.domain.campaign import HeldReason, Status, StepStatus, Which
from shared.domain.campaign_pace import FASTEST
from shared.domain.message import SkipReason
from shared.domain.message import Status as MessageStatus
from shared.domain.segments import Encoding

Sort = Literal[
    "created_at",
    "-created_at",
    "created_by",
    "-created_by",
    "messages",
    "-messages",
    "name",
    "-name",
    "start_at",
    "-start_at",
    "status",
    "-status",
    "target",
    "-target",
]

MAX_TARGETS = 10_000
MAX_STEPS = 20

QUIET: Final = "When its recipients are not disturbed, by their own clocks, beside the quiet hours of the policy."

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Words = Annotated[str, StringConstraints(min_length=1, max_length=1600)]


PhoneField = Annotated[str, StringConstraints(pattern=r"^(msisdn|fields\.[^.]{1,64})$")]


PerMinute = Annotated[int | None, Field(ge=1, le=FASTEST)]


class StepIn(Body):
    """One message of the sequence. Without `send_at` it goes when the campaign starts."""

    model_config = shown(examples.WITH_MENU)

    text: Words | None = Field(
        default=None,
        description="With tags (`GET /v1/tags`). Either this or `template_id`.",
        examples=['Hi {{ name | default("there") }}, your voucher waits.'],
    )
    template_id: UUID | None = Field(
        default=None, description="A template whose newest wording is copied; later versions change nothing here."
    )
    send_at: AwareDatetime | None = None
    send_by: AwareDatetime | None = Field(
        default=None, description="What is not sent by then expires instead of coming late."
    )
    attachment_ids: list[UUID] = Field(
        default_factory=list,
        max_length=MOST,
        description="What goes with the text (`POST /v1/attachments`). Only gateways that take attachments get it.",
    )


class CampaignIn(Body):
    """A campaign as it is made: what to say, and to whom."""

    model_config = shown(examples.GIVEN)

    name: Name = Field(description="Your own name for it.", examples=["Spring offer"])
    messages: list[StepIn] = Field(
        min_length=1, max_length=MAX_STEPS, description="What is said, in this order; each has a time of its own."
    )
    target_group_ids: list[UUID] = Field(
        default_factory=list, max_length=100, description="To the members of these groups. Each number gets it once."
    )
    contact_ids: list[UUID] = Field(default_factory=list, max_length=MAX_TARGETS, description="And to these contacts.")
    msisdns: list[str] = Field(
        default_factory=list,
        max_length=MAX_TARGETS,
        description="And to these numbers, in any notation; one without a country code is of `default_region`.",
        examples=[["+12025550142"]],
    )
    default_region: str | None = Field(
        default=None, description="ISO country that numbers without a country code belong to."
    )
    phone_field: PhoneField | None = Field(
        default=None,
        description="Which of a contact's numbers is written to: `msisdn`, or `fields.<key>` for a field that holds "
        "another one, with its country code. Whoever has none there is left out as `invalid_msisdn`.",
    )
    skip_landlines: bool = Field(
        default=False,
        description="Whether numbers that show no texts by their numbering plan (fixed lines, pagers) are skipped as "
        "`landline`; the estimate tells how many there are.",
    )
    max_per_minute: PerMinute = Field(
        default=None,
        description="So many of its messages a minute at most, spread over the minute; null as many as gateways take.",
    )
    sender_id: str | None = Field(default=None, description="A registered sender, by its value or its id.")
    owner: str | None = Field(default=None, max_length=200, description="Whose it is, in your own words.")
    quiet_hours: list[QuietWindowIn] | None = Field(default=None, max_length=14, description=QUIET)
    opt_in_acknowledged: bool = Field(
        default=False, description="Somebody vouches that the recipients agreed to be written to."
    )


class CampaignPatch(Body):
    """What may change while a campaign is a draft or scheduled. Lists replace what was there."""

    model_config = shown(examples.CHANGE)

    name: Name | None = None
    messages: list[StepIn] | None = Field(default=None, min_length=1, max_length=MAX_STEPS)
    target_group_ids: list[UUID] | None = Field(default=None, max_length=100)
    contact_ids: list[UUID] | None = Field(default=None, max_length=MAX_TARGETS)
    msisdns: list[str] | None = Field(default=None, max_length=MAX_TARGETS)
    default_region: str | None = None
    phone_field: PhoneField | None = None
    skip_landlines: bool | None = None
    max_per_minute: PerMinute = Field(default=None, description="Alone, it may also change while the campaign runs.")
    sender_id: str | None = None
    owner: str | None = Field(default=None, max_length=200)
    quiet_hours: list[QuietWindowIn] | None = Field(default=None, max_length=14, description=QUIET)
    opt_in_acknowledged: bool | None = None


class StepTimesIn(Body):
    """Another time for a message of the sequence; what is not named stays as it is."""

    model_config = shown({"send_at": world.DAY_AFTER})

    send_at: AwareDatetime | None = Field(default=None, description="null: as soon as the campaign runs.")
    send_by: AwareDatetime | None = Field(default=None, description="null: however late.")


class StepTimeIn(StepTimesIn):
    model_config = shown(examples.STEP_TIME)

    id: UUID = Field(description="A cancelled message of the campaign.")


class RestartIn(Body):
    """The rebuilt schedule of a stopped campaign."""

    model_config = shown({"messages": [examples.STEP_TIME]})

    messages: list[StepTimeIn] = Field(default_factory=list, max_length=MAX_STEPS)


class DuplicateIn(Body):
    model_config = shown({"name": "Summer offer"})

    name: Name | None = Field(default=None, description="By default the original's, with `(copy)` behind it.")


class ResendIn(Body):
    model_config = shown({"which": "failed"})

    which: Which = Field(
        description="`failed`: refused, or given up by the network; `unsent`: expired or cancelled; "
        "`unconfirmed`: a gateway may have it, so some people may get it twice."
    )
    name: Name | None = Field(default=None, description="By default the original's, with what is resent behind it.")


class MediaOut(Out):
    """An attachment as it was when the message was written."""

    id: UUID
    name: str
    content_type: str
    size_bytes: int


class StepOut(Out):
    id: UUID
    position: int
    text: str
    template_id: UUID | None = Field(description="What the text was copied from.")
    template_version: int | None
    send_at: datetime | None
    send_by: datetime | None
    status: StepStatus
    attachments: list[MediaOut]
    resend_of: UUID | None = Field(description="The campaign message whose messages it sends once more.")


class CampaignOut(Out):
    model_config = shown(examples.DRAFT)

    id: UUID
    name: str
    status: Status
    held_reason: HeldReason | None
    phone_field: str = Field(description="Which of a contact's numbers is written to.")
    skip_landlines: bool
    max_per_minute: int | None
    sender_id: str | None
    owner: str | None
    created_by: str | None
    opt_in_acknowledged_at: datetime | None
    opt_in_acknowledged_by: str | None = Field(description="The key that vouched for the recipients' consent.")
    quiet_hours: list[QuietWindowOut] | None
    confirmed_recipients: int | None = Field(
        description="It was started for so many at most; null where nobody confirmed a number."
    )
    confirmed_segments: int | None = Field(description="And for so many segments at most.")
    recipients: int | None = Field(
        description="How many the audience holds once it is frozen, or the campaign stopped or archived; before, null."
    )
    starts_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    stopped_at: datetime | None
    released_at: datetime | None = Field(description="When its owner last started, restarted or resumed it.")
    messages_dropped_at: datetime | None = Field(
        description="When the policy's `retention_days` first took messages of it; its report keeps their counts."
    )
    resend_of: UUID | None = Field(description="The campaign of which it sends some messages once more.")
    resend_which: Which | None
    created_at: datetime
    updated_at: datetime
    target_group_ids: list[UUID]
    contact_ids: list[UUID]
    msisdns: list[str]
    messages: list[StepOut]
    warnings: list[str] = Field(
        description="What to look at before it goes: why nothing could be handed over as the gateways are now, and "
        "what looks like a tag and is none; empty once it has ended."
    )


class CampaignRowOut(Out):
    """A campaign in a list."""

    model_config = shown(examples.ROW)

    id: UUID
    name: str
    status: Status
    held_reason: HeldReason | None
    sender_id: str | None
    owner: str | None
    created_by: str | None
    recipients: int | None
    messages: int
    target: str = Field(description="Whom it is for in a few words, as it was when they were last set.")
    starts_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime


class PreviewOut(Out):
    """What one recipient would read. `missing` names tags without a value or a default: they are left out."""

    model_config = shown(examples.PREVIEW)

    msisdn: str
    contact_id: UUID | None
    messages: list["PreviewedOut"]
    missing: list["MissingOut"] = Field(
        description="Tags that somebody in the audience has no value for; the campaign cannot start before each has a "
        "default. Empty once the audience is frozen."
    )


class MissingOut(Out):
    """A tag without a default, and how many have no value for it."""

    tag: str
    positions: list[int] = Field(description="The messages of the sequence that hold it.")
    recipients: int
    contact_id: UUID | None = Field(description="One of them; null where a number without a contact is.")
    msisdn: str


class PreviewedOut(Out):
    position: int
    text: str
    encoding: Encoding
    characters: int
    segments: int
    missing: list[str]


class StepReportOut(Out):
    id: UUID
    position: int
    status: StepStatus
    send_at: datetime | None
    counts: dict[MessageStatus, int]
    segments: int


class ReportOut(Out):
    """Where everything is. The counts add up to recipients times messages, at every moment."""

    model_config = shown(examples.REPORT)

    id: UUID
    name: str
    status: Status
    held_reason: HeldReason | None
    recipients: int
    counts: dict[MessageStatus, int]
    segments: int = Field(description="Segments of the messages that a gateway took or may have.")
    messages: list[StepReportOut]
    started_at: datetime | None
    finished_at: datetime | None


class EventOut(Out):
    """One thing that happened, or will."""

    at: datetime
    event: str = Field(examples=["created", "scheduled", "started", "message_due", "completed", "archived"])
    position: int | None = None
    counts: dict[MessageStatus, int] | None = None
    summary: SummaryOut | None = Field(default=None, description="The same in six words, with the deliverability.")
    detail: dict[str, Any] = Field(default_factory=dict)


class TimelineOut(Out):
    """Oldest first; what is still ahead comes last."""

    model_config = shown(examples.TIMELINE)

    items: list[EventOut]


class CampaignMessageOut(Out):
    """One recipient's message in a campaign."""

    model_config = shown(examples.MESSAGE)

    id: UUID
    position: int
    msisdn: str
    contact_id: UUID | None
    status: MessageStatus
    skip_reason: SkipReason | None
    failure: str | None
    segments: int
    attempt: int
    gateway_id: UUID | None
    status_at: datetime


class CampaignFilter(BaseModel):
    """What a list of campaigns may be narrowed to, and its order."""

    status: Status | None = Field(
        default=None, description="Only those that are this now; the only way to archived ones."
    )
    q: str | None = Field(default=None, max_length=200, description="Part of the name.")
    sender_id: str | None = Field(default=None, description="A sender's value, as the handset shows it.")
    starts_from: Moment | None = Field(
        default=None, description="From this time on; one without a time counts by when it was made."
    )
    starts_to: Moment | None = Field(default=None, description="Before this time.")
    sort: Sort = Field(default="-created_at", description="A minus begins with the largest, or latest.")
