"""Imports on Postgres: files as the world writes them, all or nothing for each batch, and what a kill leaves behind."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import phonenumbers
import pytest
from sqlalchemy import Row, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.imports.contacts import BATCH_ROWS
from dispatcher.imports.stage import run_imports
from dispatcher.queries.imports import LEASE
from shared.clock import utc_now
from shared.domain.contact_field import FieldType
from shared.ids import uuid7
from shared.models import (
    Contact,
    ContactField,
    Import,
    ImportChunk,
    ImportRejection,
    OptOut,
    TargetGroup,
    TargetGroupMember,
)
from tests.dispatcher.csv_worker import ImportWorker


@pytest.fixture
def worker(engine: AsyncEngine) -> ImportWorker:
    return ImportWorker(engine)


async def upload(
    worker: ImportWorker,
    data: str | bytes,
    *,
    region: str | None = "ZA",
    group: UUID | None = None,
    chunk: int = 262_144,
) -> UUID:
    """A file as the api leaves it."""
    content = data.encode() if isinstance(data, str) else data
    import_id = uuid7()
    async with worker.transaction() as tx:
        await tx.execute(
            insert(Import).values(
                id=import_id,
                status="queued",
                size_bytes=len(content),
                target_group_id=group,
                default_region=region,
                created_at=utc_now(),
            )
        )
        for position, start in enumerate(range(0, len(content), chunk)):
            piece = content[start : start + chunk]
            await tx.execute(insert(ImportChunk).values(import_id=import_id, position=position, data=piece))
    return import_id


async def group_named(worker: ImportWorker, name: str) -> UUID:
    group_id = uuid7()
    async with worker.transaction() as tx:
        now = utc_now()
        await tx.execute(
            insert(TargetGroup).values(id=group_id, name=name, kind="static", created_at=now, updated_at=now)
        )
    return group_id


async def define(worker: ImportWorker, types: dict[str, FieldType]) -> None:
    now = utc_now()
    async with worker.transaction() as tx:
        for key, kind in types.items():
            choices = ["basic", "gold"] if kind is FieldType.CHOICE else []
            row = {"key": key, "type": kind, "choices": choices, "defined_at": now}
            await tx.execute(insert(ContactField).values(row | {"created_at": now, "updated_at": now}))


async def the_import(worker: ImportWorker, import_id: UUID) -> Row[Any]:
    async with worker.transaction() as tx:
        return (await tx.execute(select(Import).where(Import.id == import_id))).one()


async def has_begun(worker: ImportWorker, import_id: UUID, *, after_row: int = 0) -> None:
    """Until rows beyond that one are stored."""
    while (await the_import(worker, import_id)).cursor_row <= after_row:
        await asyncio.sleep(0.002)


async def contacts(worker: ImportWorker) -> Sequence[Row[Any]]:
    async with worker.transaction() as tx:
        return (await tx.execute(select(Contact).order_by(Contact.msisdn))).all()


async def rejections(worker: ImportWorker) -> list[Any]:
    question = select(ImportRejection.row, ImportRejection.column, ImportRejection.reason)
    async with worker.transaction() as tx:
        return [tuple(row) for row in await tx.execute(question.order_by(ImportRejection.row))]


async def count(worker: ImportWorker, table: type[Any]) -> int:
    async with worker.transaction() as tx:
        return int((await tx.execute(select(func.count()).select_from(table))).scalar_one())


JOE = ("+27831234567", "Joe")
FILES = [
    pytest.param("msisdn,name\n+27831234567,Joe\n", [JOE], id="plain"),
    pytest.param("\ufeffmsisdn,name\r\n+27831234567,Joe\r\n", [JOE], id="mark and CRLF"),
    pytest.param("Name;Phone\nJoe;0831234567\n", [JOE], id="semicolons"),
    pytest.param("name\tmobile\nJoe\t083 123-4567\n", [JOE], id="tabs"),
    pytest.param("name|cell\nJoe|0027 83 123 4567\n", [JOE], id="pipes and 00"),
    pytest.param("sep=;\r\nname;TEL\r\nJoe;(083) 123 4567\r\n", [JOE], id="Excel's sep line"),
    pytest.param('name,number\nJoe,"=""0831234567"""\n', [JOE], id="Excel formula"),
    pytest.param("name,msisdn\nJoe,'+27831234567\n", [JOE], id="spreadsheet-safe export"),
    pytest.param("\n,,\nname,msisdn\nJoe,27831234567\n", [JOE], id="blank rows above"),
    pytest.param('"Name, full";"PHONE number"\n;0831234567\n', [(JOE[0], None)], id="quoted header"),
    pytest.param("msisdn;name;;;\n0831234567;Joe;;;\n;;;;\n", [JOE], id="empty columns and rows"),
    pytest.param("msisdn\n0831234567", [(JOE[0], None)], id="one column, no line end"),
    pytest.param("name,msisdn\nJoe,27831234567.0\n", [JOE], id="a number of a spreadsheet"),
    pytest.param('msisdn,name\n0831234567,"Joe\nof ""Delft"""\n', [(JOE[0], 'Joe of "Delft"')], id="quotes"),
    pytest.param("Phone;Größe\n0831234567;Jö\n".encode("cp1252"), [(JOE[0], None)], id="cp1252"),
    pytest.param("Phone\tname\n0831234567\tJoe\n".encode("utf-16"), [JOE], id="utf-16"),
]


