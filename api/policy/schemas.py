"""The policy as clients write and read it. What each rule does to a request is in `shared/domain/policy.py`."""

from datetime import datetime
from typing import Any, Final

from pydantic import Field

from api import example_world as world
from api.examples import shown
from api.policy import rules
from api.policy.rules import ActivatedIn, Checked, Day, FrequencyCapIn, KeywordsIn
from api.schemas import Out
from shared.domain import policy as law
from shared.domain.keywords import Keyword
from shared.domain.message import MAX_SEGMENTS
from shared.domain.policy import EditWhenScheduled, OptOutScope, Policy, QuotaUnit

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
CHANGE: Final[dict[str, Any]] = {"max_chars": 480, "frequency_cap": None, "activated": {"automations": False}}
CHANGED: Final[dict[str, Any]] = {
    **EXAMPLE,
    "frequency_cap": None,
    "updated_at": world.CREATED,
    "updated_by": world.API_KEY,
}


class Rules(Checked):
    """Every rule. What is not named takes its default."""

    model_config = shown(EXAMPLE)

    schedule_min_lead_minutes: rules.MinLead = 0
    schedule_max_ahead_days: rules.MaxAhead = 365
    edit_when_scheduled: rules.Editing = EditWhenScheduled.EVERYTHING
    stop_when_running: rules.Stopping = True
    move_when_running: rules.Moving = True
    require_opt_in_acknowledgement: rules.Acknowledging = True
    require_consent: rules.Consenting = False
    max_chars: rules.MaxChars = None
    max_segments: rules.MaxSegments = MAX_SEGMENTS
    quota_unit: rules.Unit = QuotaUnit.SEGMENT
    opt_out_scope: rules.Scope = OptOutScope.ALL
    keywords: rules.OwnWords = Field(default_factory=KeywordsIn)
    quiet_hours: rules.QuietHours = Field(default_factory=list)
    quiet_hours_kinds: rules.QuietKinds = ["campaign"]
    time_zone: rules.Zone = None
    location_time_zones: rules.LocationZones = Field(default_factory=dict)
    late_after_minutes: rules.LateAfter = 60
    frequency_cap: FrequencyCapIn | None = None
    default_region: rules.Region = None
    alphanumeric_senders: rules.Names = False
    allowed_countries: rules.Countries = None
    retention_days: rules.Retention = None
    max_attachment_bytes: rules.LargestFile = 5_000_000
    activated: rules.Activated = Field(default_factory=ActivatedIn)

    def to_policy(self) -> Policy:
        return law.read({**self.model_dump(mode="json"), "keywords": self.keywords.given()})


class RulesPatch(Checked):
    """What is left out stays; null takes the rule's default."""

    model_config = shown(CHANGE)

    schedule_min_lead_minutes: rules.MinLead | None = None
    schedule_max_ahead_days: rules.MaxAhead | None = None
    edit_when_scheduled: rules.Editing | None = None
    stop_when_running: rules.Stopping | None = None
    move_when_running: rules.Moving | None = None
    require_opt_in_acknowledgement: rules.Acknowledging | None = None
    require_consent: rules.Consenting | None = None
    max_chars: rules.MaxChars = None
    max_segments: rules.MaxSegments | None = None
    quota_unit: rules.Unit | None = None
    opt_out_scope: rules.Scope | None = None
    keywords: rules.OwnWords | None = None
    quiet_hours: rules.QuietHours | None = None
    quiet_hours_kinds: rules.QuietKinds | None = None
    time_zone: rules.Zone = None
    location_time_zones: rules.LocationZones | None = None
    late_after_minutes: rules.LateAfter | None = None
    frequency_cap: FrequencyCapIn | None = None
    default_region: rules.Region = None
    alphanumeric_senders: rules.Names | None = None
    allowed_countries: rules.Countries = None
    retention_days: rules.Retention = None
    max_attachment_bytes: rules.LargestFile | None = None
    activated: rules.ActivatedSwitches | None = None

    def onto(self, was: Policy) -> Policy:
        """The policy after this change of it."""
        named = self.model_dump(mode="json", include=self.model_fields_set)
        if self.keywords is not None:
            named["keywords"] = self.keywords.given()
        if self.activated is not None:
            named["activated"] = self.activated.model_dump(exclude_unset=True)
        return law.changed(was, named)


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
