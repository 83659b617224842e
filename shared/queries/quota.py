"""The ledger as both processes use it: what is left, what is reserved, what goes back.

Whoever reserves holds the ledger's lock until the transaction ends, so that two never promise the same units. Single
messages share that lock while there is plenty left, and so do not stand in line; nobody holds it while sending.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import case, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain import quota as law
from shared.domain.policy import Policy, QuotaUnit
from shared.domain.quota import PLENTY, EntryKind, Limit, Period
from shared.domain.segments import measure, per_160
from shared.ids import uuid7
from shared.models import QuotaAccount, QuotaEntry, QuotaHold

_KEY: Final = "hashtextextended('lapwing.quota', 0)"
_HOLDS_NOTHING: Final = QuotaAccount.reserved == QuotaAccount.consumed + QuotaAccount.released
_LOCK = text(f"SELECT pg_advisory_xact_lock({_KEY})")
_SHARE = text(f"SELECT pg_advisory_xact_lock_shared({_KEY})")

# What was promised before there was a limit is not held against it: the sum of all begins with its first grant.
_LIMITS = text("""
    WITH granted AS (
        SELECT period, sum(units) AS units, min(booked_on) AS first FROM quota_entries WHERE kind = 'grant'
        GROUP BY period
    ), since AS (
        SELECT g.period, g.units,
               CASE g.period WHEN 'day' THEN CAST(:day AS date) WHEN 'month' THEN CAST(:month AS date)
                             WHEN 'year' THEN CAST(:year AS date) ELSE g.first END AS day
        FROM granted g
    )
    SELECT s.period, s.units,
           coalesce((SELECT sum(CASE e.kind WHEN 'reserve' THEN e.units ELSE -e.units END) FROM quota_entries e
                     WHERE e.kind IN ('reserve', 'release') AND e.booked_on >= s.day), 0)
         + coalesce((SELECT sum(h.units) FROM quota_holds h WHERE NOT h.booked AND h.booked_on >= s.day), 0) AS used
    FROM since s
