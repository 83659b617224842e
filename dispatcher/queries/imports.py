"""An import's rows in Postgres: claimed by one dispatcher, read piece by piece, written batch by batch.

`lease_until` is the fence: whoever finds another value there than the one written last has lost the import, and
writes nothing. The cursor moves in the transaction that writes the rows, so a row counts once.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import case, delete, func, or_, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from dispatcher.queries.import_consents import write_consents
from shared.domain.consent import PLACES
from shared.models import Import, ImportChunk, TargetGroup
from shared.queries.contact_fields import note_keys
from shared.queries.opt_outs import NewOptOut, insert_opt_outs

LEASE: Final = timedelta(seconds=60)


# Data that a column cannot hold, and statements beyond a limit: it would be the same the next time.
_STATES_OF_BAD_DATA: Final = ("22", "54")


class LostLease(Exception):
    """Another dispatcher has this import now, or it is gone."""


class UnstorableBatch(Exception):
    """Postgres will never take these rows."""


@dataclass(slots=True)
class HeldImport:
    """An import in our hands, for as long as `lease_until` is what the row says."""

    id: UUID
    kind: str
    lease_until: datetime
    target_group_id: UUID | None
    default_region: str | None
    layout: Mapping[str, Any] | None
    cursor_row: int
    created_by: str | None


@dataclass(frozen=True, slots=True)
class WritableBatch:
    """What one transaction writes, beside the rows that are good; rejections are JSON, which Postgres takes apart."""

    last_row: int
    imported: int
    rejected: int
    rejections: str


async def claim_import(tx: AsyncConnection, *, now: datetime) -> HeldImport | None:
    """The oldest import that nobody works on."""
    free = (
        select(Import.id)
        .where(Import.status.in_(("queued", "running")), or_(Import.lease_until.is_(None), Import.lease_until < now))
        .order_by(Import.created_at, Import.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    claim = (
        update(Import)
        .where(Import.id == free)
        .values(status="running", lease_until=now + LEASE, started_at=func.coalesce(Import.started_at, now))
        .returning(
            Import.id,
            Import.kind,
            Import.lease_until,
            Import.target_group_id,
            Import.default_region,
            Import.layout,
            Import.cursor_row,
            Import.created_by,
        )
    )
    row = (await tx.execute(claim)).one_or_none()
    return None if row is None else HeldImport(*row)


async def read_chunk(tx: AsyncConnection, held: HeldImport, *, position: int, now: datetime) -> bytes | None:
    """A piece of the file, None after the last; the lease lasts on."""
    await _keep(tx, held, now=now)
    chunk = select(ImportChunk.data).where(ImportChunk.import_id == held.id, ImportChunk.position == position)
    return (await tx.execute(chunk)).scalar_one_or_none()


async def record_survey(
    tx: AsyncConnection, held: HeldImport, *, layout: Mapping[str, Any], rows: int, now: datetime
) -> None:
    """How the file is to be read, and how many rows it has."""
    counts = {} if held.kind == "opt_outs" else {"contacts_created": 0, "rows_duplicate": 0}
    await _keep(tx, held, now=now, layout=layout, rows_total=rows, **counts)
    await note_keys(tx, field_keys(layout), now=now)
    held.layout = layout


def field_keys(layout: Mapping[str, Any]) -> list[str]:
    """The keys of the owner's own fields that the file fills."""
    goes_to = (str(column["goes_to"]) for column in layout["columns"])
    return [place.removeprefix("fields.") for place in goes_to if place.startswith("fields.")]


def has_consents(layout: Mapping[str, Any]) -> bool:
    """Whether the file says anything of consents."""
    return any(column["goes_to"] in PLACES for column in layout["columns"])


async def write_contacts(
    tx: AsyncConnection, held: HeldImport, batch: WritableBatch, contacts: str, *, pepper: bytes, now: datetime
) -> None:
    """Contacts (JSON), their consents, memberships, rejections, counts and cursor: all of a batch, or nothing."""
    # before the import's own row, as whoever deletes the group locks them in this order, too
    group_id = await _hold_target_group(tx, held.target_group_id)

    async def write() -> None:
        if batch.imported:
            given = {"rows": contacts, "now": now, "group_id": group_id, "import_id": held.id}
            created, met = (await tx.execute(_STORE_CONTACTS, given)).one()
            await _count(tx, held, created=created, again=batch.imported - met)
            if held.layout and has_consents(held.layout):
                caller = held.created_by or "import"
                await write_consents(tx, contacts, pepper=pepper, caller=caller, now=now)

    await _write(tx, held, batch, write, now=now)


async def _count(tx: AsyncConnection, held: HeldImport, *, created: int, again: int) -> None:
    counts = {"contacts_created": Import.contacts_created + created, "rows_duplicate": Import.rows_duplicate + again}
    await tx.execute(update(Import).where(Import.id == held.id).values(counts))


async def write_opt_outs(
    tx: AsyncConnection, held: HeldImport, batch: WritableBatch, opt_outs: Sequence[NewOptOut], *, now: datetime
) -> None:
    """Opt-outs, rejections, counts and cursor: all of a batch, or nothing."""

    async def write() -> None:
        await insert_opt_outs(tx, opt_outs, now=now)

    await _write(tx, held, batch, write, now=now)


