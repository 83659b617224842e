"""Receipts: take them from the inbox, find the attempts they settle, move the messages.

The merge is by rank (`shared/domain/message.py`), so repetition, lateness and order cannot matter.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.tallies import Moves
from dispatcher.queries.tellings import Moving
from shared.adapter import Receipt
from shared.domain.message import RANK, Status
from shared.ids import derived_uuid7, time_of


class Pending(NamedTuple):
    """A receipt that waits. Without `message_id` it is found by the gateway's reference."""

    id: UUID
    gateway_id: UUID
    message_id: UUID | None
    attempt: int | None
    reference: str | None
    status: Status
    code: str | None
    opted_out: bool
    segments: int | None
    received_at: datetime


class Parts(NamedTuple):
    """Of so many parts of a message, how many different ones were told to be delivered, and undelivered."""

    parts: int
    delivered: int
    failed: int


class RefusedMessage(NamedTuple):
    """A message whose recipient told its gateway that they want none."""

    id: UUID
    msisdn: str
    msisdn_hash: bytes
    sender_id: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What receipts, merged, say of one attempt."""

    message_id: UUID
    attempt: int
    status: Status
    code: str | None
    reference: str | None
    segments: int | None


_TAKE = text("""
    SELECT id, gateway_id, message_id, attempt, reference, status, code, opted_out, segments, received_at
    FROM receipts
    WHERE applied_at IS NULL AND next_at <= now()
    ORDER BY next_at LIMIT :limit
    FOR UPDATE SKIP LOCKED
""")

# A receipt moves only messages of its own gateway, and only such as were handed over to it.
_MATCH = text("""
    SELECT r.place, a.message_id, a.attempt
    FROM unnest(CAST(:places AS int[]), CAST(:gateway_ids AS uuid[]), CAST(:message_ids AS uuid[]),
                CAST(:attempts AS smallint[]))
         AS r (place, gateway_id, message_id, attempt)
    CROSS JOIN LATERAL (
        SELECT a.message_id, a.attempt FROM attempts a
        WHERE a.message_id = r.message_id AND a.gateway_id = r.gateway_id
          AND (r.attempt IS NULL OR a.attempt = r.attempt)
        ORDER BY a.attempt DESC LIMIT 1) a
""")

# Both parts of the key are named, so there is one at most.
_MATCH_TWIN = text("""
    SELECT r.id, a.gateway_id
    FROM unnest(CAST(:ids AS uuid[]), CAST(:twins AS uuid[]), CAST(:message_ids AS uuid[]),
                CAST(:attempts AS smallint[]))
         AS r (id, twin, message_id, attempt)
    CROSS JOIN LATERAL (
        SELECT a.gateway_id FROM attempts a
        WHERE a.message_id = r.message_id AND a.attempt = r.attempt AND a.gateway_id = r.twin) a
""")

# Found by its reference first, then the latest of what was found: OFFSET is a fence. Without it the planner may go
# through all attempts from the latest on, a month of them, where a gateway once gave many the same reference.
_MATCH_REFERENCE = text("""
    SELECT r.place, a.message_id, a.attempt
    FROM unnest(CAST(:places AS int[]), CAST(:gateway_ids AS uuid[]), CAST(:references AS text[]))
         AS r (place, gateway_id, reference)
    CROSS JOIN LATERAL (
        SELECT f.message_id, f.attempt FROM (
            SELECT a.message_id, a.attempt FROM attempts a
            WHERE a.gateway_id = r.gateway_id AND a.reference = r.reference OFFSET 0) f
        ORDER BY f.message_id DESC LIMIT 1) a
""")

_PROVE = text("""
    UPDATE attempts a
    SET outcome = 'accepted', fault = NULL,
        detail = CASE WHEN a.outcome = 'accepted' THEN a.detail ELSE 'told by a receipt' END,
        finished_at = coalesce(a.finished_at, now()), reference = coalesce(a.reference, e.reference),
        code = coalesce(e.code, a.code), segments = coalesce(e.segments, a.segments), lookup_at = NULL
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS smallint[]), CAST(:references AS text[]),
                CAST(:codes AS text[]), CAST(:segments AS smallint[]))
         AS e (message_id, attempt, reference, code, segments)
    WHERE a.message_id = e.message_id AND a.attempt = e.attempt
      AND (a.outcome IS DISTINCT FROM 'accepted' OR a.reference IS NULL OR e.code IS NOT NULL)
