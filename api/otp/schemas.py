"""The shapes of passwords as clients send and see them. The code itself is in none of them."""

from datetime import datetime
from uuid import UUID

from pydantic import Field, field_validator

from api.examples import shown
from api.otp import examples
from api.schemas import Body, Out
from shared.domain.otp import LONGEST_TYPED, Status


class OtpIn(Body):
    model_config = shown(examples.ASKED)

    msisdn: str = Field(max_length=200)
    profile: str = Field(default="default", max_length=100, description="The name of a profile.")
    default_region: str | None = Field(
        default=None, description="ISO country that a number without a country code belongs to."
    )
    client_ip: str | None = Field(
        default=None, max_length=100, description="The person's address, to keep one of them from asking for all."
    )
    session: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="What you know the person's browser by. The same session finds its open password again; another "
        "one gets a password of its own.",
    )


class OtpOut(Out):
    model_config = shown(examples.STARTED)

    id: UUID | None = Field(description="None where no password is required.")
    status: Status
    sent: bool = Field(description="Whether a message goes out for this request.")
    expires_at: datetime | None
    resend_after: int | None = Field(description="Seconds until it may be sent again; None where it may not.")
    attempts_left: int | None
    code_length: int | None = Field(description="How many digits to ask for.")
    advice: str | None = Field(
        description="What you may show to whoever waits for the code, where there is something to say: it is accepted "
        "and no gateway would take it, as they are now."
    )


class TypedIn(Body):
    """What the person typed, as it is: spaces, dashes and digits of any script are understood."""

    model_config = shown(examples.TYPED)

    code: str = Field(max_length=LONGEST_TYPED, description="An empty one is refused, and costs no attempt.")
    session: str | None = Field(default=None, max_length=200, description="If given, it has to be the one that began.")
    profile: str | None = Field(default=None, max_length=100, description="If given, it has to be the one that began.")

    @field_validator("code")
    @classmethod
    def _typed(cls, code: str) -> str:
        if not code.strip():
            raise ValueError("No code was typed; send what the person typed. No attempt was counted.")
        return code


class VerifiedOut(Out):
    """A wrong code, one that came too late, one that was used and one that never was look alike."""

    model_config = shown(examples.VERIFIED)

    verified: bool
    attempts_left: int


class OtpDetailOut(Out):
    model_config = shown(examples.DETAIL)

    id: UUID
    profile_id: UUID
    status: Status
    msisdn: str
    country: str = Field(description="ISO country of the number; `001` is none.")
    attempts: int = Field(description="Codes that were tried.")
    max_attempts: int
    sends: int
    is_test: bool
    message_ids: list[UUID] = Field(description="`GET /v1/messages/{id}` has each one's way; their text has no code.")
    created_by: str | None
    created_at: datetime
    expires_at: datetime
    resend_after: int | None
    used_at: datetime | None
    cancelled_at: datetime | None