@pytest.mark.parametrize(("data", "expected"), FILES)
async def test_reads_files_of_the_world(
    worker: ImportWorker, data: str | bytes, expected: list[tuple[str, str | None]]
) -> None:
    import_id = await upload(worker, data)
    assert await run_imports(worker) == 1
    done = await the_import(worker, import_id)
    assert (done.status, done.error) == ("completed", None)
    assert (done.rows_total, done.rows_imported, done.rows_rejected) == (1, 1, 0)
    assert [(row.msisdn, row.name) for row in await contacts(worker)] == expected
    assert await count(worker, ImportChunk) == 0


async def test_columns_find_their_places(worker: ImportWorker) -> None:
    import_id = await upload(
        worker,
        "Phone,Name,External ID,location_id,Time-Zone,City,city,Voucher Code,name,,2nd\n"
        "0831234567,Joe,x1,cafe,Africa/Johannesburg,Delft,Cape Town,V1,Joseph,loose,two\n",
    )
    await run_imports(worker)
    (joe,) = await contacts(worker)
    assert (joe.name, joe.external_id, joe.location_id) == ("Joe", "x1", "cafe")
    assert joe.time_zone == "Africa/Johannesburg"
    assert joe.fields == {
        "City": "Delft",
        "city_2": "Cape Town",
        "Voucher_Code": "V1",
        "name_2": "Joseph",
        "column_10": "loose",
        "column_2nd": "two",
    }
    layout = (await the_import(worker, import_id)).layout
    assert layout["columns"][7] == {"header": "Voucher Code", "goes_to": "fields.Voucher_Code"}


NAMED = [
    pytest.param("Vorname;Nachname;Handy;Ort", "Anna;Schmidt;{};Ulm", ("Anna Schmidt", "Ort"), id="de"),
    pytest.param(
        "Nachname;Vorname;Telefonnr.;Ort", "Schmidt;Anna;{};Ulm", ("Anna Schmidt", "Ort"), id="de, other order"
    ),
    pytest.param("Prénom;NOM;Téléphone;Ville", "Anna;Schmidt;{};Ulm", ("Anna Schmidt", "Ville"), id="fr"),
    pytest.param("Nombre;Apellidos;Móvil;Ciudad", "Anna;Schmidt;{};Ulm", ("Anna Schmidt", "Ciudad"), id="es"),
    pytest.param("Naam;Telefoonnummer;Plaats", "Anna Schmidt;{};Ulm", ("Anna Schmidt", "Plaats"), id="nl"),
    pytest.param("Nome;Cellulare;Città", "Anna;{};Ulm", ("Anna", "Città"), id="it, a first name alone"),
    pytest.param("first_name,last_name,phone,town", "Anna,,{},Ulm", ("Anna", "town"), id="no family name in the row"),
    pytest.param(
        "Name;Vorname;Handy;Ort", "Schmidt;Anna;{};Ulm", ("Anna Schmidt", "Ort"), id="a name beside a first name"
    ),
    pytest.param(
        "Name;Vorname;Handy;Ort", "Anna Schmidt;Anna;{};Ulm", ("Anna Schmidt", "Ort"), id="the whole beside it"
    ),
    pytest.param("Name;Vorname;Handy;Ort", "Schmidt;;{};Ulm", ("Schmidt", "Ort"), id="and no first name"),
    pytest.param(
        "Name;Vorname;Nachname;Handy;Ort",
        "Fa. Schmidt;Anna;Schmidt;{};Ulm",
        ("Fa. Schmidt", "Ort"),
        id="a name and both",
    ),
]


