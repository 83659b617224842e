"""The audit trail over HTTP: to read, never to change."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.audit import queries
from api.audit.queries import EntryRow, Wanted
from api.audit.schemas import AuditEntryOut, SubjectOut
from api.deps import CanAdmin, Page, Reader
from api.paging import PageOut, page_of
from api.places import id_of
from shared.errors import Invalid

router = APIRouter(prefix="/audit", tags=["audit"])


@router.get("")
async def list_audit_entries(
    tx: Reader,
    page: Page,
    _: CanAdmin,
    subject_kind: Annotated[
        str | None, Query(max_length=100, description="What was dealt with.", examples=["api_key"])
    ] = None,
    subject_id: Annotated[str | None, Query(max_length=200, description="Which of that kind: its id.")] = None,
) -> PageOut[AuditEntryOut]:
    """Who did what, newest first; of one kind of thing, or of one thing, if named."""
    if subject_id is not None and subject_kind is None:
        raise Invalid("Name the `subject_kind` that this id is of, too.", pointer="?subject_kind")
    rows = await queries.list_entries(tx, Wanted(subject_kind, subject_id), after=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[_shown(row) for row in shown], next_cursor=cursor)


def _shown(row: EntryRow) -> AuditEntryOut:
    return AuditEntryOut(
        id=row.id,
        at=row.at,
        caller=row.caller,
        action=row.action,
        subject=SubjectOut(kind=row.subject_kind, id=row.subject_id),
        detail=row.detail,
        request_id=row.request_id,
    )
