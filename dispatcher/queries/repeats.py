"""Repeats: which messages in doubt may be handed to the same gateway once more, and that they are.

A repeated message stays `unconfirmed` while it is on the line, for that is what it is; the attempt's number is the
fence. `lookup_at` of its last attempt says when it is looked at next, and stands in for the lease while one is on the
line: who dies there leaves an attempt that is found again.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.claims import UNASKED, UNWILLING, Claimed
from shared.domain.repeats import UNCHANGED_FOR
from shared.domain.routing import Route
from shared.queries.opt_outs import holds_back


class Repeated(Claimed):
    """A message in doubt as it would be handed over once more, for the `repeat`-th time, and to whom alone."""

    gateway_id: UUID
    repeat: int

    @classmethod
    def of(cls, claimed: Claimed, *, gateway_id: UUID, repeat: int) -> Self:
        made = cls._make(claimed)
        made.gateway_id, made.repeat = gateway_id, repeat
        return made


class Due(NamedTuple):
    """What is due at the gateways that repeat: to be handed over, to be looked at later, or left as it is."""

    again: Sequence[Repeated]
    later: Sequence[UUID]
    over: Sequence[UUID]


# The window is counted from the first hand-over in doubt, by our clock and before it began; it must not end while the
# next one is on the line. Nobody repeats across a change of the gateway's settings, for the id may be known nowhere
# else; nor what was in doubt before the database was set back, for then another gateway may have it.
_DUE = text(f"""
    WITH told AS (
        SELECT * FROM unnest(CAST(:gateway_ids AS uuid[]), CAST(:windows AS float8[]), CAST(:mosts AS int[]),
                             CAST(:changes AS timestamptz[])) AS t (gateway_id, seconds, most, changed_at)
    ), due AS (
        SELECT m.*, a.gateway_id AS at_gateway, a.attempt AS of_attempt, t.seconds, t.most, t.changed_at
        FROM attempts a JOIN told t ON t.gateway_id = a.gateway_id JOIN messages m ON m.id = a.message_id
        WHERE a.lookup_at <= now() AND (m.campaign_message_id IS NULL) = :alone
        ORDER BY a.lookup_at LIMIT :limit
        FOR UPDATE OF m SKIP LOCKED
    )
    SELECT CASE WHEN d.status <> 'unconfirmed' OR d.attempt <> d.of_attempt OR d.kind IN ('otp', 'test')
                     OR d.cancel_requested_at IS NOT NULL OR d.msisdn = '' OR d.expires_at <= now()
                     OR f.attempt IS NULL OR f.elsewhere OR d.attempt - f.attempt >= d.most
                     OR f.started_at + make_interval(secs => d.seconds) <= now() + make_interval(secs => :lease)
                     OR d.changed_at + CAST(:unchanged_for AS interval) > f.started_at
                     OR EXISTS (SELECT 1 FROM heartbeat h
                                -- by the milliseconds that both ids begin with
                                WHERE left(CAST(h.epoch AS text), 13) COLLATE "C" > left(CAST(d.id AS text), 13))
                     OR EXISTS (SELECT 1 FROM opt_outs o
                                WHERE o.msisdn_hash = d.msisdn_hash AND {holds_back("d.sender_id", "d.msisdn")})
                     OR ((d.campaign_message_id IS NOT NULL OR {UNASKED}) AND ({UNWILLING}))
                     OR c.status NOT IN ('running', 'completed', 'held') THEN 'over'
                WHEN c.status = 'held' OR EXISTS (SELECT 1 FROM heartbeat h WHERE h.awake_until <= now()) THEN 'later'
                ELSE 'again' END,
           d.at_gateway, d.attempt + 1 - f.attempt,
           d.id, d.attempt + 1, d.kind, d.msisdn, d.msisdn_hash, d.text, d.sender_id, d.location_id, d.segments,
           d.campaign_message_id, CAST(NULL AS uuid[]), CAST(NULL AS uuid[]),
           ARRAY[d.at_gateway], d.not_before, d.expires_at, d.respect_quiet_hours, false, 0, 0
    FROM due d
    LEFT JOIN campaign_messages cm ON cm.id = d.campaign_message_id
    LEFT JOIN campaigns c ON c.id = cm.campaign_id
    CROSS JOIN LATERAL (
        SELECT min(x.attempt) AS attempt, min(x.started_at) AS started_at,
               bool_or(x.gateway_id <> d.at_gateway) AS elsewhere
        FROM attempts x
        WHERE x.message_id = d.id AND (x.outcome IS NULL OR x.outcome IN ('lost', 'accepted'))) f
    ORDER BY d.id
