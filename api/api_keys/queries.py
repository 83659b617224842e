"""Keys in Postgres: found by their public id, never by their secret."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.errors import NotFound
from shared.ids import uuid7
from shared.models import ApiKey


@dataclass(frozen=True, slots=True)
class LiveKey:
    name: str
    digest: bytes = field(repr=False)
    scopes: Sequence[str]


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as its owner may see it. `row_id` sorts by age; `id` is the public id."""

    row_id: UUID
    id: str
    name: str
    scopes: Sequence[str]
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


_SHOWN = (
    ApiKey.id,
    ApiKey.public_id,
    ApiKey.name,
    ApiKey.scopes,
    ApiKey.created_by,
    ApiKey.created_at,
    ApiKey.expires_at,
    ApiKey.revoked_at,
    ApiKey.last_used_at,
)


@dataclass(frozen=True, slots=True)
class KeyToInsert:
    public_id: str
    digest: bytes = field(repr=False)
    name: str
    scopes: Sequence[str]
    created_by: str
    expires_at: datetime | None


async def find_live_key(tx: AsyncConnection, public_id: str, *, now: datetime) -> LiveKey | None:
    found = await tx.execute(
        select(ApiKey.name, ApiKey.digest, ApiKey.scopes).where(
            ApiKey.public_id == public_id,
            ApiKey.revoked_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now),
        )
    )
    row = found.one_or_none()
    return None if row is None else LiveKey(*row)


async def touch_key(tx: AsyncConnection, public_id: str, *, now: datetime, since: datetime) -> None:
    await tx.execute(
        update(ApiKey)
        .where(ApiKey.public_id == public_id, or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < since))
        .values(last_used_at=now)
    )


async def insert_key(tx: AsyncConnection, key: KeyToInsert, *, now: datetime) -> KeyRow:
    made = await tx.execute(
        insert(ApiKey)
        .values(
            id=uuid7(now),
            public_id=key.public_id,
            digest=key.digest,
            name=key.name,
            scopes=list(key.scopes),
            created_by=key.created_by,
            created_at=now,
            expires_at=key.expires_at,
        )
        .returning(*_SHOWN)
    )
    return _row(made.one())


async def get_key(tx: AsyncConnection, public_id: str) -> KeyRow:
    found = await tx.execute(select(*_SHOWN).where(ApiKey.public_id == public_id))
    row = found.one_or_none()
    if row is None:
        raise NotFound(f"There is no API key {public_id!r}.")
    return _row(row)


async def list_keys(tx: AsyncConnection, *, after: UUID | None, limit: int) -> Sequence[KeyRow]:
    """Newest first; revoked and expired ones too, for they still name who did what."""
    question = select(*_SHOWN).order_by(ApiKey.id.desc()).limit(limit)
    if after is not None:
        question = question.where(ApiKey.id < after)
    return [_row(row) for row in await tx.execute(question)]


async def revoke_key(tx: AsyncConnection, public_id: str, *, now: datetime) -> bool:
    """Whether it was live until now."""
    gone = await tx.execute(
        update(ApiKey).where(ApiKey.public_id == public_id, ApiKey.revoked_at.is_(None)).values(revoked_at=now)
    )
    return gone.rowcount > 0


def _row(row: Any) -> KeyRow:
    return KeyRow(*row)
