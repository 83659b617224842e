"""Audit entries as clients read them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api.schemas import Out


class SubjectOut(Out):
    kind: str
    id: str | None


class AuditEntryOut(Out):
    id: UUID
    at: datetime
    caller: str = Field(description="The id of the API key; `admin` is the bootstrap key.")
    action: str = Field(examples=["api_key.revoked"])
    subject: SubjectOut = Field(description="What it was done to.")
    detail: dict[str, Any]
    request_id: str | None