""")

# By all that was told of it, whether applied or not: each part once, whatever it was called in between. How many there
# are the gateway said when it took the message; where that answer was lost, we know how many we counted.
_PARTS = text("""
    SELECT t.message_id, t.gateway_id, max(coalesce(a.segments, m.segments)),
           count(DISTINCT r.reference) FILTER (WHERE r.status = 'delivered'),
           count(DISTINCT r.reference) FILTER (WHERE r.status = 'undelivered')
    FROM unnest(CAST(:message_ids AS uuid[]), CAST(:gateway_ids AS uuid[])) AS t (message_id, gateway_id)
    JOIN messages m ON m.id = t.message_id
    CROSS JOIN LATERAL (
        SELECT max(x.segments) AS segments FROM attempts x
        WHERE x.message_id = t.message_id AND x.gateway_id = t.gateway_id) a
    JOIN receipts r ON r.message_id = t.message_id AND r.gateway_id = t.gateway_id
    GROUP BY t.message_id, t.gateway_id
""")

_RANK = "CASE {} " + " ".join(f"WHEN '{s}' THEN {rank}" for s, rank in RANK.items()) + " END"

_MOVE = Moving(f"""
    WITH told AS (
        SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[])) AS t (id, status)
    ), held AS (
        SELECT m.id, m.status AS was, t.status AS told FROM messages m JOIN told t ON t.id = m.id
        ORDER BY m.id
        FOR UPDATE OF m
    ), moved AS (
        UPDATE messages m
        SET status = h.told, status_at = now(), lease_until = NULL, leased_by = NULL
        FROM held h
        WHERE m.id = h.id AND {_RANK.format("h.told")} > {_RANK.format("h.was")}
        RETURNING m.campaign_message_id, h.was, h.told, m.segments /* returned */
    ) /* told */
    SELECT campaign_message_id, was, told, count(*), sum(segments) FROM moved GROUP BY 1, 2, 3
""")

# What was found by its reference keeps whose it is, by which it is shown with its message: no index finds it otherwise.
_CLOSE = text("""
    UPDATE receipts r
    SET applied_at = now(), verdict = c.verdict, message_id = coalesce(r.message_id, c.message_id),
        attempt = CASE WHEN r.message_id IS NULL THEN c.attempt ELSE r.attempt END
    FROM unnest(CAST(:ids AS uuid[]), CAST(:verdicts AS text[]), CAST(:message_ids AS uuid[]),
                CAST(:attempts AS smallint[]))
         AS c (id, verdict, message_id, attempt)
    WHERE r.id = c.id
""")

_LATER = text("""
    UPDATE receipts r SET next_at = now() + least(now() - r.received_at + interval '2 seconds', interval '10 minutes')
    WHERE r.id = ANY(CAST(:ids AS uuid[]))
""")

_TELL = text("""
    INSERT INTO receipts (id, gateway_id, message_id, attempt, reference, status, code, received_at, next_at, raw)
    VALUES (:id, :gateway_id, :message_id, :attempt, :reference, :status, :code, now(), now(), CAST(:raw AS jsonb))
    ON CONFLICT DO NOTHING
""")

_REFUSED = text("""
    SELECT m.id, m.msisdn, m.msisdn_hash, m.sender_id FROM messages m WHERE m.id = ANY(CAST(:ids AS uuid[]))
