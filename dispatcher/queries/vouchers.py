"""Vouchers whose end is near, with what became of their messages."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Near(NamedTuple):
    """One whose moment has come. Number and reference are of the latest message; None where it is no longer kept."""

    id: UUID
    message_id: UUID
    valid_until: datetime
    data: dict[str, Any]
    msisdn: str | None
    contact_id: UUID | None
    client_reference: str | None
    statuses: Sequence[str]


# Of the first message and of the latest that was sent in its place: by their ids, so that each is one look.
_NEAR = text("""
    SELECT v.id, v.message_id, v.valid_until, v.data, m.msisdn, m.contact_id, m.client_reference,
           ARRAY(SELECT s.status FROM messages s WHERE s.id IN (v.id, v.message_id)) AS statuses
    FROM (SELECT * FROM vouchers WHERE nearly_used_at <= :now ORDER BY nearly_used_at LIMIT :limit
          FOR UPDATE SKIP LOCKED) v
    LEFT JOIN messages m ON m.id = v.message_id
""")
_FORGET = text("DELETE FROM vouchers WHERE id = ANY(CAST(:ids AS uuid[]))")
_PUT_OFF = text("UPDATE vouchers SET nearly_used_at = :until WHERE id = ANY(CAST(:ids AS uuid[]))")


async def lock_near_their_end(tx: AsyncConnection, *, now: datetime, limit: int) -> Sequence[Near]:
    """Vouchers that nobody else looks at, held until the transaction ends."""
    rows = await tx.execute(_NEAR, {"now": now, "limit": limit})
    return [Near(*row) for row in rows]


async def forget(tx: AsyncConnection, ids: Sequence[UUID]) -> None:
    if ids:
        await tx.execute(_FORGET, {"ids": list(ids)})


async def put_off(tx: AsyncConnection, ids: Sequence[UUID], *, until: datetime) -> None:
    if ids:
        await tx.execute(_PUT_OFF, {"ids": list(ids), "until": until})
