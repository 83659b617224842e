"""Target groups over HTTP: named sets of contacts."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.contacts import examples as contact_examples
from api.contacts.schemas import ContactOut
from api.contacts.views import shown_contacts
from api.deps import CanManage, CanRead, Deeds, Now, Page, Reader, Res, Tx
from api.examples import answered
from api.exports import CsvResponse, StyleAsked, csv_answer
from api.idempotency import AskingRoute, IdempotentRoute
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.target_groups import examples, export, queries
from api.target_groups.conditions import check_conditions
from api.target_groups.schemas import (
    AddedOut,
    GroupPreviewOut,
    MembersIn,
    PreviewIn,
    RemovedOut,
    TargetGroupIn,
    TargetGroupOut,
    TargetGroupPatch,
)
from shared.domain.conditions import InvalidConditions, as_json, from_kept
from shared.errors import Invalid
from shared.ids import uuid7
from shared.queries.audit import difference
from shared.queries.conditions import compile_condition
from shared.queries.target_groups import DYNAMIC, belongs_to

router = APIRouter(prefix="/target-groups", tags=["target groups"], route_class=IdempotentRoute)
asking = APIRouter(route_class=AskingRoute)

GroupId = Annotated[UUID, Path(description="The target group's id.")]
ContactId = Annotated[UUID, Path(description="The contact's id.")]
_CONDITIONS_MISPLACED: Final = "Conditions are required of a dynamic target group, and no other has any."


@router.post(
    "",
    status_code=201,
    responses={**problems(queries.TargetGroupNameTaken, InvalidConditions), **answered(examples.NEW, status=201)},
)
async def create_target_group(
    body: TargetGroupIn, tx: Tx, _caller: CanManage, now: Now, deeds: Deeds
) -> TargetGroupOut:
    """Make a target group: an empty one to put contacts into, or one that finds its members by conditions."""
    if (body.kind == DYNAMIC) != (body.conditions is not None):
        raise Invalid(_CONDITIONS_MISPLACED, pointer="/conditions")
    condition = None if body.conditions is None else await check_conditions(tx, body.conditions)
    group_id = uuid7(now)
    values = {"id": group_id, "name": body.name, "kind": body.kind, "created_at": now, "updated_at": now}
    if condition is not None:
        values["conditions"] = as_json(condition, typed=True)
    await queries.insert_group(tx, values)
    await deeds.write("target_group.created", ("target_group", group_id), {"name": body.name, "kind": body.kind})
    return await _whole(tx, await queries.get_group(tx, group_id), now=now)


@router.get("", responses=problems(422))
async def list_target_groups(
    tx: Reader,
    _caller: CanRead,
    page: Page,
    q: Annotated[str | None, Query(min_length=1, max_length=200, description="A part of the name.")] = None,
) -> PageOut[TargetGroupOut]:
    """Target groups, the newest first."""
    rows = await queries.list_groups(tx, q=q, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[_shown(row, members=row.members) for row in shown], next_cursor=cursor)


@router.get("/{group_id}", responses=problems(404))
async def get_target_group(group_id: GroupId, tx: Reader, _caller: CanRead, now: Now) -> TargetGroupOut:
    """One target group, and how many members it has."""
    return await _whole(tx, await queries.get_group(tx, group_id), now=now)


@router.patch(
    "/{group_id}",
    responses={**problems(404, queries.TargetGroupNameTaken, InvalidConditions), **answered(examples.CHANGED)},
)
async def change_target_group(
    group_id: GroupId, body: TargetGroupPatch, tx: Tx, _caller: CanManage, now: Now, deeds: Deeds
) -> TargetGroupOut:
    """Give a target group another name, or a dynamic one other conditions."""
    group = await queries.lock_group(tx, group_id)
    values: dict[str, Any] = {"name": body.name} if body.name else {}
    if body.conditions is not None:
        if group.kind != DYNAMIC:
            raise Invalid(_CONDITIONS_MISPLACED, pointer="/conditions")
        values["conditions"] = as_json(await check_conditions(tx, body.conditions), typed=True)
    if values:
        await queries.update_group(tx, group_id, {**values, "updated_at": now})
        # That the conditions changed, not to what: they may name numbers.
        changed: dict[str, Any] = {"conditions": "given"} if "conditions" in values else {}
        changed |= difference({"name": group.name}, {"name": body.name or group.name})
        if changed:
            await deeds.write("target_group.changed", ("target_group", group_id), changed)
    return await _whole(tx, await queries.get_group(tx, group_id), now=now)


@router.delete("/{group_id}", status_code=204, responses=problems(404, queries.TargetGroupInUse))
async def delete_target_group(group_id: GroupId, tx: Tx, _caller: CanManage, deeds: Deeds) -> Response:
    """Take a target group away; its members stay contacts. Refused while a campaign waits for it."""
    group = await queries.lock_group(tx, group_id)
    await queries.check_unused(tx, group_id)
    await queries.delete_group(tx, group_id)
    await deeds.write("target_group.delete", ("target_group", group_id), {"name": group.name})
    return Response(status_code=204)


@router.post("/{group_id}/members", responses=problems(404, queries.TargetGroupIsDynamic, 422))
async def add_members(
    group_id: GroupId, body: MembersIn, tx: Tx, _caller: CanManage, now: Now, deeds: Deeds
) -> AddedOut:
    """Add contacts to the group, up to 10,000 at once."""
    await queries.hold_group(tx, group_id)
    wanted = set(body.contact_ids)
    known = await queries.add_members(tx, group_id, wanted, now=now)
    added = sum(known.values())
    unknown = sorted(wanted - known.keys())
    await deeds.write("target_group.members_added", ("target_group", group_id), {"added": added})
    return AddedOut(added=added, already=len(known) - added, unknown=unknown)


@router.delete("/{group_id}/members", responses=problems(404, queries.TargetGroupIsDynamic, 422))
async def remove_members(group_id: GroupId, body: MembersIn, tx: Tx, _caller: CanManage, deeds: Deeds) -> RemovedOut:
    """Take contacts out of the group, up to 10,000 at once; they stay contacts."""
    await queries.hold_group(tx, group_id)
    wanted = set(body.contact_ids)
    removed = await queries.remove_members(tx, group_id, wanted)
    await deeds.write("target_group.members_removed", ("target_group", group_id), {"removed": removed})
    return RemovedOut(removed=removed, absent=len(wanted) - removed)


@router.delete(
    "/{group_id}/members/{contact_id}", status_code=204, responses=problems(404, queries.TargetGroupIsDynamic)
)
async def remove_member(group_id: GroupId, contact_id: ContactId, tx: Tx, _caller: CanManage, deeds: Deeds) -> Response:
    """Take one contact out of the group; nothing happens if it is not in it."""
    await queries.hold_group(tx, group_id)
    removed = await queries.remove_members(tx, group_id, {contact_id})
    detail = {"removed": removed, "contact_id": str(contact_id)}
    await deeds.write("target_group.members_removed", ("target_group", group_id), detail)
    return Response(status_code=204)


@router.get("/{group_id}/members", responses=problems(404, 422))
async def list_members(
    group_id: GroupId, tx: Reader, _caller: CanRead, page: Page, now: Now, res: Res
) -> PageOut[ContactOut]:
    """The group's contacts, the oldest first."""
    group = await queries.get_group(tx, group_id)
    rows = await queries.list_members(tx, group, after=id_of(page), limit=page.limit + 1, now=now)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=await shown_contacts(tx, shown, pepper=res.pepper), next_cursor=cursor)


