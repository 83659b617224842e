"""Rows into answers: a campaign whole, its report, its timeline, its preview."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.campaigns import queries
from api.campaigns.cautions import list_cautions
from api.campaigns.phone_field import shown_phone_field
from api.campaigns.queries import AnyRow
from api.campaigns.results.schemas import SummaryOut
from api.campaigns.schemas import (
    CampaignOut,
    EventOut,
    MissingOut,
    PreviewedOut,
    PreviewOut,
    ReportOut,
    StepOut,
    StepReportOut,
    TimelineOut,
)
from shared.domain import report as arithmetic
from shared.domain.campaign import Status, StepStatus
from shared.domain.message import Status as MessageStatus
from shared.domain.report import Counted
from shared.domain.segments import measure
from shared.domain.tag_values import values_of
from shared.domain.template import CAMPAIGN_TAGS, compile_template
from shared.queries.audience import count_audience

# Deeds that leave no moment in the campaign's row, or only that of the last one, as the audit log has them: the
# action, and the status it led to where that matters.
TOLD_BY_AUDIT = {
    ("campaign.started", Status.SCHEDULED): "scheduled",
    ("campaign.unscheduled", None): "unscheduled",
    ("campaign.stopped", None): "stopped",
    ("campaign.restarted", None): "restarted",
    ("campaign.held", None): "held",
    ("campaign.resumed", None): "resumed",
    ("campaign.resent", None): "resent",
    ("campaign.duplicated", None): "duplicated",
    ("campaign.archived", None): "archived",
    ("campaign.unarchived", None): "unarchived",
}

ENDED = frozenset({Status.STOPPED, Status.COMPLETED, Status.ARCHIVED})
BEFORE_FREEZE = frozenset({Status.DRAFT, Status.SCHEDULED, Status.RUNNING, Status.HELD})


async def whole(tx: AsyncConnection, campaign: AnyRow) -> CampaignOut:
    """A campaign with its messages and targets."""
    steps = await queries.list_steps(tx, campaign.id)
    targets = await queries.list_targets(tx, campaign.id)
    plain = {name: getattr(campaign, name) for name in CampaignOut.model_fields if hasattr(campaign, name)}
    told = [] if campaign.status in ENDED else await list_cautions(tx, campaign, steps)
    return CampaignOut(
        **plain | {"phone_field": shown_phone_field(campaign.phone_field)},
        target_group_ids=[one.target_group_id for one in targets if one.target_group_id],
        contact_ids=[one.contact_id for one in targets if one.contact_id],
        msisdns=[one.msisdn for one in targets if one.msisdn],
        messages=[StepOut.model_validate(step) for step in steps],
        warnings=told,
    )


async def report(tx: AsyncConnection, campaign: AnyRow, *, now: datetime) -> ReportOut:
    """Counts from the tallies, which move with the messages; the audience counts before it is frozen too."""
    recipients = campaign.recipients or 0
    if campaign.frozen_at is None and campaign.status in BEFORE_FREEZE:
        recipients = await count_audience(tx, campaign.id, now=now)
    steps = await queries.list_steps(tx, campaign.id)
    counted = await _counted(tx, campaign.id)
    outs = [_step_report(step, counted[step.id], recipients) for step in steps]
    return ReportOut(
        id=campaign.id,
        name=campaign.name,
        status=campaign.status,
        held_reason=campaign.held_reason,
        recipients=recipients,
        counts=arithmetic.add_up(out.counts for out in outs),
        segments=sum(out.segments for out in outs),
        messages=outs,
        started_at=campaign.started_at,
        finished_at=campaign.finished_at,
    )


async def _counted(tx: AsyncConnection, campaign_id: UUID) -> defaultdict[UUID, list[Counted]]:
    counted: defaultdict[UUID, list[Counted]] = defaultdict(list)
    for row in await queries.list_tallies(tx, campaign_id):
        counted[row.campaign_message_id].append(Counted(row.status, int(row.messages), int(row.segments)))
    return counted


def _step_report(step: AnyRow, counted: Sequence[Counted], recipients: int) -> StepReportOut:
    return StepReportOut(
        id=step.id,
        position=step.position,
        status=step.status,
        send_at=step.send_at,
        counts=arithmetic.count_step(counted, status=step.status, recipients=recipients, expanded=step.expanded),
        segments=arithmetic.segments_of(counted),
    )


async def timeline(tx: AsyncConnection, campaign: AnyRow, *, now: datetime) -> TimelineOut:
    """What happened, oldest first, with what became of each message of the sequence."""
    told = await report(tx, campaign, now=now)
    events = [
        EventOut(at=at, event=event)
        for at, event in ((campaign.created_at, "created"), (campaign.started_at, "started"))
        if at is not None
    ]
    for deed in await queries.list_commands(tx, campaign.id):
        event = TOLD_BY_AUDIT.get((deed.action, deed.status)) or TOLD_BY_AUDIT.get((deed.action, None))
        if event is not None:
            events.append(EventOut(at=deed.at, event=event, detail=_detail(deed)))
    for step, out in zip(await queries.list_steps(tx, campaign.id), told.messages, strict=True):
        at = step.expanding_at or step.send_at
        if at is not None and (step.expanding_at or step.status is not StepStatus.CANCELLED):
            event = "message_begun" if step.expanding_at else "message_due"
            events.append(_counted_event(at, event, out.counts, position=step.position))
        if step.finished_at is not None:
            events.append(EventOut(at=step.finished_at, event=f"message_{step.status}", position=step.position))
    if campaign.finished_at is not None and campaign.status is Status.COMPLETED:
        events.append(_counted_event(campaign.finished_at, "completed", told.counts))
    return TimelineOut(items=sorted(events, key=lambda event: event.at))


def _counted_event(
    at: datetime, event: str, counts: dict[MessageStatus, int], *, position: int | None = None
) -> EventOut:
    summary = SummaryOut.model_validate(arithmetic.summarize(counts))
    return EventOut(at=at, event=event, position=position, counts=counts, summary=summary)


def _detail(deed: AnyRow) -> dict[str, Any]:
    """By whom, and what came of it: the reason of a hold, the campaign that was made."""
    told = {name: value for name, value in deed.detail.items() if name in {"reason", "as"}}
    return {"by": deed.caller, **told}


def preview(
    campaign: AnyRow, steps: Sequence[AnyRow], *, msisdn: str, contact: AnyRow | None, missing: Sequence[MissingOut]
) -> PreviewOut:
    """The texts as one recipient would read them."""
    values = values_of(msisdn=msisdn, contact=contact, campaign=campaign.name)
    previewed = []
    for step in steps:
        filled = compile_template(step.text, known=CAMPAIGN_TAGS).fill(values)
        measured = measure(filled.text)
        previewed.append(
            PreviewedOut(
                position=step.position,
                text=filled.text,
                encoding=measured.encoding,
                characters=measured.characters,
                segments=measured.segments,
                missing=list(filled.missing),
            )
        )
    contact_id = contact.id if contact is not None else None
    return PreviewOut(msisdn=msisdn, contact_id=contact_id, messages=previewed, missing=list(missing))
