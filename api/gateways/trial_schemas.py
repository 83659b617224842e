"""A gateway's test as clients ask for it, and the exchange as they are shown it."""

from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import Field, StringConstraints
from sqlalchemy import Row

from api.examples import shown
from api.gateways import examples
from api.schemas import Body, Out
from shared.domain.breaker import Health
from shared.domain.message import SkipReason, Status
from shared.domain.outcome import Fault, OutcomeName
from shared.domain.remedies import REMEDIES

Words = Annotated[str, StringConstraints(min_length=1, max_length=1600)]


class TrialIn(Body):
    """Whom to send a test to."""

    model_config = shown(examples.TRIAL)

    msisdn: str = Field(max_length=200, description="In any notation.", examples=["+12025550142"])
    text: Words | None = Field(default=None, description="Without it, one that names the gateway.")
    sender_id: str | None = Field(
        default=None, description="One of this gateway's senders, by its value or its id; without it, its own."
    )
    location_id: str | None = Field(
        default=None, max_length=200, description="What `%LOCATION%`, or a script's `location`, is filled with."
    )


class SentOut(Out):
    """The request as it was made. Secrets are `[hidden]`, and so are numbers."""

    line: str = Field(description="The method and the URL.")
    headers: dict[str, str]
    body: str


class HeardOut(Out):
    """The answer as it came."""

    status: int
    headers: dict[str, str]
    body: str


class TrialOut(Out):
    """What a test came to, with the whole exchange."""

    model_config = shown(examples.TRIED)

    message_id: UUID = Field(description="The test is a message like any other: `GET /v1/messages/{id}` goes on.")
    status: Status
    skip_reason: SkipReason | None
    outcome: OutcomeName | None = Field(description="How the answer was read; null while there is none.")
    in_doubt: bool = Field(description="Whether the gateway may have the message without having said so.")
    fault: Fault | None
    code: str | None
    detail: str | None
    reference: str | None = Field(description="The gateway's id for the message.")
    segments: int | None = Field(description="What the gateway says it charges.")
    took_ms: int | None = Field(description="From its login or its script, where it has one, to the end of its answer.")
    then: str = Field(description="What this means, in words.")
    request: SentOut | None = Field(description="Null where none was made.")
    answer: HeardOut | None = Field(description="Null where none came.")

    @classmethod
    def of(cls, message: Row[Any], attempt: Row[Any] | None, gateway: Row[Any] | None, *, receipts: bool) -> Self:
        """`receipts`: whether what this gateway tells of a message later can be read."""
        exchange = (attempt.exchange if attempt else None) or {}
        sent, heard = exchange.get("request"), exchange.get("answer")
        return cls(
            message_id=message.id,
            status=message.status,
            skip_reason=message.skip_reason,
            outcome=attempt.outcome if attempt else None,
            in_doubt=message.status is Status.UNCONFIRMED,
            fault=attempt.fault if attempt else None,
            code=attempt.code if attempt else None,
            detail=attempt.detail if attempt else None,
            reference=attempt.reference if attempt else None,
            segments=attempt.segments if attempt else None,
            took_ms=exchange.get("took_ms"),
            then=_then(message.status, attempt, gateway, receipts=receipts),
            request=SentOut(line=f"{sent['method']} {sent['url']}", headers=sent["headers"], body=sent["body"])
            if sent
            else None,
            answer=HeardOut.model_validate(heard) if heard else None,
        )


def _then(status: Status, attempt: Row[Any] | None, gateway: Row[Any] | None, *, receipts: bool) -> str:
    if status is Status.SUBMITTED and not receipts:
        return f"{_NO_RECEIPTS}{_besides(status, gateway)}"
    if status not in {Status.FAILED, Status.UNCONFIRMED} or attempt is None:
        return f"{_THEN[status]}{_besides(status, gateway)}"
    # A code beside a fault is the gateway's own word.
    remedy = REMEDIES.get(attempt.code) if attempt.fault is None else None
    return f"{_THEN[status]} {remedy}" if remedy else f"{_THEN[status]}{_WHY[status]}"


def _besides(status: Status, gateway: Row[Any] | None) -> str:
    """What keeps all other messages from a gateway that has just taken this one."""
    if gateway is None or status not in {Status.SUBMITTED, Status.SENT, Status.DELIVERED}:
        return ""
    if not gateway.enabled:
        return f" Other messages do not go there while it is disabled: POST /v1/gateways/{gateway.id}/enable."
    if gateway.health == Health.WITHDRAWN:
        return f" Other messages do not go there, for it is withdrawn: POST /v1/gateways/{gateway.id}/enable."
    return ""


_THEN: Final = {
    Status.QUEUED: "No dispatcher has taken it yet; it is not sent any more a minute after it was asked for.",
    Status.SENDING: "The gateway has not answered yet; look at the message again in a moment.",
    Status.SUBMITTED: "The gateway took it; receipts follow.",
    Status.SENT: "The gateway took it, and the carrier has it.",
    Status.DELIVERED: "The handset has it.",
    Status.UNDELIVERED: "The gateway took it, and it was not delivered.",
    Status.FAILED: "It was certainly not sent.",
    Status.UNCONFIRMED: "The gateway may have it: no answer came that could be read. It is not sent again by itself.",
    Status.EXPIRED: "No dispatcher took it within a minute, so it was not sent; see whether one is running.",
    Status.SKIPPED: "It was not sent: the recipient has opted out.",
    Status.CANCELLED: "It was called back before it was sent.",
}
_WHY: Final = {
    Status.FAILED: " fault, code and detail say why.",
    Status.UNCONFIRMED: " See what it answered, and what the settings make of that in POST /v1/gateways/classify.",
}
_NO_RECEIPTS: Final = (
    "The gateway took it; no receipts of it are read, so that is all that will be known: see receipt in its settings."
)
