"""What target groups ask of the database."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, case, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain import campaign
from shared.errors import Conflict, NotFound
from shared.models import Campaign, CampaignTarget, Contact, ContactField, Import, TargetGroup, TargetGroupMember
from shared.queries.target_groups import DYNAMIC, belongs_to

AnyRow = Row[Any]

# Of static groups only: whoever meets conditions has to be counted one by one.
_MEMBERS: Final = case(
    (
        TargetGroup.kind != DYNAMIC,
        select(func.count())
        .select_from(TargetGroupMember)
        .where(TargetGroupMember.target_group_id == TargetGroup.id)
        .scalar_subquery(),
    )
).label("members")
_COLUMNS: Final = (*TargetGroup.__table__.columns, _MEMBERS)


class TargetGroupNameTaken(Conflict):
    """Another target group has this name."""


class TargetGroupIsDynamic(Conflict):
    """The target group finds its members by conditions; nobody is put into it or taken out by hand."""

    remedy: ClassVar[str] = "Change its conditions, or the contacts; or make a static group."


class TargetGroupInUse(Conflict):
    """Something that is not over yet needs this target group."""


async def insert_group(tx: AsyncConnection, values: Mapping[str, Any]) -> None:
    try:
        await tx.execute(insert(TargetGroup).values(**values))
    except IntegrityError as error:
        raise _taken(values["name"]) from error


async def update_group(tx: AsyncConnection, group_id: UUID, values: Mapping[str, Any]) -> None:
    try:
        await tx.execute(update(TargetGroup).where(TargetGroup.id == group_id).values(**values))
    except IntegrityError as error:
        raise _taken(values["name"]) from error


async def get_group(tx: AsyncConnection, group_id: UUID) -> AnyRow:
    """The group with the number of its members."""
    return await _one(tx, select(*_COLUMNS).where(TargetGroup.id == group_id))


async def lock_group(tx: AsyncConnection, group_id: UUID) -> AnyRow:
    """The group, held against every other change and against new uses of it."""
    return await _one(tx, select(TargetGroup).where(TargetGroup.id == group_id).with_for_update())


async def hold_group(tx: AsyncConnection, group_id: UUID) -> AnyRow:
    """A static group, held only against its end: others may add members as well."""
    question = select(TargetGroup).where(TargetGroup.id == group_id)
    group = await _one(tx, question.with_for_update(read=True, key_share=True))
    if group.kind == DYNAMIC:
        raise TargetGroupIsDynamic("The target group finds its members by conditions; change these, or the contacts.")
    return group


async def list_groups(tx: AsyncConnection, *, q: str | None, before: UUID | None, limit: int) -> Sequence[AnyRow]:
    """A page of groups, the newest first."""
    question = select(*_COLUMNS).order_by(TargetGroup.id.desc()).limit(limit)
    if q is not None:
        question = question.where(TargetGroup.name.icontains(q, autoescape=True))
    if before is not None:
        question = question.where(TargetGroup.id < before)
    return (await tx.execute(question)).all()


async def add_members(
    tx: AsyncConnection, group_id: UUID, contact_ids: Collection[UUID], *, now: datetime
) -> Mapping[UUID, bool]:
    """Of the ids that are contacts' each, and whether it is a new member."""
    values = {"group_id": group_id, "ids": sorted(contact_ids), "now": now}
    rows = await tx.execute(_ADD_MEMBERS, values)
    return {row.id: row.is_new for row in rows}


async def remove_members(tx: AsyncConnection, group_id: UUID, contact_ids: Collection[UUID]) -> int:
    """Take these out of the group; how many were in it."""
    statement = (
        delete(TargetGroupMember)
        .where(TargetGroupMember.target_group_id == group_id, TargetGroupMember.contact_id.in_(contact_ids))
        .returning(TargetGroupMember.contact_id)
    )
    return len((await tx.execute(statement)).all())