async def _write(
    tx: AsyncConnection, held: HeldImport, batch: WritableBatch, write: Callable[[], Awaitable[None]], *, now: datetime
) -> None:
    lease_until = held.lease_until
    await _keep(
        tx,
        held,
        now=now,
        cursor_row=batch.last_row,
        rows_imported=Import.rows_imported + batch.imported,
        rows_rejected=Import.rows_rejected + batch.rejected,
    )
    try:
        await write()
        if batch.rejected:
            await tx.execute(_STORE_REJECTIONS, {"rows": batch.rejections, "import_id": held.id})
    except DBAPIError as error:
        held.lease_until = lease_until  # what the row says once this is rolled back
        if (getattr(error.orig, "sqlstate", None) or "").startswith(_STATES_OF_BAD_DATA):
            raise UnstorableBatch from error
        raise


async def complete_import(tx: AsyncConnection, held: HeldImport, *, now: datetime) -> None:
    total = Import.rows_imported + Import.rows_rejected
    await _end(tx, held, now=now, status="completed", rows_total=total)


async def fail_import(tx: AsyncConnection, held: HeldImport, *, error: str, now: datetime) -> None:
    """The file as a whole could not be read; what was imported stays."""
    await _end(tx, held, now=now, status="failed", error=error)


async def release_import(tx: AsyncConnection, held: HeldImport) -> None:
    """Leave the rest to whoever comes next, at once."""
    mine = (Import.id == held.id, Import.lease_until == held.lease_until)
    await tx.execute(update(Import).where(*mine).values(lease_until=None))


async def _end(tx: AsyncConnection, held: HeldImport, *, now: datetime, status: str, **values: Any) -> None:
    await _keep(tx, held, now=now, status=status, finished_at=now, **values)
    await tx.execute(update(Import).where(Import.id == held.id).values(lease_until=None))
    await tx.execute(delete(ImportChunk).where(ImportChunk.import_id == held.id))


async def _keep(tx: AsyncConnection, held: HeldImport, *, now: datetime, **values: Any) -> None:
    """Write to the import if it is still ours, and hold it for another while."""
    later = now + LEASE
    # a lease never ends earlier than it did, or an older holder's value could come round again
    until = case((Import.lease_until > later, Import.lease_until), else_=later)
    statement = (
        update(Import)
        .where(Import.id == held.id, Import.status == "running", Import.lease_until == held.lease_until)
        .values(lease_until=until, **values)
        .returning(Import.lease_until)
    )
    kept = (await tx.execute(statement)).scalar_one_or_none()
    if kept is None:
        raise LostLease(str(held.id))
    held.lease_until = kept


async def _hold_target_group(tx: AsyncConnection, group_id: UUID | None) -> UUID | None:
    """The group, kept from being deleted until the end of the transaction; None if it is gone."""
    if group_id is None:
        return None
    group = select(TargetGroup.id).where(TargetGroup.id == group_id)
    return (await tx.execute(group.with_for_update(read=True, key_share=True))).scalar_one_or_none()


# In the order of the numbers, so that two imports of the same people never wait for each other in a ring.
_STORE_CONTACTS: Final = text("""
WITH incoming AS (
  SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS incoming(
    id uuid, msisdn text, name text, external_id text, location_id text, time_zone text,
    fields jsonb
  )
), met AS (
  INSERT INTO import_numbers (import_id, number)
  SELECT :import_id, hashtextextended(msisdn, 0) FROM incoming ORDER BY 2
  ON CONFLICT DO NOTHING
  RETURNING 1
), stored AS (
  INSERT INTO contacts (
    id, msisdn, name, external_id, location_id, time_zone, fields, created_at, updated_at
  )
  SELECT id, msisdn, name, external_id, location_id, time_zone, fields, :now, :now
  FROM incoming
  ORDER BY msisdn
  ON CONFLICT (msisdn) DO UPDATE SET
    name = coalesce(excluded.name, contacts.name),
    external_id = coalesce(excluded.external_id, contacts.external_id),
    location_id = coalesce(excluded.location_id, contacts.location_id),
    time_zone = coalesce(excluded.time_zone, contacts.time_zone),
    fields = contacts.fields || excluded.fields,
    updated_at = excluded.updated_at
  RETURNING id, xmax = 0 AS is_new
), joined AS (
  INSERT INTO target_group_members (target_group_id, contact_id, added_at)
  SELECT CAST(:group_id AS uuid), id, :now
  FROM stored
  WHERE CAST(:group_id AS uuid) IS NOT NULL
  ON CONFLICT DO NOTHING
)
SELECT (SELECT count(*) FROM stored WHERE is_new), (SELECT count(*) FROM met)
""")

_STORE_REJECTIONS: Final = text("""
INSERT INTO import_errors (import_id, "row", "column", reason)
SELECT :import_id, "row", "column", reason
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS rejected("row" int, "column" text, reason text)
""")