@pytest.mark.parametrize(("head", "row", "expected"), NAMED)
async def test_columns_are_known_in_other_languages(
    worker: ImportWorker, head: str, row: str, expected: tuple[str, str]
) -> None:
    import_id = await upload(worker, f"{head}\n{row.format('0831234567')}\n")
    await run_imports(worker)
    assert (await the_import(worker, import_id)).rows_imported == 1
    (anna,) = await contacts(worker)
    name, town = expected
    assert (anna.msisdn, anna.name, anna.fields[town]) == ("+27831234567", name, "Ulm")


async def test_names_in_parts_stay_fields_as_well(worker: ImportWorker) -> None:
    import_id = await upload(worker, "Vorname;Nachname;Handy\nAnna;Schmidt;0831234567\n;;0831234568\n")
    await run_imports(worker)
    anna, nobody = await contacts(worker)
    assert (anna.name, anna.fields) == ("Anna Schmidt", {"Vorname": "Anna", "Nachname": "Schmidt"})
    assert (nobody.name, nobody.fields) == (None, {})
    assert (await the_import(worker, import_id)).layout["name_from"] == [0, 1]


async def test_a_name_of_parts_that_is_too_long_rejects_its_row(worker: ImportWorker) -> None:
    import_id = await upload(worker, f"Vorname;Nachname;Handy\n{'a' * 150};{'b' * 150};0831234567\n")
    await run_imports(worker)
    assert (await the_import(worker, import_id)).rows_rejected == 1
    async with worker.transaction() as tx:
        row = (await tx.execute(select(ImportRejection))).one()
    assert (row.column, "301 characters" in row.reason) == ("Vorname Nachname", True)


async def test_an_id_alone_is_a_field(worker: ImportWorker) -> None:
    await upload(worker, "id,created_at,msisdn\n17,yesterday,0831234567\n")
    await run_imports(worker)
    (contact,) = await contacts(worker)
    assert contact.fields == {"id": "17", "created_at": "yesterday"}


async def test_the_first_number_column_counts(worker: ImportWorker) -> None:
    await upload(worker, "mobile,phone,phone\n0831234560,0831234561,0831234562\n")
    await run_imports(worker)
    (contact,) = await contacts(worker)
    assert contact.msisdn == "+27831234561"
    assert contact.fields == {"mobile": "0831234560", "phone_2": "0831234562"}


async def test_example_numbers_of_every_region_import_cleanly(worker: ImportWorker) -> None:
    lines, expected = ["msisdn,region"], set()
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        if number is None:
            continue
        expected.add(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
        written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL)
        lines.append(f'"{written}",{region}')
    import_id = await upload(worker, "\n".join(lines), region=None)
    await run_imports(worker)
    assert await rejections(worker) == []
    assert {row.msisdn for row in await contacts(worker)} == expected
    assert (await the_import(worker, import_id)).rows_imported == len(lines) - 1 > 200


