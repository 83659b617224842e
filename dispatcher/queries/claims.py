"""Claim: take due messages for the length of a lease, and write down the intent before a byte may leave.

Opt-outs, consent, stops, call-backs and expiry are looked at here, in the last statement before a hand-over, whatever
was true when the message was made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.tallies import Moves
from dispatcher.queries.tellings import Moving, Told
from shared.domain.automation import CREATED_BY
from shared.domain.message import PRIORITY_OF, PUMPED, Kind, Status
from shared.domain.routing import NOBODY_ASKED
from shared.queries.opt_outs import holds_back


class Claimed(NamedTuple):
    """A message this dispatcher may hand over until its lease runs out. `attempt` is the fence.

    A tuple, in the order of the claim's columns: thousands are made a second.
    """

    id: UUID
    attempt: int
    kind: str
    msisdn: str
    msisdn_hash: bytes
    text: str
    sender_id: str | None
    location_id: str | None
    segments: int
    campaign_message_id: UUID | None
    tried: list[UUID] | None  # in this round
    refused: list[UUID] | None  # by whom this message was refused: they are not asked again
    had: list[UUID] | None  # who was handed it before, whatever came of that
    not_before: datetime
    expires_at: datetime | None
    respect_quiet_hours: bool | None = None  # None: as the policy has it for the kind
    alone: bool = False  # refused among others before, none of whom was named
    unasked: int = 0  # attempts before this one at which nobody was asked
    unasked_in_a_row: int = 0  # and how many of these were the last ones

    def __repr__(self) -> str:
        """Without number and text: a log may hold it."""
        return f"Claimed(id={self.id}, attempt={self.attempt})"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a claim came to: of `rows` taken `claimed` may go out and `closed` are over; `moves` is what changed."""

    rows: int
    claimed: Sequence[Claimed]
    closed: Sequence[Told]
    moves: Moves


# What decides a fate is read where the row is locked: only there it is the newest version, which a command that
# came in between may have made. A password is sent even to who opted out of everything else: they asked for it.
_DECISIVE = "m.id, m.cancel_requested_at, m.expires_at, m.kind, m.msisdn_hash, m.msisdn, m.sender_id, m.contact_id"
_CODES = ", ".join(f"'{code}'" for code in sorted(NOBODY_ASKED))
_UNASKED = f"a.outcome = 'not_sent' AND a.code IN ({_CODES})"
_MOVE = """
    , fated AS MATERIALIZED (
        SELECT d.id,
               CASE WHEN d.cancel_requested_at IS NOT NULL THEN 'cancelled'
                    WHEN d.expires_at <= now() THEN 'expired'
                    WHEN d.kind <> 'otp' AND EXISTS (
                        SELECT 1 FROM opt_outs o WHERE o.msisdn_hash = d.msisdn_hash AND {held}) THEN 'opted_out'
                    {unwilling}
                    {waits}
                    ELSE 'sending' END AS fate
        FROM due d
    )
    UPDATE messages m
    SET status = CASE WHEN f.fate IN ('opted_out', 'no_consent') THEN 'skipped' ELSE f.fate END,
        status_at = now(),
        {later}
        skip_reason = CASE WHEN f.fate IN ('opted_out', 'no_consent') THEN f.fate END,
        attempt = CASE WHEN f.fate = 'sending' THEN m.attempt + 1 ELSE m.attempt END,
        lease_until = CASE WHEN f.fate = 'sending' THEN now() + make_interval(secs => :lease) END,
        leased_by = CASE WHEN f.fate = 'sending' THEN :dispatcher END
    FROM fated f
    WHERE m.id = f.id AND m.status = 'queued'
    RETURNING m.status, m.skip_reason, m.id, m.attempt, m.kind, m.msisdn, m.msisdn_hash, m.text, m.sender_id,
              m.location_id, m.segments, m.campaign_message_id, m.tried_gateway_ids,
              CASE WHEN m.tried_gateway_ids IS NOT NULL THEN ARRAY(
                  SELECT a.gateway_id FROM attempts a WHERE a.message_id = m.id AND a.fault = 'gateway') END,
              CASE WHEN m.tried_gateway_ids IS NOT NULL THEN ARRAY(
                  SELECT DISTINCT a.gateway_id FROM attempts a WHERE a.message_id = m.id) END,
              m.not_before, m.expires_at, m.respect_quiet_hours,
              m.tried_gateway_ids IS NOT NULL AND EXISTS (
                  SELECT 1 FROM attempts a WHERE a.message_id = m.id AND a.code IN ('batch_refused', 'build_failed')),
              CASE WHEN m.attempt > 1 THEN (
                  SELECT count(*) FROM attempts a WHERE a.message_id = m.id AND {unasked}) ELSE 0 END,
              CASE WHEN m.attempt > 1 THEN (
                  SELECT m.attempt - 1 - coalesce(max(a.attempt), 0) FROM attempts a
                  WHERE a.message_id = m.id AND ({unasked}) IS NOT TRUE) ELSE 0 END
""".replace("{unasked}", _UNASKED)