""")

_NOTE = text("""
    UPDATE attempts a
    SET lookup_at = CASE WHEN n.seconds IS NOT NULL THEN now() + make_interval(secs => n.seconds) END,
        -- whoever began this one never came back
        detail = CASE WHEN a.outcome IS NULL THEN 'lease ran out' ELSE a.detail END,
        outcome = coalesce(a.outcome, 'lost')
    FROM unnest(CAST(:ids AS uuid[]), CAST(:seconds AS float8[])) AS n (id, seconds)
    WHERE a.message_id = n.id AND a.lookup_at <= now()
""")

_CLAIM = text("""
    UPDATE messages m SET attempt = m.attempt + 1
    WHERE m.id = ANY(CAST(:ids AS uuid[])) AND m.status = 'unconfirmed'
""")

_LEASE = text("""
    UPDATE attempts a SET lookup_at = now() + make_interval(secs => :lease)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS smallint[])) AS n (id, attempt)
    WHERE a.message_id = n.id AND a.attempt = n.attempt
""")


async def lock_due(tx: AsyncConnection, routes: Sequence[Route], *, lane: str, lease: float, limit: int) -> Due:
    """What is due at these gateways, each of which repeats, held until the transaction ends."""
    known = [(route.gateway_id, route.repeats, route.changed_at) for route in routes if route.repeats]
    rows = await tx.execute(
        _DUE,
        {
            "gateway_ids": [gateway_id for gateway_id, _, _ in known],
            "windows": [repeats.window for _, repeats, _ in known],
            "mosts": [repeats.most for _, repeats, _ in known],
            "changes": [changed_at for _, _, changed_at in known],
            "alone": lane == "urgent",
            "lease": lease,
            "unchanged_for": UNCHANGED_FOR,
            "limit": limit,
        },
    )
    again: list[Repeated] = []
    left: dict[str, list[UUID]] = {"later": [], "over": []}
    for verdict, gateway_id, repeat, *columns in rows:
        claimed = Claimed._make(columns)
        if verdict == "again":
            again.append(Repeated.of(claimed, gateway_id=gateway_id, repeat=repeat))
        else:
            left[verdict].append(claimed.id)
    return Due(again, left["later"], left["over"])


async def put_off(tx: AsyncConnection, waits: Sequence[tuple[UUID, float | None]]) -> None:
    """Look at locked ones again after so many seconds; None: never."""
    if waits:
        await tx.execute(_NOTE, {"ids": [id_ for id_, _ in waits], "seconds": [seconds for _, seconds in waits]})


async def claim_again(tx: AsyncConnection, taken: Sequence[Repeated]) -> None:
    """Begin the next attempt of locked ones; their intents are still to be written."""
    ids = [one.id for one in taken]
    await tx.execute(_NOTE, {"ids": ids, "seconds": [None] * len(ids)})
    await tx.execute(_CLAIM, {"ids": ids})


async def lease_attempts(tx: AsyncConnection, taken: Sequence[Repeated], *, lease: float) -> None:
    """Let what was begun be found again, should nobody come back from it within the lease (seconds)."""
    values = {"ids": [one.id for one in taken], "attempts": [one.attempt for one in taken], "lease": lease}
    await tx.execute(_LEASE, values)
