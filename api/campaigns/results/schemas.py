"""The shapes of a campaign's results."""

from uuid import UUID

from pydantic import Field

from api.campaigns import examples
from api.examples import shown
from api.schemas import Out
from shared.domain.message import Status


class SummaryOut(Out):
    """Where messages are, in six words that add up to all of them."""

    model_config = shown(examples.SUMMARY)

    waiting: int = Field(description="Queued, or being handed over.")
    on_the_way: int = Field(description="A gateway or the carrier took it, and nothing says yet that it arrived.")
    delivered: int
    not_delivered: int = Field(description="Refused by every gateway, or given up by the network.")
    unconfirmed: int = Field(description="A gateway may have it.")
    not_sent: int = Field(description="Expired, skipped or cancelled.")
    deliverability: float | None = Field(
        description="Delivered, of those whose fate is known: delivered and not delivered. null while there is none."
    )


class ResultPartOut(Out):
    """The messages that have one thing in common."""

    model_config = shown(examples.PART)

    name: str | None = Field(description="A gateway's name, a country (ISO 3166), an error's code; null: none.")
    id: UUID | None = Field(default=None, description="Of a gateway.")
    counts: dict[Status, int]
    summary: SummaryOut


class StepBreakdownOut(Out):
    """One message of the sequence."""

    model_config = shown(examples.STEP_BREAKDOWN)

    id: UUID
    position: int
    summary: SummaryOut
    by_gateway: list[ResultPartOut]
    by_country: list[ResultPartOut]
    by_error: list[ResultPartOut]


class BreakdownOut(Out):
    """Messages that are not made yet are in no part; the report counts them as waiting."""

    model_config = shown(examples.BREAKDOWN)

    id: UUID
    messages: list[StepBreakdownOut]
