"""Notices as clients read them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import ConfigDict, Field

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
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0197c0de-0000-7000-8000-000000000001",
                    "kind": "balance_low",
                    "severity": "warning",
                    "subject": {"kind": "gateway", "id": "0197c0de-0000-7000-8000-000000000002"},
                    "title": "Gateway Main is low: 19.5000 USD",
                    "text": "The gateway Main has 19.5000 USD, which is below 25.0000 USD. "
                    "Top the account up before it runs dry.",
                    "data": {"name": "Main", "amount": "19.5000", "unit": "USD", "warn_below": "25.0000"},
                    "at": "2026-03-02T07:30:00Z",
                    "acknowledged_at": None,
                    "acknowledged_by": None,
                    "emails": [
                        {
                            "address": "ops@example.com",
                            "state": "sent",
                            "at": "2026-03-02T07:30:04Z",
                            "attempts": 1,
                            "error": None,
                        }
                    ],
                }
            ]
        }
    )

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