async def test_bad_rows_never_stop_the_file(worker: ImportWorker) -> None:
    import_id = await upload(
        worker,
        "Cell,name,time_zone,note\n"
        "0831234560,a,,\n"
        "banana,b,,\n"
        ",c,,\n"
        "4.477E+11,d,,\n"
        "0831234561,e,Mars/Olympus,\n"
        "0831234562,f,,x,y\n"
        f"0831234563,{'n' * 201},,\n"
        f"0831234564,g,,{'x' * 4001}\n"
        f"0831234565,h,,{'x' * 5_000_000}\n"
        '0831234566,"i,,\n'
        "\n"
        "0831234567\n",
    )
    await run_imports(worker)
    done = await the_import(worker, import_id)
    assert (done.status, done.rows_total) == ("completed", 11)
    assert (done.rows_imported, done.rows_rejected) == (2, 9)
    assert [row.msisdn for row in await contacts(worker)] == ["+27831234560", "+27831234567"]
    found = await rejections(worker)
    assert [(row, column) for row, column, _ in found] == [
        (3, "Cell"),
        (4, "Cell"),
        (5, "Cell"),
        (6, "time_zone"),
        (7, None),
        (8, "name"),
        (9, "note"),
        (10, None),
        (11, None),
    ]
    assert "letters" in found[0][2]
    assert "5 cells" in found[4][2]
    assert "65,536" in found[7][2]
    assert "shorten its cells" in found[7][2]


async def test_typed_fields_are_kept_in_their_form_and_rejected_by_name(worker: ImportWorker) -> None:
    types = {"visits": FieldType.NUMBER, "born": FieldType.DATE, "vip": FieldType.BOOLEAN, "plan": FieldType.CHOICE}
    await define(worker, types)
    await upload(
        worker,
        "phone,visits,born,vip,plan,city\n"
        "0831234567, 12.50,2001-02-03,yes,GOLD,12\n"
        "0831234568,,,,,\n"
        "0831234569,many,,,,\n"
        "0831234570,,soon,,,\n"
        "0831234571,,,perhaps,,\n"
        "0831234572,,,,silver,\n",
    )
    await run_imports(worker)
    joe, ann = await contacts(worker)
    assert joe.fields == {"visits": 12.5, "born": "2001-02-03", "vip": True, "plan": "gold", "city": "12"}
    assert ann.fields == {}
    rejected = await rejections(worker)
    assert [(row, column) for row, column, _ in rejected] == [(4, "visits"), (5, "born"), (6, "vip"), (7, "plan")]
    assert "written as 2026-03-02" in rejected[1][2]
    async with worker.transaction() as tx:
        keys = (await tx.execute(select(ContactField.key, ContactField.defined_at.is_(None)))).all()
    assert sorted(map(tuple, keys)) == sorted([*((key, False) for key in types), ("city", True)])


@pytest.mark.parametrize(
    "delimiter", [pytest.param(";", id="of a country with decimal commas"), pytest.param(",", id="of another")]
)
async def test_typed_fields_as_people_write_them(worker: ImportWorker, delimiter: str) -> None:
    """One reading is enough; of two none is taken, and the row says so."""
    await define(worker, {"visits": FieldType.NUMBER, "born": FieldType.DATE})
    third, wrong = ("1,234", "1.234") if delimiter == ";" else ("1.234", "1,234")
    rows = [("3,5", "31.12.2026"), ("1.234,56", "1.2.2026"), (third, ""), (wrong, ""), ("", "02/03/2026")]
    lines = [("phone", "visits", "born"), *((f"083123456{place}", *row) for place, row in enumerate(rows))]
    await upload(worker, "\n".join(delimiter.join(f'"{cell}"' for cell in line) for line in lines))
    await run_imports(worker)
    assert [one.fields.get("visits") for one in await contacts(worker)] == [3.5, 1234.56, 1.234]
    assert [one.fields.get("born") for one in await contacts(worker)] == ["2026-12-31", "2026-02-01", None]
    found = await rejections(worker)
    assert [(row, column) for row, column, _ in found] == [(5, "visits"), (6, "born")]
    assert ("two ways" in found[0][2], "31.12.2026" in found[1][2]) == (True, True)


async def test_a_column_is_a_defined_field_in_any_case(worker: ImportWorker) -> None:
    now = utc_now()
    async with worker.transaction() as tx:
        row = {"key": "visitCount", "type": FieldType.NUMBER, "choices": [], "defined_at": now}
        await tx.execute(insert(ContactField).values(row | {"created_at": now, "updated_at": now}))
    import_id = await upload(worker, "phone,VISITCOUNT,City,visitcount\n0831234567,7,Delft,many\n")
    await run_imports(worker)
    (joe,) = await contacts(worker)
    assert joe.fields == {"visitCount": 7, "City": "Delft", "visitcount_2": "many"}
    assert (await the_import(worker, import_id)).layout["columns"][1]["goes_to"] == "fields.visitCount"


