"""Notices are written in the transaction of what they tell, with a letter for everybody who wants one."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.notice import Notice
from shared.ids import uuid7
from shared.models import NoticeEmail, NoticeRow


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
    return notice_id