@router.get(
    "/{group_id}/export.csv",
    response_class=CsvResponse,
    responses={**problems(404), **answered(contact_examples.EXPORTED, media_type="text/csv")},
)
async def export_target_group(
    group_id: GroupId, tx: Reader, _caller: CanRead, res: Res, now: Now, style: StyleAsked = "spreadsheet"
) -> CsvResponse:
    """The group's contacts as CSV, in a form that can be imported again."""
    group = await queries.get_group(tx, group_id)
    keys = await queries.list_field_keys(tx, group)
    pages = export.pages_of(res, group, keys=keys, now=now)
    return csv_answer(export.head_of(keys), pages, style=style, file_name=group.name)


@asking.post("/preview", responses=problems(InvalidConditions))
async def preview_target_group(body: PreviewIn, tx: Reader, _caller: CanRead, now: Now, res: Res) -> GroupPreviewOut:
    """How many contacts meet conditions that are not saved yet, and the first of them."""
    wanted = compile_condition(await check_conditions(tx, body.conditions), now=now)
    count = await queries.count_matching(tx, wanted)
    rows = await queries.list_matching(tx, wanted, after=None, limit=body.sample) if body.sample else []
    return GroupPreviewOut(count=count, sample=await shown_contacts(tx, rows, pepper=res.pepper))


router.include_router(asking)


async def _whole(tx: AsyncConnection, row: queries.AnyRow, *, now: datetime) -> TargetGroupOut:
    """A group with the number of its members, as they are now."""
    members = row.members
    if row.kind == DYNAMIC:
        members = await queries.count_matching(tx, belongs_to(row, now=now))
    return _shown(row, members=members)


def _shown(row: queries.AnyRow, *, members: int | None) -> TargetGroupOut:
    conditions = None if row.conditions is None else as_json(from_kept(row.conditions), typed=False)
    shown = {**row._mapping, "members": members, "conditions": conditions}  # noqa: SLF001 - SQLAlchemy's public name
    return TargetGroupOut.model_validate(shown)