# A fate is made out once (materialized): the database would otherwise ask all of it anew for each column it decides.
_HELD = holds_back("d.sender_id", "d.msisdn")

# A campaign asks for consent, by the contact it was made for and by whoever has the number now: both indexes hold only
# those who took it back.
UNWILLING = """EXISTS (
                        SELECT 1 FROM contacts c WHERE c.id = d.contact_id AND c.consent_status = 'withdrawn')
                      OR EXISTS (
                        SELECT 1 FROM contacts c WHERE c.msisdn = d.msisdn AND c.consent_status = 'withdrawn')"""
# So does an automation: nobody asked for its message either.
UNASKED = f"d.created_by = '{CREATED_BY}'"

# A recipient reads a sequence in its order. A step has its turn when nothing is due of those before it, and a message
# waits while an earlier one to the same number is open: it stays queued and is looked at again a moment later.
_WAITS = """WHEN cardinality(d.earlier) > 0 AND EXISTS (
                        SELECT 1 FROM messages e
                        WHERE e.msisdn = d.msisdn AND e.campaign_message_id = ANY(d.earlier)
                          AND e.status IN ('queued', 'sending')) THEN 'queued'"""
_LATER = """not_before = CASE WHEN f.fate = 'queued' THEN now() + interval '2 seconds' ELSE m.not_before END,"""
_EARLIER = """ARRAY(SELECT e.id FROM campaign_messages e
                  WHERE e.campaign_id = cm.campaign_id AND e.position < cm.position
                    AND e.status IN ('expanding', 'sending')) AS earlier"""

# Every running campaign that has something due gets an equal share of the free slots, so that a large one cannot
# starve a small one; in changing order, so that with more campaigns than slots each has its turn.
_CAMPAIGN = text(
    f"""
    WITH live AS MATERIALIZED (
        SELECT cm.id, {_EARLIER}
        FROM campaign_messages cm JOIN campaigns c ON c.id = cm.campaign_id
        WHERE cm.status IN ('expanding', 'sending') AND c.status = 'running'
          -- after a long absence of all dispatchers somebody has to look what is late first
          AND NOT EXISTS (SELECT 1 FROM heartbeat h WHERE h.awake_until <= now())
          AND EXISTS (SELECT 1 FROM messages m
                      WHERE m.campaign_message_id = cm.id AND m.status = 'queued' AND m.not_before <= now())
          AND NOT EXISTS (SELECT 1 FROM campaign_messages e JOIN messages m ON m.campaign_message_id = e.id
                          WHERE e.campaign_id = cm.campaign_id AND e.position < cm.position
                            AND e.status IN ('expanding', 'sending')
                            AND m.status = 'queued' AND m.not_before <= now())
        ORDER BY random()
    ), due AS (
        SELECT q.* FROM live CROSS JOIN LATERAL (
            SELECT {_DECISIVE}, live.earlier FROM messages m
            WHERE m.campaign_message_id = live.id AND m.status = 'queued' AND m.not_before <= now()
            ORDER BY m.not_before, m.id
            LIMIT (SELECT ceil(CAST(:slots AS numeric) / greatest(count(*), 1)) FROM live)
            FOR UPDATE SKIP LOCKED) q
        LIMIT :slots
    )"""
    + _MOVE.format(held=_HELD, unwilling=f"WHEN {UNWILLING} THEN 'no_consent'", waits=_WAITS, later=_LATER)
)

