"""Gateways over HTTP: what is configured here, the dispatcher picks up within seconds."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import CanAdmin, CanManage, CanRead, Now, Page, Reader, RequestId, Res, Tx
from api.examples import answered
from api.gateways import examples, queries
from api.gateways.configure import changed_openly, changed_row, healthy, new_row, told
from api.gateways.orders import check_order
from api.gateways.schemas import GatewayIn, GatewayOut, GatewayPatch, HealthChangeOut, OrderIn, OrderOut
from api.gateways.script import check_script
from api.gateways.script_versions import keep_script
from api.gateways.shown import shown
from api.idempotency import IdempotentRoute
from api.paging import PageOut, page_of
from api.places import Mark, id_of, mark_of
from api.problems import problems
from shared.domain.breaker import Health
from shared.ids import uuid7
from shared.queries import audit
from shared.queries.health import list_changes, record_change

router = APIRouter(prefix="/gateways", tags=["gateways"], route_class=IdempotentRoute)

GatewayId = Annotated[UUID, Path(description="The gateway's id.")]


@router.post(
    "", status_code=201, responses={**problems(queries.GatewayNameTaken, 422), **answered(examples.NEW, status=201)}
)
async def create_gateway(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    body: GatewayIn, response: Response, tx: Tx, caller: CanAdmin, now: Now, res: Res, request_id: RequestId
) -> GatewayOut:
    """Configure a gateway; it becomes the last choice. Its answer holds the addresses to paste at the vendor's."""
    row = new_row(body, gateway_id=uuid7(now), sealer=res.sealer, now=now)
    await check_script(res.scripts, row["settings"])
    await queries.lock_order(tx)
    await queries.check_name_free(tx, body.name)
    gateway = await queries.insert_gateway(tx, row)
    kept = await keep_script(tx, gateway.id, gateway.settings, was=None, caller=caller.id, now=now)
    await audit.record(
        tx,
        caller=caller.id,
        action="gateway.created",
        subject=("gateway", str(gateway.id)),
        detail=told(body) | kept,
        now=now,
        request_id=request_id,
    )
    response.headers["Location"] = f"/v1/gateways/{gateway.id}"
    return shown(gateway, res, caller)


@router.get("", responses=problems(422))
async def list_gateways(tx: Reader, caller: CanRead, page: Page, res: Res) -> PageOut[GatewayOut]:
    """All gateways, the first choice first."""
    rows = await queries.list_gateways(tx, after=_place(mark_of(page)), limit=page.limit + 1)
    rows, cursor = page_of(rows, page, place=lambda row: {"priority": row.priority, "id": row.id})
    return PageOut(items=[shown(row, res, caller) for row in rows], next_cursor=cursor)


@router.put("/order", responses=problems(422))
async def order_gateways(body: OrderIn, tx: Tx, caller: CanManage, now: Now, request_id: RequestId) -> OrderOut:
    """Put all gateways in the order in which they are chosen."""
    await queries.lock_order(tx)
    check_order(body.ids, await queries.list_names_in_order(tx))
    await queries.order_gateways(tx, body.ids)
    await audit.record(
        tx,
        caller=caller.id,
        action="gateway.ordered",
        subject=("gateway", None),
        detail={"ids": [str(id_) for id_ in body.ids]},
        now=now,
        request_id=request_id,
    )
    return OrderOut(ids=body.ids)


@router.get("/{gateway_id}", responses=problems(404))
async def get_gateway(gateway_id: GatewayId, tx: Reader, caller: CanRead, res: Res) -> GatewayOut:
    """One gateway, its secrets as hints."""
    return shown(await queries.get_gateway(tx, gateway_id), res, caller)


@router.patch("/{gateway_id}", responses={**problems(404, queries.GatewayNameTaken, 422), **answered(examples.CHANGED)})
async def change_gateway(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    gateway_id: GatewayId, body: GatewayPatch, tx: Tx, caller: CanAdmin, now: Now, res: Res, request_id: RequestId
) -> GatewayOut:
    """Change what is given. A withdrawn gateway stays so until it is enabled."""
    await check_script(res.scripts, body.settings)  # before anything is held: it may take its time
    await queries.lock_order(tx)
    row = await queries.lock_gateway(tx, gateway_id)
    if body.name:
        await queries.check_name_free(tx, body.name, besides=gateway_id)
    changes = changed_row(row, body, sealer=res.sealer, now=now)
    gateway = await queries.update_gateway(tx, gateway_id, changes)
    await _tell_recovery(tx, row, gateway, by=caller.id, now=now)
    was = row.settings.get("script")
    kept = await keep_script(tx, gateway_id, gateway.settings, was=was, caller=caller.id, now=now)
    await audit.record(
        tx,
        caller=caller.id,
        action="gateway.changed",
        subject=("gateway", str(gateway_id)),
        detail=told(body) | kept | {"changed": changed_openly(row, gateway)},
        now=now,
        request_id=request_id,
    )
    return shown(gateway, res, caller)


