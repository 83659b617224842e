"""Notices are written in the transaction of what they tell, with a letter and an event for whoever wants one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.event import EVENT_OF_NOTICE, EventType
from shared.domain.notice import Notice
from shared.ids import uuid7
from shared.models import NoticeEmail, NoticeRow
from shared.queries.events import Event, tell


async def insert_notice(tx: AsyncConnection, notice: Notice, *, now: datetime, emails: Sequence[str] = ()) -> UUID:
    """Tell one piece of news; whoever is in `emails` gets it as a letter, too."""
    notice_id = uuid7(now)
    kind, subject_id = notice.subject
    await tx.execute(
        insert(NoticeRow).values(
            id=notice_id,
            kind=notice.kind.value,
            severity=notice.severity.value,
            subject_kind=kind,
            subject_id=subject_id,
            title=notice.title,
            text=notice.text,
            data=dict(notice.data),
            at=now,
        )
    )
    letters = [{"notice_id": notice_id, "address": address, "due_at": now} for address in dict.fromkeys(emails)]
    if letters:
        await tx.execute(insert(NoticeEmail), letters)
    kind_of_event = EVENT_OF_NOTICE.get(notice.kind, EventType.NOTICE_TOLD)
    await tell(tx, Event(kind_of_event, subject_id, _data_of(notice, notice_id)), now=now)
    return notice_id


def _data_of(notice: Notice, notice_id: UUID) -> dict[str, Any]:
    kind, subject_id = notice.subject
    return {
        **notice.data,
        f"{kind}_id": str(subject_id),
        "notice_id": str(notice_id),
        "severity": notice.severity.value,
        "title": notice.title,
    }
