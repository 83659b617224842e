"""Health as the dispatchers move it: one of them wins each change, and writes its reason in the same transaction."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.balance import check_of
from shared.domain.breaker import PROBE_SECONDS, SLOW_REST_SECONDS, Health, rest_of
from shared.domain.notice import Notice, gateway_failing, gateway_recovered
from shared.models import Gateway
from shared.queries.health import record_change
from shared.queries.notices import insert_notice

# Those that a verdict may change: a withdrawn one is its owner's, one that rests already is judged.
_JUDGED = (Health.OK.value, Health.SLOW.value)
_ALIVE_SECONDS = 10.0


def _in(seconds: Any) -> Any:
    return func.now() + func.make_interval(0, 0, 0, 0, 0, 0, seconds)


async def open_breaker(tx: AsyncConnection, gateway_id: UUID, *, reason: str, by: str, trial: bool = False) -> bool:
    """Leave a gateway alone for a while; its owner is told when this begins. False where another was first.

    Of one that is tried out only its `trial` says how it is.
    """
    row = await _locked(tx, gateway_id)
    judged = row is not None and (row.health == Health.HALF_OPEN if trial else row.health in _JUDGED)
    if row is None or not judged or (trial and row.health_by != by):
        return False
    trips = row.trips + 1
    rest = rest_of(trips)
    await tx.execute(
        update(Gateway)
        .where(Gateway.id == gateway_id)
        .values(
            health=Health.OPEN.value,
            health_reason=reason,
            health_at=func.now(),
            health_until=_in(rest),
            health_by=None,
            trips=trips,
        )
    )
    await _tell(tx, row, health=Health.OPEN, reason=reason, by=by)
    if trips == 1:
        await _notice(tx, row, gateway_failing(gateway_id, name=row.name, reason=reason))
    return True


async def mark_slow(tx: AsyncConnection, gateway_id: UUID, *, reason: str, by: str) -> bool:
    """Let a gateway come after those that are not slow, for a while."""
    row = await _locked(tx, gateway_id)
    if row is None or row.health != Health.OK:
        return False
    await tx.execute(
        update(Gateway)
        .where(Gateway.id == gateway_id)
        .values(
            health=Health.SLOW.value, health_reason=reason, health_at=func.now(), health_until=_in(SLOW_REST_SECONDS)
        )
    )
    await _tell(tx, row, health=Health.SLOW, reason=reason, by=by)
    return True


async def begin_probes(tx: AsyncConnection, *, by: str) -> int:
    """Let those be tried out whose rest is over, by whoever has a message for it; how many there were."""
    over = (Gateway.health == Health.OPEN.value) & (Gateway.health_until <= func.now())
    rows = (await tx.execute(select(Gateway).where(Gateway.enabled, over).with_for_update(skip_locked=True))).all()
    for row in rows:
        await tx.execute(
            update(Gateway)
            .where(Gateway.id == row.id)
            .values(health=Health.HALF_OPEN.value, health_at=func.now(), health_until=None, health_by=None)
        )
        await _tell(tx, row, health=Health.HALF_OPEN, reason="its rest is over", by=by)
    return len(rows)


async def take_trials(tx: AsyncConnection, gateway_ids: Collection[UUID], *, by: str) -> list[UUID]:
    """Take the right to try out these gateways; of which of them it was free."""
    unheld = or_(Gateway.health_by.is_(None), Gateway.health_until <= func.now())
    free = select(Gateway.id).where(Gateway.id.in_(gateway_ids), Gateway.health == Health.HALF_OPEN.value, unheld)
    taken = (
        update(Gateway)
        .where(Gateway.id.in_(free.with_for_update(skip_locked=True)))
        .values(health_until=_in(PROBE_SECONDS), health_by=by)
        .returning(Gateway.id)
    )
    return list((await tx.execute(taken)).scalars())


async def give_back_trials(tx: AsyncConnection, gateway_ids: Collection[UUID] | None = None, *, by: str) -> int:
    """Let others try out these gateways, or all that `by` may; how many there were."""
    held = (Gateway.health == Health.HALF_OPEN.value) & (Gateway.health_by == by)
    if gateway_ids is not None:
        held &= Gateway.id.in_(gateway_ids)
    given = update(Gateway).where(held).values(health_until=None, health_by=None).returning(Gateway.id)
    return len((await tx.execute(given)).all())


async def close_breaker(tx: AsyncConnection, gateway_id: UUID, *, reason: str, by: str) -> bool:
    """Trust a gateway again that was tried out by `by`."""
    row = await _locked(tx, gateway_id)
    if row is None or row.health != Health.HALF_OPEN or row.health_by != by:
        return False
    await _recover(tx, row, reason=reason, by=by)
    await _notice(tx, row, gateway_recovered(gateway_id, name=row.name))
    return True


async def end_slowness(tx: AsyncConnection, *, by: str) -> int:
    """Try again, at their place in the order, those whose time as slow ones is over; how many there were."""
    over = (Gateway.health == Health.SLOW.value) & (Gateway.health_until <= func.now())
    rows = (await tx.execute(select(Gateway).where(over).with_for_update(skip_locked=True))).all()
    for row in rows:
        await _recover(tx, row, reason="its rest is over", by=by)
    return len(rows)


async def let_rest(tx: AsyncConnection, gateway_id: UUID, *, seconds: float) -> None:
    """It asked to be given time; the longest of such wishes holds."""
    await tx.execute(
        update(Gateway)
        .where(Gateway.id == gateway_id)
        .values(resting_until=func.greatest(Gateway.resting_until, _in(seconds)))
    )


async def note_held(tx: AsyncConnection, gateway_ids: Collection[UUID]) -> None:
    """Write down that retries at these gateways had to wait."""
    held = update(Gateway).where(Gateway.id.in_(gateway_ids)).values(retries_held_at=func.now())
    await tx.execute(held)


_SEEN = text("""
    INSERT INTO dispatchers (name, started_at, seen_at) VALUES (:name, now(), now())
    ON CONFLICT (name) DO UPDATE SET seen_at = now()
