"""Keys in Postgres: found by their public id, never by their secret."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Executable, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from shared.errors import NotFound
from shared.ids import uuid7
from shared.models import ApiKey


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key as its check needs it, whether or not it still works."""

    name: str
    digest: bytes = field(repr=False)
    scopes: Sequence[str]
    networks: Sequence[str]
    rate_limit: int | None
    expires_at: datetime | None
    revoked_at: datetime | None
    line: str | None
    keys: Sequence[str]  # every key of its line


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A key as its owner may see it. `row_id` sorts by age; `id` is the public id."""

    row_id: UUID
    id: str
    name: str
    scopes: Sequence[str]
    networks: Sequence[str]
    rate_limit: int | None
    successor_of: str | None
    created_by: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    line: str | None


_SHOWN = (
    ApiKey.id,
    ApiKey.public_id,
    ApiKey.name,
    ApiKey.scopes,
    ApiKey.networks,
    ApiKey.rate_limit,
    ApiKey.successor_of,
    ApiKey.created_by,
    ApiKey.created_at,
    ApiKey.expires_at,
    ApiKey.revoked_at,
    ApiKey.last_used_at,
    ApiKey.line,
)
_Relative = aliased(ApiKey)


@dataclass(frozen=True, slots=True)
class KeyToInsert:
    public_id: str
    digest: bytes = field(repr=False)
    name: str
    scopes: Sequence[str]
    networks: Sequence[str]
    rate_limit: int | None
    created_by: str
    expires_at: datetime | None
    successor_of: str | None = None
    line: str | None = None  # without it, its own


async def find_key(tx: AsyncConnection, public_id: str) -> HeldKey | None:
    found = await tx.execute(
        select(
            ApiKey.name,
            ApiKey.digest,
            ApiKey.scopes,
            ApiKey.networks,
            ApiKey.rate_limit,
            ApiKey.expires_at,
            ApiKey.revoked_at,
            ApiKey.line,
            func.array(select(_Relative.public_id).where(_Relative.line == ApiKey.line).scalar_subquery()),
        ).where(ApiKey.public_id == public_id)
    )
    row = found.one_or_none()
    return None if row is None else HeldKey(*row)


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
            networks=list(key.networks),
            rate_limit=key.rate_limit,
            created_by=key.created_by,
            created_at=now,
            expires_at=key.expires_at,
            successor_of=key.successor_of,
            line=key.line or key.public_id,
        )
        .returning(*_SHOWN)
    )
    return _row(made.one())


async def get_key(tx: AsyncConnection, public_id: str) -> KeyRow:
    return await _get(tx, select(*_SHOWN).where(ApiKey.public_id == public_id), public_id)


async def lock_key(tx: AsyncConnection, public_id: str) -> KeyRow:
    return await _get(tx, select(*_SHOWN).where(ApiKey.public_id == public_id).with_for_update(), public_id)


async def list_live_relatives(tx: AsyncConnection, key: KeyRow, *, now: datetime) -> Sequence[KeyRow]:
    """The other keys of its line that work, the oldest first."""
    related = [ApiKey.line == (key.line or key.id), ApiKey.successor_of == key.id]
    if key.successor_of is not None:
        related.append(ApiKey.public_id == key.successor_of)
    live = (ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now))
    question = select(*_SHOWN).where(or_(*related), ApiKey.public_id != key.id, *live).order_by(ApiKey.id)
    return [_row(row) for row in await tx.execute(question)]


async def update_key(tx: AsyncConnection, public_id: str, changes: Mapping[str, Any]) -> KeyRow:
    changed = await tx.execute(update(ApiKey).where(ApiKey.public_id == public_id).values(**changes).returning(*_SHOWN))
    return _row(changed.one())


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


async def _get(tx: AsyncConnection, question: Executable, public_id: str) -> KeyRow:
    row = (await tx.execute(question)).one_or_none()
    if row is None:
        raise NotFound(f"There is no API key {public_id!r}.")
    return _row(row)


def _row(row: Any) -> KeyRow:
    return KeyRow(*row)
