"""What passwords ask of the database. A code is in no statement and no row."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from sqlalchemy import Row, exists, func, insert, select, text, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain import otp
from shared.domain.message import MAY_LEAVE, Status
from shared.domain.otp_limits import FAILURES_SECONDS
from shared.models import Message, Otp, OtpMessage

AnyRow = Row[Any]


class Person(Protocol):
    """Whom a challenge is for."""

    @property
    def msisdn_hash(self) -> bytes: ...
    @property
    def session_hash(self) -> bytes | None: ...


_MOST_COUNTED: Final = 30_000

# Counts in one statement whatever the challenge's state, so that from outside they all look alike; the row's lock puts
# parallel guesses in a line, and each of them is told its own place in it.
_COUNT = text("""
    UPDATE otps o SET attempts = least(o.attempts + 1, :most)
    WHERE o.id = :id AND (CAST(:created_by AS text[]) IS NULL OR o.created_by = ANY(:created_by))
    RETURNING o.id, o.profile_id, o.msisdn, o.msisdn_hash, o.session_hash, o.pepper, o.length, o.test_code,
              o.attempts, o.max_attempts, o.used_at, o.cancelled_at, o.expires_at,
              o.attempts <= o.max_attempts AND o.used_at IS NULL AND o.cancelled_at IS NULL
                  AND o.expires_at > :now AS is_open
""")

# A number's guesses over all its challenges: counted before a code is looked at, forgotten after a right one.
_COUNT_SUBJECT = text("""
    INSERT INTO otp_subjects AS s (msisdn_hash, failures, since)
    SELECT :msisdn_hash, 1, :now WHERE CAST(:most AS int) > 0
    ON CONFLICT (msisdn_hash) DO UPDATE
    SET failures = CASE WHEN s.since <= :oldest THEN 1 ELSE s.failures + 1 END,
        since = CASE WHEN s.since <= :oldest THEN excluded.since ELSE s.since END
    WHERE s.since <= :oldest OR s.failures < :most
    RETURNING s.failures
""")

# A challenge that is not there is counted down like one that is, from what some profile allows: the one that is named,
# else one that the challenge's id stands for. Forgotten with the numbers' guesses, after a day.
_COUNT_UNKNOWN = text("""
    INSERT INTO otp_subjects AS s (msisdn_hash, failures, since) VALUES (:key, 1, :now)
    ON CONFLICT (msisdn_hash) DO UPDATE SET failures = least(s.failures + 1, :most)
    RETURNING s.failures, (
        SELECT p.max_attempts FROM otp_profiles p
        ORDER BY p.name = CAST(:profile AS text) DESC NULLS LAST, hashtextextended(p.id::text, :seed) LIMIT 1)