""")
_ALIVE = text("SELECT count(*) FROM dispatchers WHERE seen_at > now() - make_interval(secs => :seconds)")
_GONE = text("DELETE FROM dispatchers WHERE name = :name OR seen_at < now() - interval '1 day'")


async def be_seen(tx: AsyncConnection, *, name: str) -> int:
    """Say that this dispatcher lives; how many do."""
    await tx.execute(_SEEN, {"name": name})
    return int((await tx.execute(_ALIVE, {"seconds": _ALIVE_SECONDS})).scalar_one())


async def be_gone(tx: AsyncConnection, *, name: str) -> None:
    await give_back_trials(tx, by=name)
    await tx.execute(_GONE, {"name": name})


async def _locked(tx: AsyncConnection, gateway_id: UUID) -> Row[Any] | None:
    return (await tx.execute(select(Gateway).where(Gateway.id == gateway_id).with_for_update())).one_or_none()


async def _recover(tx: AsyncConnection, row: Row[Any], *, reason: str, by: str) -> None:
    await tx.execute(
        update(Gateway)
        .where(Gateway.id == row.id)
        .values(
            health=Health.OK.value, health_reason=None, health_at=func.now(), health_until=None, health_by=None, trips=0
        )
    )
    await _tell(tx, row, health=Health.OK, reason=reason, by=by)


async def _tell(tx: AsyncConnection, row: Row[Any], *, health: Health, reason: str, by: str) -> None:
    now = (await tx.execute(select(func.now()))).scalar_one()
    await record_change(tx, row.id, was=row.health, health=health, reason=reason, by=by, now=now)


async def _notice(tx: AsyncConnection, row: Row[Any], notice: Notice) -> None:
    check = check_of(row.balance_check)
    now = (await tx.execute(select(func.now()))).scalar_one()
    await insert_notice(tx, notice, now=now, emails=check.emails if check else ())
