"""Erasures over HTTP: the contact goes at once, what was written to them follows within moments."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path

from api.contacts import queries as contacts
from api.deps import Bell, CanManage, CanRead, Deeds, Now, Page, Reader, Res, Tx
from api.erasures import queries
from api.erasures.schemas import PENDING, ErasureOut
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from shared.domain import msisdn as numbers
from shared.errors import Invalid
from shared.ids import uuid7
from shared.sealing import hash_msisdn

AGAIN_AFTER: Final = timedelta(minutes=1)

router = APIRouter(tags=["contacts"], route_class=IdempotentRoute)


@router.post(
    "/contacts/{contact_id}/erase", status_code=202, responses={**problems(404), **answered(PENDING, status=202)}
)
async def erase_contact(  # noqa: PLR0913, PLR0917 - what a route asks for, by name
    contact_id: Annotated[UUID, Path(description="The contact's id.")],
    tx: Tx,
    caller: CanManage,
    now: Now,
    res: Res,
    bell: Bell,
    deeds: Deeds,
) -> ErasureOut:
    """Forget a person: the contact, and every text to them and from them. What is not sent yet is called back.

    Counts stay as they are. A standing opt-out stays too, as a keyed hash that tells nobody the number. There is no way
    back.
    """
    contact = await contacts.lock_contact(tx, contact_id)
    erasure_id = uuid7(now)
    await queries.insert_erasure(
        tx,
        {
            "id": erasure_id,
            "contact_id": contact_id,
            "msisdn": contact.msisdn,
            "other_msisdns": sorted(set(_numbers_in(contact.fields)) - {contact.msisdn}) or None,
            "requested_by": caller.id,
            "requested_at": now,
            "looked_at": now - AGAIN_AFTER,  # it may be looked at right away
        },
    )
    await queries.forget_number_of_opt_out(tx, hash_msisdn(res.pepper, contact.msisdn))
    await contacts.delete_contact(tx, contact_id)
    await deeds.write("contact.erased", ("contact", contact_id), {"erasure": str(erasure_id)})
    bell.ring("bulk")
    return _shown(await queries.get_erasure(tx, erasure_id))


@router.get("/erasures", responses=problems(422))
async def list_erasures(tx: Reader, _caller: CanRead, page: Page) -> PageOut[ErasureOut]:
    """Whom was forgotten and when, the newest first; not who it was."""
    rows = await queries.list_erasures(tx, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[_shown(row) for row in shown], next_cursor=cursor)


@router.get("/erasures/{erasure_id}", responses=problems(404))
async def get_erasure(
    erasure_id: Annotated[UUID, Path(description="The erasure's id.")], tx: Reader, _caller: CanRead
) -> ErasureOut:
    """How far an erasure is."""
    return _shown(await queries.get_erasure(tx, erasure_id))


def _numbers_in(fields: Mapping[str, Any]) -> Iterator[str]:
    """Numbers with their country code in the owner's fields: a campaign may have written to one."""
    for value in fields.values():
        if isinstance(value, str) and value.strip().startswith("+"):
            try:
                yield numbers.parse(value, default_region=None)
            except Invalid:
                continue


def _shown(row: queries.AnyRow) -> ErasureOut:
    status = "pending" if row.done_at is None else "done"
    return ErasureOut.model_validate({**row._mapping, "status": status})  # noqa: SLF001 - SQLAlchemy's public name