""")


async def list_limits(tx: AsyncConnection, *, today: date) -> list[Limit]:
    """Every period that has a grant, with what is used of it; none without a limit."""
    days = {period.value: law.start_of(period, today) for period in Period if period is not Period.TOTAL}
    rows = await tx.execute(_LIMITS, days)
    order = list(Period)
    limits = [Limit(Period(row.period), int(row.units), int(row.used)) for row in rows]
    return sorted(limits, key=lambda limit: order.index(limit.period))


async def lock_quota(tx: AsyncConnection) -> None:
    """Hold the ledger: nobody else reserves until this transaction ends."""
    await tx.execute(_LOCK)


async def is_limited(tx: AsyncConnection) -> bool:
    found = await tx.scalar(select(QuotaEntry.id).where(QuotaEntry.kind == EntryKind.GRANT).limit(1))
    return found is not None


async def insert_entry(tx: AsyncConnection, values: dict[str, Any]) -> Any:
    return (await tx.execute(insert(QuotaEntry).values(**values).returning(QuotaEntry))).one()


async def reserve_campaign(
    tx: AsyncConnection, campaign_id: UUID, units: int, *, policy: Policy, now: datetime, made: int = 0
) -> bool:
    """Reserve units for a campaign, or raise QuotaExceeded; False where there is no limit, and nothing is written.

    `made` of them are for messages that exist already.
    """
    if not await is_limited(tx):
        return False
    await lock_quota(tx)
    today = law.today_in(policy.time_zone, now)
    law.check(await list_limits(tx, today=today), units)
    values = {"unit": policy.quota_unit.value, "booked_on": today, "look_at": now}
    write = upsert(QuotaAccount).values(campaign_id=campaign_id, reserved=units, uncovered=units - made, **values)
    more = {
        "reserved": QuotaAccount.reserved + units,
        "uncovered": QuotaAccount.uncovered + units - made,
        "look_at": now,
        # One that holds nothing any more begins anew, in the period of this day.
        "booked_on": case((_HOLDS_NOTHING, today), else_=QuotaAccount.booked_on),
    }
    write = write.on_conflict_do_update(index_elements=[QuotaAccount.campaign_id], set_=more)
    booked_on = (await tx.execute(write.returning(QuotaAccount.booked_on))).scalar_one()
    await _add_campaign_entry(tx, campaign_id, EntryKind.RESERVE, units, booked_on=booked_on, now=now)
    return True


async def release_campaign(tx: AsyncConnection, campaign_id: UUID, *, now: datetime) -> None:
    """Give back all that a campaign holds which will not be sent now: it is a draft again."""
    row = (
        await tx.execute(select(QuotaAccount).where(QuotaAccount.campaign_id == campaign_id).with_for_update())
    ).one_or_none()
    if row is None:
        return
    left = row.reserved - row.consumed - row.released
    await _add_campaign_entry(tx, campaign_id, EntryKind.RELEASE, left, booked_on=row.booked_on, now=now)
    await tx.execute(
        update(QuotaAccount)
        .where(QuotaAccount.campaign_id == campaign_id)
        .values(released=QuotaAccount.released + left, uncovered=0, look_at=None)
    )


async def reserve_again(tx: AsyncConnection, campaign_id: UUID, *, policy: Policy, now: datetime) -> None:
    """Take back what was released when a campaign stopped that goes on now, or raise QuotaExceeded."""
    account = (await tx.execute(select(QuotaAccount).where(QuotaAccount.campaign_id == campaign_id))).one_or_none()
    if account is not None and account.look_at is None and account.released:
        await reserve_campaign(tx, campaign_id, account.released, policy=policy, now=now, made=account.released)


async def look_soon(tx: AsyncConnection, campaign_id: UUID, *, now: datetime) -> None:
    """Have an account looked at in the next turn."""
    open_ = QuotaAccount.look_at.is_not(None)
    await tx.execute(update(QuotaAccount).where(QuotaAccount.campaign_id == campaign_id, open_).values(look_at=now))


async def _add_campaign_entry(
    tx: AsyncConnection, campaign_id: UUID, kind: EntryKind, units: int, *, booked_on: date, now: datetime
) -> None:
    if units:
        subject = {"subject_kind": "campaign", "subject_id": campaign_id}
        line = {"kind": kind, "units": units, "booked_on": booked_on, "at": now, **subject}
        await insert_entry(tx, {"id": uuid7(now), **line})


async def write_account(
    tx: AsyncConnection, campaign_id: UUID, was: law.Account, now_is: law.Account, *, booked_on: date, now: datetime
) -> None:
    """Write down how an account moved, as entries and as its sums."""
    for kind, change in (
        (EntryKind.CONSUME, now_is.consumed - was.consumed),
        (EntryKind.RELEASE, now_is.released - was.released),
    ):
        await _add_campaign_entry(tx, campaign_id, kind, change, booked_on=booked_on, now=now)
    await tx.execute(
        update(QuotaAccount)
        .where(QuotaAccount.campaign_id == campaign_id)
        .values(consumed=now_is.consumed, released=now_is.released)
    )


async def hold_message(tx: AsyncConnection, message_id: UUID, text_: str, *, policy: Policy, now: datetime) -> None:
    """Reserve for one message that is about to be inserted, or raise QuotaExceeded; nothing without a limit."""
    if not await is_limited(tx):
        return
    units = units_of_text(policy, text_)
    today = law.today_in(policy.time_zone, now)
    if await _is_plenty(tx, today):
        try:
            async with tx.begin_nested():
                await tx.execute(_SHARE)
                if not await _is_plenty(tx, today):
                    raise _NoPlentyAnyMore  # noqa: TRY301 - how a savepoint is left
        except _NoPlentyAnyMore:
            pass  # the savepoint took its share of the lock back with it
        else:
            await _insert_hold(tx, message_id, units, today, now)
            return
    await lock_quota(tx)
    law.check(await list_limits(tx, today=today), units)
    await _insert_hold(tx, message_id, units, today, now)


class _NoPlentyAnyMore(Exception):
    pass


async def _is_plenty(tx: AsyncConnection, today: date) -> bool:
    left = law.available(await list_limits(tx, today=today))
    return left is None or left > PLENTY


async def _insert_hold(tx: AsyncConnection, message_id: UUID, units: int, today: date, now: datetime) -> None:
    await tx.execute(insert(QuotaHold).values(message_id=message_id, units=units, booked_on=today, look_at=now))


async def list_entries(
    tx: AsyncConnection, *, kind: EntryKind | None, before: UUID | None, limit: int
) -> Sequence[Any]:
    question = select(QuotaEntry).order_by(QuotaEntry.id.desc()).limit(limit)
    if kind is not None:
        question = question.where(QuotaEntry.kind == kind)
    if before is not None:
        question = question.where(QuotaEntry.id < before)
    return (await tx.execute(question)).all()


async def sum_by_kind(tx: AsyncConnection) -> dict[EntryKind, int]:
    """The whole ledger, kind by kind."""
    rows = await tx.execute(select(QuotaEntry.kind, func.sum(QuotaEntry.units)).group_by(QuotaEntry.kind))
    return dict.fromkeys(EntryKind, 0) | {EntryKind(row[0]): int(row[1]) for row in rows}


async def sum_unbooked(tx: AsyncConnection) -> int:
    """What single messages hold that is not in the ledger yet: at most a few seconds' worth."""
    return int(await tx.scalar(select(func.coalesce(func.sum(QuotaHold.units), 0)).where(~QuotaHold.booked)) or 0)


def units_of_text(policy: Policy, text_: str) -> int:
    """What one text takes from the quota."""
    if policy.quota_unit is QuotaUnit.PER_160:
        return per_160(text_)
    return measure(text_).segments
