"""Settle: write what hand-overs came to. Rescue: what becomes of leases whose dispatcher never came back.

Both statements guard with the law's own table and with the attempt number; rows are locked in the order of their ids,
here and in `dispatcher/queries/receipts.py`, so that they cannot wait for each other in a ring.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.tallies import Moves
from dispatcher.queries.tellings import Moving
from shared.adapter import Receipt
from shared.domain.message import ANSWERABLE, Status


class Settled(NamedTuple):
    """One hand-over's outcome. `delay` (seconds) and `tried` count only where the status is `queued`."""

    id: UUID
    attempt: int
    gateway_id: UUID
    status: Status
    outcome: str
    fault: str | None = None
    code: str | None = None
    detail: str | None = None
    reference: str | None = None
    http_status: int | None = None
    segments: int | None = None
    delay: float = 0.0
    tried: tuple[UUID, ...] = ()
    rest: float = 0.0  # seconds of rest that the gateway asked for
    lookup_in: float | None = None
    exchange: dict[str, Any] | None = None
    news: tuple[Receipt, ...] = ()  # of a gateway that calls nobody back
    version: datetime | None = None  # of the gateway's configuration, where the answer is about that
    blameless: bool = False  # in doubt, and nothing is wrong with the gateway


_ANSWERABLE = ", ".join(f"'{status}'" for status in sorted(ANSWERABLE))

_SETTLE = Moving(f"""
    WITH told AS (
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS smallint[]), CAST(:statuses AS text[]),
                             CAST(:delays AS float8[]), CAST(:gateway_ids AS uuid[]), CAST(:codes AS text[]))
                      AS t (id, attempt, status, delay, gateway_id, code)
    ), held AS (
        -- every one of them, so that the attempts below are never locked in another order than receipts do
        SELECT m.id, m.status AS was, m.attempt AS latest, t.attempt, t.status, t.delay, t.gateway_id, t.code
        FROM told t JOIN messages m ON m.id = t.id
        ORDER BY m.id
        FOR UPDATE OF m
    ), moved AS (
        UPDATE messages m
        SET status = h.status, status_at = now(), lease_until = NULL, leased_by = NULL, gateway_id = h.gateway_id,
            failure = CASE WHEN h.status = 'failed' THEN h.code END,
            -- for the next gateway at once, it keeps its place in the queue: behind all others that are due, "at once"
            -- would be the end of the campaign; nobody waits beyond its end, which only a claim sees
            not_before = CASE WHEN h.status = 'queued' AND h.delay > 0
                              THEN least(now() + make_interval(secs => h.delay), m.expires_at)
                              ELSE m.not_before END
        FROM held h
        WHERE m.id = h.id AND h.was IN ({_ANSWERABLE})
          AND (h.attempt = h.latest
               -- taken after all, says the late answer of an attempt after which it was handed over once more
               OR (h.status = 'submitted' AND h.was = 'unconfirmed' AND h.latest > h.attempt))
          -- in doubt as it was is no news
          AND (h.was <> h.status OR m.gateway_id IS DISTINCT FROM h.gateway_id)
        RETURNING m.campaign_message_id, h.was, h.status, m.segments /* returned */
    ) /* told */
    SELECT campaign_message_id, was, status, count(*), sum(segments) FROM moved GROUP BY 1, 2, 3
""")

# Evidence stands: where a receipt has already proved acceptance, a lost answer adds nothing.
_RECORD = text("""
    UPDATE attempts a
    SET finished_at = now(),
        outcome = CASE WHEN a.outcome = 'accepted' THEN a.outcome ELSE o.outcome END,
        fault = CASE WHEN a.outcome = 'accepted' THEN a.fault ELSE o.fault END,
        code = CASE WHEN a.outcome = 'accepted' THEN a.code ELSE o.code END,
        detail = CASE WHEN a.outcome = 'accepted' THEN a.detail ELSE o.detail END,
        reference = coalesce(o.reference, a.reference),
        http_status = o.http_status,
        segments = coalesce(o.segments, a.segments),
        lookup_at = CASE WHEN a.outcome = 'accepted' OR o.lookup_in IS NULL THEN NULL
                         ELSE now() + make_interval(secs => o.lookup_in) END
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS smallint[]), CAST(:outcomes AS text[]), CAST(:faults AS text[]),
                CAST(:codes AS text[]), CAST(:details AS text[]), CAST(:references AS text[]),
                CAST(:http_statuses AS smallint[]), CAST(:segments AS smallint[]), CAST(:lookups AS float8[]))
         AS o (message_id, attempt, outcome, fault, code, detail, reference, http_status, segments, lookup_in)
    WHERE a.message_id = o.message_id AND a.attempt = o.attempt
""")

