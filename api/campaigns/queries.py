"""What campaigns ask of the database."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Uuid, case, delete, func, insert, literal, literal_column, select, tuple_, update
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from shared.domain.campaign import Status, StepStatus
from shared.domain.message import Status as MessageStatus
from shared.errors import NotFound
from shared.models import (
    AuditEntry,
    Campaign,
    CampaignMessage,
    CampaignRecipient,
    CampaignTarget,
    Contact,
    Message,
    Tally,
    TargetGroup,
)

AnyRow = Row[*tuple[Any, ...]]

NIL = UUID(int=0)  # below every id

# What a list may be sorted by: every column it shows. Each has an index that ends in the id.
SORTS: dict[str, ColumnElement[Any]] = {
    "created_at": Campaign.created_at.expression,
    "created_by": func.coalesce(Campaign.created_by, ""),
    "messages": Campaign.message_count.expression,
    "name": Campaign.name.expression,
    "start_at": func.coalesce(Campaign.starts_at, Campaign.created_at),
    "status": Campaign.status.expression,
    "target": Campaign.target.expression,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which campaigns a list shows."""

    status: Status | None = None
    q: str | None = None
    sender_id: str | None = None
    starts_from: datetime | None = None
    starts_to: datetime | None = None


async def get_campaign(tx: AsyncConnection, campaign_id: UUID) -> AnyRow:
    return await _one(tx, select(Campaign).where(Campaign.id == campaign_id), campaign_id)


async def lock_campaign(tx: AsyncConnection, campaign_id: UUID) -> AnyRow:
    """The campaign, held so that no other command decides on it meanwhile."""
    return await _one(tx, select(Campaign).where(Campaign.id == campaign_id).with_for_update(), campaign_id)


async def _one(tx: AsyncConnection, question: Select[Any], campaign_id: UUID) -> AnyRow:
    row: AnyRow | None = (await tx.execute(question)).one_or_none()
    if row is None:
        raise NotFound(f"There is no campaign {campaign_id}.")
    return row


async def lock_name(tx: AsyncConnection, name: str) -> None:
    """Keep others from taking a name until this transaction ends, so that whoever comes second is told who has it."""
    await tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"lapwing.campaigns.{name}", 0))))


async def find_id_of_name(tx: AsyncConnection, name: str) -> UUID | None:
    found: UUID | None = await tx.scalar(select(Campaign.id).where(Campaign.name == name))
    return found


async def insert_campaign(tx: AsyncConnection, values: dict[str, Any]) -> None:
    await tx.execute(insert(Campaign).values(**values))


async def update_campaign(tx: AsyncConnection, campaign_id: UUID, values: dict[str, Any]) -> None:
    await tx.execute(update(Campaign).where(Campaign.id == campaign_id).values(**values))


async def delete_campaign(tx: AsyncConnection, campaign_id: UUID) -> None:
    await tx.execute(delete(CampaignRecipient).where(CampaignRecipient.campaign_id == campaign_id))
    await tx.execute(delete(Campaign).where(Campaign.id == campaign_id))


async def replace_steps(tx: AsyncConnection, campaign_id: UUID, steps: Sequence[dict[str, Any]]) -> None:
    await tx.execute(delete(CampaignMessage).where(CampaignMessage.campaign_id == campaign_id))
    await tx.execute(insert(CampaignMessage), list(steps))
    await update_campaign(tx, campaign_id, {"message_count": len(steps)})


async def describe_target(tx: AsyncConnection, campaign_id: UUID) -> str:
    """Whom a campaign is for in a few words: its target groups by name, and how many contacts and numbers besides."""
    mine = CampaignTarget.campaign_id == campaign_id
    names = select(TargetGroup.name).join(CampaignTarget, CampaignTarget.target_group_id == TargetGroup.id).where(mine)
    words = list((await tx.execute(names.order_by(TargetGroup.name))).scalars())
    counts = (
        await tx.execute(select(func.count(CampaignTarget.contact_id), func.count(CampaignTarget.msisdn)).where(mine))
    ).one()
    for count, noun in zip(counts, ("contact", "number"), strict=True):
        if count:
            words.append(f"{count} {noun}{'s' if count > 1 else ''}")
    return ", ".join(words)


async def cancel_pending_steps(tx: AsyncConnection, campaign_id: UUID, now: datetime) -> None:
    await tx.execute(
        update(CampaignMessage)
        .where(CampaignMessage.campaign_id == campaign_id, CampaignMessage.status == StepStatus.PENDING)
        .values(status=StepStatus.CANCELLED, finished_at=now)
    )


