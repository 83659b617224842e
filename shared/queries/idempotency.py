"""Answers that were given, kept in the transaction of what they created, so that a repeat creates nothing.

While that transaction is open its advisory lock says that the first request still runs; nothing is left
behind if it dies.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.models import IdempotencyKey

RETENTION: Final = timedelta(hours=72)


@dataclass(frozen=True, slots=True)
class Scope:
    """What one key stands for: the same key by someone else, or elsewhere, is another key.

    `caller` is the API key that the request came with. Those of its line are no one else: `line` is what they share.
    """

    caller: str
    method: str
    path: str
    key: str
    line: str = ""  # the caller, unless told

    @property
    def name(self) -> str:
        return f"{self.caller}\n{self.method}\n{self.path}\n{self.key}"


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """`body` is sealed: answers hold numbers and, once, a new API key.

    `scopes` are those of the key that was told it; None for an answer of the version before, which kept none.
    """

    fingerprint: bytes
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)
    scopes: Collection[str] | None = None


def place_of_answer(scope: Scope) -> str:
    """Where a stored answer lives, for the seal."""
    return f"idempotency_keys|{scope.name}|body"


async def try_lock_idempotency_key(tx: AsyncConnection, scope: Scope) -> bool:
    """Hold the key until this transaction ends; False when another request of the line holds it."""
    name = replace(scope, caller=scope.line or scope.caller).name
    number = func.hashtextextended(f"idempotency\n{name}", 0)
    return bool(await tx.scalar(select(func.pg_try_advisory_xact_lock(number))))


async def find_stored_answer(
    tx: AsyncConnection, scope: Scope, *, callers: Collection[str] = ()
) -> tuple[Scope, StoredAnswer] | None:
    """What the caller, or another of `callers`, was told under this key, and the scope that it is kept in."""
    found = await tx.execute(
        select(
            IdempotencyKey.caller,
            IdempotencyKey.fingerprint,
            IdempotencyKey.status,
            IdempotencyKey.headers,
            IdempotencyKey.body,
            IdempotencyKey.scopes,
        )
        .where(
            IdempotencyKey.caller.in_({scope.caller, *callers}),
            IdempotencyKey.method == scope.method,
            IdempotencyKey.path == scope.path,
            IdempotencyKey.key == scope.key,
        )
        .order_by(IdempotencyKey.created_at)
        .limit(1)
    )
    row = found.one_or_none()
    return None if row is None else (replace(scope, caller=row.caller), StoredAnswer(*row[1:]))


async def insert_stored_answer(tx: AsyncConnection, scope: Scope, answer: StoredAnswer, *, now: datetime) -> None:
    await tx.execute(
        insert(IdempotencyKey).values(
            caller=scope.caller,
            method=scope.method,
            path=scope.path,
            key=scope.key,
            fingerprint=answer.fingerprint,
            status=answer.status,
            headers=answer.headers,
            body=answer.body,
            scopes=None if answer.scopes is None else sorted(answer.scopes),
            created_at=now,
        )
    )


async def prune_idempotency_keys(tx: AsyncConnection, now: datetime, *, limit: int = 5000) -> int:
    """Forget answers older than the retention, some at a time; how many went."""
    old = (
        select(IdempotencyKey.caller, IdempotencyKey.method, IdempotencyKey.path, IdempotencyKey.key)
        .where(IdempotencyKey.created_at < now - RETENTION)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("old")
    )
    gone = await tx.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.caller == old.c.caller,
            IdempotencyKey.method == old.c.method,
            IdempotencyKey.path == old.c.path,
            IdempotencyKey.key == old.c.key,
        )
    )
    return gone.rowcount
