"""Attachments over HTTP: what is taken in and what is refused, kept once, fetched by a link that cannot be altered."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from httpx import AsyncClient, Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.attachments.queries import CHUNK_BYTES
from api.limits import ATTACHMENT_LIMIT
from shared.db import begin
from shared.domain.attachment_link import LIFE_SECONDS, expiry, key_of, sign
from shared.models import Attachment, AttachmentChunk, AttachmentContent, AuditEntry
from tests.conftest import Clock
from tests.factories import make_api_key

UPLOAD = "/v1/attachments"
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(range(256)) * 40
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + b"png" * 50
PDF = b"%PDF-1.7\n" + b"page " * 100


async def upload(client: AsyncClient, data: bytes = JPEG, name: str = "photo.jpg", **more: Any) -> Response:
    """By a form, as a browser does it."""
    return await client.post(UPLOAD, files={"file": (name, data, more.pop("declared", "image/jpeg"))}, **more)


async def count(engine: AsyncEngine, table: type[Any]) -> int:
    async with begin(engine) as tx:
        return int((await tx.execute(select(func.count()).select_from(table))).scalar_one())


def path_of(link: str) -> str:
    return link.removeprefix("https://sms.example.com")


async def test_a_file_goes_in_and_comes_out_as_it_was(
    client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine
) -> None:
    data = JPEG + b"x" * (3 * CHUNK_BYTES)
    answer = await upload(client, data)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["name"], told["content_type"], told["size_bytes"]) == ("photo.jpg", "image/jpeg", len(data))
    assert (await client.get(f"{UPLOAD}/{told['id']}")).json() == told
    assert (await client.get(UPLOAD)).json()["items"] == [told]
    fetched = await anonymous.get(path_of(told["link"]))
    assert (fetched.status_code, fetched.content) == (200, data)
    assert fetched.headers["content-type"] == "image/jpeg"
    assert fetched.headers["content-length"] == str(len(data))
    assert fetched.headers["x-content-type-options"] == "nosniff"
    assert fetched.headers["content-disposition"].startswith('attachment; filename="photo.jpg"')
    assert "default-src 'none'" in fetched.headers["content-security-policy"]
    assert "set-cookie" not in fetched.headers
    async with begin(engine) as tx:
        (deed,) = (await tx.execute(select(AuditEntry.action, AuditEntry.detail))).all()
    assert deed.action == "attachment.created"
    assert (deed.detail["name"], deed.detail["stored"]) == ("photo.jpg", True)


async def test_the_body_itself_may_be_the_file(client: AsyncClient, anonymous: AsyncClient) -> None:
    headers = {"Content-Type": "application/pdf"}
    told = (await client.post(UPLOAD, params={"name": "Menü heute"}, content=PDF, headers=headers)).json()
    assert (told["name"], told["content_type"]) == ("Menü heute.pdf", "application/pdf")
    fetched = await anonymous.get(path_of(told["link"]))
    assert fetched.content == PDF
    assert fetched.headers["content-disposition"] == (
        "attachment; filename=\"Men_ heute.pdf\"; filename*=UTF-8''Men%C3%BC%20heute.pdf"
    )


async def test_the_same_bytes_are_kept_once(client: AsyncClient, engine: AsyncEngine, anonymous: AsyncClient) -> None:
    first, second = (await upload(client)).json(), (await upload(client, name="other.jpg")).json()
    assert first["id"] != second["id"]
    assert first["sha256"] == second["sha256"]
    assert (await count(engine, AttachmentContent), await count(engine, AttachmentChunk)) == (1, 1)
    assert (await client.delete(f"{UPLOAD}/{first['id']}")).status_code == 204
    assert (await anonymous.get(path_of(second["link"]))).content == JPEG
    assert (await client.delete(f"{UPLOAD}/{second['id']}")).status_code == 204
    assert (await count(engine, AttachmentContent), await count(engine, AttachmentChunk)) == (0, 0)
    assert (await anonymous.get(path_of(second["link"]))).status_code == 404
    assert (await client.delete(f"{UPLOAD}/{second['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("data", "name", "declared", "slug", "pointer"),
    [
        pytest.param(PNG, "a.png", "image/jpeg", "attachment-type-lies", "/file", id="a type that lies"),
        pytest.param(PNG, "a.jpg", "image/png", "attachment-type-lies", "/file", id="a name that lies"),
        pytest.param(b"<html>", "a.jpg", "image/jpeg", "attachment-type-not-taken", "/file", id="a page"),
        pytest.param(b"MZ\x90\x00", "a.png", "", "attachment-type-not-taken", "/file", id="a program"),
        pytest.param(b"", "a.jpg", "image/jpeg", "invalid", "/file", id="empty"),
        pytest.param(JPEG, "../../x", "image/jpeg", "attachment-name-refused", "/file", id="a path"),
        pytest.param(JPEG, "\u202egpj.a", "image/jpeg", "attachment-name-refused", "/file", id="backwards"),
        pytest.param(JPEG, "x" * 200, "image/jpeg", "attachment-name-refused", "/file", id="a long name"),
    ],
)
async def test_what_a_form_may_not_hold(
    client: AsyncClient, engine: AsyncEngine, data: bytes, name: str, declared: str, slug: str, pointer: str
) -> None:
    answer = await upload(client, data, name, declared=declared)
    assert answer.status_code == 422, answer.text
    assert answer.json()["type"] == f"/problems/{slug}"
    assert [each["pointer"] for each in answer.json()["errors"]] == [pointer]
    assert await count(engine, Attachment) == await count(engine, AttachmentContent) == 0


@pytest.mark.parametrize(
    ("params", "media_type", "data", "status", "pointer"),
    [
        pytest.param({}, "image/jpeg", JPEG, 422, "?name", id="no name"),
        pytest.param({"name": "../../x"}, "image/jpeg", JPEG, 422, "?name", id="a path"),
        pytest.param({"name": "a\x07.jpg"}, "image/jpeg", JPEG, 422, "?name", id="a bell"),
        pytest.param({"name": "a.jpg"}, "image/png", JPEG, 422, "Content-Type:", id="a type that lies"),
        pytest.param({"name": "a.jpg"}, "image/jpeg", b"", 422, "Content-Type:", id="empty"),
        pytest.param({"name": "a.jpg"}, "application/x-www-form-urlencoded", JPEG, 415, None, id="curl's own type"),
        pytest.param({"nome": "a.jpg"}, "image/jpeg", JPEG, 422, "?nome", id="a slip"),
    ],
)
async def test_what_a_body_may_not_be(
    client: AsyncClient, params: dict[str, str], media_type: str, data: bytes, status: int, pointer: str | None
) -> None:
    answer = await client.post(UPLOAD, params=params, content=data, headers={"Content-Type": media_type})
    assert answer.status_code == status, answer.text
    assert [each["pointer"] for each in answer.json().get("errors", ())] == ([pointer] if pointer else [])


async def test_a_form_without_a_file_is_refused(client: AsyncClient) -> None:
    empty = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await client.post(UPLOAD, content=b"--x--\r\n", headers=empty)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/file")


async def test_100_mb_are_refused_by_what_they_declare(client: AsyncClient) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield JPEG

    headers = {"Content-Type": "image/jpeg", "Content-Length": str(100 << 20)}
    answer = await client.post(UPLOAD, params={"name": "a.jpg"}, content=body(), headers=headers)
    assert answer.status_code == 413
    assert f"{ATTACHMENT_LIMIT:,} bytes" in answer.json()["detail"]
    assert read == 0


@pytest.mark.parametrize("form", [True, False], ids=["a form", "the body itself"])
async def test_100_mb_that_declare_nothing_are_cut_off(client: AsyncClient, engine: AsyncEngine, form: bool) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        if form:
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        yield JPEG
        while sent < 100 << 20:
            sent += 65_536
            yield b"x" * 65_536

    headers = {"Content-Type": "multipart/form-data; boundary=x" if form else "image/jpeg"}
    answer = await client.post(UPLOAD, params={"name": "a.jpg"}, content=body(), headers=headers)
    assert answer.status_code == 413, answer.text
    assert sent < ATTACHMENT_LIMIT + (1 << 20)
    assert await count(engine, Attachment) == 0


async def test_the_policy_says_how_large(client: AsyncClient) -> None:
    await client.put("/v1/policy", json={"max_attachment_bytes": 1_000})
    answer = await upload(client)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/attachment-too-large")
    assert "1,000 are the most" in answer.json()["detail"]
    assert (await upload(client, PNG, "a.png", declared="image/png")).status_code == 201


@pytest.mark.parametrize(("scope", "status"), [(None, 401), ("send", 403), ("read", 403)])
async def test_nobodys_body_is_read(
    anonymous: AsyncClient, engine: AsyncEngine, scope: str | None, status: int
) -> None:
    headers = {"Content-Type": "image/jpeg"}
    if scope:
        async with begin(engine) as tx:
            headers["Authorization"] = f"Bearer {(await make_api_key(tx, scope)).text}"
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x" * 65_536

    answer = await anonymous.post(UPLOAD, params={"name": "a.jpg"}, content=body(), headers=headers)
    assert answer.status_code == status
    assert read < 5


async def test_who_may_do_what(anonymous: AsyncClient, client: AsyncClient, engine: AsyncEngine) -> None:
    told = (await upload(client)).json()
    async with begin(engine) as tx:
        keys = {scope: (await make_api_key(tx, scope)).text for scope in ("send", "read", "manage")}
    for scope, got, gone in (("send", 403, 403), ("read", 200, 403), ("manage", 200, 204)):
        headers = {"Authorization": f"Bearer {keys[scope]}"}
        assert (await anonymous.get(UPLOAD, headers=headers)).status_code == got
        assert (await anonymous.get(f"{UPLOAD}/{told['id']}", headers=headers)).status_code == got
        assert (await anonymous.delete(f"{UPLOAD}/{told['id']}", headers=headers)).status_code == gone


@pytest.mark.parametrize("form", [True, False], ids=["a form", "the body itself"])
async def test_a_repeated_upload_makes_one(client: AsyncClient, engine: AsyncEngine, form: bool) -> None:
    async def send(data: bytes) -> Response:
        headers = {"Idempotency-Key": "once"}
        if form:
            return await upload(client, data, headers=headers)
        headers["Content-Type"] = "image/jpeg"
        return await client.post(UPLOAD, params={"name": "photo.jpg"}, content=data, headers=headers)

    first, again = await send(JPEG), await send(JPEG)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert await count(engine, Attachment) == 1
    other = await send(JPEG + b"x")
    assert (other.status_code, other.json()["type"]) == (422, "/problems/idempotency-key-reused")


async def test_lists_are_paged(client: AsyncClient) -> None:
    made = [(await upload(client, name=f"{number}.jpg")).json()["id"] for number in range(3)]
    first = (await client.get(UPLOAD, params={"limit": 2})).json()
    second = (await client.get(UPLOAD, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [each["id"] for each in (*first["items"], *second["items"])] == made[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("pattern", "instead"),
    [
        pytest.param(r"signature=(.)", lambda found: f"signature={'0' if found[1] != '0' else '1'}", id="a digit"),
        pytest.param(r"expires=\d+", "expires=9999999999", id="a longer life"),
        pytest.param(r"&signature=.*", "", id="no signature"),
        pytest.param(r"\?.*", "", id="nothing of it"),
        pytest.param(r"photo\.jpg", "other.jpg", id="another name"),
        pytest.param(r"/attachments/[^/]+", f"/attachments/{uuid4()}", id="another file"),
        pytest.param(r"/attachments/[^/]+", "/attachments/x", id="no file"),
        pytest.param(r"expires=\d+", "expires=soon", id="no moment"),
    ],
)
async def test_an_altered_link_opens_nothing(
    client: AsyncClient, anonymous: AsyncClient, pattern: str, instead: Any
) -> None:
    told = (await upload(client)).json()
    link = re.sub(pattern, instead, path_of(told["link"]))
    for asked in (anonymous, client):  # a key is no help
        answer = await asked.get(link)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/attachment-link-forged")
    assert told["link"] not in answer.text


async def test_another_deployments_link_opens_nothing(
    client: AsyncClient, anonymous: AsyncClient, clock: Clock
) -> None:
    told = (await upload(client)).json()
    expires = str(expiry(clock.now))
    forged = sign(key_of(b"another deployment's pepper"), told["id"], told["name"], expires)
    query = {"expires": expires, "signature": forged}
    answer = await anonymous.get(f"/attachments/{told['id']}/{told['name']}", params=query)
    assert answer.status_code == 403


async def test_a_link_ends(client: AsyncClient, anonymous: AsyncClient, clock: Clock) -> None:
    link = path_of((await upload(client)).json()["link"])
    clock.advance(timedelta(seconds=LIFE_SECONDS - 1))
    assert (await anonymous.get(link)).status_code == 200
    clock.advance(timedelta(hours=1, seconds=1))
    answer = await anonymous.get(link)
    assert (answer.status_code, answer.json()["type"]) == (410, "/problems/attachment-link-expired")


async def test_a_gateway_that_keeps_it_is_told_that_it_is_the_same(client: AsyncClient, anonymous: AsyncClient) -> None:
    link = path_of((await upload(client)).json()["link"])
    first = await anonymous.get(link)
    assert re.fullmatch(r"public, immutable, max-age=3600", first.headers["cache-control"])
    again = await anonymous.get(link, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = await anonymous.head(link)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(JPEG))


async def test_the_same_bytes_come_and_go_at_once(client: AsyncClient, engine: AsyncEngine) -> None:
    """Whoever keeps a content and whoever lets go of it wait for each other: none is lost, none is left over."""

    async def come_and_go(number: int) -> str | None:
        made = (await upload(client, name=f"{number}.jpg")).json()
        if number % 2:
            return str(made["id"])
        assert (await client.delete(f"{UPLOAD}/{made['id']}")).status_code == 204
        return None

    for _ in range(3):
        kept = await asyncio.gather(*(come_and_go(number) for number in range(8)))
        assert (await count(engine, AttachmentContent), await count(engine, AttachmentChunk)) == (1, 1)
        gone = await asyncio.gather(*(client.delete(f"{UPLOAD}/{each}") for each in kept if each))
        assert {answer.status_code for answer in gone} == {204}
        assert (await count(engine, AttachmentContent), await count(engine, AttachmentChunk)) == (0, 0)


async def test_a_file_that_is_taken_and_deleted_at_once(client: AsyncClient, engine: AsyncEngine) -> None:
    """Either the campaign has it and it stays, or it is gone and the campaign is told so."""
    seen = set()
    for turn in range(6):
        attachment_id = (await upload(client)).json()["id"]
        step = {"text": "Look.", "attachment_ids": [attachment_id]}
        body = {"name": f"Campaign {turn}", "msisdns": ["+12025550142"], "messages": [step]}
        asked = [client.post("/v1/campaigns", json=body), client.delete(f"{UPLOAD}/{attachment_id}")]
        first, second = asked if turn % 2 else asked[::-1]
        answers = await asyncio.gather(first, second)
        made, deleted = answers if turn % 2 else answers[::-1]
        assert (made.status_code, deleted.status_code) in {(201, 409), (422, 204)}
        seen.add(made.status_code)
        there = (await client.get(f"{UPLOAD}/{attachment_id}")).status_code == 200
        assert there is (made.status_code == 201)
    assert seen