# The usual answer, with the columns that it fills.
_RECORD_ACCEPTED = text("""
    UPDATE attempts a
    SET finished_at = now(), outcome = 'accepted', fault = NULL, detail = NULL, lookup_at = NULL,
        reference = coalesce(o.reference, a.reference), http_status = o.http_status,
        segments = coalesce(o.segments, a.segments)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS smallint[]), CAST(:references AS text[]),
                CAST(:http_statuses AS smallint[]), CAST(:segments AS smallint[]))
         AS o (message_id, attempt, reference, http_status, segments)
    WHERE a.message_id = o.message_id AND a.attempt = o.attempt
""")

# A late answer may find the campaign over: what it puts back into the queue nobody would claim any more. The share
# lock keeps `finish_steps` and `mark_emptied` from deciding at the same time.
_STEPS = text("""
    SELECT cm.id, cm.status = 'completed' OR (cm.status = 'cancelled' AND c.emptied_at IS NOT NULL) AS ended
    FROM campaign_messages cm JOIN campaigns c ON c.id = cm.campaign_id
    WHERE cm.id = ANY(CAST(:ids AS uuid[]))
    ORDER BY cm.id
    FOR SHARE OF cm, c
""")

_FAIL = Moving("""
    WITH moved AS (
        UPDATE messages m SET status = 'failed', failure = t.code
        FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS smallint[]), CAST(:codes AS text[]))
             AS t (id, attempt, code)
        WHERE m.id = t.id AND m.attempt = t.attempt AND m.status = 'queued'
          AND m.campaign_message_id = ANY(CAST(:ended AS uuid[]))
        RETURNING m.campaign_message_id, m.segments /* returned */
    ) /* told */
    SELECT campaign_message_id, 'queued', 'failed', 1, segments FROM moved
""")

_TRIED = text("""
    UPDATE messages SET tried_gateway_ids = CAST(:tried AS uuid[]) WHERE id = :id AND attempt = :attempt
""")

_EXCHANGE = text("""
    UPDATE attempts SET exchange = CAST(:exchange AS jsonb) WHERE message_id = :id AND attempt = :attempt
""")

_RESCUE = Moving("""
    WITH stale AS (
        SELECT m.id FROM messages m WHERE m.status = 'sending' AND m.lease_until < now()
        ORDER BY m.id LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE messages m SET status = 'unconfirmed', status_at = now(), lease_until = NULL
        FROM stale s WHERE m.id = s.id
        RETURNING m.id, m.attempt, m.campaign_message_id, m.segments /* returned */
    ), noted AS (
        UPDATE attempts a
        SET outcome = 'lost', detail = 'lease ran out', lookup_at = now() + make_interval(secs => :lookup_in)
        FROM moved v WHERE a.message_id = v.id AND a.attempt = v.attempt AND a.outcome IS NULL
    ) /* told */
    SELECT campaign_message_id, 'sending', 'unconfirmed', count(*), sum(segments) FROM moved GROUP BY 1
""")


async def settle(tx: AsyncConnection, settled: Sequence[Settled], *, wanted: frozenset[Status] = frozenset()) -> Moves:
    """Write a batch of outcomes. A message that evidence or another attempt has moved since keeps its status.

    `wanted` are the statuses that webhooks are told of.
    """
    moves = Moves()
    if not settled:
        return moves
    moved = [row for answers in _by_attempt(settled) for row in await _settle(tx, answers, wanted=wanted)]
    moves.add_rows(moved)
    revived = {row[0] for row in moved if row[0] and row[1:3] == (Status.UNCONFIRMED, Status.QUEUED)}
    if revived:
        moves.add_rows(await _fail_in_ended(tx, settled, steps=revived, wanted=wanted))
    accepted = [one for one in settled if one.status is Status.SUBMITTED]
    others = [one for one in settled if one.status is not Status.SUBMITTED]
    if accepted:
        await tx.execute(
            _RECORD_ACCEPTED,
            {
                "ids": [one.id for one in accepted],
                "attempts": [one.attempt for one in accepted],
                "references": [one.reference for one in accepted],
                "http_statuses": [one.http_status for one in accepted],
                "segments": [one.segments for one in accepted],
            },
        )
    if others:
        await _record_others(tx, others)
    await _keep_exchanges(tx, settled)
    return moves


