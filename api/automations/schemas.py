"""Automations and events as clients send and see them."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AliasChoices, Field, StringConstraints, model_validator

from api import example_world as world
from api.examples import shown
from api.schemas import Body, Out, check_one_of
from shared.domain.automation import MAX_CONDITIONS, EventOperator, Outcome

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
EventName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.]{0,63}$")]
Path = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,3}$")]
Value = str | int | float | bool | None
DAY: Final = 86_400

_CONDITION: Final[dict[str, Any]] = {"field": "percent_used", "operator": "above", "value": 80}
_GIVEN: Final[dict[str, Any]] = {
    "name": "Voucher nearly used",
    "event": "voucher_nearly_used",
    "conditions": [_CONDITION],
    "template_id": world.STORED_TEMPLATE,
    "delay_seconds": 60,
    "cap": {"messages": 1, "hours": 24},
}
_AUTOMATION: Final[dict[str, Any]] = _GIVEN | {
    "id": "0197c0de-0000-7000-8000-000000000041",
    "sender_id": None,
    "respect_quiet_hours": True,
    "enabled": True,
    "warnings": [],
    "created_by": world.API_KEY,
    "created_at": world.CREATED,
    "updated_at": world.CREATED,
}
_DATA: Final[dict[str, Any]] = {"percent_used": 85, "voucher": {"code": "SPRING-25"}}
_TOLD: Final[dict[str, Any]] = {
    "id": "usage-4711-85",
    "name": "voucher_nearly_used",
    "contact_id": world.CONTACT,
    "data": _DATA,
}
_LED_TO: Final[dict[str, Any]] = {
    "automation_id": _AUTOMATION["id"],
    "automation": _AUTOMATION["name"],
    "outcome": "message",
    "detail": None,
    "message_id": world.MESSAGE,
    "at": world.STARTED,
}
_EVENT: Final[dict[str, Any]] = {
    "event_id": "0197c0de-0000-7000-8000-000000000042",
    "id": _TOLD["id"],
    "name": _TOLD["name"],
    "contact_id": world.CONTACT,
    "msisdn": None,
    "data": _DATA,
    "status": "handled",
    "received_at": world.CREATED,
    "handled_at": world.STARTED,
    "led_to": [_LED_TO],
}


class ConditionIn(Body):
    model_config = shown(_CONDITION)

    field: Path = Field(description="Where in the event's `data`: `order.total`.")
    operator: EventOperator = Field(
        validation_alias=AliasChoices("operator", "op"),
        description="The words of a target group's conditions, as far as an event's data can be asked by them; `op` is "
        "its name there, and here as well. `above` is `greater_than`, `below` is `less_than`.",
    )
    value: Value | list[Value] = Field(
        default=None,
        description="What the field is compared with: a list for `in`, `not_in` and `between`, a number for "
        "`greater_than` and its like.",
    )


class CapIn(Body):
    model_config = shown({"messages": 1, "hours": 24})

    messages: int = Field(ge=1, le=1000, description="So many at most,")
    hours: int = Field(ge=1, le=24 * 90, description="within so many hours.")


Conditions = Annotated[list[ConditionIn], Field(max_length=MAX_CONDITIONS, description="All of them have to hold.")]
Delay = Annotated[int, Field(ge=0, le=30 * DAY, description="From the event to the message; up to 30 days.")]
SenderId = Annotated[str, StringConstraints(min_length=1, max_length=20)]


class AutomationIn(Body):
    model_config = shown(_GIVEN)

    name: Name = Field(description="Your own name for it.")
    event: EventName = Field(
        description="The name of the events it waits for. `contact_added` and `opt_in` come from inside, by "
        "themselves; so does `voucher_nearly_used` of a voucher with `valid_until`."
    )
    conditions: Conditions = Field(default_factory=list)
    template_id: UUID = Field(description="Filled with the contact's values, and with `data` as `variables`.")
    delay_seconds: Delay = 0
    sender_id: SenderId | None = Field(default=None, description="A registered sender, by its value.")
    respect_quiet_hours: bool = Field(default=True, description="Whether it waits for the policy's windows to pass.")
    cap: CapIn | None = Field(default=None, description="The most that one person gets of it.")
    enabled: bool = Field(default=True, description="False: its events lead to nothing.")


class AutomationPatch(Body):
    """What is left out stays."""

    model_config = shown({"delay_seconds": 300, "cap": None})

    name: Name | None = None
    event: EventName | None = None
    conditions: Conditions | None = None
    template_id: UUID | None = None
    delay_seconds: Delay | None = None
    sender_id: SenderId | None = Field(default=None, description="null: the gateway's.")
    respect_quiet_hours: bool | None = None
    cap: CapIn | None = Field(default=None, description="null: none.")
    enabled: bool | None = Field(
        default=None, description="Off, it makes nothing any more; `stop` calls back what waits, too."
    )


class AutomationOut(Out):
    model_config = shown(_AUTOMATION)

    id: UUID
    name: str
    event: str
    conditions: list[dict[str, Any]]
    template_id: UUID
    delay_seconds: int
    sender_id: str | None
    respect_quiet_hours: bool
    cap: dict[str, int] | None
    enabled: bool
    warnings: list[str] = Field(description="What looks like a tag in the template's text and is none.")
    created_by: str | None
    created_at: datetime
    updated_at: datetime


class StoppedOut(Out):
    model_config = shown({"cancelled": 3, "automation": _AUTOMATION | {"enabled": False}})

    cancelled: int = Field(description="Messages that waited and are called back.")
    automation: AutomationOut


class DryRunIn(Body):
    model_config = shown({"contact_id": world.CONTACT, "data": _DATA})

    contact_id: UUID | None = None
    msisdn: str | None = Field(default=None, max_length=50)
    data: dict[str, Any] = Field(default_factory=dict)


class DryRunOut(Out):
    model_config = shown(
        {
            "outcome": "message",
            "detail": None,
            "text": "Dear Ada, your voucher is SPRING-25.",
            "segments": 1,
            "not_before": world.STARTED,
            "warnings": [],
        }
    )

    outcome: Outcome
    detail: str | None = Field(description="Why not, where there would be no message.")
    text: str | None
    segments: int | None
    not_before: datetime | None
    warnings: list[str] = Field(description="What would keep an event from leading to that, whatever its data.")


class EventIn(Body):
    model_config = shown(_TOLD)

    id: str = Field(min_length=1, max_length=200, description="Your own id of what happened: told twice, done once.")
    name: EventName
    contact_id: UUID | None = None
    msisdn: str | None = Field(
        default=None, max_length=50, description="In any notation; of a contact, or of nobody known."
    )
    data: dict[str, Any] = Field(
        default_factory=dict, description="For conditions, and for the template's tags as `variables`."
    )

    @model_validator(mode="after")
    def _one_person(self) -> "EventIn":
        check_one_of(self, "contact_id", "msisdn")
        return self


class LedToOut(Out):
    model_config = shown(_LED_TO)

    automation_id: UUID
    automation: str
    outcome: Outcome
    detail: str | None
    message_id: UUID | None
    at: datetime


class ToldEventOut(Out):
    model_config = shown(_EVENT)

    event_id: UUID = Field(description="Our id of it.")
    id: str = Field(description="Yours.")
    name: str
    contact_id: UUID | None
    msisdn: str | None
    data: dict[str, Any]
    status: Literal["waiting", "handled"]
    received_at: datetime
    handled_at: datetime | None
    led_to: list[LedToOut] = Field(description="What each automation of that name made of it, or why not.")
