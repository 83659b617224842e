"""The quota over HTTP: how much is left and why, and grants. Reservations are made by who sends."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import CanAdmin, CanRead, Deeds, Now, Page, Reader, Tx
from api.idempotency import IdempotentRoute
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.quota.schemas import EntryOut, GrantIn, QuotaLimitOut, QuotaOut
from shared.domain import quota as law
from shared.domain.quota import EntryKind
from shared.ids import uuid7
from shared.queries import quota as queries
from shared.queries.policy import get_policy

router = APIRouter(prefix="/quota", tags=["quota"], route_class=IdempotentRoute)


@router.get("")
async def get_quota(tx: Reader, _: CanRead, now: Now) -> QuotaOut:
    """What may still be sent, by period, and what is reserved and consumed."""
    policy = await get_policy(tx)
    limits = await queries.list_limits(tx, today=law.today_in(policy.time_zone, now))
    sums = await queries.sum_by_kind(tx)
    unbooked = await queries.sum_unbooked(tx)
    return QuotaOut(
        unlimited=not limits,
        unit=policy.quota_unit,
        available=law.available(limits),
        reserved=sums[EntryKind.RESERVE] - sums[EntryKind.RELEASE] - sums[EntryKind.CONSUME] + unbooked,
        consumed=sums[EntryKind.CONSUME],
        limits=[QuotaLimitOut.model_validate(limit) for limit in limits],
    )


@router.post("/grants", status_code=201, responses=problems(422))
async def grant_quota(body: GrantIn, tx: Tx, caller: CanAdmin, now: Now, deeds: Deeds) -> EntryOut:
    """Grant units. The first grant ends the time without a limit; grants of one period add up."""
    await queries.lock_quota(tx)
    policy = await get_policy(tx)
    entry_id = uuid7(now)
    values = {
        "id": entry_id,
        "kind": EntryKind.GRANT,
        "units": body.units,
        "period": body.period,
        "subject_kind": "grant",
        "booked_on": law.today_in(policy.time_zone, now),
        "at": now,
        "created_by": caller.id,
        "note": body.note,
    }
    row = await queries.insert_entry(tx, values)
    await deeds.write("quota.granted", ("quota", entry_id), {"units": body.units, "period": body.period})
    return EntryOut.model_validate(row)


@router.get("/entries", responses=problems(422))
async def list_quota_entries(
    tx: Reader,
    _: CanRead,
    page: Page,
    kind: Annotated[EntryKind | None, Query(description="Only lines of this kind.")] = None,
) -> PageOut[EntryOut]:
    """The ledger, the latest line first: every grant, reservation, release and consumption."""
    rows = await queries.list_entries(tx, kind=kind, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[EntryOut.model_validate(row) for row in shown], next_cursor=cursor)
