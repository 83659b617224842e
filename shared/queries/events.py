"""Events are written in the transaction of what they tell, and only where some webhook wants to be told.

For what is seldom: whoever moves messages by the hundred knows from memory what is wanted
(`dispatcher/queries/tellings.py`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.event import EventType, choices_for


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one thing. `data` holds no secret."""

    type: EventType
    subject_id: UUID
    data: Mapping[str, Any] = field(default_factory=dict)


# A campaign may be renamed and given away: what it is called now stands in the event, for every try of it.
_TELL = text("""
    INSERT INTO webhook_events (type, subject_id, at, data)
    SELECT :type, :subject_id, :at, coalesce(
               (SELECT jsonb_build_object('name', c.name, 'owner', c.owner) FROM campaigns c
                WHERE c.id = :subject_id AND :type LIKE 'campaign.%'), '{}') || CAST(:data AS jsonb)
    WHERE EXISTS (SELECT 1 FROM webhooks WHERE enabled AND events && CAST(:choices AS text[]))
""")


async def tell_nobody(tx: AsyncConnection, *, now: datetime) -> None:
    """The same statement, for nobody: where the time an answer takes must not tell whether there was an event."""
    nothing = {"type": "", "subject_id": UUID(int=0), "at": now, "data": "{}", "choices": []}
    await tx.execute(_TELL, nothing)


async def tell(tx: AsyncConnection, event: Event, *, now: datetime) -> None:
    """Write an event for whoever wants it. The subject's row is locked or new, or the order of events is by chance."""
    await tx.execute(
        _TELL,
        {
            "type": event.type.value,
            "subject_id": event.subject_id,
            "at": now,
            "data": json.dumps(dict(event.data), default=str),
            "choices": list(choices_for(event.type)),
        },
    )
