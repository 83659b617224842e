"""The quota as clients write and read it."""

from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from pydantic import Field, field_validator

from api import example_world as world
from api.examples import shown
from api.schemas import Body, Out
from shared.domain.policy import QuotaUnit
from shared.domain.quota import EntryKind, Period

MOST_UNITS: Final = 1_000_000_000_000
ENTRY: Final[dict[str, Any]] = {
    "id": world.QUOTA_ENTRY,
    "kind": "grant",
    "units": 100_000,
    "period": "month",
    "subject_kind": "grant",
    "subject_id": None,
    "booked_on": "2026-03-02",
    "at": world.CREATED,
    "created_by": world.API_KEY,
    "note": "plan M",
}


class GrantIn(Body):
    model_config = shown({"units": 100_000, "period": "month", "note": "plan M"})

    units: int = Field(
        ge=-MOST_UNITS, le=MOST_UNITS, description="Added to what the period has already; negative takes away."
    )
    period: Period = Field(
        default=Period.TOTAL,
        description="`total` counts once; a `day`, `month` or `year` has it anew, by the policy's `time_zone`.",
    )
    note: str | None = Field(default=None, max_length=200)

    @field_validator("units")
    @classmethod
    def _not_nothing(cls, units: int) -> int:
        if units == 0:
            raise ValueError("a grant of 0 changes nothing; name the units")
        return units


class EntryOut(Out):
    """One line of the ledger."""

    model_config = shown(ENTRY)

    id: UUID
    kind: EntryKind
    units: int
    period: Period | None
    subject_kind: str = Field(description="`grant`, `campaign`, or `messages`: a day's single messages in one line.")
    subject_id: UUID | None
    booked_on: date = Field(description="Whose period it belongs to: a release goes back to where it came from.")
    at: datetime
    created_by: str | None
    note: str | None


class QuotaLimitOut(Out):
    period: Period
    granted: int
    used: int = Field(description="Reserved and consumed in the period that is now.")
    available: int


class QuotaOut(Out):
    """What may still be sent. Every period that has a grant is a limit; the narrowest decides."""

    model_config = shown(
        {
            "unlimited": False,
            "unit": "segment",
            "available": 99_998,
            "reserved": 0,
            "consumed": 2,
            "limits": [{"period": "month", "granted": 100_000, "used": 2, "available": 99_998}],
        }
    )

    unlimited: bool = Field(description="Without any grant there is no limit, and no ledger is kept.")
    unit: QuotaUnit
    available: int | None = Field(description="Null without a limit.")
    reserved: int = Field(description="Promised to campaigns and messages that are not sent yet.")
    consumed: int = Field(description="What gateways took, or may have, since the ledger began.")
    limits: list[QuotaLimitOut]