# One priority after the other, so that the index ends each search at what is due: otherwise every claim would read all
# that is scheduled for later. Of the others come no more than there are slots for beside those kept for passwords.
_FIRST = PRIORITY_OF[Kind.OTP]
_PRIORITIES = ", ".join(f"({priority})" for priority in sorted({PRIORITY_OF[kind] for kind in PUMPED}))
_URGENT = text(
    f"""
    WITH due AS (
        SELECT q.* FROM (VALUES {_PRIORITIES}) AS p (priority) CROSS JOIN LATERAL (
            SELECT {_DECISIVE}, m.created_by FROM messages m
            WHERE m.campaign_message_id IS NULL AND m.status = 'queued'
              AND m.priority = p.priority AND m.not_before <= now()
            ORDER BY m.not_before, m.id
            LIMIT CASE WHEN p.priority = {_FIRST} THEN CAST(:slots AS bigint) ELSE :others END
            FOR UPDATE SKIP LOCKED) q
        LIMIT :slots
    )"""
    + _MOVE.format(held=_HELD, unwilling=f"WHEN {UNASKED} AND ({UNWILLING}) THEN 'no_consent'", waits="", later="")
)

# Tests of gateways, which the pumps leave to `dispatcher/path/trials.py`.
_TRIALS = text(
    f"""
    WITH due AS (
        SELECT {_DECISIVE} FROM messages m
        WHERE m.campaign_message_id IS NULL AND m.status = 'queued'
          AND m.priority = {PRIORITY_OF[Kind.TEST]} AND m.not_before <= now()
        ORDER BY m.not_before, m.id
        LIMIT :slots
        FOR UPDATE SKIP LOCKED
    )"""
    + _MOVE.format(held=_HELD, unwilling="", waits="", later="")
)
_CLAIMS = {"urgent": _URGENT, "bulk": _CAMPAIGN, "trials": _TRIALS}

# A test names its gateway in the column where every other message has that of its last attempt.
_PINNED = text("SELECT id, gateway_id FROM messages WHERE id = ANY(CAST(:ids AS uuid[]))")

# Where nobody can be handed anything to there is no claim that would see that a message's time is over.
_EXPIRE = {
    lane: Moving(f"""
    WITH over AS (
        SELECT m.id FROM messages m
        WHERE m.campaign_message_id {whose} AND m.status = 'queued' AND m.expires_at <= now()
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ), moved AS (
        UPDATE messages m SET status = 'expired', status_at = now() FROM over o WHERE m.id = o.id
        RETURNING m.campaign_message_id, m.segments /* returned */
    ) /* told */
    SELECT campaign_message_id, 'queued', 'expired', count(*), sum(segments) FROM moved GROUP BY 1
    """)
    for lane, whose in (("urgent", "IS NULL"), ("bulk", "IS NOT NULL"))
}

_INTEND = text("""
    INSERT INTO attempts (message_id, attempt, gateway_id, dispatcher, started_at)
    SELECT i.message_id, i.attempt, i.gateway_id, :dispatcher, now()
    FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS smallint[]), CAST(:gateway_ids AS uuid[]))
         AS i (message_id, attempt, gateway_id)
""")

_UNCLAIM = text("""
    UPDATE messages m
    SET status = 'queued', attempt = m.attempt - 1, lease_until = NULL, leased_by = NULL, status_at = now(),
        not_before = least(now() + make_interval(secs => b.delay), m.expires_at)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:delays AS float8[])) AS b (id, delay)
    WHERE m.id = b.id AND m.status = 'sending' AND m.leased_by = :dispatcher
""")

