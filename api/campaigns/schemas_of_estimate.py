"""The shapes of an estimate, and of a start that holds to one."""

from datetime import datetime

from pydantic import Field

from api import example_world as world
from api.examples import shown
from api.schemas import Amount, Body, Out
from shared.domain.message import SkipReason
from shared.domain.policy import QuotaUnit

CONFIRMATION = "confirm_0197c0de000070008000000000000021"


class StartIn(Body):
    """How to start: with what was confirmed, or without."""

    model_config = shown({"confirmation": CONFIRMATION})

    confirmation: str | None = Field(
        default=None, max_length=100, description="Of an estimate. The start is refused if anything changed since."
    )


class ResumeIn(Body):
    """How to resume: as it is, or with what was confirmed anew."""

    model_config = shown({"confirmation": CONFIRMATION})

    confirmation: str | None = Field(
        default=None,
        max_length=100,
        description="Of a new estimate, where the campaign is held because it would reach more than were confirmed.",
    )


class QuotaChangeOut(Out):
    before: int | None = Field(description="What is available now; null without a limit.")
    after: int | None = Field(description="What would be left.")


class CountryCostOut(Out):
    country: str
    segments: int
    price: Amount
    cost: Amount


class CostOut(Out):
    """By the operator's own prices, and so an estimate."""

    currency: str
    total: Amount
    countries: list[CountryCostOut]
    unpriced_segments: int = Field(description="To countries without a price, of whatever currency.")


class EstimateOut(Out):
    """What the campaign would come to if it started now. The numbers are exact; money and time are estimates."""

    model_config = shown(
        {
            "audience": 3,
            "recipients": 2,
            "skipped": {"opted_out": 1},
            "landlines": 0,
            "unfit": 0,
            "messages": 2,
            "segments": 2,
            "units": 2,
            "unit": "segment",
            "quota": {"before": 100_000, "after": 99_998},
            "finishes_at": world.SENT,
            "cost": [
                {
                    "currency": "USD",
                    "total": "0.0158",
                    "countries": [{"country": "US", "segments": 2, "price": "0.0079", "cost": "0.0158"}],
                    "unpriced_segments": 0,
                }
            ],
            "warnings": [],
            "confirmation": CONFIRMATION,
        }
    )

    audience: int = Field(description="Numbers, each once.")
    recipients: int = Field(description="Of the audience, those who would be written to.")
    skipped: dict[SkipReason, int] = Field(description="The others, by why.")
    landlines: int = Field(
        description="Of the recipients, numbers that show no texts by their numbering plan; `skip_landlines` of the "
        "campaign passes over them."
    )
    unfit: int = Field(
        description="Messages that would fail: empty, too long, or with a tag that has no value and no default for one "
        "recipient."
    )
    messages: int
    segments: int
    units: int = Field(description="What it takes from the quota.")
    unit: QuotaUnit
    quota: QuotaChangeOut
    finishes_at: datetime | None = Field(
        description="By the paces of all enabled gateways, its own `max_per_minute` and the quiet hours of most "
        "recipients; null without a pace."
    )
    cost: list[CostOut] = Field(description="For each currency of the price table.")
    warnings: list[str] = Field(
        description="What to look at before it goes: why nothing could be handed over as the gateways are now, and "
        "what looks like a tag and is none."
    )
    confirmation: str = Field(description="Give it to `start`. It works once, for these words and this audience.")