async def test_a_number_that_comes_twice_is_one_contact_and_the_later_row_wins(worker: ImportWorker) -> None:
    lines = ["msisdn,name,city,code", "0831234567,Joe,Delft,"]
    lines += [f"083{2000000 + n},x,," for n in range(BATCH_ROWS)]
    lines += ["+27831234567,Joseph,,1", "0831234567,,Paarl,"]
    import_id = await upload(worker, "\n".join(lines))
    await run_imports(worker)
    done = await the_import(worker, import_id)
    assert done.rows_imported == done.rows_total == BATCH_ROWS + 3
    assert (done.contacts_created, done.rows_duplicate) == (BATCH_ROWS + 1, 2)
    joe = (await contacts(worker))[0]
    assert await count(worker, Contact) == BATCH_ROWS + 1
    assert (joe.name, joe.fields) == ("Joseph", {"city": "Paarl", "code": "1"})


async def test_rows_are_counted_for_what_they_came_to(worker: ImportWorker) -> None:
    """Made, changed, or named once more: in one batch, in the next, and in another file."""
    filler = [f"083{2000000 + n},x" for n in range(BATCH_ROWS)]
    first = await upload(worker, "msisdn,name\n0831234567,Joe\n0831234568,Ann")
    again = [
        "0831234567,Joseph",
        "0831234567,J.",
        "0831234599,New",
        "none,x",
        *filler,
        "0831234599,Newer",
        "0831234567,Jo",
    ]
    second = await upload(worker, "\n".join(["msisdn,name", *again]))
    empty = await upload(worker, "msisdn,name\n")
    await run_imports(worker)
    done = await the_import(worker, first)
    assert (done.rows_imported, done.contacts_created, done.rows_duplicate) == (2, 2, 0)
    done = await the_import(worker, second)
    assert (done.rows_imported, done.rows_rejected) == (BATCH_ROWS + 5, 1)
    assert (done.contacts_created, done.rows_duplicate) == (BATCH_ROWS + 1, 3)
    done = await the_import(worker, empty)
    assert (done.rows_imported, done.contacts_created, done.rows_duplicate) == (0, 0, 0)


async def test_empty_cells_leave_what_is_known_and_opt_outs_stand(worker: ImportWorker) -> None:
    async with worker.transaction() as tx:
        now = utc_now()
        await tx.execute(
            insert(Contact).values(
                id=uuid7(),
                msisdn="+27831234567",
                name="Joe",
                external_id="x1",
                fields={"city": "Delft", "age": 40},
                consent_status="granted",
                created_at=now,
                updated_at=now,
            )
        )
        await tx.execute(
            insert(OptOut).values(id=uuid7(), msisdn="+27831234567", msisdn_hash=b"h", source="inbound", at=now)
        )
    await upload(worker, "msisdn,name,external_id,city,code\n0831234567,,x2,,7\n")
    await run_imports(worker)
    (joe,) = await contacts(worker)
    assert (joe.name, joe.external_id, joe.consent_status) == ("Joe", "x2", "granted")
    assert joe.fields == {"city": "Delft", "age": 40, "code": "7"}
    assert await count(worker, OptOut) == 1
    async with worker.transaction() as tx:
        await tx.execute(text("TRUNCATE opt_outs"))


async def test_fills_the_target_group(worker: ImportWorker) -> None:
    group = await group_named(worker, "guests")
    await upload(worker, "msisdn\n0831234567\n0831234568\n0831234567\n", group=group)
    await upload(worker, "msisdn\n0831234568\n0831234569\n", group=group)
    assert await run_imports(worker) == 2
    assert await count(worker, TargetGroupMember) == 3


async def test_a_target_group_that_goes_away_takes_no_contacts_with_it(worker: ImportWorker) -> None:
    group = await group_named(worker, "guests")
    import_id = await upload(worker, "msisdn\n0831234567\n", group=group)
    async with worker.transaction() as tx:
        await tx.execute(text("DELETE FROM target_groups"))
    await run_imports(worker)
    assert (await the_import(worker, import_id)).status == "completed"
    assert await count(worker, Contact) == 1


