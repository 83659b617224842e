"""Every sealed value of the database: where it is, and how it is sealed anew with the first of the secret keys.

A new sealed column is one line in `SEALED`, and nothing else.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, LargeBinary, Row, Table, func, literal, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.models import Base
from shared.queries.idempotency import Scope, place_of_answer
from shared.sealing import PLACE_OF_PEPPER, SealBroken, Sealer, place_of_secrets, place_of_webhook

Place = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A column that holds sealed values; `place` is what its seal is bound to, told from the row's primary key."""

    table: str
    column: str
    place: Callable[[Row[Any]], str]

    def __str__(self) -> str:
        return f"{self.table}.{self.column}"

    @property
    def source(self) -> Table:
        return Base.metadata.tables[self.table]

    @property
    def value(self) -> Column[bytes]:
        return self.source.c[self.column]

    @property
    def keys(self) -> Sequence[Column[Any]]:
        return list(self.source.primary_key.columns)

    def name_of(self, place: Place) -> str:
        """A row for its operator, by its keys."""
        named = (f"{key.name}={value}" for key, value in zip(self.keys, place, strict=True))
        return f"{self}: {', '.join(named)}"


SEALED: Final = (
    Sealed("gateways", "secrets_sealed", lambda row: place_of_secrets(row.id)),
    Sealed("webhooks", "secret_sealed", lambda row: place_of_webhook(row.id)),
    Sealed("webhooks", "old_secret_sealed", lambda row: place_of_webhook(row.id, "old_secret_sealed")),
    Sealed("webhooks", "older_secrets_sealed", lambda row: place_of_webhook(row.id, "older_secrets_sealed")),
    Sealed("installation", "pepper_sealed", lambda _row: PLACE_OF_PEPPER),
    Sealed("idempotency_keys", "body", lambda row: place_of_answer(Scope(row.caller, row.method, row.path, row.key))),
)


@dataclass(frozen=True, slots=True)
class Resealed:
    """What one batch came to; `last` is the key of its last row, None where there was none."""

    changed: int
    unopened: Sequence[Place]
    last: Place | None


async def count_outdated(tx: AsyncConnection, sealed: Sealed, sealer: Sealer) -> int:
    """How many values another than the first key has sealed."""
    question = select(func.count()).select_from(sealed.source).where(_is_outdated(sealed, sealer))
    found: int = (await tx.execute(question)).scalar_one()
    return found


async def reseal(tx: AsyncConnection, sealed: Sealed, sealer: Sealer, *, after: Place | None, limit: int) -> Resealed:
    """Seal the next values anew that another key has sealed, in the order of their rows.

    The rows are locked, so nobody's new value is overwritten by the old one. What cannot be opened stays as it is.
    """
    question = (
        select(*sealed.keys, sealed.value.label("sealed_"))
        .where(_is_outdated(sealed, sealer))
        .order_by(*sealed.keys)
        .limit(limit)
        .with_for_update()
    )
    if after is not None:
        question = question.where(tuple_(*sealed.keys) > tuple_(*after))
    changed, last = 0, None
    unopened: list[Place] = []
    rows: Any = await tx.execute(question)  # of as many columns as the key has, and one
    for row in rows.all():
        last = tuple(row)[:-1]
        place = sealed.place(row)
        try:
            value = sealer.open(row.sealed_, place=place)
        except SealBroken:
            unopened.append(last)
            continue
        anew = {sealed.column: sealer.seal(value, place=place)}
        await tx.execute(update(sealed.source).where(*_is(sealed, last)).values(anew))
        changed += 1
    return Resealed(changed, unopened, last)


def _is(sealed: Sealed, place: Place) -> list[ColumnElement[bool]]:
    return [key == value for key, value in zip(sealed.keys, place, strict=True)]


def _is_outdated(sealed: Sealed, sealer: Sealer) -> ColumnElement[bool]:
    head = sealer.head
    begins = func.substring(sealed.value, 1, len(head), type_=LargeBinary())
    return begins != literal(head, LargeBinary())
