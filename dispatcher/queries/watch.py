"""What the watch asks: when somebody last looked, which campaigns are late, and what may have been sent already."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.tellings import Moving
from shared.domain.message import Status


class Beat(NamedTuple):
    """The last look. `absent`: it was so long ago that what was due since is late; `stale`: another one is due."""

    epoch: UUID
    system: str
    beat_at: datetime
    stale: bool
    absent: bool


_LAST = text("""
    SELECT epoch, system, beat_at, beat_at < now() - make_interval(secs => :every), awake_until <= now()
    FROM heartbeat
""")

_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('lapwing.heartbeat'))")

# Which cluster and which database in it: both survive a failover, neither survives a dump that is read in elsewhere.
_MAY_ASK = text("SELECT has_function_privilege('pg_control_system()', 'execute')")
_CLUSTER = text("SELECT system_identifier::text FROM pg_control_system()")
_DATABASE = text("SELECT oid::text FROM pg_database WHERE datname = current_database()")

_BEAT = text("""
    INSERT INTO heartbeat (id, epoch, system, beat_at, awake_until)
    VALUES (1, :epoch, :system, now(), now() + make_interval(secs => :late_after))
    ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch, system = excluded.system, beat_at = excluded.beat_at,
                                   awake_until = excluded.awake_until
    RETURNING beat_at
""")

_LATE = text("""
    SELECT c.id FROM campaigns c
    WHERE c.status IN ('scheduled', 'running') AND EXISTS (
        SELECT 1 FROM campaign_messages cm
        WHERE cm.campaign_id = c.id AND cm.status = 'pending'
          AND greatest(coalesce(cm.send_at, c.released_at), c.released_at)
              <= now() - make_interval(secs => :late_after))
    ORDER BY c.id
""")

_UNDER_WAY = text("""
    SELECT c.id FROM campaigns c
    WHERE c.status = 'running' AND EXISTS (
        SELECT 1 FROM campaign_messages cm
        WHERE cm.campaign_id = c.id AND cm.status IN ('expanding', 'sending')
          AND (cm.status = 'expanding' OR cm.reviving_after IS NOT NULL OR EXISTS (
               SELECT 1 FROM messages m
               WHERE m.campaign_message_id = cm.id AND m.status = 'queued' AND m.not_before <= now())))
    ORDER BY c.id
""")

_ALL = text("SELECT id FROM campaigns WHERE status IN ('scheduled', 'running') ORDER BY id")

_OF_STEPS = text("SELECT DISTINCT campaign_id FROM campaign_messages WHERE id = ANY(CAST(:ids AS uuid[]))")

_DOUBT = Moving("""
    WITH due AS (
        SELECT id FROM messages
        WHERE status = 'queued' AND campaign_message_id IS NULL AND not_before <= now()
        ORDER BY id
        FOR UPDATE
    ), moved AS (
        UPDATE messages m SET status = 'unconfirmed', status_at = now() FROM due d WHERE m.id = d.id
        RETURNING m.segments /* returned */
    ) /* told */
    SELECT count(*) FROM moved
""")


async def find_beat(tx: AsyncConnection, *, every: float) -> Beat | None:
    """The last look at all; None before the first."""
    row = (await tx.execute(_LAST, {"every": every})).one_or_none()
    return None if row is None else Beat(*row)


async def lock_beat(tx: AsyncConnection, *, every: float) -> Beat | None:
    """The same, while no other dispatcher looks."""
    await tx.execute(_LOCK)
    return await find_beat(tx, every=every)


async def find_system(tx: AsyncConnection) -> str:
    """Which cluster and database this is; the database alone where we may not ask for more."""
    may_ask = (await tx.execute(_MAY_ASK)).scalar_one()
    cluster = (await tx.execute(_CLUSTER)).scalar_one() if may_ask else "unknown"
    return f"{cluster}/{(await tx.execute(_DATABASE)).scalar_one()}"


async def write_beat(tx: AsyncConnection, *, epoch: UUID, system: str, late_after: float) -> datetime:
    """Somebody has looked; for `late_after` seconds from now on campaigns may be claimed."""
    given = {"epoch": epoch, "system": system, "late_after": late_after}
    beat_at: datetime = (await tx.execute(_BEAT, given)).scalar_one()
    return beat_at


async def list_late(tx: AsyncConnection, *, late_after: float) -> list[UUID]:
    """Campaigns with a message that should have begun so many seconds ago, and has not."""
    return list((await tx.execute(_LATE, {"late_after": late_after})).scalars())


async def list_under_way(tx: AsyncConnection) -> list[UUID]:
    """Running campaigns with something to send now."""
    return list((await tx.execute(_UNDER_WAY)).scalars())


async def list_let_go(tx: AsyncConnection) -> list[UUID]:
    """Every campaign that will send something by itself."""
    return list((await tx.execute(_ALL)).scalars())


async def list_campaigns_of(tx: AsyncConnection, steps: list[UUID]) -> list[UUID]:
    return sorted((await tx.execute(_OF_STEPS, {"ids": steps})).scalars())


async def doubt_due_messages(tx: AsyncConnection, *, wanted: frozenset[Status] = frozenset()) -> int:
    """Make single messages unconfirmed that were due: before the database was set back they may have been sent."""
    return int((await _DOUBT.execute(tx, {}, wanted=wanted)).scalar_one())