@router.delete("/{gateway_id}", status_code=204, responses=problems(404, queries.GatewayInUse))
async def delete_gateway(gateway_id: GatewayId, tx: Tx, caller: CanAdmin, now: Now, request_id: RequestId) -> Response:
    """Forget a disabled gateway with its sender IDs; receipts that come later are refused."""
    await queries.lock_order(tx)
    row = await queries.lock_gateway(tx, gateway_id)
    if row.enabled:
        raise queries.GatewayInUse("The gateway is enabled; disable it first.")
    await queries.check_idle(tx, gateway_id, now=now)
    await queries.delete_gateway(tx, gateway_id)
    await audit.record(
        tx,
        caller=caller.id,
        action="gateway.deleted",
        subject=("gateway", str(gateway_id)),
        detail={"name": row.name, "kind": row.kind},
        now=now,
        request_id=request_id,
    )
    return Response(status_code=204)


@router.post("/{gateway_id}/enable", responses=problems(404))
async def enable_gateway(
    gateway_id: GatewayId, tx: Tx, caller: CanManage, now: Now, res: Res, request_id: RequestId
) -> GatewayOut:
    """Let messages go through the gateway, also after it was withdrawn, or while it is left alone."""
    row = await queries.lock_gateway(tx, gateway_id)
    changes = {"enabled": True, "updated_at": now}
    if not row.enabled or row.health != Health.OK or row.resting_until is not None:
        changes |= healthy(now)
    gateway = await queries.update_gateway(tx, gateway_id, changes)
    await _tell_recovery(tx, row, gateway, by=caller.id, now=now)
    await audit.record(
        tx,
        caller=caller.id,
        action="gateway.enabled",
        subject=("gateway", str(gateway_id)),
        detail={"health_before": row.health, "health_reason": row.health_reason},
        now=now,
        request_id=request_id,
    )
    return shown(gateway, res, caller)


@router.post("/{gateway_id}/disable", responses={**problems(404), **answered(examples.DISABLED)})
async def disable_gateway(
    gateway_id: GatewayId, tx: Tx, caller: CanManage, now: Now, res: Res, request_id: RequestId
) -> GatewayOut:
    """Hand nothing more to the gateway. What it took already still counts, and so do its receipts."""
    await queries.lock_gateway(tx, gateway_id)
    gateway = await queries.update_gateway(tx, gateway_id, {"enabled": False, "updated_at": now})
    await audit.record(
        tx,
        caller=caller.id,
        action="gateway.disabled",
        subject=("gateway", str(gateway_id)),
        detail={},
        now=now,
        request_id=request_id,
    )
    return shown(gateway, res, caller)


@router.get("/{gateway_id}/health", responses=problems(404, 422))
async def list_health_changes(gateway_id: GatewayId, tx: Reader, _: CanRead, page: Page) -> PageOut[HealthChangeOut]:
    """Each change of the gateway's health with its reason, the latest first."""
    await queries.get_gateway(tx, gateway_id)
    rows = await list_changes(tx, gateway_id, after=id_of(page), limit=page.limit + 1)
    changes, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[HealthChangeOut.model_validate(row) for row in changes], next_cursor=cursor)


async def _tell_recovery(
    tx: AsyncConnection, before: queries.GatewayRow, after: queries.GatewayRow, *, by: str, now: datetime
) -> None:
    """Write down that its owner ended what was wrong with it."""
    if before.health != after.health:
        reason = "its owner enabled it"
        await record_change(tx, after.id, was=before.health, health=Health.OK, reason=reason, by=by, now=now)


def _place(mark: Mark | None) -> tuple[int, UUID] | None:
    return None if mark is None else (mark.number("priority"), mark.id())
