"""Which senders there are, and who still sends with them: asked wherever somebody names one, or would take one away."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from sqlalchemy import or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain import campaign
from shared.domain.message import PRIORITY_OF, PUMPED
from shared.models import Automation, Campaign, OtpProfile, SenderIdRow

# What these name is history; any other campaign may still send with it.
ENDED: Final = (campaign.Status.COMPLETED, campaign.Status.ARCHIVED)
# Of each priority so many messages are looked at, the soonest first.
MOST: Final = 100_000

_PRIORITIES = ", ".join(f"({priority})" for priority in sorted({PRIORITY_OF[kind] for kind in PUMPED}))
_QUEUED = text(f"""
    SELECT q.sender_id, q.not_before
    FROM (VALUES {_PRIORITIES}) AS p (priority) CROSS JOIN LATERAL (
        SELECT m.sender_id, m.not_before, m.cancel_requested_at, m.expires_at FROM messages m
        WHERE m.campaign_message_id IS NULL AND m.status = 'queued' AND m.priority = p.priority
        ORDER BY m.not_before, m.id
        LIMIT :most) q
    WHERE q.sender_id = ANY(CAST(:values AS text[])) AND q.cancel_requested_at IS NULL
      AND (q.expires_at IS NULL OR q.expires_at > now())
    ORDER BY q.not_before DESC
    LIMIT 1
""")


async def find_sender(tx: AsyncConnection, wanted: str, *, gateway_id: UUID | None = None) -> str | None:
    """The value of a registered sender, named by its value or by its id; of one gateway's, where that is named."""
    fits = SenderIdRow.value == wanted
    with suppress(ValueError):  # no id then
        fits = or_(fits, SenderIdRow.id == UUID(wanted))
    question = select(SenderIdRow.value).where(fits).limit(1)
    if gateway_id is not None:
        question = question.where(SenderIdRow.gateway_id == gateway_id)
    found: str | None = await tx.scalar(question)
    return found


async def find_need(tx: AsyncConnection, values: Sequence[str]) -> str | None:
    """Who would be left without a sender if these were gone, and what to do first, as a sentence; None if nobody."""
    if not values:
        return None
    unfinished = Campaign.status.not_in(ENDED)
    for what, question, remedy in (
        ("campaign", select(Campaign.name, Campaign.sender_id).where(unfinished), "change or end it"),
        ("password profile", select(OtpProfile.name, OtpProfile.sender_id), "give it another sender"),
        ("automation", select(Automation.name, Automation.sender_id), "give it another sender"),
    ):
        column = question.selected_columns.sender_id
        found = (await tx.execute(question.where(column.in_(values)).limit(1))).one_or_none()
        if found is not None:
            return f"The {what} {found.name!r} sends with {found.sender_id!r}; {remedy} first."
    queued = (await tx.execute(_QUEUED, {"values": list(values), "most": MOST})).one_or_none()
    if queued is None:
        return None
    until = f"{queued.not_before:%Y-%m-%dT%H:%MZ}"
    return (
        f"Messages wait to be sent with {queued.sender_id!r}, the last of them at {until}; call them back, or let them "
        "go out first."
    )