""")


async def insert_news(tx: AsyncConnection, gateway_id: UUID, news: Sequence[Receipt], *, source: str) -> None:
    """Put news that no callback brought into the inbox; told twice is written once."""
    rows = [
        {
            "id": derived_uuid7(
                time_of(one.message_id),
                position=one.attempt or 0,
                material=f"{one.message_id} {one.reference} {one.status}".encode(),
            ),
            "gateway_id": gateway_id,
            "message_id": one.message_id,
            "attempt": one.attempt,
            "reference": one.reference,
            "status": str(one.status),
            "code": one.code,
            "raw": json.dumps({"source": source}),
        }
        for one in news
        if one.message_id is not None
    ]
    if rows:
        await tx.execute(_TELL, rows)


async def take_receipts(tx: AsyncConnection, *, limit: int) -> list[Pending]:
    """Receipts whose turn it is, held until the transaction ends."""
    rows = await tx.execute(_TAKE, {"limit": limit})
    return [Pending._make((*row[:5], Status(row[5]), *row[6:])) for row in rows]


async def match_receipts(tx: AsyncConnection, pending: Sequence[Pending]) -> dict[UUID, tuple[UUID, int]]:
    """For each receipt that fits one: the message and attempt it speaks of."""
    by_id = [(place, one) for place, one in enumerate(pending) if one.message_id is not None]
    by_reference = [
        (place, one) for place, one in enumerate(pending) if one.message_id is None and one.reference is not None
    ]
    matches: dict[UUID, tuple[UUID, int]] = {}
    if by_id:
        rows = await tx.execute(
            _MATCH,
            {
                "places": [place for place, _ in by_id],
                "gateway_ids": [one.gateway_id for _, one in by_id],
                "message_ids": [one.message_id for _, one in by_id],
                "attempts": [one.attempt for _, one in by_id],
            },
        )
        matches |= {pending[place].id: (message_id, attempt) for place, message_id, attempt in rows}
    if by_reference:
        rows = await tx.execute(
            _MATCH_REFERENCE,
            {
                "places": [place for place, _ in by_reference],
                "gateway_ids": [one.gateway_id for _, one in by_reference],
                "references": [one.reference for _, one in by_reference],
            },
        )
        matches |= {pending[place].id: (message_id, attempt) for place, message_id, attempt in rows}
    return matches


async def count_parts(tx: AsyncConnection, whose: Sequence[tuple[UUID, UUID]]) -> dict[tuple[UUID, UUID], Parts]:
    """What receipts said of the parts of these messages, each of one gateway: (message, gateway)."""
    values = {"message_ids": [message_id for message_id, _ in whose], "gateway_ids": [id_ for _, id_ in whose]}
    rows = await tx.execute(_PARTS, values)
    return {(message_id, gateway_id): Parts(*counts) for message_id, gateway_id, *counts in rows}


async def apply_evidence(
    tx: AsyncConnection, evidence: Sequence[Evidence], *, wanted: frozenset[Status] = frozenset()
) -> Moves:
    """Record that the attempts were accepted, and move their messages up to what was told."""
    moves = Moves()
    if not evidence:
        return moves
    best: dict[UUID, Status] = {}
    for one in evidence:
        known = best.get(one.message_id, one.status)
        best[one.message_id] = max(known, one.status, key=RANK.__getitem__)
    values = {"ids": list(best), "statuses": [str(status) for status in best.values()]}
    rows = await _MOVE.execute(tx, values, wanted=wanted)
    moves.add_rows(tuple(row) for row in rows)
    await tx.execute(
        _PROVE,
        {
            "ids": [one.message_id for one in evidence],
            "attempts": [one.attempt for one in evidence],
            "references": [one.reference for one in evidence],
            "codes": [one.code for one in evidence],
            "segments": [one.segments for one in evidence],
        },
    )
    return moves


async def close_receipts(
    tx: AsyncConnection, verdicts: Sequence[tuple[UUID, str]], matches: Mapping[UUID, tuple[UUID, int]]
) -> None:
    """Mark receipts as done with: `applied`, or `unmatched` when nothing fitted for too long."""
    if verdicts:
        whose = [matches.get(id_, (None, None)) for id_, _ in verdicts]
        values = {
            "ids": [id_ for id_, _ in verdicts],
            "verdicts": [word for _, word in verdicts],
            "message_ids": [message_id for message_id, _ in whose],
            "attempts": [attempt for _, attempt in whose],
        }
        await tx.execute(_CLOSE, values)


async def find_at_twins(
    tx: AsyncConnection, pending: Sequence[Pending], twins: Mapping[UUID, Collection[UUID]]
) -> dict[UUID, UUID]:
    """By a receipt's id: the gateway that was given what it names, of those that share an account with its own."""
    pairs = [(one, twin) for one in pending for twin in sorted(twins.get(one.gateway_id, ()))]
    if not pairs:
        return {}
    rows = await tx.execute(
        _MATCH_TWIN,
        {
            "ids": [one.id for one, _ in pairs],
            "twins": [twin for _, twin in pairs],
            "message_ids": [one.message_id for one, _ in pairs],
            "attempts": [one.attempt for one, _ in pairs],
        },
    )
    return {id_: gateway_id for id_, gateway_id in rows}  # noqa: C416 - rows are no pairs to mypy


async def put_off_receipts(tx: AsyncConnection, ids: Sequence[UUID]) -> None:
    """Let receipts that fit nothing yet wait: at first for seconds, later for minutes."""
    if ids:
        await tx.execute(_LATER, {"ids": list(ids)})


async def list_refused(tx: AsyncConnection, message_ids: Sequence[UUID]) -> list[RefusedMessage]:
    """Of these messages, to whom they were and from which sender."""
    rows = await tx.execute(_REFUSED, {"ids": list(message_ids)})
    return [RefusedMessage._make(row) for row in rows]
