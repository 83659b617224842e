"""Opt-outs by the file: what spreadsheets write is read, what cannot be read is told row by row, exports come back."""

import csv
import io
from typing import Any

import httpx
import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from dispatcher.imports.stage import run_imports
from shared.db import begin
from shared.models import AuditEntry, Contact, ContactField, OptOut
from shared.sealing import hash_msisdn
from tests.dispatcher.csv_worker import ImportWorker
from tests.factories import make_api_key, make_opt_out

UPLOAD = "/v1/opt-outs/import.csv"
ANNA, BEN, CLEO = "+12025550142", "+447700900123", "+447700900124"
OURS, OTHERS = "+12025550100", "+12025550101"

Held = dict[str | None, list[str] | None]


def form(data: bytes | str, name: str = "opt-outs.csv") -> dict[str, Any]:
    return {"file": (name, data.encode() if isinstance(data, str) else data, "text/csv")}


@pytest.fixture
def worker(engine: AsyncEngine, pepper: bytes) -> ImportWorker:
    return ImportWorker(engine, pepper=pepper)


async def upload(client: httpx.AsyncClient, worker: ImportWorker, data: bytes | str, **given: str) -> dict[str, Any]:
    """The import when it has ended."""
    answer = await client.post(UPLOAD, files=form(data), data=given)
    assert answer.status_code == 202, answer.text
    await run_imports(worker)
    ended: dict[str, Any] = (await client.get(f"/v1/imports/{answer.json()['id']}")).json()
    return ended


async def held(engine: AsyncEngine) -> Held:
    async with begin(engine) as tx:
        return {row.msisdn: row.sender_ids for row in await tx.execute(select(OptOut))}


async def rejected(client: httpx.AsyncClient, ended: dict[str, Any]) -> list[list[str]]:
    answer = await client.get(f"/v1/imports/{ended['id']}/errors.csv", params={"style": "machine"})
    return list(csv.reader(io.StringIO(answer.text, newline="")))[1:]


FILES = [
    pytest.param(f"msisdn\n{ANNA}\n", {ANNA: None}, id="numbers alone"),
    pytest.param(f"\ufeffmsisdn,sender_id\r\n'{ANNA},'{OURS}\r\n", {ANNA: [OURS]}, id="mark, CRLF and apostrophes"),
    pytest.param("Phone;Sender ID\n07700 900123;+1 202 555-0100\n", {BEN: [OURS]}, id="semicolons, national form"),
    pytest.param("Mobile\tName\n0044 7700 900123\tBen\n", {BEN: None}, id="tabs, 00, and a column that means nothing"),
    pytest.param('number,sender_id\n"=""07700900123""","32075"\n', {BEN: ["32075"]}, id="Excel's formula, short code"),
    pytest.param("sep=;\r\nTEL;SENDER_ID\r\n07700900123;Cafe\r\n", {BEN: ["Cafe"]}, id="Excel's sep line, a name"),
    pytest.param(
        f"msisdn,sender_id\n{ANNA},{OURS}\n{BEN},\n{ANNA},{OTHERS}\n{BEN},{OURS}\n{ANNA},{OURS}\n",
        {ANNA: [OURS, OTHERS], BEN: None},
        id="several rows of one person",
    ),
    pytest.param("Phone;Näme\n07700900123;Jö\n".encode("cp1252"), {BEN: None}, id="cp1252"),
    pytest.param(f"msisdn\tsender_id\n{BEN}\t{OURS}\n".encode("utf-16"), {BEN: [OURS]}, id="utf-16"),
    pytest.param(f"msisdn,sender_id\n\n{ANNA}\n", {ANNA: None}, id="a blank row, a cell that is missing"),
]


@pytest.mark.parametrize(("data", "expected"), FILES)
async def test_reads_files_of_the_world(
    client: httpx.AsyncClient, worker: ImportWorker, engine: AsyncEngine, data: bytes | str, expected: Held
) -> None:
    ended = await upload(client, worker, data, default_region="gb")
    assert (ended["kind"], ended["status"], ended["error"]) == ("opt_outs", "completed", None)
    assert (ended["rows_rejected"], ended["default_region"]) == (0, "GB")
    assert await held(engine) == expected
    async with begin(engine) as tx:
        assert (await tx.execute(select(Contact))).all() == []
        assert (await tx.execute(select(ContactField))).all() == []  # nor does it note columns as contacts' fields


