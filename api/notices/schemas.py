"""Notices as clients read them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from api.examples import shown
from api.notices import examples
from api.schemas import Out
from shared.domain.notice import Kind, Severity


class NoticeSubjectOut(Out):
    kind: str = Field(examples=["gateway"])
    id: UUID


class NoticeEmailOut(Out):
    """A letter that carries the notice. `sent` means that a mail server took it."""

    address: str
    state: Literal["waiting", "sent", "failed"]
    at: datetime | None = Field(description="When it was sent, or given up.")
    attempts: int
    error: str | None = Field(description="Why it is not sent, or not yet.")


class NoticeOut(Out):
    model_config = shown(examples.LOW)

    id: UUID
    kind: Kind
    severity: Severity
    subject: NoticeSubjectOut = Field(description="What it is about; it may be gone by now.")
    title: str
    text: str
    data: dict[str, Any] = Field(description="The same facts for machines; which, depends on the kind.")
    at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None = Field(description="The id of the API key; `admin` is the bootstrap key.")
    emails: list[NoticeEmailOut]
