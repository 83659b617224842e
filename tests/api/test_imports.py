"""Imports over HTTP: a file is taken in whole or not at all, by whoever may; what became of it can be asked."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.imports.upload import CHUNK_BYTES
from api.limits import IMPORT_LIMIT
from deploy.local.servers import Valkey
from dispatcher.imports.stage import run_imports
from shared.db import begin
from shared.doorbell import bell_of
from shared.ids import uuid7
from shared.models import Import, ImportChunk, ImportRejection
from tests.dispatcher.csv_worker import ImportWorker
from tests.factories import make_api_key, make_contact, make_target_group

UPLOAD = "/v1/contacts/import"


def form(data: bytes | str, name: str = "people.csv") -> dict[str, Any]:
    content = data.encode() if isinstance(data, str) else data
    return {"file": (name, content, "text/csv")}


async def count(engine: AsyncEngine, table: type[Any]) -> int:
    async with begin(engine) as tx:
        return int((await tx.execute(select(func.count()).select_from(table))).scalar_one())


async def test_takes_a_file_in_pieces(
    client: httpx.AsyncClient, engine: AsyncEngine, now: datetime, valkey: Valkey
) -> None:
    async with begin(engine) as tx:
        group = await make_target_group(tx)
    data = b"msisdn\n" + b"0831234567\n" * 60_000
    answer = await client.post(
        UPLOAD,
        files=form(data, name="C:\\lists\\people.csv"),
        data={"target_group_id": str(group), "default_region": "za"},
    )
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert {key: told[key] for key in ("status", "rows_total", "rows_imported", "rows_rejected")} == {
        "status": "queued",
        "rows_total": None,
        "rows_imported": 0,
        "rows_rejected": 0,
    }
    assert (told["file_name"], told["size_bytes"], told["default_region"]) == ("people.csv", len(data), "ZA")
    assert (told["target_group_id"], told["created_by"]) == (str(group), "admin")
    async with begin(engine) as tx:
        pieces = (await tx.scalars(select(ImportChunk.data).order_by(ImportChunk.position))).all()
    assert b"".join(pieces) == data
    assert {len(piece) for piece in pieces[:-1]} == {CHUNK_BYTES}
    assert (await client.get(f"/v1/imports/{told['id']}")).json() == told
    async with Redis.from_url(valkey.url) as redis:
        for _ in range(100):
            if await redis.llen(bell_of("bulk")):
                break
            await asyncio.sleep(0.02)
        assert await redis.llen(bell_of("bulk")) == 1
        await redis.flushall()


async def test_the_whole_way(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        await make_contact(tx, msisdn="+27831234568")
    rows = ("083 123 4567;Joe;Delft", "banana;Ann;=1+1", "083 123 4568;Ben;", "083 123 4567;Joe;Delft")
    data = "\n".join(["Phone;Name;Town", *rows])
    told = (await client.post(UPLOAD, files=form(data), data={"default_region": "ZA"})).json()
    await run_imports(ImportWorker(engine))
    done = (await client.get(f"/v1/imports/{told['id']}")).json()
    assert (done["status"], done["error"]) == ("completed", None)
    assert (done["rows_total"], done["rows_done"], done["rows_imported"], done["rows_rejected"]) == (4, 4, 3, 1)
    assert (done["contacts_created"], done["contacts_updated"], done["rows_duplicate"]) == (1, 1, 1)
    assert done["layout"] == {
        "encoding": "utf-8",
        "delimiter": ";",
        "header_row": 1,
        "columns": [
            {"header": "Phone", "goes_to": "msisdn"},
            {"header": "Name", "goes_to": "name"},
            {"header": "Town", "goes_to": "fields.Town"},
        ],
        "name_from": [],
    }
    contact = next(one for one in (await client.get("/v1/contacts")).json()["items"] if one["name"] == "Joe")
    assert (contact["msisdn"], contact["fields"]) == ("+27831234567", {"Town": "Delft"})
    answer = await client.get(f"/v1/imports/{told['id']}/errors.csv")
    head, line = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"), newline=""))
    assert head == ["row", "column", "reason"]
    assert line[:2] == ["3", "Phone"]
    assert line[2].startswith("msisdn ")


async def test_a_file_that_fails_as_a_whole_says_why_in_its_errors(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    told = (await client.post(UPLOAD, files=form("Nom;Ville\nJoe;Delft\n"))).json()
    await run_imports(ImportWorker(engine))
    failed = (await client.get(f"/v1/imports/{told['id']}")).json()
    assert (failed["status"], failed["layout"]) == ("failed", None)
    answer = await client.get(f"/v1/imports/{told['id']}/errors.csv")
    head, line = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"), newline=""))
    assert (head, line) == (["row", "column", "reason"], ["", "", failed["error"]])
    assert "Nom, Ville" in failed["error"]


async def test_contacts_as_they_are_shown_come_back_as_a_table(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    contact = (await client.post("/v1/contacts", json={"msisdn": "+12025550142", "external_id": "x1"})).json()
    table = io.StringIO(newline="")
    flat = {name: value for name, value in contact.items() if not isinstance(value, dict)}
    csv.writer(table).writerows([flat, [value or "" for value in flat.values()]])
    told = (await client.post(UPLOAD, files=form(table.getvalue()))).json()
    await run_imports(ImportWorker(engine))
    done = (await client.get(f"/v1/imports/{told['id']}")).json()
    goes_to = {column["header"]: column["goes_to"] for column in done["layout"]["columns"]}
    assert [goes_to[name] for name in ("id", "created_at", "updated_at")] == ["ignored"] * 3
    now_is = (await client.get(f"/v1/contacts/{contact['id']}")).json()
    assert now_is | {"updated_at": contact["updated_at"]} == contact


async def test_an_export_comes_back_as_it_was(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    group = (await client.post("/v1/target-groups", json={"name": "Guests"})).json()["id"]
    body = {"msisdn": "+12025550142", "name": "=Joe", "fields": {"city": "-Delft", "name": "x", "note": 'a\n"b"'}}
    contact = (await client.post("/v1/contacts", json=body)).json()
    await client.post(f"/v1/target-groups/{group}/members", json={"contact_ids": [contact["id"]]})
    for style in ("machine", "spreadsheet"):
        exported = await client.get(f"/v1/target-groups/{group}/export.csv", params={"style": style})
        await client.delete(f"/v1/contacts/{contact['id']}")
        await client.post(UPLOAD, files=form(exported.content), data={"target_group_id": group})
        await run_imports(ImportWorker(engine))
        (contact,) = (await client.get(f"/v1/target-groups/{group}/members")).json()["items"]
        assert {key: contact[key] for key in body} == body


async def test_errors_come_in_pages(client: httpx.AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    import_id = uuid7()
    async with begin(engine) as tx:
        await tx.execute(insert(Import).values(id=import_id, status="completed", created_at=now))
        rows = [{"import_id": import_id, "row": n, "column": "=evil", "reason": "no"} for n in range(2, 2503)]
        await tx.execute(insert(ImportRejection), rows)
    answer = await client.get(f"/v1/imports/{import_id}/errors.csv")
    lines = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"), newline="")))
    assert [int(line[0]) for line in lines[1:]] == list(range(2, 2503))
    assert lines[1][1] == "'=evil"
    assert answer.headers["content-disposition"] == f'attachment; filename="import-{import_id}-errors.csv"'


REFUSED = [
    pytest.param({"files": {"file": ("a.csv", b"")}}, "/file", id="empty"),
    pytest.param({"data": {"default_region": "ZA"}}, "/file", id="no file"),
    pytest.param({"files": form("msisdn\n"), "data": {"default_region": "ZZ"}}, "/default_region", id="region"),
    pytest.param({"files": form("msisdn\n"), "data": {"target_group_id": "x"}}, "/target_group_id", id="no id"),
    pytest.param(
        {"files": form("msisdn\n"), "data": {"target_group_id": str(uuid4())}}, "/target_group_id", id="no group"
    ),
]


@pytest.mark.parametrize(("request_", "pointer"), REFUSED)
async def test_refuses_by_name(
    client: httpx.AsyncClient, engine: AsyncEngine, request_: dict[str, Any], pointer: str
) -> None:
    answer = await client.post(UPLOAD, **request_)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert await count(engine, Import) == 0
    assert await count(engine, ImportChunk) == 0


async def test_a_group_by_conditions_takes_no_import(
    client: httpx.AsyncClient, engine: AsyncEngine, now: datetime
) -> None:
    async with begin(engine) as tx:
        group = await make_target_group(tx, kind="dynamic")
    answer = await client.post(UPLOAD, files=form("msisdn\n"), data={"target_group_id": str(group)})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/target_group_id"


async def test_json_is_no_form(client: httpx.AsyncClient) -> None:
    assert (await client.post(UPLOAD, json={"file": "x"})).status_code in {415, 422}


async def test_a_broken_form_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await client.post(UPLOAD, content=b"--x\r\nnonsense", headers=headers)
    assert answer.status_code in {400, 422}


async def test_two_files_are_one_too_many(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    files = [("file", ("a.csv", b"msisdn\n")), ("file", ("b.csv", b"msisdn\n"))]
    assert (await client.post(UPLOAD, files=files)).status_code in {400, 413, 422}
    assert await count(engine, Import) == 0


async def test_a_declared_size_beyond_the_limit_is_refused_at_once(client: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(IMPORT_LIMIT + 1)}
    answer = await client.post(UPLOAD, content=b"", headers=headers)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert "209,715,200 bytes" in answer.json()["detail"]


async def test_a_body_that_does_not_end_is_cut_off_at_the_limit(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nmsisdn\n'
        piece = b"0831234567\n" * 100_000
        while sent < 2 * IMPORT_LIMIT:
            sent += len(piece)
            yield piece

    answer = await client.post(UPLOAD, content=endless(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 413
    assert await count(engine, Import) == 0


@pytest.mark.parametrize(("scope", "status"), [(None, 401), ("send", 403)])
async def test_nobodys_body_is_read(
    anonymous: httpx.AsyncClient, engine: AsyncEngine, scope: str | None, status: int
) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    if scope:
        async with begin(engine) as tx:
            headers["Authorization"] = f"Bearer {(await make_api_key(tx, scope)).text}"
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x" * 65_536

    answer = await anonymous.post(UPLOAD, content=body(), headers=headers)
    assert answer.status_code == status
    assert read < 5


async def test_a_repeated_upload_is_one_import(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await client.post(UPLOAD, files=form("msisdn\n1\n"), headers=headers)
    again = await client.post(UPLOAD, files=form("msisdn\n1\n"), headers=headers)
    other = await client.post(UPLOAD, files=form("msisdn\n2\n"), headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 422)
    assert first.json() == again.json()
    assert await count(engine, Import) == 1


async def test_lists_the_newest_first(client: httpx.AsyncClient) -> None:
    ids = [(await client.post(UPLOAD, files=form("msisdn\n"))).json()["id"] for _ in range(3)]
    first = (await client.get("/v1/imports", params={"limit": "2"})).json()
    second = (await client.get("/v1/imports", params={"limit": "2", "cursor": first["next_cursor"]})).json()
    assert {item["id"] for item in first["items"] + second["items"]} == set(ids)
    assert second["next_cursor"] is None


@pytest.mark.parametrize("path", ["", "/errors.csv"])
async def test_an_unknown_import_is_not_there(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/v1/imports/{uuid4()}{path}")).status_code == 404


async def test_the_document_tells_of_the_form(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    operation = document["paths"][UPLOAD]["post"]
    assert "multipart/form-data" in operation["requestBody"]["content"]
    assert "413" in operation["responses"]