REFUSED = [
    pytest.param("", "no rows", id="empty"),
    pytest.param("\n \n;;\n", "no rows", id="blank"),
    pytest.param("name,city\nJoe,Delft\n", "name, city", id="no number column"),
    pytest.param("0831234567,Joe\n0831234568,Jane\n", "holds a number", id="no header"),
    pytest.param(b"PK\x03\x04\x14\x00", "xlsx", id="a workbook"),
    pytest.param(b"msisdn\n083\x00\n", "NUL", id="binary"),
    pytest.param(b"msisdn\n" + b"0831234567\n" * 40_000 + b"\x00", "NUL", id="binary, late"),
    pytest.param("msisdn," + "x" * 70_000 + "\n", "first row", id="endless header"),
    pytest.param("msisdn" + ",x" * 100 + "\n", "101 columns", id="too many columns"),
]


@pytest.mark.parametrize(("data", "reason"), REFUSED)
async def test_refuses_a_file_before_anything_is_stored(worker: ImportWorker, data: str | bytes, reason: str) -> None:
    import_id = await upload(worker, data)
    assert await run_imports(worker) == 1
    failed = await the_import(worker, import_id)
    assert failed.status == "failed"
    assert reason in failed.error
    assert failed.finished_at is not None
    assert await count(worker, Contact) == 0
    assert await count(worker, ImportChunk) == 0


async def test_a_failed_file_does_not_hold_up_the_next(worker: ImportWorker) -> None:
    await upload(worker, "nothing\n")
    good = await upload(worker, "msisdn\n0831234567\n")
    assert await run_imports(worker) == 2
    assert (await the_import(worker, good)).status == "completed"


def big_file(rows: int) -> str:
    """Every tenth row is bad."""
    lines = ["msisdn,name,city"]
    lines += [f"{'x' if n % 10 == 0 else '083'}{1000000 + n},Joe {n},Delft" for n in range(rows)]
    return "\n".join(lines)


async def check_exact(worker: ImportWorker, import_id: UUID, *, rows: int) -> None:
    done = await the_import(worker, import_id)
    assert (done.status, done.error) == ("completed", None)
    assert done.rows_total == rows
    assert done.rows_rejected == rows // 10 == await count(worker, ImportRejection)
    assert done.rows_imported == rows - rows // 10 == await count(worker, Contact)
    assert (done.contacts_created, done.rows_duplicate) == (done.rows_imported, 0)
    assert await count(worker, TargetGroupMember) == done.rows_imported
    assert await count(worker, ImportChunk) == 0


async def test_a_stop_leaves_the_rest_to_the_next_dispatcher_at_once(worker: ImportWorker, engine: AsyncEngine) -> None:
    rows = 5 * BATCH_ROWS
    group = await group_named(worker, "guests")
    import_id = await upload(worker, big_file(rows), group=group)
    stage = asyncio.create_task(run_imports(worker))
    await has_begun(worker, import_id)
    worker.stopping.set()
    assert await stage == 0
    halfway = await the_import(worker, import_id)
    assert halfway.status == "running"
    assert halfway.lease_until is None
    assert 0 < halfway.rows_imported + halfway.rows_rejected < rows
    assert await run_imports(ImportWorker(engine)) == 1
    await check_exact(worker, import_id, rows=rows)


@pytest.mark.parametrize("kills", [3])
async def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    worker: ImportWorker, migrated_url: str, kills: int
) -> None:
    rows = 8 * BATCH_ROWS
    group = await group_named(worker, "guests")
    import_id = await upload(worker, big_file(rows), group=group, chunk=65_536)
    seen = 0
    for _ in range(kills):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.dispatcher.csv_worker", migrated_url, cwd=Path.cwd()
        )
        await has_begun(worker, import_id, after_row=seen)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await asyncio.sleep(0.1)  # Postgres may yet commit what it was asked to
        left = await the_import(worker, import_id)
        if left.status == "completed":
            break
        seen = left.cursor_row
        assert left.rows_imported + left.rows_rejected == seen - 1
        assert await run_imports(worker) == 0  # the dead one's lease still runs
        async with worker.transaction() as tx:
            await tx.execute(update(Import).values(lease_until=utc_now() - LEASE))
    assert seen
    await run_imports(worker)
    await check_exact(worker, import_id, rows=rows)