""")

_FORGIVE = text("DELETE FROM otp_subjects WHERE msisdn_hash = :msisdn_hash")

_FAILURES = text(
    "SELECT since FROM otp_subjects WHERE msisdn_hash = :msisdn_hash AND failures >= :most AND since > :oldest"
)

_LOCK_NUMBER = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))")


async def lock_number(tx: AsyncConnection, msisdn_hash: bytes) -> None:
    """One start at a time for a number: a page that is loaded twice must not send twice."""
    await tx.execute(_LOCK_NUMBER, {"key": f"lapwing.otp.{msisdn_hash.hex()}"})


async def find_pending(
    tx: AsyncConnection, person: Person, *, profile_id: UUID, created_by: Collection[str] | None, now: datetime
) -> AnyRow | None:
    """The open challenge of this number, profile and session that one of these keys began; None is any key."""
    is_reached = true() if created_by is None else Otp.created_by.in_(created_by)
    row = await tx.execute(
        select(Otp)
        .where(
            Otp.msisdn_hash == person.msisdn_hash,
            Otp.created_at > now - otp.LONGEST_LIFE,
            Otp.profile_id == profile_id,
            Otp.session_hash.is_not_distinct_from(person.session_hash),
            is_reached,
            Otp.expires_at > now,
            Otp.used_at.is_(None),
            Otp.cancelled_at.is_(None),
            Otp.attempts < Otp.max_attempts,
        )
        .order_by(Otp.created_at.desc())
        .limit(1)
    )
    return row.one_or_none()


async def insert_otp(tx: AsyncConnection, values: Mapping[str, Any]) -> AnyRow:
    return (await tx.execute(insert(Otp).values(**values).returning(Otp))).one()


async def find_otp(tx: AsyncConnection, otp_id: UUID) -> AnyRow | None:
    return (await tx.execute(select(Otp).where(Otp.id == otp_id))).one_or_none()


async def lock_otp(tx: AsyncConnection, otp_id: UUID) -> AnyRow | None:
    return (await tx.execute(select(Otp).where(Otp.id == otp_id).with_for_update())).one_or_none()


async def update_otp(tx: AsyncConnection, otp_id: UUID, values: Mapping[str, Any]) -> AnyRow:
    """Change a locked challenge."""
    return (await tx.execute(update(Otp).where(Otp.id == otp_id).values(**values).returning(Otp))).one()


async def count_attempt(
    tx: AsyncConnection, otp_id: UUID, *, created_by: Collection[str] | None, now: datetime
) -> AnyRow | None:
    """Count one more guess; `is_open` says whether this one may be looked at. None where there is no challenge."""
    keys = None if created_by is None else list(created_by)
    counted = await tx.execute(_COUNT, {"id": otp_id, "created_by": keys, "now": now, "most": _MOST_COUNTED})
    return counted.one_or_none()


async def count_subject(tx: AsyncConnection, msisdn_hash: bytes, *, most: int, now: datetime) -> bool:
    """Count one more guess for a number; whether it may be looked at."""
    oldest = now - timedelta(seconds=FAILURES_SECONDS)
    given = {"msisdn_hash": msisdn_hash, "most": most, "now": now, "oldest": oldest}
    return (await tx.execute(_COUNT_SUBJECT, given)).one_or_none() is not None


async def count_unknown(tx: AsyncConnection, key: bytes, *, profile: str | None, now: datetime) -> int:
    """Count one more guess for a challenge that is not there; how many would be left if it were."""
    seed = int.from_bytes(key[:8], signed=True)
    given = {"key": key, "now": now, "most": _MOST_COUNTED, "profile": profile, "seed": seed}
    counted: tuple[int, int | None] = tuple((await tx.execute(_COUNT_UNKNOWN, given)).one())
    failures, allowed = counted
    return max(0, (otp.USUAL_ATTEMPTS if allowed is None else allowed) - failures)


async def find_locked_since(tx: AsyncConnection, msisdn_hash: bytes, *, most: int, now: datetime) -> datetime | None:
    """Since when a number has had too many wrong codes; None while it has not."""
    oldest = now - timedelta(seconds=FAILURES_SECONDS)
    since: datetime | None = await tx.scalar(_FAILURES, {"msisdn_hash": msisdn_hash, "most": most, "oldest": oldest})
    return since


async def use_otp(tx: AsyncConnection, otp_id: UUID, msisdn_hash: bytes, *, now: datetime) -> bool:
    """Use a challenge up; whether this was the one time that it can be."""
    used = await tx.execute(update(Otp).where(Otp.id == otp_id, Otp.used_at.is_(None)).values(used_at=now))
    if used.rowcount != 1:
        return False
    await tx.execute(_FORGIVE, {"msisdn_hash": msisdn_hash})
    return True


async def insert_message(tx: AsyncConnection, otp_id: UUID, values: Mapping[str, Any]) -> None:
    """A message that carries the challenge's code, once a dispatcher has filled it in."""
    await tx.execute(insert(Message).values(**values))
    await tx.execute(insert(OtpMessage).values(message_id=values["id"], otp_id=otp_id))


async def is_waiting(tx: AsyncConnection, otp_id: UUID) -> bool:
    """Whether a message of the challenge is not handed over yet."""
    ids = select(OtpMessage.message_id).where(OtpMessage.otp_id == otp_id)
    return bool(await tx.scalar(select(exists().where(Message.id.in_(ids), Message.status == Status.QUEUED))))


async def call_back_messages(tx: AsyncConnection, otp_id: UUID, *, now: datetime) -> None:
    """Have messages that may leave yet called back: nobody waits for them any more."""
    ids = select(OtpMessage.message_id).where(OtpMessage.otp_id == otp_id)
    await tx.execute(
        update(Message)
        .where(Message.id.in_(ids), Message.status.in_(MAY_LEAVE))
        .values(cancel_requested_at=func.coalesce(Message.cancel_requested_at, now))
    )


async def list_message_ids(tx: AsyncConnection, otp_id: UUID) -> Sequence[UUID]:
    question = select(OtpMessage.message_id).where(OtpMessage.otp_id == otp_id).order_by(OtpMessage.message_id)
    return (await tx.execute(question)).scalars().all()
