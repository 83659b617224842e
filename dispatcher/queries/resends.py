"""A campaign that sends messages of another once more: for whom, and which of them are not needed any more.

Every message knows the one in whose place it goes, so all that was ever sent in the place of one is a line; nobody who
has any message of the line on the way, or got it, is sent another.
"""

from collections.abc import Sequence
from typing import Final
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
        wanted |= {one.msisdn: None for one in recipients if one.msisdn not in made}
    return wanted