async def test_the_reader_dies_with_its_dispatcher(worker: ImportWorker, migrated_url: str) -> None:
    import_id = await upload(worker, big_file(20 * BATCH_ROWS))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.dispatcher.csv_worker", migrated_url, cwd=Path.cwd()
    )
    await has_begun(worker, import_id)
    (reader,) = children_of(process.pid)
    process.kill()
    await process.wait()
    for _ in range(200):
        if not is_running(reader):
            return
        await asyncio.sleep(0.01)
    pytest.fail("the reader outlived its dispatcher")


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_two_stages_at_once_share_the_files(worker: ImportWorker, engine: AsyncEngine) -> None:
    files = [await upload(worker, big_file(BATCH_ROWS)) for _ in range(3)]
    ended = await asyncio.gather(run_imports(worker), run_imports(ImportWorker(engine)))
    assert sum(ended) == 3
    for import_id in files:
        done = await the_import(worker, import_id)
        assert done.rows_imported + done.rows_rejected == done.rows_total == BATCH_ROWS
    assert await count(worker, Contact) == BATCH_ROWS * 9 // 10


async def test_a_late_dispatcher_is_fenced(worker: ImportWorker, engine: AsyncEngine) -> None:
    rows = 6 * BATCH_ROWS
    group = await group_named(worker, "guests")
    import_id = await upload(worker, big_file(rows), group=group)
    late = asyncio.create_task(run_imports(ImportWorker(engine, pause=0.5)))
    await has_begun(worker, import_id)
    other = ImportWorker(engine)
    other.at = utc_now() + 2 * LEASE
    assert await run_imports(other) == 1
    assert await late == 0
    await check_exact(worker, import_id, rows=rows)


async def test_a_reader_that_dies_gets_a_successor(worker: ImportWorker) -> None:
    rows = 5 * BATCH_ROWS
    group = await group_named(worker, "guests")
    import_id = await upload(worker, big_file(rows), group=group)
    stage = asyncio.create_task(run_imports(worker))
    await has_begun(worker, import_id)
    for child in children_of(os.getpid()):
        if b"dispatcher.imports.process" in command_of(child):
            os.kill(child, signal.SIGKILL)
    assert await stage == 1
    await check_exact(worker, import_id, rows=rows)


def command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


async def test_a_reader_that_always_dies_fails_the_import(
    worker: ImportWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_id = await upload(worker, "msisdn\n0831234567\n")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert await run_imports(worker) == 1
    failed = await the_import(worker, import_id)
    assert failed.status == "failed"
    assert "after row 0" in failed.error


async def test_rows_that_postgres_will_not_take_fail_the_import_instead_of_repeating_it(worker: ImportWorker) -> None:
    import_id = await upload(worker, "msisdn,name\n0831234567,Joe\n")
    async with worker.transaction() as tx:
        await tx.execute(text("ALTER TABLE contacts ALTER name TYPE varchar(2)"))
    try:
        assert await run_imports(worker) == 1
    finally:
        async with worker.transaction() as tx:
            await tx.execute(text("ALTER TABLE contacts ALTER name TYPE text"))
    failed = await the_import(worker, import_id)
    assert failed.status == "failed"
    assert "could not be stored" in failed.error


async def test_the_loop_is_free_while_a_file_is_read(worker: ImportWorker) -> None:
    await upload(worker, "msisdn\n0831234567\n")
    await run_imports(worker)  # statements are compiled once in a process's life
    await upload(worker, big_file(20_000))
    longest = 0.0
    stage = asyncio.create_task(run_imports(worker))
    while not stage.done():
        # of this thread alone: what else the machine is busy with does not count
        before = time.thread_time()
        await asyncio.sleep(0)
        longest = max(longest, time.thread_time() - before)
        await asyncio.sleep(0.001)
    assert longest < 0.020
