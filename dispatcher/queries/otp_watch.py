"""How passwords convert, what is blocked for it, and how many codes are wrong."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.event import EventType, choices_for
from shared.domain.notice import Kind
from shared.domain.otp_conversion import LOOK_BACK, MOST_SAMPLES, RIPE_AFTER, Block, State
from shared.domain.otp_notices import Failures
from shared.ids import first_uuid7, uuid7


class Judged(NamedTuple):
    """A prefix or a country with its latest passwords, and what was done about it last."""

    scope: str
    value: str
    sent: int
    verified: int
    block: Block | None


_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended('lapwing.otp_watch', 0))")

_REGIONS = text("SELECT DISTINCT region FROM otp_profiles WHERE region IS NOT NULL")

# The latest ones that were long enough under way to be used; what a block was for is not counted a second time, nor
# what was before somebody lifted it.
_JUDGED = {
    scope: text(f"""
    SELECT v.value, o.sent, o.verified, b.state, b.level, b.until, b.lifted_at
    FROM (SELECT DISTINCT {scope} AS value FROM otps WHERE created_at > :lately AND test_code IS NULL) v
    LEFT JOIN otp_blocks b ON b.scope = '{scope}' AND b.value = v.value
    CROSS JOIN LATERAL (
        SELECT count(*) AS sent, count(*) FILTER (WHERE l.used_at IS NOT NULL) AS verified
        FROM (SELECT p.used_at FROM otps p
              WHERE p.{scope} = v.value AND p.test_code IS NULL
                AND p.created_at > greatest(CAST(:oldest AS timestamptz), b.lifted_at,
                                            CASE WHEN b.state = 'blocked' THEN b.updated_at END)
                AND (p.used_at IS NOT NULL OR p.created_at <= :ripe)
              ORDER BY p.created_at DESC LIMIT :most) l) o
    WHERE o.sent >= :least
    """)
    for scope in ("prefix", "country")
}

_WRITE = text("""
    INSERT INTO otp_blocks AS b (id, scope, value, state, level, until, sent, verified, created_at, updated_at)
    VALUES (:id, :scope, :value, :state, :level, :until, :sent, :verified, :now, :now)
    ON CONFLICT (scope, value) DO UPDATE
    SET state = excluded.state, level = excluded.level, until = excluded.until, sent = excluded.sent,
        verified = excluded.verified, updated_at = excluded.updated_at, lifted_at = NULL, lifted_by = NULL
    RETURNING b.id
""")

_FAILURES = text("""
    SELECT coalesce(sum(least(attempts, max_attempts)), 0)::bigint,
           coalesce(sum(greatest(0, least(attempts, max_attempts) - (used_at IS NOT NULL)::int)), 0)::bigint,
           count(DISTINCT msisdn_hash) FILTER (WHERE attempts > (used_at IS NOT NULL)::int)
    FROM otps WHERE created_at > :since AND test_code IS NULL
""")

_TOLD = text("SELECT EXISTS (SELECT 1 FROM notices WHERE id >= :oldest AND kind = :kind)")


_BEGIN = text("INSERT INTO otp_expiries (id, told_until) VALUES (1, :until) ON CONFLICT (id) DO NOTHING")
_TOLD_UNTIL = text("SELECT told_until FROM otp_expiries WHERE id = 1 FOR UPDATE SKIP LOCKED")

# What is used, called off or used up by its wrong codes has been told of as that.
_EXPIRED = text("""
    WITH expired AS (
        SELECT id, profile_id, msisdn, expires_at FROM otps
        WHERE expires_at > :since AND expires_at <= :until
          AND used_at IS NULL AND cancelled_at IS NULL AND attempts < max_attempts
    ), told AS (
        INSERT INTO webhook_events (type, subject_id, at, data)
        SELECT :type, id, expires_at, jsonb_build_object('profile_id', profile_id, 'msisdn', msisdn)
        FROM expired
        WHERE EXISTS (SELECT 1 FROM webhooks WHERE enabled AND events && CAST(:choices AS text[]))
        ORDER BY expires_at, id
    )
    SELECT count(*) FROM expired
""")
_MOVE = text("UPDATE otp_expiries SET told_until = :until WHERE id = 1")


async def lock_told_until(tx: AsyncConnection, *, begin: datetime) -> datetime | None:
    """Up to when expired passwords were told of, the first time from `begin` on; None while another tells."""
    await tx.execute(_BEGIN, {"until": begin})
    told: datetime | None = await tx.scalar(_TOLD_UNTIL)
    return told


async def tell_expired(tx: AsyncConnection, *, since: datetime, until: datetime) -> int:
    """Tell whoever wants it of the passwords whose time was over after one moment and up to another; how many."""
    kind = EventType.OTP_EXPIRED
    given = {"since": since, "until": until, "type": kind.value, "choices": list(choices_for(kind))}
    return int((await tx.execute(_EXPIRED, given)).scalar_one())


async def move_told_until(tx: AsyncConnection, until: datetime) -> None:
    await tx.execute(_MOVE, {"until": until})


async def try_lock_watch(tx: AsyncConnection) -> bool:
    """Whether it is this process's turn to judge, until the transaction ends."""
    return bool((await tx.execute(_TRY_LOCK)).scalar_one())


async def list_regions(tx: AsyncConnection) -> set[str]:
    """Where the profiles' people are."""
    return set((await tx.execute(_REGIONS)).scalars())


async def list_judged(tx: AsyncConnection, *, now: datetime, lately: timedelta, least: int = 1) -> Sequence[Judged]:
    """Every prefix and country that was sent to lately."""
    given = {
        "lately": now - lately,
        "oldest": now - LOOK_BACK,
        "ripe": now - RIPE_AFTER,
        "most": MOST_SAMPLES,
        "least": least,
    }
    found: list[Judged] = []
    for scope, statement in _JUDGED.items():
        for value, sent, verified, state, level, until, lifted_at in await tx.execute(statement, given):
            block = None if state is None else Block(State(state), level, until, lifted_at)
            found.append(Judged(scope, value, sent, verified, block))
    return found


async def write_block(tx: AsyncConnection, judged: Judged, block: Block, *, now: datetime) -> UUID:
    written = await tx.execute(
        _WRITE,
        {
            "id": uuid7(now),
            "scope": judged.scope,
            "value": judged.value,
            "state": block.state.value,
            "level": block.level,
            "until": block.until,
            "sent": judged.sent,
            "verified": judged.verified,
            "now": now,
        },
    )
    block_id: UUID = written.scalar_one()
    return block_id


async def count_failures(tx: AsyncConnection, *, since: datetime) -> Failures:
    tried, wrong, numbers = (await tx.execute(_FAILURES, {"since": since})).one()
    return Failures(tried=tried, wrong=wrong, numbers=numbers)


async def was_told(tx: AsyncConnection, kind: Kind, *, since: datetime) -> bool:
    told = await tx.execute(_TOLD, {"oldest": first_uuid7(since), "kind": kind.value})
    return bool(told.scalar_one())
