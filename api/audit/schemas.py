"""Audit entries as clients read them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import Field

from api import example_world as world
from api.examples import shown
from api.schemas import Out


class SubjectOut(Out):
    kind: str
    id: str | None


class AuditEntryOut(Out):
    model_config = shown(
        {
            "id": world.AUDIT_ENTRY,
            "at": world.STARTED,
            "caller": world.API_KEY,
            "action": "campaign.started",
            "subject": {"kind": "campaign", "id": world.CAMPAIGN},
            "detail": {"status": "scheduled"},
            "request_id": world.REQUEST,
        }
    )

    id: UUID
    at: datetime
    caller: str = Field(description="The id of the API key; `admin` is the bootstrap key.")
    action: str = Field(examples=["api_key.revoked"])
    subject: SubjectOut = Field(description="What it was done to.")
    detail: dict[str, Any]
    request_id: str | None
