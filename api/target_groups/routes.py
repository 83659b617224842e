"""Target groups over HTTP: named sets of contacts."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response

from api.contacts import examples as contact_examples
from api.contacts.schemas import ContactOut
from api.deps import CanManage, CanRead, Deeds, Now, Page, Reader, Res, Tx
from api.examples import answered
from api.exports import CsvResponse, StyleAsked, csv_answer
from api.idempotency import IdempotentRoute
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import problems
from api.target_groups import examples, export, queries
from api.target_groups.schemas import AddedOut, MembersIn, RemovedOut, TargetGroupIn, TargetGroupOut, TargetGroupPatch
from shared.errors import Invalid
from shared.ids import uuid7

router = APIRouter(prefix="/target-groups", tags=["target groups"], route_class=IdempotentRoute)

GroupId = Annotated[UUID, Path(description="The target group's id.")]
ContactId = Annotated[UUID, Path(description="The contact's id.")]


@router.post(
    "", status_code=201, responses={**problems(queries.TargetGroupNameTaken, 422), **answered(examples.NEW, status=201)}
)
async def create_target_group(
    body: TargetGroupIn, tx: Tx, _caller: CanManage, now: Now, deeds: Deeds
) -> TargetGroupOut:
    """Make an empty target group."""
    if body.kind != "static":
        raise Invalid(
            "Target groups by conditions cannot be made yet; make a static one and add members.", pointer="/kind"
        )
    group_id = uuid7(now)
    await queries.insert_group(
        tx, {"id": group_id, "name": body.name, "kind": body.kind, "created_at": now, "updated_at": now}
    )
    await deeds.write("target_group.created", ("target_group", group_id), {"name": body.name, "kind": body.kind})
    return TargetGroupOut.model_validate(await queries.get_group(tx, group_id))


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
    return PageOut(items=[TargetGroupOut.model_validate(row) for row in shown], next_cursor=cursor)


@router.get("/{group_id}", responses=problems(404))
async def get_target_group(group_id: GroupId, tx: Reader, _caller: CanRead) -> TargetGroupOut:
    """One target group, and how many members it has."""
    return TargetGroupOut.model_validate(await queries.get_group(tx, group_id))


@router.patch(
    "/{group_id}", responses={**problems(404, queries.TargetGroupNameTaken, 422), **answered(examples.CHANGED)}
)
async def change_target_group(
    group_id: GroupId, body: TargetGroupPatch, tx: Tx, _caller: CanManage, now: Now, deeds: Deeds
) -> TargetGroupOut:
    """Give a target group another name."""
    group = await queries.lock_group(tx, group_id)
    if body.name:
        subject = ("target_group", group_id)
        await deeds.write_difference("target_group.changed", subject, {"name": group.name}, {"name": body.name})
        await queries.rename_group(tx, group_id, name=body.name, now=now)
    return TargetGroupOut.model_validate(await queries.get_group(tx, group_id))


@router.delete("/{group_id}", status_code=204, responses=problems(404, queries.TargetGroupInUse))
async def delete_target_group(group_id: GroupId, tx: Tx, _caller: CanManage, deeds: Deeds) -> Response:
    """Take a target group away; its members stay contacts. Refused while a campaign waits for it."""
    group = await queries.lock_group(tx, group_id)
    await queries.check_unused(tx, group_id)
    await queries.delete_group(tx, group_id)
    await deeds.write("target_group.delete", ("target_group", group_id), {"name": group.name})
    return Response(status_code=204)


@router.post("/{group_id}/members", responses=problems(404, 422))
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


@router.delete("/{group_id}/members", responses=problems(404, 422))
async def remove_members(group_id: GroupId, body: MembersIn, tx: Tx, _caller: CanManage, deeds: Deeds) -> RemovedOut:
    """Take contacts out of the group, up to 10,000 at once; they stay contacts."""
    await queries.hold_group(tx, group_id)
    wanted = set(body.contact_ids)
    removed = await queries.remove_members(tx, group_id, wanted)
    await deeds.write("target_group.members_removed", ("target_group", group_id), {"removed": removed})
    return RemovedOut(removed=removed, absent=len(wanted) - removed)


@router.delete("/{group_id}/members/{contact_id}", status_code=204, responses=problems(404))
async def remove_member(group_id: GroupId, contact_id: ContactId, tx: Tx, _caller: CanManage, deeds: Deeds) -> Response:
    """Take one contact out of the group; nothing happens if it is not in it."""
    await queries.hold_group(tx, group_id)
    removed = await queries.remove_members(tx, group_id, {contact_id})
    detail = {"removed": removed, "contact_id": str(contact_id)}
    await deeds.write("target_group.members_removed", ("target_group", group_id), detail)
    return Response(status_code=204)


@router.get("/{group_id}/members", responses=problems(404, 422))
async def list_members(group_id: GroupId, tx: Reader, _caller: CanRead, page: Page) -> PageOut[ContactOut]:
    """The group's contacts, the oldest first."""
    await queries.get_group(tx, group_id)
    rows = await queries.list_members(tx, group_id, after=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[ContactOut.model_validate(row) for row in shown], next_cursor=cursor)


@router.get(
    "/{group_id}/export.csv",
    response_class=CsvResponse,
    responses={**problems(404), **answered(contact_examples.EXPORTED, media_type="text/csv")},
)
async def export_target_group(
    group_id: GroupId, tx: Reader, _caller: CanRead, res: Res, style: StyleAsked = "spreadsheet"
) -> CsvResponse:
    """The group's contacts as CSV, in a form that can be imported again."""
    group = await queries.get_group(tx, group_id)
    keys = await queries.list_field_keys(tx, group_id)
    pages = export.pages_of(res, group_id, keys=keys)
    return csv_answer(export.head_of(keys), pages, style=style, file_name=group.name)
