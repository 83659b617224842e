"""Consent in a CSV: the contact's own, with its evidence, and never a field that nobody looks at."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Row, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.imports.contacts import BATCH_ROWS
from dispatcher.imports.stage import run_imports
from shared.clock import utc_now
from shared.domain.contact_field import FieldType
from shared.ids import uuid7
from shared.models import ConsentEvent, Contact, ContactField, Import, ImportChunk, ImportRejection
from shared.sealing import hash_msisdn
from tests.dispatcher.csv_worker import ImportWorker

ANN, BEN = "+447700900001", "+447700900002"
OLD, NEW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def worker(engine: AsyncEngine) -> ImportWorker:
    return ImportWorker(engine)


async def run(worker: ImportWorker, data: str) -> UUID:
    """A file, as the api leaves it, to its end."""
    import_id, now = uuid7(), utc_now()
    async with worker.transaction() as tx:
        row = {"id": import_id, "status": "queued", "created_by": "key-1", "created_at": now}
        await tx.execute(insert(Import).values(row))
        await tx.execute(insert(ImportChunk).values(import_id=import_id, position=0, data=data.encode()))
    assert await run_imports(worker) == 1
    async with worker.transaction() as tx:
        done = (await tx.execute(select(Import).where(Import.id == import_id))).one()
    assert (done.status, done.error) == ("completed", None)
    return import_id


async def given(worker: ImportWorker, **over: Any) -> None:
    now = utc_now()
    async with worker.transaction() as tx:
        row = {"id": uuid7(), "msisdn": ANN, "created_at": now, "updated_at": now} | over
        await tx.execute(insert(Contact).values(row))


async def contacts(worker: ImportWorker) -> Sequence[Row[Any]]:
    async with worker.transaction() as tx:
        return (await tx.execute(select(Contact).order_by(Contact.msisdn))).all()


async def events(worker: ImportWorker) -> Sequence[Row[Any]]:
    async with worker.transaction() as tx:
        return (await tx.execute(select(ConsentEvent).order_by(ConsentEvent.id))).all()


async def rejections(worker: ImportWorker) -> Sequence[Row[Any]]:
    async with worker.transaction() as tx:
        return (await tx.execute(select(ImportRejection).order_by(ImportRejection.row))).all()


async def test_consent_is_the_contacts_own_with_its_evidence(worker: ImportWorker) -> None:
    now = utc_now()
    worker.at = now
    await run(
        worker,
        "msisdn;name;consent_status;consent_source;consent_at\n"
        f"{ANN};Ann;withdrawn;form;\n{BEN};Ben;Opt-In;splash page;2026-03-02 14:05\n+447700900003;Cas;unknown;;\n",
    )
    ann, ben, cas = await contacts(worker)
    assert (ann.consent_status, ann.consent_source, ann.consent_at, ann.fields) == ("withdrawn", "form", now, {})
    asked_at = datetime(2026, 3, 2, 14, 5, tzinfo=UTC)
    assert (ben.consent_status, ben.consent_source, ben.consent_at) == ("granted", "splash page", asked_at)
    assert (cas.consent_status, cas.consent_source, cas.consent_at) == ("unknown", None, None)
    kept = {one.contact_id: one for one in await events(worker)}
    assert set(kept) == {ann.id, ben.id}
    one = kept[ben.id]
    assert (one.status, one.source, one.at) == ("granted", "splash page", asked_at)
    assert (one.recorded_by, one.recorded_at) == ("key-1", now)
    assert one.msisdn_hash == hash_msisdn(worker.pepper, BEN)


NAMES = ["consent_status", "Consent", "consentStatus", "Opt-In", "opted in"]


@pytest.mark.parametrize("name", NAMES)
async def test_the_column_is_known_by_other_names(worker: ImportWorker, name: str) -> None:
    await run(worker, f"phone,{name}\n{ANN},no\n")
    (ann,) = await contacts(worker)
    assert (ann.consent_status, ann.fields) == ("withdrawn", {})


async def test_what_cannot_be_read_rejects_the_row_by_its_column(worker: ImportWorker) -> None:
    await run(
        worker,
        "msisdn,Consent,consent_source,Opt-In date\n"
        f"{ANN},perhaps,,\n{ANN},yes,{'x' * 201},\n{ANN},yes,,3/2/2026\n{ANN},yes,,2062-01-01\n{BEN},,,\n",
    )
    found = [(one.row, one.column) for one in await rejections(worker)]
    assert found == [(2, "Consent"), (3, "consent_source"), (4, "Opt-In date"), (5, "Opt-In date")]
    assert [one.msisdn for one in await contacts(worker)] == [BEN]
    assert await events(worker) == []


async def test_columns_that_disagree_reject_the_row(worker: ImportWorker) -> None:
    await run(worker, f"msisdn,consent_status,opt_in\n{ANN},withdrawn,yes\n{BEN},withdrawn,no\n+447700900003,,yes\n")
    (rejected,) = await rejections(worker)
    assert (rejected.row, rejected.column) == (2, "opt_in")
    assert [one.consent_status for one in await contacts(worker)] == ["withdrawn", "granted"]


async def test_a_yes_to_an_opt_out_withdraws_and_a_no_says_nothing(worker: ImportWorker) -> None:
    await run(
        worker,
        f"msisdn,Opt-Out,opt_in\n{ANN},yes,\n{BEN},no,\n+447700900003,no,yes\n+447700900004,yes,no\n"
        "+447700900005,yes,yes\n+447700900006,2026-03-02,\n",
    )
    expected = ["withdrawn", "unknown", "granted", "withdrawn"]
    assert [(one.consent_status, one.fields) for one in await contacts(worker)] == [(each, {}) for each in expected]
    assert [(one.row, one.column) for one in await rejections(worker)] == [(6, "opt_in"), (7, "Opt-Out")]


async def test_a_later_file_without_the_columns_changes_nothing(worker: ImportWorker) -> None:
    await run(worker, f"msisdn,consent_status\n{ANN},withdrawn\n")
    before = (await contacts(worker))[0]
    await run(worker, f"msisdn,name\n{ANN},Ann\n")
    after = (await contacts(worker))[0]
    assert after.name == "Ann"
    assert after.consent_status == "withdrawn"
    assert (after.consent_source, after.consent_at) == (before.consent_source, before.consent_at)
    assert len(await events(worker)) == 1


KNOWN = {"consent_status": "granted", "consent_source": "form", "consent_at": NEW}
LATER = [
    pytest.param("", ("granted", "form", NEW), id="empty"),
    pytest.param("unknown,list,", ("granted", "form", NEW), id="unknown takes nothing back"),
    pytest.param(",list,2026-03-01", ("granted", "form", NEW), id="a source without a status"),
    pytest.param("granted,,", ("granted", "form", NEW), id="said again"),
    pytest.param("granted,list,", ("granted", "list", NEW), id="said again, elsewhere"),
    pytest.param("withdrawn,,", ("withdrawn", None, None), id="withdrawn now"),
    pytest.param("withdrawn,call,2026-02-02", ("withdrawn", "call", NEW + timedelta(days=1)), id="withdrawn later"),
    pytest.param("withdrawn,call,2026-01-01", ("granted", "form", NEW), id="withdrawn before they agreed"),
]


@pytest.mark.parametrize(("cells", "expected"), LATER)
async def test_what_a_later_file_changes(
    worker: ImportWorker, cells: str, expected: tuple[str, str | None, datetime | None]
) -> None:
    worker.at = utc_now()
    await given(worker, **KNOWN)
    await run(worker, f"msisdn,consent_status,consent_source,consent_at\n{ANN},{cells}\n")
    (ann,) = await contacts(worker)
    status, source, at = expected
    assert (ann.consent_status, ann.consent_source, ann.consent_at) == (status, source, at or worker.at)
    is_changed = expected != ("granted", "form", NEW)
    assert [(one.status, one.source, one.at) for one in await events(worker)] == (
        [(status, source, at or worker.at)] if is_changed else []
    )


async def test_an_older_statement_fills_what_nobody_knew(worker: ImportWorker) -> None:
    await given(worker, consent_at=NEW)
    await run(worker, f"msisdn,consent_status,consent_at\n{ANN},withdrawn,2026-01-01\n")
    (ann,) = await contacts(worker)
    assert (ann.consent_status, ann.consent_at) == ("withdrawn", OLD)


@pytest.mark.parametrize("between", [0, BATCH_ROWS])
async def test_of_two_rows_the_later_statement_stands(worker: ImportWorker, between: int) -> None:
    """In one batch as in two."""
    lines = ["msisdn,consent_status,consent_source,consent_at"]
    lines += [f"{ANN},withdrawn,call,2026-02-01", f"{BEN},granted,,"]
    lines += [f"+4477{10_000_000 + n},,," for n in range(between)]
    lines += [f"{ANN},granted,form,2026-01-01", f"{BEN},no,,"]
    await run(worker, "\n".join(lines))
    found = {one.msisdn: (one.consent_status, one.consent_source) for one in await contacts(worker)}
    assert (found[ANN], found[BEN]) == (("withdrawn", "call"), ("withdrawn", None))


async def test_a_defined_field_keeps_its_column_unless_it_bears_the_contacts_own_name(worker: ImportWorker) -> None:
    now = utc_now()
    async with worker.transaction() as tx:
        for key in ("opt_in", "consent_status"):
            row: dict[str, Any] = {"key": key, "type": FieldType.TEXT, "choices": [], "defined_at": now}
            await tx.execute(insert(ContactField).values(row | {"created_at": now, "updated_at": now}))
    await run(worker, f"msisdn,Opt_In,consent_status,fields.consent_at\n{ANN},monthly,no,never\n")
    (ann,) = await contacts(worker)
    assert ann.fields == {"opt_in": "monthly", "consent_at": "never"}
    assert ann.consent_status == "withdrawn"


async def test_names_of_a_contacts_own_are_known_in_any_spelling(worker: ImportWorker) -> None:
    await run(worker, f"phoneNumber,NAME,externalId,LocationID,timezone\n{ANN},Ann,x1,cafe,Europe/London\n")
    (ann,) = await contacts(worker)
    assert (ann.name, ann.external_id, ann.location_id, ann.time_zone) == ("Ann", "x1", "cafe", "Europe/London")
    assert ann.fields == {}


async def test_the_day_may_be_written_with_the_day_first(worker: ImportWorker) -> None:
    await run(worker, f"msisdn;consent_status;consent_at\n{ANN};yes;02.03.2025\n{BEN};yes;02/03/2025\n")
    (ann,) = await contacts(worker)
    assert ann.consent_at == datetime(2025, 3, 2, tzinfo=UTC)
    (rejected,) = await rejections(worker)
    assert (rejected.row, rejected.column, "the month" in rejected.reason) == (3, "consent_at", True)
