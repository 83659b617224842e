"""A campaign that sends messages of another once more: for whom, and which of them are not needed any more.

Every message knows the one in whose place it goes, so all that was ever sent in the place of one is a line; nobody who
has any message of the line on the way, or got it, is sent another.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.campaigns import Recipient, Step
from shared.domain.campaign import WHICH, Which
from shared.domain.message import RESENDABLE, Status

# What stands in nobody's way: it ended without arriving, or was never meant to be sent.
_HARMLESS: Final = sorted(RESENDABLE | {Status.SKIPPED})

_FREEZE = text("""
    WITH steps AS (
        SELECT o.* FROM campaign_messages mine JOIN campaign_messages o ON o.id = mine.resend_of
        WHERE mine.campaign_id = :campaign_id
    ), wanted AS (
        SELECT m.msisdn, m.contact_id FROM steps s JOIN messages m ON m.campaign_message_id = s.id
        WHERE m.status = ANY(CAST(:statuses AS text[]))
        UNION ALL
        SELECT r.msisdn, r.contact_id FROM steps s
        JOIN campaign_recipients r ON r.campaign_id = s.campaign_id AND r.position > s.expanded
        WHERE :unmade AND s.status = 'cancelled'
    ), once AS (
        SELECT DISTINCT ON (msisdn) msisdn, contact_id FROM wanted ORDER BY msisdn, contact_id NULLS LAST
    ), frozen AS (
        INSERT INTO campaign_recipients (campaign_id, position, msisdn, contact_id)
        SELECT :campaign_id, row_number() OVER (ORDER BY contact_id NULLS LAST, msisdn), msisdn, contact_id FROM once
        RETURNING 1
    )
    UPDATE campaigns SET frozen_at = now(), recipients = (SELECT count(*) FROM frozen), updated_at = now(),
                         started_at = coalesce(started_at, now())
    WHERE id = :campaign_id
    RETURNING recipients
""")

_WHICH = text("SELECT resend_which FROM campaigns WHERE id = :campaign_id")

# The first of each line, which whoever sends one message again locks as well.
_FIRSTS = text("""
    WITH RECURSIVE up AS (
        SELECT m.id AS original, m.id, m.resend_of, m.msisdn, m.status FROM messages m
        WHERE m.campaign_message_id = :step AND m.msisdn = ANY(CAST(:msisdns AS text[]))
        UNION
        SELECT up.original, m.id, m.resend_of, up.msisdn, up.status FROM up JOIN messages m ON m.id = up.resend_of
    )
    SELECT DISTINCT ON (original) original, id AS first, msisdn, status FROM up ORDER BY original, id
""")
_LOCK = text("SELECT id FROM messages WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
_LINE = text("""
    WITH RECURSIVE line AS (
        SELECT m.id AS first, m.id, m.status, m.campaign_message_id FROM messages m
        WHERE m.id = ANY(CAST(:ids AS uuid[]))
        UNION
        SELECT line.first, m.id, m.status, m.campaign_message_id FROM line JOIN messages m ON m.resend_of = line.id
    )
    SELECT first, id, status FROM line
""")
_FORBID = text("""
    UPDATE messages SET cancel_requested_at = now()
    WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'unconfirmed' AND cancel_requested_at IS NULL
""")

# A step, those in whose place it goes, and all that go in the place of any of these: the first of them is the root.
_FAMILY = """
    WITH RECURSIVE up AS (
        SELECT id, resend_of FROM campaign_messages WHERE id = :step
        UNION
        SELECT p.id, p.resend_of FROM up JOIN campaign_messages p ON p.id = up.resend_of
    ), family AS (
        SELECT id FROM up
        UNION
        SELECT c.id FROM family JOIN campaign_messages c ON c.resend_of = family.id
    )
"""
# Two of a family are never expanded at once, so each sees whom the other has a message for.
_LOCK_ROOT = text(
    _FAMILY
    + """
    SELECT cm.id FROM campaign_messages cm
    WHERE cm.id IN (SELECT id FROM up WHERE up.resend_of IS NULL) AND cm.id <> :step
    FOR UPDATE
    """
)
_ELSEWHERE = text(
    _FAMILY
    + """
    SELECT m.msisdn, m.id, m.status FROM messages m
    WHERE m.msisdn = ANY(CAST(:msisdns AS text[])) AND m.status <> 'skipped'
      AND m.campaign_message_id IN (SELECT id FROM family WHERE id <> :step)
    ORDER BY m.id
    """
)


async def freeze(tx: AsyncConnection, campaign_id: UUID, which: Which) -> int:
    """Settle for whom a campaign sends messages of another once more; how many recipients it has."""
    wanted = {"statuses": sorted(WHICH[which]), "unmade": which is Which.UNSENT}
    return int((await tx.execute(_FREEZE, {"campaign_id": campaign_id, **wanted})).scalar_one())


async def find_originals(tx: AsyncConnection, step: Step, recipients: Sequence[Recipient]) -> dict[str, UUID | None]:
    """Whom of these to send the step's message once more, and in the place of which one; None: it was never made.

    Messages in doubt of whom another one goes out now are called back, in case they should return to the queue.
    """
    which = Which((await tx.execute(_WHICH, {"campaign_id": step.campaign_id})).scalar_one())
    given = {"step": step.resend_of, "msisdns": [recipient.msisdn for recipient in recipients]}
    found = (await tx.execute(_FIRSTS, given)).all()
    firsts = sorted({row.first for row in found})
    await tx.execute(_LOCK, {"ids": firsts})
    line = (await tx.execute(_LINE, {"ids": firsts})).all()
    settled = {row.first for row in line if row.status not in _HARMLESS}
    wanted: dict[str, UUID | None] = {
        row.msisdn: row.original for row in found if row.status in WHICH[which] and row.first not in settled
    }
    again = {row.first for row in found if row.msisdn in wanted}
    await tx.execute(_FORBID, {"ids": [row.id for row in line if row.first in again]})
    if which is Which.UNSENT:
        made = {row.msisdn for row in found}
        wanted |= await _find_unmade(tx, step, [one.msisdn for one in recipients if one.msisdn not in made])
    return wanted


async def _find_unmade(tx: AsyncConnection, step: Step, msisdns: Sequence[str]) -> dict[str, UUID | None]:
    """Whom of these, who had no message of the original, to send one, and in the place of which; None: of none.

    Another campaign may have sent it to them meanwhile, or the original itself, restarted. What was not sent there
    either is sent here; anything else stands.
    """
    latest: dict[str, UUID | None] = dict.fromkeys(msisdns)
    for msisdn, message_id, status in await _elsewhere(tx, step, msisdns):
        if status not in WHICH[Which.UNSENT]:
            latest.pop(msisdn, None)
        elif msisdn in latest:
            latest[msisdn] = message_id
    return latest


async def find_unsent_elsewhere(
    tx: AsyncConnection, step: Step, recipients: Sequence[Recipient]
) -> dict[str, UUID | None]:
    """Whom of these to send a message that another campaign sends once more: all whom it has none for."""
    msisdns = [recipient.msisdn for recipient in recipients]
    taken = {msisdn for msisdn, *_ in await _elsewhere(tx, step, msisdns)}
    return {msisdn: None for msisdn in msisdns if msisdn not in taken}


async def _elsewhere(tx: AsyncConnection, step: Step, msisdns: Sequence[str]) -> Sequence[Any]:
    """What others of its family made for these: number, id and status, the oldest first."""
    await tx.execute(_LOCK_ROOT, {"step": step.id})
    return (await tx.execute(_ELSEWHERE, {"step": step.id, "msisdns": list(msisdns)})).all() if msisdns else []
