"""A gateway's script as it was: every wording that was ever in force, and the way back to one of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from api.deps import CanAdmin, CanRead, Now, Page, Reader, RequestId, Res, Tx
from api.examples import shown as shows
from api.gateways import examples, queries
from api.gateways.configure import changed_row
from api.gateways.schemas import GatewayOut, GatewayPatch
from api.gateways.script import check_script
from api.gateways.shown import shown
from api.idempotency import IdempotentRoute
from api.paging import PageOut, page_of
from api.places import version_of
from api.problems import problems
from api.schemas import Out
from shared.queries import audit

router = APIRouter(prefix="/gateways", tags=["gateways"], route_class=IdempotentRoute)

GatewayId = Annotated[UUID, Path(description="The gateway's id.")]
Version = Annotated[int, Path(ge=1, lt=2**31, description="Which wording.")]


class ScriptOut(Out):
    """A wording that the script had. Secrets stand in none: a script names them."""

    model_config = shows(examples.SCRIPT)

    version: int
    in_force: bool = Field(description="Whether the gateway sends with it now.")
    sha256: str = Field(description="Of the text in UTF-8; the audit trail has the same.")
    text: str
    restored_from: int | None = Field(description="The version that this one brought back.")
    created_by: str | None = Field(description="The public id of the key; null where nobody wrote it down.")
    created_at: datetime


@router.get("/{gateway_id}/scripts", responses=problems(404, 422))
async def list_scripts(gateway_id: GatewayId, tx: Reader, _: CanRead, page: Page) -> PageOut[ScriptOut]:
    """Every wording that the gateway's script ever had, the newest first."""
    gateway = await queries.get_gateway(tx, gateway_id)
    newest = await queries.find_newest(tx, gateway_id)
    rows = await queries.list_scripts(tx, gateway_id, before=version_of(page), limit=page.limit + 1)
    items, cursor = page_of(rows, page, place=lambda row: {"version": row.version})
    in_force = newest.version if newest is not None and newest.text == gateway.settings.get("script") else None
    return PageOut(
        items=[
            ScriptOut.model_validate({**row._mapping, "in_force": row.version == in_force})  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
            for row in items
        ],
        next_cursor=cursor,
    )


@router.post("/{gateway_id}/scripts/{version}/restore", responses=problems(404, 422))
async def restore_script(  # noqa: PLR0913, PLR0917 - a route asks for what it needs
    gateway_id: GatewayId, version: Version, tx: Tx, caller: CanAdmin, now: Now, res: Res, request_id: RequestId
) -> GatewayOut:
    """Put an earlier wording in force again, as a new version. It is tried as if it were written anew."""
    await queries.lock_order(tx)
    row = await queries.lock_gateway(tx, gateway_id)
    wanted = await queries.get_script(tx, gateway_id, version)
    if wanted.text == row.settings.get("script"):
        return shown(row, res, caller)
    changes = changed_row(row, GatewayPatch(settings={"script": wanted.text}), sealer=res.sealer, now=now)
    await check_script(res.scripts, changes["settings"])
    gateway = await queries.update_gateway(tx, gateway_id, changes)
    made = await queries.insert_script(tx, gateway_id, wanted.text, caller=caller.id, now=now, restored_from=version)
    await audit.record(
        tx,
        caller=caller.id,
        action="gateway.script_restored",
        subject=("gateway", str(gateway_id)),
        detail={"script_version": made, "restored_from": version, "script_sha256": wanted.sha256},
        now=now,
        request_id=request_id,
    )
    return shown(gateway, res, caller)


async def keep_script(
    tx: AsyncConnection, gateway_id: UUID, settings: Mapping[str, Any], *, was: str | None, caller: str, now: datetime
) -> dict[str, int]:
    """Keep the script of these settings where it is another than before; what the audit trail may know of it."""
    script = settings.get("script")
    if script is None or script == was:
        return {}
    return {"script_version": await queries.insert_script(tx, gateway_id, script, caller=caller, now=now)}
