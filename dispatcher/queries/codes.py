"""Whose code a message carries, and which passwords are in doubt."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.claims import Claimed
from shared.domain.routing import Route
from shared.ids import first_uuid7


class Asked(NamedTuple):
    """What a message's code is derived from."""

    message_id: UUID
    otp_id: UUID
    profile_id: UUID
    msisdn: str
    pepper: str
    length: int
    test_code: str | None


class Doubted(NamedTuple):
    """A password that a gateway may have, as it would be claimed once more.

    `refused` are the gateways that had it in hand, or refused it.
    """

    claimed: Claimed
    is_accepted: bool


_CHALLENGES = text("""
    SELECT om.message_id, o.id, o.profile_id, o.msisdn, o.pepper, o.length, o.test_code
    FROM otp_messages om JOIN otps o ON o.id = om.otp_id
    WHERE om.message_id = ANY(CAST(:ids AS uuid[]))
""")

# Two submissions at most: whatever was accepted, lost or never answered is one. What was accepted after all, by an
# answer that came when the message was on its second way, needs no other. Those that no other gateway serves are left
# out here: any number of them would stand before the one that has somewhere to go.
_DOUBTED = text("""
    SELECT a.is_accepted, m.id, m.attempt + 1, m.kind, m.msisdn, m.msisdn_hash, m.text, m.sender_id, m.location_id,
           m.segments, m.campaign_message_id, CAST(NULL AS uuid[]) AS tried, a.asked,
           CAST(NULL AS uuid[]), m.not_before, m.expires_at, m.respect_quiet_hours, false, 0, 0
    FROM messages m
    JOIN otp_messages om ON om.message_id = m.id
    JOIN otps o ON o.id = om.otp_id
    CROSS JOIN LATERAL (
        SELECT array_agg(t.gateway_id) FILTER (WHERE t.outcome IS DISTINCT FROM 'not_sent') AS asked,
               coalesce(bool_or(t.outcome = 'accepted'), false) AS is_accepted,
               count(*) FILTER (WHERE t.outcome IS NULL OR t.outcome IN ('accepted', 'lost')) AS submissions
        FROM attempts t WHERE t.message_id = m.id) a
    WHERE m.kind = 'otp' AND m.status = 'unconfirmed' AND m.campaign_message_id IS NULL AND m.id >= :oldest
      AND m.status_at <= now() - make_interval(secs => :wait) AND m.expires_at > now()
      AND m.cancel_requested_at IS NULL AND o.used_at IS NULL AND o.cancelled_at IS NULL
      AND (a.is_accepted OR (a.submissions < 2 AND EXISTS (
          SELECT 1 FROM jsonb_to_recordset(CAST(:routes AS jsonb)) AS r (id uuid, locations text[], senders text[])
          WHERE r.id <> ALL(coalesce(a.asked, '{}'))
            AND (r.locations = '{}' OR m.location_id = ANY(r.locations))
            AND (m.sender_id IS NULL OR m.sender_id = ANY(r.senders)))))
    ORDER BY m.id DESC LIMIT :limit
    FOR UPDATE OF m SKIP LOCKED
""")

_CLAIM_AGAIN = text("""
    UPDATE messages m
    SET status = 'sending', status_at = now(), attempt = m.attempt + 1,
        lease_until = now() + make_interval(secs => :lease), leased_by = :dispatcher
    WHERE m.id = ANY(CAST(:ids AS uuid[])) AND m.status = 'unconfirmed'
""")

_ADOPT = text("""
    UPDATE messages m SET status = 'submitted', status_at = now()
    WHERE m.id = ANY(CAST(:ids AS uuid[])) AND m.status = 'unconfirmed'
""")


async def list_challenges(tx: AsyncConnection, message_ids: Sequence[UUID]) -> list[Asked]:
    rows = await tx.execute(_CHALLENGES, {"ids": list(message_ids)})
    return [Asked._make(row) for row in rows]


async def lock_doubted(
    tx: AsyncConnection, routes: Sequence[Route], *, since: datetime, wait: float, limit: int
) -> list[Doubted]:
    """Passwords that may go once more by one of these routes, made since then and in doubt for `wait` seconds.

    Newest first; with them those of which an attempt is known to have been accepted.
    """
    told = [
        {"id": str(one.gateway_id), "locations": sorted(one.location_ids), "senders": sorted(one.sender_ids)}
        for one in routes
    ]
    values = {"oldest": first_uuid7(since), "wait": wait, "limit": limit, "routes": json.dumps(told)}
    rows = await tx.execute(_DOUBTED, values)
    return [Doubted(Claimed._make(row[1:]), row[0]) for row in rows]


async def claim_again(tx: AsyncConnection, ids: Sequence[UUID], *, lease: float, dispatcher: str) -> None:
    """Take locked passwords in doubt for the length of a lease."""
    if ids:
        await tx.execute(_CLAIM_AGAIN, {"ids": list(ids), "lease": lease, "dispatcher": dispatcher})


async def adopt_acceptance(tx: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Let locked passwords be what an attempt of theirs is known to have come to."""
    if ids:
        await tx.execute(_ADOPT, {"ids": list(ids)})