async def list_members(
    tx: AsyncConnection, group: AnyRow, *, after: UUID | None, limit: int, now: datetime
) -> Sequence[AnyRow]:
    """Contacts of the group in the order of their ids, which is that of their making."""
    if group.kind == DYNAMIC:
        return await list_matching(tx, belongs_to(group, now=now), after=after, limit=limit)
    question = (
        select(Contact)
        .join(TargetGroupMember, TargetGroupMember.contact_id == Contact.id)
        .where(TargetGroupMember.target_group_id == group.id)
        .order_by(TargetGroupMember.contact_id)
        .limit(limit)
    )
    if after is not None:
        question = question.where(TargetGroupMember.contact_id > after)
    return (await tx.execute(question)).all()


async def list_matching(
    tx: AsyncConnection, wanted: ColumnElement[bool], *, after: UUID | None, limit: int
) -> Sequence[AnyRow]:
    """The contacts that this holds for, in the order of their ids."""
    question = select(Contact).where(wanted).order_by(Contact.id).limit(limit)
    if after is not None:
        question = question.where(Contact.id > after)
    return (await tx.execute(question)).all()


async def count_matching(tx: AsyncConnection, wanted: ColumnElement[bool]) -> int:
    return (await tx.execute(select(func.count()).select_from(Contact).where(wanted))).scalar_one()


async def list_field_keys(tx: AsyncConnection, group: AnyRow) -> Sequence[str]:
    """Every key that a member's fields have; of a dynamic group, every key that anybody's have."""
    if group.kind == DYNAMIC:
        return (await tx.execute(select(ContactField.key).order_by(ContactField.key))).scalars().all()
    return (await tx.execute(_FIELD_KEYS, {"group_id": group.id})).scalars().all()


async def check_unused(tx: AsyncConnection, group_id: UUID) -> None:
    """Raise while a campaign is yet to take its recipients from the group, or an import fills it."""
    user = await tx.scalar(
        select(Campaign.name)
        .join(CampaignTarget, CampaignTarget.campaign_id == Campaign.id)
        .where(
            CampaignTarget.target_group_id == group_id,
            Campaign.frozen_at.is_(None),
            Campaign.status.not_in((campaign.Status.COMPLETED, campaign.Status.ARCHIVED)),
        )
        .order_by(Campaign.id)
        .limit(1)
    )
    if user is not None:
        raise TargetGroupInUse(f"The campaign {user!r} is for this target group; change or delete the campaign first.")
    filler = await tx.scalar(
        select(Import.id).where(Import.target_group_id == group_id, Import.status.in_(("queued", "running"))).limit(1)
    )
    if filler is not None:
        raise TargetGroupInUse(f"The import {filler} is filling this target group; wait for its end.")


async def delete_group(tx: AsyncConnection, group_id: UUID) -> None:
    """Take the group away; its members stay contacts."""
    await tx.execute(delete(TargetGroup).where(TargetGroup.id == group_id))


async def _one(tx: AsyncConnection, question: Select[Any]) -> AnyRow:
    row: AnyRow | None = (await tx.execute(question)).one_or_none()
    if row is None:
        raise NotFound("There is no target group with this id.")
    return row


def _taken(name: str) -> TargetGroupNameTaken:
    return TargetGroupNameTaken(
        f"There is a target group named {name!r} already; choose another name.", pointer="/name"
    )


# Contacts are held, so that none can go between being found and being made a member.
_ADD_MEMBERS: Final = text("""
WITH known AS (
  SELECT id FROM contacts WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR KEY SHARE
), added AS (
  INSERT INTO target_group_members (target_group_id, contact_id, added_at)
  SELECT CAST(:group_id AS uuid), id, CAST(:now AS timestamptz) FROM known
  ON CONFLICT DO NOTHING
  RETURNING contact_id
)
SELECT known.id, added.contact_id IS NOT NULL AS is_new
FROM known LEFT JOIN added ON added.contact_id = known.id
""")

_FIELD_KEYS: Final = text("""
SELECT DISTINCT keys.key
FROM target_group_members
JOIN contacts ON contacts.id = target_group_members.contact_id
CROSS JOIN LATERAL jsonb_object_keys(contacts.fields) AS keys(key)
WHERE target_group_members.target_group_id = :group_id
ORDER BY keys.key
""")