async def test_rows_that_cannot_be_read_are_named(
    client: httpx.AsyncClient, worker: ImportWorker, engine: AsyncEngine, pepper: bytes
) -> None:
    data = (
        f"Phone;Sender ID;Note\n{ANNA};;\nbanana;;\n07700 900123;;\n{BEN};12;\n{BEN};{OURS};x;y\n{CLEO};{OURS};\n;;x\n"
    )
    ended = await upload(client, worker, data)
    assert (ended["rows_total"], ended["rows_imported"], ended["rows_rejected"]) == (7, 2, 5)
    assert (ended["contacts_created"], ended["contacts_updated"], ended["rows_duplicate"]) == (None, None, None)
    told = await rejected(client, ended)
    assert [line[:2] for line in told] == [
        ["3", "Phone"],
        ["4", "Phone"],
        ["5", "Sender ID"],
        ["6", ""],
        ["8", "Phone"],
    ]
    assert "2 digits" in told[2][2]
    assert await held(engine) == {ANNA: None, CLEO: [OURS]}
    async with begin(engine) as tx:
        rows = (await tx.execute(select(OptOut).order_by(OptOut.msisdn))).all()
        (entry,) = (await tx.execute(select(AuditEntry).where(AuditEntry.action == "import.created"))).all()
    assert [row.msisdn_hash for row in rows] == [hash_msisdn(pepper, ANNA), hash_msisdn(pepper, CLEO)]
    assert {row.source for row in rows} == {"import"}
    assert entry.detail == {"size_bytes": len(data), "kind": "opt_outs"}
    assert [column["goes_to"] for column in ended["layout"]["columns"]] == ["msisdn", "sender_id", "ignored"]


@pytest.mark.parametrize("style", ["spreadsheet", "machine"])
async def test_an_export_comes_back_as_it_was(
    client: httpx.AsyncClient, worker: ImportWorker, engine: AsyncEngine, pepper: bytes, style: str
) -> None:
    async with begin(engine) as tx:
        await make_opt_out(tx, pepper, ANNA)
        await make_opt_out(tx, pepper, BEN, sender_ids=[OURS, OTHERS, "CAFE"])
        await make_opt_out(tx, pepper, CLEO, sender_ids=["32075"], source="inbound")
        await make_opt_out(tx, pepper, "+447700900125")
        await tx.execute(update(OptOut).where(OptOut.msisdn == "+447700900125").values(msisdn=None))  # was erased
    before = await held(engine)
    exported = await client.get("/v1/opt-outs/export.csv", params={"style": style})
    async with begin(engine) as tx:
        await tx.execute(delete(OptOut).where(OptOut.msisdn.is_not(None)))
    ended = await upload(client, worker, exported.content)
    assert (ended["rows_imported"], ended["rows_rejected"]) == (5, 1)
    assert await held(engine) == before


async def test_many_batches(client: httpx.AsyncClient, worker: ImportWorker, engine: AsyncEngine) -> None:
    numbers = [f"+1202{n:07}" for n in range(5_550_000, 5_554_500)]
    ended = await upload(client, worker, "msisdn\n" + "\n".join(numbers))
    assert (ended["status"], ended["rows_imported"]) == ("completed", 4_500)
    assert set(await held(engine)) == set(numbers)


@pytest.mark.parametrize(
    ("data", "given", "pointer"),
    [
        pytest.param("", {}, "/file", id="an empty file"),
        pytest.param("msisdn\n", {"default_region": "XX"}, "/default_region", id="no such country"),
    ],
)
async def test_refused_before_anything_is_stored(
    client: httpx.AsyncClient, data: str, given: dict[str, str], pointer: str
) -> None:
    answer = await client.post(UPLOAD, files=form(data), data=given)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert (await client.get("/v1/imports")).json()["items"] == []


async def test_a_file_without_numbers_fails_as_a_whole(client: httpx.AsyncClient, worker: ImportWorker) -> None:
    ended = await upload(client, worker, f"sender_id,name\n{OURS},Joe\n")
    assert ended["status"] == "failed"
    assert ended["error"].startswith("No column holds the phone numbers")


async def test_only_who_manages_may(anonymous: httpx.AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        key = await make_api_key(tx, "send", "read")
    headers = {"Authorization": f"Bearer {key.text}"}
    assert (await anonymous.post(UPLOAD, files=form("msisdn\n"))).status_code == 401
    assert (await anonymous.post(UPLOAD, files=form("msisdn\n"), headers=headers)).status_code == 403


async def test_a_repeated_upload_is_one_import(client: httpx.AsyncClient) -> None:
    request = client.build_request("POST", UPLOAD, files=form(f"msisdn\n{ANNA}\n"))
    headers = {"Idempotency-Key": "list-1", "Content-Type": request.headers["content-type"]}
    first, again = [await client.post(UPLOAD, content=request.read(), headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (202, 202)
    assert (first.json(), again.headers["Idempotent-Replayed"]) == (again.json(), "true")
    assert len((await client.get("/v1/imports")).json()["items"]) == 1