_OURS = text("""
    SELECT m.id FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS smallint[])) AS t (id, attempt)
    JOIN messages m ON m.id = t.id
    WHERE m.status = 'sending' AND m.attempt = t.attempt AND m.leased_by = :dispatcher
    ORDER BY m.id
    FOR UPDATE OF m
""")

_FORWARD = text("""
    UPDATE messages m SET not_before = now()
    FROM (SELECT id FROM messages WHERE id = ANY(CAST(:ids AS uuid[])) AND status = 'queued' AND not_before > now()
          ORDER BY id FOR UPDATE SKIP LOCKED) q
    WHERE m.id = q.id
""")


async def claim(
    tx: AsyncConnection, *, lane: str, slots: int, lease: float, dispatcher: str, others: int | None = None
) -> Taken:
    """Take up to `slots` due messages of a lane; those that may not be sent any more are closed on the way.

    Of the urgent ones at most `others` that are no passwords, or as many as come; `lease` is in seconds of the
    database's clock.
    """
    values = {"slots": slots, "lease": lease, "dispatcher": dispatcher}
    if lane == "urgent":
        values["others"] = slots if others is None else others
    rows = await tx.execute(_CLAIMS[lane], values)
    taken = 0
    claimed: list[Claimed] = []
    closed: list[Told] = []
    moves = Moves()
    for taken, (status, skip_reason, *columns) in enumerate(rows, start=1):  # noqa: B007 - its last value is the count
        one = Claimed._make(columns)
        moves.add(one.campaign_message_id, was="queued", now=status, messages=1, segments=one.segments)
        if status == "sending":
            claimed.append(one)
        else:
            closed.append(Told(one.id, status, skip_reason=skip_reason))
    return Taken(taken, claimed, closed, moves)


async def expire(tx: AsyncConnection, *, lane: str, limit: int, wanted: frozenset[Status] = frozenset()) -> Moves:
    """Close queued messages of a lane whose time is over, while there is no gateway to claim them for."""
    rows = await _EXPIRE[lane].execute(tx, {"limit": limit}, wanted=wanted)
    moves = Moves()
    moves.add_rows(tuple(row) for row in rows)
    return moves


async def insert_intents(tx: AsyncConnection, intents: Sequence[tuple[Claimed, UUID]], *, dispatcher: str) -> None:
    """One attempt row for each message and the gateway it is about to be handed to."""
    if intents:
        await tx.execute(
            _INTEND,
            {
                "dispatcher": dispatcher,
                "ids": [claimed.id for claimed, _ in intents],
                "attempts": [claimed.attempt for claimed, _ in intents],
                "gateway_ids": [gateway_id for _, gateway_id in intents],
            },
        )


async def list_pinned(tx: AsyncConnection, claimed: Sequence[Claimed]) -> Mapping[UUID, UUID]:
    """The gateway that each of these tests is for."""
    rows = await tx.execute(_PINNED, {"ids": [one.id for one in claimed]})
    return {row.id: row.gateway_id for row in rows}


async def put_back(tx: AsyncConnection, back: Sequence[tuple[Claimed, float]], *, dispatcher: str) -> None:
    """Return messages for so many seconds, in the transaction that claimed them: no attempt was made."""
    if back:
        await tx.execute(
            _UNCLAIM,
            {"ids": [one.id for one, _ in back], "delays": [delay for _, delay in back], "dispatcher": dispatcher},
        )


async def lock_ours(tx: AsyncConnection, claimed: Sequence[Claimed], *, dispatcher: str) -> set[UUID]:
    """Which of these are on lease to this dispatcher for this very attempt; they stay so until the transaction ends."""
    found = await tx.execute(
        _OURS,
        {"ids": [one.id for one in claimed], "attempts": [one.attempt for one in claimed], "dispatcher": dispatcher},
    )
    return {row.id for row in found}


async def bring_forward(tx: AsyncConnection, message_ids: Sequence[UUID]) -> None:
    """Let messages that wait for a later time be due now."""
    if message_ids:
        await tx.execute(_FORWARD, {"ids": message_ids})