async def renew_cancelled_steps(tx: AsyncConnection, campaign_id: UUID) -> None:
    """Undo `cancel_pending_steps`."""
    await tx.execute(
        update(CampaignMessage)
        .where(CampaignMessage.campaign_id == campaign_id, CampaignMessage.status == StepStatus.CANCELLED)
        .values(status=StepStatus.PENDING, finished_at=None)
    )


async def renew_step(tx: AsyncConnection, step_id: UUID, times: dict[str, Any]) -> None:
    """Let a cancelled step wait for its time again; what was made of it and cancelled will be put into the queue."""
    made = case((CampaignMessage.expanded > 0, NIL), else_=None)
    await tx.execute(
        update(CampaignMessage)
        .where(CampaignMessage.id == step_id, CampaignMessage.status == StepStatus.CANCELLED)
        .values(status=StepStatus.PENDING, finished_at=None, reviving_after=made, **times)
    )


async def update_step(tx: AsyncConnection, step_id: UUID, values: dict[str, Any]) -> None:
    await tx.execute(update(CampaignMessage).where(CampaignMessage.id == step_id).values(**values))


async def lock_step(tx: AsyncConnection, campaign_id: UUID, step_id: UUID) -> AnyRow:
    """One message of the sequence, held so that it does not begin meanwhile."""
    question = select(CampaignMessage).where(CampaignMessage.id == step_id, CampaignMessage.campaign_id == campaign_id)
    row: AnyRow | None = (await tx.execute(question.with_for_update())).one_or_none()
    if row is None:
        raise NotFound(f"There is no message {step_id} in the campaign {campaign_id}.")
    return row


async def list_commands(tx: AsyncConnection, campaign_id: UUID) -> Sequence[AnyRow]:
    """What owners told the campaign to do, from the audit log: at, action and the status it led to."""
    rows = await tx.execute(
        select(
            AuditEntry.at,
            AuditEntry.action,
            AuditEntry.caller,
            AuditEntry.detail,
            AuditEntry.detail["status"].astext.label("status"),
        )
        .where(AuditEntry.subject_kind == "campaign", AuditEntry.subject_id == str(campaign_id))
        .order_by(AuditEntry.id)
    )
    return rows.all()


async def list_steps(tx: AsyncConnection, campaign_id: UUID) -> Sequence[AnyRow]:
    rows = await tx.execute(
        select(CampaignMessage).where(CampaignMessage.campaign_id == campaign_id).order_by(CampaignMessage.position)
    )
    return rows.all()


async def list_targets(tx: AsyncConnection, campaign_id: UUID) -> Sequence[AnyRow]:
    rows = await tx.execute(
        select(CampaignTarget).where(CampaignTarget.campaign_id == campaign_id).order_by(CampaignTarget.id)
    )
    return rows.all()


async def replace_targets(
    tx: AsyncConnection, campaign_id: UUID, column: str, targets: Sequence[dict[str, Any]]
) -> None:
    """Set the targets of one sort: `target_group_id`, `contact_id` or `msisdn`."""
    await tx.execute(
        delete(CampaignTarget).where(
            CampaignTarget.campaign_id == campaign_id, getattr(CampaignTarget, column).is_not(None)
        )
    )
    if targets:
        await tx.execute(insert(CampaignTarget), list(targets))


async def list_known_groups(tx: AsyncConnection, ids: Sequence[UUID]) -> set[UUID]:
    rows = await tx.execute(select(TargetGroup.id).where(TargetGroup.id.in_(ids)))
    return set(rows.scalars())


async def list_known_contacts(tx: AsyncConnection, ids: Sequence[UUID]) -> set[UUID]:
    rows = await tx.execute(select(Contact.id).where(Contact.id.in_(ids)))
    return set(rows.scalars())


async def find_first_frozen(tx: AsyncConnection, campaign_id: UUID, *, msisdn: str | None = None) -> AnyRow | None:
    """Whoever comes first in a frozen audience, of all or with this number: msisdn and contact_id."""
    question = (
        select(CampaignRecipient.msisdn, CampaignRecipient.contact_id)
        .where(CampaignRecipient.campaign_id == campaign_id, CampaignRecipient.position > 0)
        .order_by(CampaignRecipient.position)
    )
    if msisdn is not None:
        question = question.where(CampaignRecipient.msisdn == msisdn)
    return (await tx.execute(question.limit(1))).first()


async def find_contact(tx: AsyncConnection, contact_id: UUID) -> AnyRow | None:
    return (await tx.execute(select(Contact).where(Contact.id == contact_id))).one_or_none()


