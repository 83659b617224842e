"""Sender IDs over HTTP: each belongs to the gateway it is registered with, and to what that gateway can show."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from api.deps import CanManage, CanRead, Now, Page, Reader, RequestId, Tx
from api.idempotency import IdempotentRoute
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.sender_ids import queries
from api.sender_ids.schemas import SenderIdIn, SenderIdOut, SenderIdPatch
from shared.domain import policy as rules
from shared.domain.policy import Policy
from shared.domain.sender_id import InvalidSenderId, SenderId, SenderKind, parse
from shared.errors import Invalid
from shared.gateways import ADAPTERS
from shared.ids import uuid7
from shared.queries import audit
from shared.queries.policy import get_policy

router = APIRouter(prefix="/sender-ids", tags=["sender ids"], route_class=IdempotentRoute)

SenderIdId = Annotated[UUID, Path(description="The sender ID's id.")]


@router.post("", status_code=201, responses=problems(queries.SenderIdTaken, InvalidSenderId))
async def create_sender_id(
    body: SenderIdIn, response: Response, tx: Tx, caller: CanManage, now: Now, request_id: RequestId
) -> SenderIdOut:
    """Add a sender ID that is registered with a gateway."""
    kind = await queries.find_gateway_kind(tx, body.gateway_id)
    if kind is None:
        raise Invalid("gateway_id names no gateway that is here.", pointer="/gateway_id")
    sender = _shown_by(kind, body.value)
    row = await queries.insert_sender_id(
        tx,
        {
            "id": uuid7(now),
            "gateway_id": body.gateway_id,
            "value": sender.value,
            "kind": sender.kind,
            "created_at": now,
        },
    )
    await audit.record(
        tx,
        caller=caller.id,
        action="sender_id.created",
        subject=("sender_id", str(row.id)),
        detail={"gateway_id": str(row.gateway_id), "value": row.value},
        now=now,
        request_id=request_id,
    )
    response.headers["Location"] = f"/v1/sender-ids/{row.id}"
    return _shown(row, await get_policy(tx))


@router.get("", responses=problems(422))
async def list_sender_ids(
    tx: Reader,
    _: CanRead,
    page: Page,
    gateway_id: Annotated[UUID | None, Query(description="Only those of this gateway.")] = None,
) -> PageOut[SenderIdOut]:
    """All sender IDs, the oldest first."""
    rows = await queries.list_sender_ids(tx, gateway_id=gateway_id, after=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    policy = await get_policy(tx)
    return PageOut(items=[_shown(row, policy) for row in shown], next_cursor=cursor)


@router.get("/{sender_id}", responses=problems(404))
async def get_sender_id(sender_id: SenderIdId, tx: Reader, _: CanRead) -> SenderIdOut:
    """One sender ID."""
    return _shown(await queries.get_sender_id(tx, sender_id), await get_policy(tx))


@router.patch("/{sender_id}", responses=problems(404, queries.SenderIdTaken, queries.SenderIdInUse, InvalidSenderId))
async def change_sender_id(
    sender_id: SenderIdId, body: SenderIdPatch, tx: Tx, caller: CanManage, now: Now, request_id: RequestId
) -> SenderIdOut:
    """Correct a sender ID that nothing needs any more, or that another gateway has too."""
    row = await queries.lock_sender_id(tx, sender_id)
    await queries.check_unused(tx, row)
    kind = await queries.find_gateway_kind(tx, row.gateway_id)
    sender = _shown_by(kind or "", body.value)
    changed = await queries.update_sender_id(tx, row, {"value": sender.value, "kind": sender.kind})
    await audit.record(
        tx,
        caller=caller.id,
        action="sender_id.changed",
        subject=("sender_id", str(sender_id)),
        detail={"value": {"from": row.value, "to": changed.value}},
        now=now,
        request_id=request_id,
    )
    return _shown(changed, await get_policy(tx))


@router.delete("/{sender_id}", status_code=204, responses=problems(404, queries.SenderIdInUse))
async def delete_sender_id(
    sender_id: SenderIdId, tx: Tx, caller: CanManage, now: Now, request_id: RequestId
) -> Response:
    """Remove a sender ID that nothing needs any more, or that another gateway has too."""
    row = await queries.lock_sender_id(tx, sender_id)
    await queries.check_unused(tx, row)
    await queries.delete_sender_id(tx, sender_id)
    await audit.record(
        tx,
        caller=caller.id,
        action="sender_id.deleted",
        subject=("sender_id", str(sender_id)),
        detail={"gateway_id": str(row.gateway_id), "value": row.value},
        now=now,
        request_id=request_id,
    )
    return Response(status_code=204)


def _shown(row: queries.SenderRow, policy: Policy) -> SenderIdOut:
    told = rules.find_sender_refused(policy, row.value)
    return SenderIdOut(**{**row._mapping, "warnings": [told] if told else []})  # noqa: SLF001 - SQLAlchemy's public name


def _shown_by(gateway_kind: str, value: str) -> SenderId:
    """The sender ID in its stored form, if a gateway of this kind can show it."""
    try:
        sender = parse(value)
    except InvalidSenderId as refusal:
        raise refusal.at("/value") from None
    adapter = ADAPTERS.get(gateway_kind)
    names = adapter is not None and adapter.CAPABILITIES.alphanumeric_senders
    if sender.kind is SenderKind.ALPHANUMERIC and not names:
        raise InvalidSenderId(
            "value is a name, and this gateway shows only numbers; give a number or a short code.", pointer="/value"
        )
    return sender
