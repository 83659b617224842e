"""The shapes of messages as clients send and see them."""

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints, computed_field, model_validator

from api.examples import shown
from api.messages import examples
from api.schemas import Body, Moment, Out, check_one_of, misplaced
from api.templates.schemas import VARIABLES, Variables
from shared.domain.advice import advice_of
from shared.domain.message import Kind, SkipReason, Status
from shared.domain.segments import Encoding

Words = Annotated[str, StringConstraints(min_length=1, max_length=1600)]
_VOUCHER_TAG: Final = re.compile(r"\{\{\s*voucher\.")

VoucherWords = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class VoucherIn(Body):
    """What a voucher's text tells: only what its tags name is needed."""

    model_config = shown(examples.VOUCHER)

    code: VoucherWords | None = None
    plan: VoucherWords | None = None
    validity: VoucherWords | None = None
    location: VoucherWords | None = None
    valid_until: AwareDatetime | None = Field(
        default=None,
        description="When it ends. It is not handed over after that, and the event `voucher_nearly_used` comes from "
        "inside before. `validity`, in words, is for the text alone.",
    )
    nearly_used_at: AwareDatetime | None = Field(
        default=None,
        description="With `valid_until`: when that event comes. Without it, when a tenth of its time is left, and a "
        "day before the end at the earliest.",
    )

    @model_validator(mode="after")
    def has_an_end(self) -> Self:
        if self.nearly_used_at is not None and self.valid_until is None:
            told = "nearly_used_at counts with valid_until only: tell when the voucher ends, too."
            raise misplaced("nearly_used_at", told)
        return self


class MessageIn(Body):
    """One message to one person: to a number, or to a contact."""

    model_config = shown(examples.GIVEN)

    msisdn: str | None = Field(default=None, description="To this number, in any notation.", examples=["+12025550142"])
    contact_id: UUID | None = Field(default=None, description="Instead of `msisdn`: to this contact.")
    default_region: str | None = Field(
        default=None, description="ISO country that a number without a country code belongs to."
    )
    text: Words | None = Field(
        default=None,
        description="Sent as it is; its tags are filled where `variables` or `voucher` are given, those of a voucher "
        "in any case.",
        examples=["Your voucher: SPRING-25"],
    )
    template_id: UUID | None = Field(
        default=None, description="Instead of `text`: a stored one, in its newest wording."
    )
    variables: Variables = Field(default_factory=dict, description=VARIABLES)
    kind: Literal["personal", "voucher"] = Field(default="personal", description="What the log lists it as.")
    voucher: VoucherIn | None = Field(
        default=None, description="With `kind: voucher`: fills `voucher.code` and its neighbours."
    )
    sender_id: str | None = Field(default=None, description="A registered sender, by its value or its id.")
    location_id: str | None = Field(
        default=None, max_length=200, description="Where it is sent for: gateways that serve others are passed over."
    )
    send_at: AwareDatetime | None = Field(default=None, description="Not before this moment.")
    expires_at: AwareDatetime | None = Field(
        default=None,
        description="Not handed over after this moment; without it, 24 hours. A gateway that took it before is "
        "asked to give up then, too, as closely as it can be told.",
    )
    client_reference: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="Your own name for this message, given once: the same request again is answered with the message "
        "that it made, whatever became of it, and another one is refused.",
    )

    @property
    def is_filled(self) -> bool:
        """Whether the tags in the text are tags, and not the text itself.

        Those of a voucher always are: nobody means to hand out `{{ voucher.code }}`.
        """
        names_voucher = self.kind == "voucher" and _VOUCHER_TAG.search(self.text or "") is not None
        return names_voucher or "variables" in self.model_fields_set or self.voucher is not None

    @model_validator(mode="after")
    def one_text(self) -> Self:
        check_one_of(self, "text", "template_id")
        if self.voucher is not None and self.kind != "voucher":
            raise misplaced(
                "voucher", "voucher is of the kind voucher only: set kind to voucher, or leave voucher out."
            )
        return self

    @model_validator(mode="after")
    def one_recipient(self) -> Self:
        check_one_of(self, "msisdn", "contact_id")
        return self


class MessageOut(Out):
    model_config = shown(examples.DELIVERED)

    id: UUID
    kind: Kind
    status: Status
    skip_reason: SkipReason | None
    failure: str | None = Field(description="The code of the refusal that made it fail.")
    msisdn: str | None = Field(description="As all that a contact's page would tell, null for a key without `read`.")
    contact_id: UUID | None
    text: str | None = Field(description="With its tags filled in; null for a key without `read`.")
    encoding: Encoding
    segments: int
    sender_id: str | None
    location_id: str | None
    campaign_id: UUID | None
    campaign_message_id: UUID | None
    client_reference: str | None
    resend_of: UUID | None
    gateway_id: UUID | None = Field(description="The gateway of the last attempt.")
    attempt: int = Field(description="How often it was handed over.")
    not_before: datetime
    expires_at: datetime | None
    cancel_requested_at: datetime | None
    created_by: str | None
    created_at: datetime
    status_at: datetime
    carried: bool = Field(default=True, exclude=True)
    in_vain: bool = Field(default=False, exclude=True)

    @computed_field(description="What you may show to whoever waits for it, where there is something to say.")  # type: ignore[prop-decorator]  # mypy: properties below decorators
    @property
    def advice(self) -> str | None:
        return advice_of(self.status, self.kind, carried=self.carried, in_vain=self.in_vain)


class MadeOut(MessageOut):
    """A message as its request is answered."""

    model_config = shown(examples.MADE)

    warnings: list[str] = Field(
        description="What looks like a tag in the text as it was given and went out as it stands, with what to write; "
        "and why the message waits, or can only expire, where it does."
    )


class AttemptOut(Out):
    """One hand-over to one gateway. Without an outcome, it is not known yet."""

    model_config = shown(examples.ATTEMPT)

    attempt: int
    gateway_id: UUID
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    fault: str | None
    code: str | None
    detail: str | None
    reference: str | None = Field(description="The gateway's id for the message.")
    http_status: int | None
    segments: int | None = Field(description="What the gateway says it charges.")
    lookups: int
    exchange: dict[str, Any] | None = Field(
        description="Request and answer without secrets, numbers or texts, kept where it went wrong. Of a gateway's "
        "test always, and with its text."
    )


class ReceiptOut(Out):
    """What a gateway told about the message, as it came in."""

    model_config = shown(examples.RECEIPT)

    status: Status
    code: str | None
    reference: str | None
    attempt: int | None
    received_at: datetime
    applied_at: datetime | None


class MessageDetailOut(MessageOut):
    model_config = shown(examples.WHOLE)

    attempts: list[AttemptOut]
    receipts: list[ReceiptOut]


class MessageFilter(BaseModel):
    """What the log may be narrowed to; newest first."""

    kind: Kind | None = Field(default=None, description="Only messages of this kind.")
    status: Status | None = Field(default=None, description="Only those that are this now.")
    msisdn: str | None = Field(default=None, max_length=200, description="Whose, in any notation.")
    campaign_id: UUID | None = Field(default=None, description="Only messages of this campaign.")
    gateway_id: UUID | None = Field(default=None, description="Of the last attempt.")
    attempts: int | None = Field(default=None, ge=0, le=100, description="Handed over so often.")
    client_reference: str | None = Field(default=None, description="What you called it when you sent it.")
    from_: Moment | None = Field(default=None, alias="from", description="Made at this time or later.")
    to: Moment | None = Field(default=None, description="Made before this time.")
    q: str | None = Field(default=None, max_length=200, description="Part of the text.")