async def list_campaigns(
    tx: AsyncConnection, wanted: Filter, *, sort: str, after: tuple[Any, UUID] | None, limit: int
) -> Sequence[AnyRow]:
    """A page of campaigns with the number of their messages; `sort` is a name of SORTS, with - for descending."""
    descending = sort.startswith("-")
    key = SORTS[sort.removeprefix("-")]
    question = select(Campaign, key.label("sort_key"), Campaign.message_count.label("messages")).where(
        *_conditions(wanted)
    )
    if after is not None:
        # As a row, which an index can begin at; told apart by OR, every page would read those before it.
        place = tuple_(key, Campaign.id)
        value = tuple_(literal(after[0], key.type), literal(after[1], Uuid))
        question = question.where(place < value if descending else place > value)
    order = (key.desc(), Campaign.id.desc()) if descending else (key, Campaign.id)
    return (await tx.execute(question.order_by(*order).limit(limit))).all()


def _conditions(wanted: Filter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    # Written out: of a parameter the planner cannot know which of the indexes hold what is asked for.
    if wanted.status is Status.ARCHIVED:
        conditions.append(Campaign.status == literal_column("'archived'"))
    else:
        conditions.append(Campaign.status != literal_column("'archived'"))
        if wanted.status is not None:
            conditions.append(Campaign.status == wanted.status)
    if wanted.q:
        conditions.append(Campaign.name.icontains(wanted.q, autoescape=True))
    if wanted.sender_id:
        conditions.append(Campaign.sender_id == wanted.sender_id)
    if wanted.starts_from:
        conditions.append(SORTS["start_at"] >= wanted.starts_from)
    if wanted.starts_to:
        conditions.append(SORTS["start_at"] < wanted.starts_to)
    return conditions


async def list_tallies(tx: AsyncConnection, campaign_id: UUID) -> Sequence[AnyRow]:
    """Messages and segments per campaign message and status."""
    rows = await tx.execute(
        select(
            Tally.campaign_message_id,
            Tally.status,
            func.sum(Tally.messages).label("messages"),
            func.sum(Tally.segments).label("segments"),
        )
        .join(CampaignMessage, CampaignMessage.id == Tally.campaign_message_id)
        .where(CampaignMessage.campaign_id == campaign_id)
        .group_by(Tally.campaign_message_id, Tally.status)
    )
    return rows.all()


async def count_resendable(
    tx: AsyncConnection, campaign: AnyRow, *, statuses: Collection[MessageStatus], unmade: bool
) -> list[tuple[AnyRow, int]]:
    """How many messages of each step are in these statuses; those never made of a cancelled step, if they count too."""
    counted: Counter[UUID] = Counter()
    for row in await list_tallies(tx, campaign.id):
        if row.status in statuses:
            counted[row.campaign_message_id] += int(row.messages)
    steps = await list_steps(tx, campaign.id)
    for step in steps:
        if unmade and step.status is StepStatus.CANCELLED and campaign.frozen_at is not None:
            counted[step.id] += (campaign.recipients or 0) - step.expanded
    return [(step, counted[step.id]) for step in steps]


async def copy_targets(tx: AsyncConnection, campaign_id: UUID, made: UUID) -> None:
    """Give one campaign the targets of another, without those whom the owner left out there."""
    columns = (CampaignTarget.target_group_id, CampaignTarget.contact_id, CampaignTarget.msisdn)
    mine = select(func.gen_random_uuid(), literal(made, Uuid), *columns).where(
        CampaignTarget.campaign_id == campaign_id
    )
    await tx.execute(insert(CampaignTarget).from_select(["id", "campaign_id", *(c.key for c in columns)], mine))
    columns_of_one = (
        *(CampaignRecipient.position, CampaignRecipient.msisdn, CampaignRecipient.contact_id),
        *(CampaignRecipient.excluded_by, CampaignRecipient.skip_reason),
    )
    excluded = select(literal(made, Uuid), *columns_of_one).where(
        CampaignRecipient.campaign_id == campaign_id,
        CampaignRecipient.position < 0,
        CampaignRecipient.excluded_by.is_not(None),
    )
    await tx.execute(insert(CampaignRecipient).from_select(["campaign_id", *(c.key for c in columns_of_one)], excluded))


async def recount(tx: AsyncConnection, campaign_id: UUID) -> dict[tuple[UUID, str], int]:
    """The same counts from the message rows themselves: what the tallies are checked against."""
    rows = await tx.execute(
        select(Message.campaign_message_id, Message.status, func.count())
        .join(CampaignMessage, CampaignMessage.id == Message.campaign_message_id)
        .where(CampaignMessage.campaign_id == campaign_id)
        .group_by(Message.campaign_message_id, Message.status)
    )
    return {(row[0], str(row[1])): row[2] for row in rows if row[0] is not None}
