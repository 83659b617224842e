"""Notices over HTTP: what the dashboard shows until somebody has seen it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Path, Query
from sqlalchemy import Row

from api.deps import CanManage, CanRead, Now, Page, Reader, RequestId, Tx
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.notices import examples, queries
from api.notices.schemas import NoticeEmailOut, NoticeOut, NoticeSubjectOut
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from shared.domain.notice import Kind
from shared.queries import audit

router = APIRouter(prefix="/notices", tags=["notices"], route_class=IdempotentRoute)


@router.get("", responses=problems(422))
async def list_notices(
    tx: Reader,
    _: CanRead,
    page: Page,
    acknowledged: Annotated[bool | None, Query(description="`false` shows what nobody has seen yet.")] = None,
    kind: Annotated[Kind | None, Query(description="Of this kind alone.")] = None,
    subject_id: Annotated[UUID | None, Query(description="About this gateway or campaign.")] = None,
) -> PageOut[NoticeOut]:
    """What you should know without asking, the latest first."""
    wanted = queries.Wanted(acknowledged=acknowledged, kind=kind, subject_id=subject_id)
    rows = await queries.list_notices(tx, wanted, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    emails = await queries.list_emails(tx, [row.id for row in shown])
    return PageOut(items=[_shown(row, emails[row.id]) for row in shown], next_cursor=cursor)


@router.post("/{notice_id}/acknowledge", responses={**problems(404), **answered(examples.ACKNOWLEDGED)})
async def acknowledge_notice(
    notice_id: Annotated[UUID, Path(description="The notice's id.")],
    tx: Tx,
    caller: CanManage,
    now: Now,
    request_id: RequestId,
) -> NoticeOut:
    """Say that you have seen it. It stays in the list; who said so first stays written down."""
    if await queries.acknowledge(tx, notice_id, caller=caller.id, now=now):
        await audit.record(
            tx,
            caller=caller.id,
            action="notice.acknowledged",
            subject=("notice", str(notice_id)),
            detail={},
            now=now,
            request_id=request_id,
        )
    row = await queries.get_notice(tx, notice_id)
    return _shown(row, (await queries.list_emails(tx, [notice_id]))[notice_id])


def _shown(row: Row[Any], emails: Sequence[Row[Any]]) -> NoticeOut:
    return NoticeOut(
        id=row.id,
        kind=row.kind,
        severity=row.severity,
        subject=NoticeSubjectOut(kind=row.subject_kind, id=row.subject_id),
        title=row.title,
        text=row.text,
        data=row.data,
        at=row.at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        emails=[_email(email) for email in emails],
    )


def _email(row: Row[Any]) -> NoticeEmailOut:
    at = row.sent_at or row.failed_at
    state: Literal["sent", "failed", "waiting"] = "sent" if row.sent_at else "failed" if row.failed_at else "waiting"
    return NoticeEmailOut(address=row.address, state=state, at=at, attempts=row.attempts, error=row.error)