def _by_attempt(settled: Sequence[Settled]) -> list[Sequence[Settled]]:
    """One list, as a rule; two answers about one message are written one after the other, the acceptance last."""
    if len({one.id for one in settled}) == len(settled):
        return [settled]
    lists: list[list[Settled]] = []
    for one in sorted(settled, key=lambda one: one.status is Status.SUBMITTED):
        place = next((some for some in lists if all(other.id != one.id for other in some)), None)
        if place is None:
            lists.append([one])
        else:
            place.append(one)
    return list(lists)


async def _settle(
    tx: AsyncConnection, settled: Sequence[Settled], *, wanted: frozenset[Status]
) -> list[tuple[Any, ...]]:
    rows = await _SETTLE.execute(
        tx,
        {
            "ids": [one.id for one in settled],
            "attempts": [one.attempt for one in settled],
            "statuses": [str(one.status) for one in settled],
            "delays": [one.delay for one in settled],
            "gateway_ids": [one.gateway_id for one in settled],
            "codes": [one.code for one in settled],
        },
        wanted=wanted,
    )
    return [tuple(row) for row in rows]


async def _keep_exchanges(tx: AsyncConnection, settled: Sequence[Settled]) -> None:
    """What was said, of those where somebody will want to look."""
    exchanges = [
        {"id": one.id, "attempt": one.attempt, "exchange": json.dumps(one.exchange)}
        for one in settled
        if one.exchange is not None
    ]
    if exchanges:
        await tx.execute(_EXCHANGE, exchanges)


async def _fail_in_ended(
    tx: AsyncConnection, settled: Sequence[Settled], *, steps: set[UUID], wanted: frozenset[Status]
) -> list[tuple[Any, ...]]:
    """Fail what came back to the queue of a campaign that is over; what moved."""
    rows = await tx.execute(_STEPS, {"ids": sorted(steps)})
    ended = [row.id for row in rows if row.ended]
    if not ended:
        return []
    back = [one for one in settled if one.status is Status.QUEUED]
    moved = await _FAIL.execute(
        tx,
        {
            "ids": [one.id for one in back],
            "attempts": [one.attempt for one in back],
            "codes": [one.code for one in back],
            "ended": ended,
        },
        wanted=wanted,
    )
    return [tuple(row) for row in moved]


async def _record_others(tx: AsyncConnection, settled: Sequence[Settled]) -> None:
    """What hand-overs that went another way have to say."""
    await tx.execute(
        _RECORD,
        {
            "ids": [one.id for one in settled],
            "attempts": [one.attempt for one in settled],
            "outcomes": [one.outcome for one in settled],
            "faults": [one.fault for one in settled],
            "codes": [one.code for one in settled],
            "details": [one.detail for one in settled],
            "references": [one.reference for one in settled],
            "http_statuses": [one.http_status for one in settled],
            "segments": [one.segments for one in settled],
            "lookups": [one.lookup_in for one in settled],
        },
    )
    tried = [
        {"id": one.id, "attempt": one.attempt, "tried": list(one.tried)}
        for one in settled
        if one.status is Status.QUEUED
    ]
    if tried:
        await tx.execute(_TRIED, tried)


async def rescue_leases(
    tx: AsyncConnection, *, limit: int, lookup_in: float, wanted: frozenset[Status] = frozenset()
) -> tuple[int, Moves]:
    """Make messages whose lease ran out unconfirmed; how many there were, and the differences they make."""
    rows = await _RESCUE.execute(tx, {"limit": limit, "lookup_in": lookup_in}, wanted=wanted)
    counted = [tuple(row) for row in rows]
    moves = Moves()
    moves.add_rows(counted)
    return sum(row[3] for row in counted), moves
