"""Balances: whose credit is asked for now, and what came of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, insert, literal, null, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.balance import State
from shared.ids import uuid7
from shared.models import BalanceReading, Gateway


@dataclass(frozen=True, slots=True)
class Asked:
    """A gateway whose credit is ours to ask for, until the lease ends."""

    gateway_id: UUID
    kind: str
    lease_until: datetime
    requested_at: datetime | None


@dataclass(frozen=True, slots=True)
class Watched:
    """What is known of a gateway's credit, locked until the transaction ends."""

    name: str
    check: Mapping[str, Any] | None
    state: State  # what was last told of it
    amount: Decimal | None
    at: datetime | None
    failures: int


@dataclass(frozen=True, slots=True)
class Reading:
    at: datetime
    amount: Decimal
    unit: str


# The lease is written before the call, so a dispatcher that dies in between costs a minute, not the schedule.
# A request is answered for disabled gateways, too, and for those that nobody watches.
_CLAIM = text("""
    WITH due AS (
        SELECT id FROM gateways
        WHERE kind = ANY(CAST(:kinds AS text[])) AND (balance_due_at IS NULL OR balance_due_at <= now())
          AND (balance_requested_at IS NOT NULL
               OR (enabled AND jsonb_typeof(balance_check) = 'object'
                   AND coalesce((balance_check->>'enabled')::boolean, true)))
        ORDER BY balance_requested_at NULLS LAST, balance_due_at NULLS FIRST LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    UPDATE gateways g SET balance_due_at = now() + make_interval(secs => :lease)
    FROM due WHERE g.id = due.id
    RETURNING g.id, g.kind, g.balance_due_at, g.balance_requested_at
""")


async def claim_balances(tx: AsyncConnection, *, kinds: Sequence[str], limit: int, lease: float) -> Sequence[Asked]:
    """Gateways of these kinds whose turn it is, or whose owner asks."""
    rows = await tx.execute(_CLAIM, {"kinds": list(kinds), "limit": limit, "lease": lease})
    return [Asked(*row) for row in rows]


async def lock_watched(tx: AsyncConnection, gateway_id: UUID) -> Watched | None:
    """What is known so far; None if the gateway is gone."""
    columns = (
        *(Gateway.name, Gateway.balance_check, Gateway.balance_state),
        *(Gateway.balance, Gateway.balance_at, Gateway.balance_failures),
    )
    question = select(*columns).where(Gateway.id == gateway_id).with_for_update(key_share=True)
    row = (await tx.execute(question)).one_or_none()
    if row is None:
        return None
    return Watched(
        row.name, row.balance_check, State(row.balance_state), row.balance, row.balance_at, row.balance_failures
    )


async def insert_reading(tx: AsyncConnection, gateway_id: UUID, reading: Reading) -> None:
    await tx.execute(
        insert(BalanceReading).values(
            id=uuid7(reading.at), gateway_id=gateway_id, at=reading.at, amount=reading.amount, unit=reading.unit
        )
    )


async def write_balance(tx: AsyncConnection, gateway_id: UUID, reading: Reading, *, state: State) -> None:
    """Make a reading the gateway's balance."""
    await tx.execute(
        update(Gateway)
        .where(Gateway.id == gateway_id)
        .values(
            balance=reading.amount,
            balance_unit=reading.unit,
            balance_at=reading.at,
            balance_state=state.value,
            balance_failures=0,
            balance_failure=None,
        )
    )


async def write_failure(tx: AsyncConnection, gateway_id: UUID, *, failures: int, reason: str) -> None:
    """Count a failure; the balance that was read last stays."""
    await tx.execute(
        update(Gateway).where(Gateway.id == gateway_id).values(balance_failures=failures, balance_failure=reason)
    )


async def forget_balance(tx: AsyncConnection, gateway_id: UUID) -> None:
    """Know nothing of its credit any more; the readings stay in its history."""
    await tx.execute(
        update(Gateway)
        .where(Gateway.id == gateway_id)
        .values(balance=None, balance_unit=None, balance_at=None, balance_state=State.UNKNOWN.value)
    )


async def release_balance(tx: AsyncConnection, asked: Asked, *, wait: timedelta | None) -> None:
    """Give the claim back. What somebody asked for or changed in the meantime is not undone."""
    due_at = null() if wait is None else func.now() + literal(wait)
    await tx.execute(
        update(Gateway)
        .where(Gateway.id == asked.gateway_id)
        .values(
            balance_due_at=case((Gateway.balance_due_at == asked.lease_until, due_at), else_=Gateway.balance_due_at),
            balance_requested_at=case(
                (Gateway.balance_requested_at == asked.requested_at, null()), else_=Gateway.balance_requested_at
            ),
        )
    )
