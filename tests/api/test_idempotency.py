"""`Idempotency-Key`: repeated, changed, at once, half dead; nothing is ever created twice."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b, sha256
from typing import Annotated
from uuid import UUID

import pytest
from fastapi import APIRouter, FastAPI, Form, Response, UploadFile
from fastapi.responses import StreamingResponse
from httpx import AsyncClient
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.deps import CanManage, Now, Tx
from api.idempotency import REPLAYED, IdempotentRoute
from api.main import equip
from api.resources import Resources
from api.schemas import Body
from dispatcher.rotate import rotate
from shared.clock import utc_now
from shared.db import begin
from shared.errors import Conflict
from shared.ids import uuid7
from shared.models import ApiKey, Contact, IdempotencyKey
from shared.queries.idempotency import RETENTION, Scope, prune_idempotency_keys, try_lock_idempotency_key
from shared.queries.installation import open_pepper
from shared.sealing import Sealer, new_key
from tests.conftest import Clock
from tests.factories import make_api_key

MSISDN = "+447700900123"
OTHER = "+447700900124"


class Person(Body):
    msisdn: str
    fail: bool = False


router = APIRouter(prefix="/people", route_class=IdempotentRoute)


@router.post("", status_code=201)
async def create(person: Person, response: Response, tx: Tx, now: Now, _: CanManage) -> dict[str, UUID]:
    made = {"id": uuid7(now)}
    await tx.execute(insert(Contact).values(**made, msisdn=person.msisdn, created_at=now, updated_at=now))
    if person.fail:
        raise Conflict("Not today.")
    response.headers["Location"] = f"/people/{made['id']}"
    return made


@router.post("/{person_id}/wake", status_code=204)
async def wake(person_id: UUID, tx: Tx, now: Now, _: CanManage) -> None:
    await tx.execute(insert(Contact).values(id=uuid7(now), msisdn=str(person_id), created_at=now, updated_at=now))


@router.post("/upload", status_code=202)
async def upload(
    file: UploadFile, tx: Tx, now: Now, _: CanManage, region: Annotated[str, Form()] = "GB"
) -> dict[str, str | int]:
    content = await file.read()
    await tx.execute(insert(Contact).values(id=uuid7(now), msisdn=OTHER, created_at=now, updated_at=now))
    return {"size": len(content), "region": region, "name": file.filename or ""}


@router.post("/stream")
async def stream(_: CanManage) -> StreamingResponse:
    return StreamingResponse(iter([b"a", b"b"]))


@pytest.fixture
def app(app_of_its_own: FastAPI) -> FastAPI:
    app_of_its_own.include_router(router, prefix="/test")
    return app_of_its_own


def key(text: str = "first") -> dict[str, str]:
    return {"Idempotency-Key": text}


async def count(engine: AsyncEngine, model: type[Contact | IdempotencyKey]) -> int:
    async with begin(engine) as tx:
        return await tx.scalar(select(func.count()).select_from(model)) or 0


async def test_a_repeat_is_answered_as_the_first_time(client: AsyncClient, engine: AsyncEngine) -> None:
    first = await client.post("/test/people", json={"msisdn": MSISDN}, headers=key())
    again = await client.post("/test/people", json={"msisdn": MSISDN}, headers=key())
    assert first.status_code == again.status_code == 201
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["content-type"] == first.headers["content-type"]
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert await count(engine, Contact) == 1


async def test_without_a_key_nothing_is_remembered(client: AsyncClient, engine: AsyncEngine) -> None:
    await client.post("/test/people", json={"msisdn": MSISDN})
    assert (await client.post("/test/people", json={"msisdn": OTHER})).status_code == 201
    assert await count(engine, Contact) == 2
    assert await count(engine, IdempotencyKey) == 0


async def test_an_empty_answer_is_kept_too(client: AsyncClient, engine: AsyncEngine) -> None:
    path = f"/test/people/{uuid7()}/wake"
    first = await client.post(path, headers=key())
    again = await client.post(path, headers=key())
    assert first.status_code == again.status_code == 204
    assert again.content == b""
    assert again.headers["idempotent-replayed"] == "true"
    assert await count(engine, Contact) == 1


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        pytest.param("/test/people", {"msisdn": OTHER}, id="another body"),
        pytest.param("/test/people?draft=1", {"msisdn": MSISDN}, id="another query"),
    ],
)
async def test_another_request_with_the_same_key(
    client: AsyncClient, engine: AsyncEngine, path: str, sent: dict[str, str]
) -> None:
    await client.post("/test/people", json={"msisdn": MSISDN}, headers=key())
    response = await client.post(path, json=sent, headers=key())
    assert response.status_code == 422
    problem = response.json()
    assert problem["type"] == "/problems/idempotency-key-reused"
    assert problem["errors"][0]["pointer"] == "Idempotency-Key:"
    assert await count(engine, Contact) == 1


async def test_the_same_key_elsewhere_is_another_key(client: AsyncClient, engine: AsyncEngine) -> None:
    one, two = uuid7(), uuid7()
    for path in (f"/test/people/{one}/wake", f"/test/people/{two}/wake"):
        response = await client.post(path, headers=key())
        assert response.status_code == 204
        assert "idempotent-replayed" not in response.headers
    assert await count(engine, Contact) == 2


async def test_the_same_key_by_someone_else_is_another_key(
    client: AsyncClient, anonymous: AsyncClient, engine: AsyncEngine
) -> None:
    async with begin(engine) as tx:
        other = await make_api_key(tx, "manage")
    await client.post("/test/people", json={"msisdn": MSISDN}, headers=key())
    response = await anonymous.post(
        "/test/people", json={"msisdn": OTHER}, headers={**key(), "Authorization": f"Bearer {other.text}"}
    )
    assert response.status_code == 201
    assert "idempotent-replayed" not in response.headers


async def test_nobody_has_no_keys(anonymous: AsyncClient, engine: AsyncEngine) -> None:
    response = await anonymous.post("/test/people", json={"msisdn": MSISDN}, headers=key())
    assert response.status_code == 401
    assert await count(engine, IdempotencyKey) == 0


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param({"msisdn": MSISDN, "fail": True}, 409, id="refused after the row was written"),
        pytest.param({"number": MSISDN}, 422, id="not valid"),
    ],
)
async def test_a_refusal_is_not_kept(
    client: AsyncClient, engine: AsyncEngine, sent: dict[str, object], status: int
) -> None:
    response = await client.post("/test/people", json=sent, headers=key())
    assert response.status_code == status
    assert await count(engine, Contact) == 0
    assert await count(engine, IdempotencyKey) == 0
    mended = await client.post("/test/people", json={"msisdn": MSISDN}, headers=key())
    assert mended.status_code == 201


async def test_a_commit_that_fails_leaves_neither(client: AsyncClient, engine: AsyncEngine) -> None:
    async with begin(engine) as tx:
        await tx.execute(
            text("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE SQLSTATE '57P01'; END $$")
        )
        await tx.execute(
            text(
                "CREATE CONSTRAINT TRIGGER refuse_at_commit AFTER INSERT ON contacts "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()"
            )
        )
    try:
        response = await client.post("/test/people", json={"msisdn": MSISDN}, headers=key())
        assert response.status_code == 503
    finally:
        async with begin(engine) as tx:
            await tx.execute(text("DROP FUNCTION refuse CASCADE"))
    assert await count(engine, Contact) == 0
    assert await count(engine, IdempotencyKey) == 0
    assert (await client.post("/test/people", json={"msisdn": MSISDN}, headers=key())).status_code == 201


async def test_while_the_first_still_runs(client: AsyncClient, engine: AsyncEngine) -> None:
    scope = Scope(caller="admin", method="POST", path="/test/people", key="first")
    async with begin(engine) as tx:
        assert await try_lock_idempotency_key(tx, scope)
        response = await client.post("/test/people", json={"msisdn": MSISDN}, headers=key())
    assert response.status_code == 409
    assert response.json()["type"] == "/problems/idempotency-key-busy"
    assert response.headers["retry-after"] == "1"
    assert (await client.post("/test/people", json={"msisdn": MSISDN}, headers=key())).status_code == 201


async def test_200_at_once_create_one(client: AsyncClient, engine: AsyncEngine) -> None:
    async with asyncio.timeout(60):
        answers = await asyncio.gather(
            *(client.post("/test/people", json={"msisdn": MSISDN}, headers=key()) for _ in range(200))
        )
    kinds = Counter((answer.status_code, answer.headers.get("idempotent-replayed")) for answer in answers)
    assert kinds[201, None] == 1
    assert set(kinds) <= {(201, None), (201, "true"), (409, None)}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert await count(engine, Contact) == 1


@pytest.mark.parametrize("bad", ["", "with space", "x" * 256, "tab\tbed", "\u00e9"])
async def test_a_key_has_a_form(client: AsyncClient, engine: AsyncEngine, bad: str) -> None:
    headers = {"Idempotency-Key": bad.encode("latin-1")}
    response = await client.post("/test/people", json={"msisdn": MSISDN}, headers=headers)  # type: ignore[arg-type]  # httpx takes a value of bytes
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "Idempotency-Key:"
    assert await count(engine, Contact) == 0


async def test_two_keys_are_refused(client: AsyncClient, engine: AsyncEngine) -> None:
    """Only one of them would be looked at, and the other would protect nothing."""
    headers = [("Idempotency-Key", "one"), ("Idempotency-Key", "two")]
    response = await client.post("/test/people", json={"msisdn": MSISDN}, headers=headers)
    assert (response.status_code, response.json()["type"]) == (422, "/problems/invalid")
    assert [error["pointer"] for error in response.json()["errors"]] == ["Idempotency-Key:"]
    assert await count(engine, Contact) == 0


async def test_the_longest_key(client: AsyncClient) -> None:
    longest = "~" * 255
    await client.post("/test/people", json={"msisdn": MSISDN}, headers=key(longest))
    again = await client.post("/test/people", json={"msisdn": MSISDN}, headers=key(longest))
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_file_is_known_by_its_content(client: AsyncClient, engine: AsyncEngine) -> None:
    """Whoever sends a form again draws another boundary; it is the same request all the same."""

    async def send(content: bytes, boundary: str, *, name: str = "a.csv", region: str = "GB") -> tuple[int, bool]:
        response = await client.post(
            "/test/people/upload",
            files={"file": (name, content, "text/csv")},
            data={"region": region},
            headers={**key(), "Content-Type": f"multipart/form-data; boundary={boundary}"},
        )
        return response.status_code, "idempotent-replayed" in response.headers

    assert await send(b"msisdn\n", "one") == (202, False)
    assert await send(b"msisdn\n", "two") == (202, True)
    assert await send(b"msisdn\n+", "two") == (422, False)
    assert await send(b"msisdn\n", "two", name="b.csv") == (422, False)
    assert await send(b"msisdn\n", "two", region="ZA") == (422, False)
    assert await count(engine, Contact) == 1


async def test_the_route_still_reads_the_file(client: AsyncClient) -> None:
    response = await client.post("/test/people/upload", files={"file": ("a.csv", b"x" * 500_000)}, headers=key())
    assert response.json()["size"] == 500_000


async def test_what_is_kept_cannot_be_read_from_the_database(client: AsyncClient, engine: AsyncEngine) -> None:
    made = await client.post("/v1/api-keys", json={"name": "x", "scopes": ["send"]}, headers=key())
    async with begin(engine) as tx:
        kept = await tx.scalar(select(IdempotencyKey.body))
        keys = await tx.scalar(select(func.count()).select_from(ApiKey))
    assert kept is not None
    assert made.json()["key"].encode() not in kept
    again = await client.post("/v1/api-keys", json={"name": "x", "scopes": ["send"]}, headers=key())
    assert again.json() == made.json()
    assert keys == 1


async def fingerprint_of(engine: AsyncEngine) -> bytes:
    async with begin(engine) as tx:
        return bytes((await tx.execute(select(IdempotencyKey.fingerprint))).scalar_one())


async def test_no_digest_is_kept_that_a_number_could_be_guessed_from(
    client: AsyncClient, engine: AsyncEngine, resources: Resources
) -> None:
    response = await client.post("/test/people", json={"msisdn": MSISDN}, headers=key())
    kept = await fingerprint_of(engine)
    plain = sha256(b"\nbody\n" + response.request.content).digest()
    assert plain not in kept
    assert kept == b"\x01" + blake2b(plain, digest_size=32, key=resources.pepper, person=b"idempotency").digest()


async def test_request_is_known_after_the_keys_were_rotated(
    client: AsyncClient, app: FastAPI, engine: AsyncEngine, resources: Resources
) -> None:
    """The old key is gone for good: pepper and answer are sealed anew, and the fingerprint is as it was."""
    body = {"msisdn": MSISDN}
    first = await client.post("/test/people", json=body, headers=key())
    rotated = Sealer.from_texts([new_key()])
    assert await rotate(engine, Sealer((*rotated.keys, *resources.sealer.keys)), tell=lambda _: None) == 0
    async with begin(engine) as tx:
        pepper = await open_pepper(tx, rotated, utc_now())
    equip(app, replace(resources, sealer=rotated, pepper=pepper))
    again = await client.post("/test/people", json=body, headers=key())
    assert (again.json(), again.headers[REPLAYED]) == (first.json(), "true")
    assert await count(engine, Contact) == 1
    other = await client.post("/test/people", json={"msisdn": OTHER}, headers=key())
    assert other.status_code == 422


@pytest.mark.parametrize("was", ["plain", "keyed"])
async def test_request_is_known_that_the_version_before_kept(
    client: AsyncClient, engine: AsyncEngine, resources: Resources, was: str
) -> None:
    """That one kept plain digests, and bare keyed ones of codes."""
    body = {"msisdn": MSISDN}
    first = await client.post("/test/people", json=body, headers=key())
    old = sha256(b"\nbody\n" + first.request.content).digest()
    if was == "keyed":
        old = blake2b(old, digest_size=32, key=resources.pepper, person=b"idempotency").digest()
    async with begin(engine) as tx:
        await tx.execute(update(IdempotencyKey).values(fingerprint=old))
    again = await client.post("/test/people", json=body, headers=key())
    assert (again.json(), again.headers[REPLAYED]) == (first.json(), "true")
    assert (await client.post("/test/people", json={"msisdn": OTHER}, headers=key())).status_code == 422
    assert await count(engine, Contact) == 1


async def test_a_stream_cannot_be_kept(client: AsyncClient, engine: AsyncEngine) -> None:
    """A mistake of ours, told at the first try rather than by a repeat that creates again."""
    assert (await client.post("/test/people/stream")).content == b"ab"
    assert (await client.post("/test/people/stream", headers=key())).status_code == 500
    assert await count(engine, IdempotencyKey) == 0


async def test_keys_are_forgotten_after_their_retention(
    client: AsyncClient, engine: AsyncEngine, clock: Clock, now: datetime
) -> None:
    await client.post(f"/test/people/{uuid7()}/wake", headers=key("old"))
    clock.advance(timedelta(hours=1))
    await client.post(f"/test/people/{uuid7()}/wake", headers=key("new"))
    async with begin(engine) as tx:
        assert await prune_idempotency_keys(tx, now + RETENTION) == 0
        assert await prune_idempotency_keys(tx, now + RETENTION + timedelta(seconds=1)) == 1
        assert await tx.scalar(select(IdempotencyKey.key)) == "new"


async def test_forgetting_goes_some_at_a_time(client: AsyncClient, engine: AsyncEngine, now: datetime) -> None:
    for number in range(3):
        await client.post(f"/test/people/{uuid7()}/wake", headers=key(str(number)))
    later = now + RETENTION * 2
    async with begin(engine) as tx:
        assert await prune_idempotency_keys(tx, later, limit=2) == 2
        assert await prune_idempotency_keys(tx, later, limit=2) == 1
