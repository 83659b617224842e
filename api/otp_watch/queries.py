"""What is spent, what is blocked, and how many passwords are used."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.otp_conversion import State
from shared.domain.otp_limits import Limits, limits_of
from shared.domain.otp_notices import Booked
from shared.errors import NotFound
from shared.models import OtpBlock, OtpLimits

AnyRow = Row[Any]

_OPEN_HOUR = text("INSERT INTO otp_hours (hour, segments) VALUES (:hour, 0) ON CONFLICT DO NOTHING")

# One statement that spends or does not: the row's lock puts parallel passwords in a line before the cap.
_BOOK = text("""
    WITH earlier AS (
        SELECT coalesce(sum(segments), 0) AS segments FROM otp_hours WHERE hour > :day_ago AND hour < :hour
    )
    UPDATE otp_hours h SET segments = h.segments + :segments
    FROM earlier e
    WHERE h.hour = :hour AND h.segments + :segments <= :hour_cap
      AND e.segments + h.segments + :segments <= :day_cap
    RETURNING h.segments, e.segments + h.segments
""")

# From the challenges themselves: by hour there would be nearly as many sums as challenges.
_BY_PREFIX = text("""
    SELECT prefix AS value, count(*) AS started, count(*) FILTER (WHERE used_at IS NOT NULL) AS verified
    FROM otps
    WHERE created_at >= :since AND created_at < :until AND test_code IS NULL
      AND (CAST(:profile_id AS uuid) IS NULL OR profile_id = :profile_id)
    GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT :limit
""")


async def get_stored_limits(tx: AsyncConnection) -> Mapping[str, Any]:
    """The deployment's own limits, as far as somebody set them."""
    stored: Mapping[str, Any] | None = await tx.scalar(select(OtpLimits.limits))
    return stored or {}


async def get_limits(tx: AsyncConnection) -> Limits:
    return limits_of(await get_stored_limits(tx), {})


async def get_limits_row(tx: AsyncConnection) -> AnyRow | None:
    return (await tx.execute(select(OtpLimits))).one_or_none()


async def write_limits(tx: AsyncConnection, limits: Mapping[str, Any], *, caller: str, now: datetime) -> None:
    values = {"limits": dict(limits), "updated_at": now, "updated_by": caller}
    write = insert(OtpLimits).values(id=1, **values)
    await tx.execute(write.on_conflict_do_update(index_elements=[OtpLimits.id], set_=values))


async def book_segments(tx: AsyncConnection, segments: int, *, hour: int, day: int, now: datetime) -> Booked | None:
    """Spend segments if the hour's and the day's cap allow; what is spent with them, None if nothing was."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    given = {
        "segments": segments,
        "hour": this_hour,
        "day_ago": this_hour - timedelta(hours=24),
        "hour_cap": hour,
        "day_cap": day,
    }
    await tx.execute(_OPEN_HOUR, {"hour": this_hour})
    booked = (await tx.execute(_BOOK, given)).one_or_none()
    return None if booked is None else Booked(hour=booked[0], day=booked[1])


async def list_states(tx: AsyncConnection, *, prefix: str, country: str, now: datetime) -> dict[tuple[str, str], State]:
    """What holds for a prefix and for a country at the moment."""
    rows = await tx.execute(
        select(OtpBlock.scope, OtpBlock.value, OtpBlock.state).where(
            ((OtpBlock.scope == "prefix") & (OtpBlock.value == prefix))
            | ((OtpBlock.scope == "country") & (OtpBlock.value == country)),
            OtpBlock.until > now,
            OtpBlock.lifted_at.is_(None),
        )
    )
    return {(row.scope, row.value): State(row.state) for row in rows}


async def list_blocks(
    tx: AsyncConnection, *, active_at: datetime | None, before: UUID | None, limit: int
) -> Sequence[AnyRow]:
    """A page of blocks, the newest first; only those that hold at a moment, if one is given."""
    question = select(OtpBlock).order_by(OtpBlock.id.desc()).limit(limit)
    if active_at is not None:
        question = question.where(OtpBlock.until > active_at, OtpBlock.lifted_at.is_(None))
    if before is not None:
        question = question.where(OtpBlock.id < before)
    return (await tx.execute(question)).all()


async def lock_block(tx: AsyncConnection, block_id: UUID) -> AnyRow:
    row = (await tx.execute(select(OtpBlock).where(OtpBlock.id == block_id).with_for_update())).one_or_none()
    if row is None:
        raise NotFound("There is no block with this id.")
    return row


async def lift_block(tx: AsyncConnection, block_id: UUID, *, caller: str, now: datetime) -> AnyRow:
    lift = update(OtpBlock).where(OtpBlock.id == block_id).values(lifted_at=now, lifted_by=caller, updated_at=now)
    return (await tx.execute(lift.returning(OtpBlock))).one()


async def count_by_prefix(
    tx: AsyncConnection, *, since: datetime, until: datetime, profile_id: UUID | None, limit: int
) -> Sequence[AnyRow]:
    """Started and verified for each prefix; those with the most first."""
    given = {"since": since, "until": until, "profile_id": profile_id, "limit": limit}
    return (await tx.execute(_BY_PREFIX, given)).all()
