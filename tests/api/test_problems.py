"""Every refusal is an RFC 9457 problem that names the field and the remedy, and never says too much."""

import dataclasses
import json
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi import FastAPI, Query
from httpx import ASGITransport, AsyncClient, Response
from pydantic import AwareDatetime, Field, SecretStr
from sqlalchemy import text

from api.deps import Tx
from api.limits import JSON_LIMIT
from api.main import create_app
from api.problems import MEDIA_TYPE, document_of, known_kinds, problems, remedy_of, slug_of, status_of
from api.resources import Resources
from api.schemas import Body
from api.sentences import FORMS
from shared.db import begin, build_engine
from shared.errors import Conflict, Invalid, LimitReached, NotFound, ServiceError, Unavailable

pytestmark = pytest.mark.timeout(60)


class SeatTaken(Conflict):
    """Somebody sits there."""


class Leaf(Body):
    text: str = Field(max_length=5)
    number: int = 0


class OneLeaf(Body):
    text: str = ""


class Circle(Body):
    kind: Literal["circle"]
    radius: int


class Square(Body):
    kind: Literal["square"]
    side: int
    name: str = ""


class Tree(Body):
    leaves: list[Leaf] = Field(default_factory=list)
    shape: Annotated[Circle | Square, Field(discriminator="kind")] | None = None
    mixed: int | list[int] = 0
    notes: dict[str, Any] = Field(default_factory=dict)
    felled_at: AwareDatetime | None = None
    rings: list[int] = Field(default_factory=list, max_length=2)
    roots: list[int] = Field(default=[1], min_length=1)
    id: UUID | None = None
    secrets: dict[str, SecretStr] = Field(default_factory=dict)


@pytest.fixture
def app(app_of_its_own: FastAPI) -> FastAPI:
    """The whole api, and a few routes that fail in known ways."""
    app = app_of_its_own

    @app.post("/trees")
    async def plant(tree: Tree) -> dict[str, int]:
        return {"leaves": len(tree.leaves)}

    @app.post("/leaf")
    async def drop(leaf: OneLeaf) -> str:
        return leaf.text

    @app.get("/trees/{number}")
    async def find(number: int, limit: Annotated[int, Query(le=5)] = 1) -> dict[str, int]:
        return {"number": number, "limit": limit}

    @app.get("/fails/{how}")
    async def fail(how: str, tx: Tx) -> None:
        failures: dict[str, Exception] = {
            "seat": SeatTaken("Seat 7 is taken; choose another."),
            "limit": LimitReached("Too many.", retry_after=2.1),
            "away": Unavailable("The vault is closed."),
            "invalid": Invalid("Too tall.", pointer="/height"),
            "bug": ValueError("the secret +447700900123 is in here"),
        }
        if how in failures:
            raise failures[how]
        await tx.execute(text(how))

    return app


def problem_of(response: Response, status: int, slug: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == MEDIA_TYPE
    problem: dict[str, Any] = response.json()
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == status
    assert problem["request_id"] == response.headers["x-request-id"]
    return problem


async def test_nothing_at_the_path(client: AsyncClient) -> None:
    problem = problem_of(await client.get("/v1/nothing-here"), 404, "not-found")
    assert "/docs" in problem["detail"]


@pytest.mark.parametrize(
    ("path", "meant"),
    [
        pytest.param("/v1/api-keys/", "`/v1/api-keys`", id="a slash too many"),
        pytest.param("/contacts", "`/v1/contacts`", id="without /v1"),
        pytest.param("/contacts/", "`/v1/contacts`", id="without /v1, and a slash too many"),
        pytest.param("/v1/nothing-here/", None, id="nothing near"),
    ],
)
async def test_a_path_that_is_nearly_one(client: AsyncClient, path: str, meant: str | None) -> None:
    problem = problem_of(await client.get(path), 404, "not-found")
    assert problem["detail"].partition("Did you mean ")[2] == (f"{meant}?" if meant else "")


async def test_method_not_allowed_names_those_that_are(client: AsyncClient) -> None:
    response = await client.put("/trees", json={})
    problem_of(response, 405, "method-not-allowed")
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/contacts", "GET, POST"),
        ("/v1/contacts/0192f0c1-3b7a-7c3e-9a51-5b1f2c9d7e10", "DELETE, GET, PATCH"),
        ("/v1/me", "GET"),
    ],
)
async def test_all_methods_of_a_path_are_named(client: AsyncClient, path: str, methods: str) -> None:
    response = await client.put(path, json={})
    problem = problem_of(response, 405, "method-not-allowed")
    assert response.headers["allow"] == methods
    assert problem["detail"] == f"This path does not take that method; it takes {methods}."


async def test_malformed_json_says_where(client: AsyncClient) -> None:
    response = await client.post("/trees", content=b'{"leaves": [}', headers={"Content-Type": "application/json"})
    problem = problem_of(response, 400, "malformed-json")
    assert problem["title"] == "Malformed JSON"
    assert "character 12" in problem["detail"]


@pytest.mark.parametrize(
    ("sent", "slip"),
    [
        ('{"leaves": [], }', "There is a comma before the closing bracket: take it out."),
        ('{"leaves": [1,]}', "There is a comma before the closing bracket: take it out."),
        ("{'leaves': []}", "Names and texts stand in double quotes."),
        ('{"leaves": [}', ""),
    ],
)
async def test_two_slips_in_json_are_told_by_their_names(client: AsyncClient, sent: str, slip: str) -> None:
    response = await client.post("/trees", content=sent, headers={"Content-Type": "application/json"})
    assert problem_of(response, 400, "malformed-json")["detail"].partition(").")[2].strip() == slip


async def test_json_that_is_not_utf_8_is_told_so(client: AsyncClient) -> None:
    sent = '{"notes": {"a": "Grüße"}}'.encode("latin-1")
    response = await client.post("/trees", content=sent, headers={"Content-Type": "application/json"})
    assert "has to be UTF-8" in problem_of(response, 400, "unreadable-body")["detail"]


@pytest.mark.parametrize("path", ["/v1/contacts/import", "/v1/opt-outs/import.csv"])
async def test_a_file_that_is_sent_without_its_form(client: AsyncClient, path: str) -> None:
    response = await client.post(path, content=b"msisdn\n", headers={"Content-Type": "text/csv"})
    detail = problem_of(response, 415, "unsupported-media-type")["detail"]
    assert detail == "Send the body with `Content-Type: multipart/form-data`, not `text/csv`."


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_another_media_type_is_named(client: AsyncClient, media_type: str) -> None:
    response = await client.post("/trees", content=b"{}", headers={"Content-Type": media_type})
    problem = problem_of(response, 415, "unsupported-media-type")
    assert media_type in problem["detail"]
    assert "application/json" in problem["detail"]


async def test_a_body_without_a_media_type(client: AsyncClient) -> None:
    problem_of(await client.post("/trees", content=b"{}"), 415, "unsupported-media-type")


A_CAMPAIGN = "/v1/campaigns/0192f0c1-3b7a-7c3e-9a51-5b1f2c9d7e10"


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        pytest.param(f"{A_CAMPAIGN}/resend", " with `which`", id="what it needs"),
        pytest.param("/leaf", ", which may hold `text`", id="what it takes, where it needs nothing"),
        pytest.param(
            "/trees",
            ", which may hold `leaves`, `shape`, `mixed`, `notes`, `felled_at` and 4 more",
            id="not all of many",
        ),
    ],
)
@pytest.mark.parametrize("sent", [None, b'"a text"', b"[1]"])
async def test_no_body_where_one_is_needed(client: AsyncClient, path: str, fields: str, sent: bytes | None) -> None:
    headers = {"Content-Type": "application/json"} if sent else {}
    problem = problem_of(await client.post(path, content=sent, headers=headers), 422, "invalid")
    detail = f"The body is missing or no object; send a JSON object{fields}."
    assert problem["errors"] == [{"pointer": "", "detail": detail}]
    assert problem["detail"] == detail


async def test_a_value_that_is_none_of_several_kinds_is_one_error(client: AsyncClient) -> None:
    contact = {"msisdn": "+12025550142", "fields": {"a": {"b": 1}}}
    problem = problem_of(await client.post("/v1/contacts", json=contact), 422, "invalid")
    (told,) = problem["errors"]
    assert told["pointer"] == "/fields/a"
    kinds = "Give a text, in quotation marks, or give an integer, such as 7, or give a number, such as 7.5"
    assert told["detail"] == f"{kinds}, or give true or false."
    assert problem["detail"] == f"/fields/a: {told['detail']}"


@pytest.mark.parametrize(
    ("path", "pointer", "remedy"),
    [
        pytest.param("/v1/contacts?q=%00", "?q", "remove it", id="NUL"),
        pytest.param("/v1/campaigns?q=a&q=b%00", "?q", "remove it", id="NUL, the second of a name"),
        pytest.param(
            "/v1/campaigns?starts_from=9999-12-31T23:59:59-14:00", "?starts_from", "years 1 to 9999", id="too late"
        ),
        pytest.param(
            "/v1/campaigns?starts_from=0001-01-01T00:00:00%2B14:00", "?starts_from", "years 1", id="too early"
        ),
    ],
)
async def test_what_no_database_keeps_is_named_in_the_query(
    client: AsyncClient, path: str, pointer: str, remedy: str
) -> None:
    problem = problem_of(await client.get(path), 422, "invalid")
    (told,) = problem["errors"]
    assert told["pointer"] == pointer
    assert remedy in told["detail"]


async def test_the_ends_of_the_calendar_are_times(client: AsyncClient) -> None:
    for moment in ("9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"):
        assert (await client.get("/v1/campaigns", params={"starts_from": moment})).status_code == 200
        assert (await client.post("/trees", json={"felled_at": moment})).status_code == 200


@pytest.mark.parametrize(
    ("sent", "pointer", "detail"),
    [
        pytest.param({"leaves": [{}]}, "/leaves/0/text", "This field is required.", id="missing in a list"),
        pytest.param(
            {"leaves": [{"text": "a"}, {"text": "a", "colour": 1}]},
            "/leaves/1/colour",
            "There is no such",
            id="unknown",
        ),
        pytest.param({"leaf": 1}, "/leaf", "There is no such field", id="unknown at the top"),
        pytest.param({"leaves": [{"text": "longer than five"}]}, "/leaves/0/text", "at most 5", id="too long"),
        pytest.param({"a/b~c": 1}, "/a~1b~0c", "no such field", id="escaped as RFC 6901 says"),
        pytest.param({"shape": {"kind": "circle"}}, "/shape/radius", "required", id="in a union: no tag between"),
        pytest.param({"shape": {"kind": "circle", "radius": "x"}}, "/shape/radius", "integer", id="union, wrong type"),
        pytest.param({"shape": {"kind": "blob"}}, "/shape", "circle", id="union, no such member"),
        pytest.param({"mixed": "x"}, "/mixed", "integer", id="plain union"),
        pytest.param({"mixed": [1, "x"]}, "/mixed/1", "integer", id="plain union, inside"),
    ],
)
async def test_fields_are_named_by_pointers(client: AsyncClient, sent: object, pointer: str, detail: str) -> None:
    problem = problem_of(await client.post("/trees", json=sent), 422, "invalid")
    assert pointer in [error["pointer"] for error in problem["errors"]]
    assert any(detail in error["detail"] for error in problem["errors"] if error["pointer"] == pointer)


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        pytest.param({"leaves": [{"text": "a"}, {"text": "\0"}]}, "/leaves/1/text", id="in a list of bodies"),
        pytest.param({"notes": {"a": "\0"}}, "/notes/a", id="in an object"),
        pytest.param({"notes": {"a": {"b": ["x", {"c": "x\0"}]}}}, "/notes/a/b/1/c", id="deep"),
        pytest.param({"notes": {"a": {"b\0": 1}}}, "/notes/a/b\0", id="in a name"),
        pytest.param({"shape": {"kind": "square", "side": 1, "name": "\0"}}, "/shape/name", id="in a union"),
        pytest.param({"secrets": {"token": "x\0"}}, "/secrets/token", id="in a secret"),
    ],
)
async def test_nul_is_refused_where_it_stands(client: AsyncClient, sent: object, pointer: str) -> None:
    problem = problem_of(await client.post("/trees", json=sent), 422, "invalid")
    detail = "The text holds a NUL character (U+0000); remove it."
    assert problem["errors"] == [{"pointer": pointer, "detail": detail}]


@pytest.mark.parametrize(
    ("sent", "pointer", "detail"),
    [
        pytest.param('{"notes": {"a": {"b": NaN}}}', "/notes/a/b", "a number that is finite", id="no number"),
        pytest.param('{"notes": {"a": [1, -Infinity]}}', "/notes/a/1", "a number that is finite", id="without end"),
        pytest.param('{"notes": {"a": 1e999}}', "/notes/a", "a number that is finite", id="beyond all numbers"),
        pytest.param('{"notes": {"a": "\\ud800"}}', "/notes/a", "half a character", id="half a character"),
        pytest.param(
            '{"notes": {"b": {"a\\ud800": 1}}}', "/notes/b/a\\ud800", "half a character", id="in a name: as JSON has it"
        ),
    ],
)
async def test_what_no_database_keeps_is_refused_where_it_stands(
    client: AsyncClient, sent: str, pointer: str, detail: str
) -> None:
    headers = {"Content-Type": "application/json"}
    problem = problem_of(await client.post("/trees", content=sent, headers=headers), 422, "invalid")
    (error,) = problem["errors"]
    assert error["pointer"] == pointer
    assert detail in error["detail"]


@pytest.mark.parametrize(
    ("sent", "pointer", "detail"),
    [
        pytest.param({"mixed": 1e30}, "/mixed", "The number is too large", id="too large"),
        pytest.param({"roots": []}, "/roots", "There are too few entries; give at least 1.", id="too few"),
        pytest.param({"rings": [1, 2, 3]}, "/rings", "too many entries; give at most 2", id="too many"),
        pytest.param({"felled_at": "2026-03-01T09:00:00"}, "/felled_at", "end it with `Z` for UTC", id="no zone"),
        pytest.param({"felled_at": "noon"}, "/felled_at", "such as `2026-03-01T09:00:00Z`", id="no time"),
        pytest.param(
            {"felled_at": "9999-12-31T23:59:59-14:00"}, "/felled_at", "within the years 1 to 9999", id="beyond the end"
        ),
        pytest.param({"notes": []}, "/notes", "Give an object", id="no object"),
        pytest.param({"leaves": ["x"]}, "/leaves/0", "Give an object", id="no body"),
        pytest.param({"leaves": [{"text": 7}]}, "/leaves/0/text", "Give a text", id="no text"),
        pytest.param({"shape": {"kind": "blob"}}, "/shape", "Set 'kind' to one of 'circle', 'square'.", id="no kind"),
        pytest.param({"shape": {}}, "/shape", "The field 'kind' is required here.", id="kind left out"),
        pytest.param({"id": "seven"}, "/id", "Give an id as it was told", id="no id"),
    ],
)
async def test_the_remedy_is_told_in_plain_words(client: AsyncClient, sent: object, pointer: str, detail: str) -> None:
    problem = problem_of(await client.post("/trees", json=sent), 422, "invalid")
    (told,) = problem["errors"]
    assert told["pointer"] == pointer
    assert detail in told["detail"]
    assert "Input" not in told["detail"]


async def test_a_value_is_never_quoted(client: AsyncClient) -> None:
    response = await client.post("/trees", json={"leaves": [{"text": "+447700900123", "number": "+447700900123"}]})
    assert response.status_code == 422
    assert "7700900123" not in response.text


async def test_several_fields_are_counted_and_named(client: AsyncClient) -> None:
    problem = problem_of(await client.post("/trees", json={"leaves": [{}, {}]}), 422, "invalid")
    assert problem["detail"] == "2 fields cannot be used: /leaves/0/text, /leaves/1/text."
    problem = problem_of(await client.post("/trees", json={"leaves": [{}] * 12}), 422, "invalid")
    assert problem["detail"].endswith("/leaves/9/text and 2 more.")


@pytest.mark.parametrize(
    ("path", "sent", "pointer", "meant"),
    [
        pytest.param("/messages", {"to": "x"}, "/to", "`msisdn`", id="as others call it"),
        pytest.param("/messages", {"Message": "x"}, "/Message", "`text`", id="as others call it, in capitals"),
        pytest.param("/messages", {"snd_at": "x"}, "/snd_at", "`send_at`", id="a slip"),
        pytest.param("/campaigns", {"text": "x"}, "/text", "`messages[].text`", id="one step in"),
        pytest.param(
            "/campaigns",
            {"attachment_ids": []},
            "/attachment_ids",
            "`messages[].attachment_ids`",
            id="not what is near",
        ),
        pytest.param(
            "/campaigns",
            {"messages": [{"text": "a"}, {"attachments": []}]},
            "/messages/1/attachments",
            "`attachment_ids`",
            id="in a list",
        ),
        pytest.param(
            "/automations", {"conditions": [{"fields": "plan"}]}, "/conditions/0/fields", "`field`", id="in a list 2"
        ),
        pytest.param("/otp", {"profile_id": "x"}, "/profile_id", "`profile`", id="a part of it"),
    ],
)
async def test_an_unknown_field_is_told_which_was_meant(
    client: AsyncClient, path: str, sent: dict[str, Any], pointer: str, meant: str
) -> None:
    problem = problem_of(await client.post(f"/v1{path}", json=sent), 422, "invalid")
    (told,) = [error["detail"] for error in problem["errors"] if error["pointer"] == pointer]
    assert f"There is no such field; remove it or check its spelling. Did you mean {meant}?" in told
    assert "The fields here are `" in told


@pytest.mark.parametrize(
    ("path", "sent", "own"),
    [("/contacts", {"plan": "gold"}, "fields"), ("/events", {"percent": 85}, "data"), ("/otp", {"colour": 1}, None)],
)
async def test_where_values_of_ones_own_go(
    client: AsyncClient, path: str, sent: dict[str, Any], own: str | None
) -> None:
    problem = problem_of(await client.post(f"/v1{path}", json=sent), 422, "invalid")
    (told,) = [error["detail"] for error in problem["errors"] if error["pointer"] == f"/{next(iter(sent))}"]
    assert (f"Values of your own go into `{own}`." in told) is (own is not None)
    assert "Did you mean" not in told


def _patterns_of(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from ([node["pattern"]] if isinstance(node.get("pattern"), str) else [])
        yield from node.get("patternProperties", {})
    for each in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from _patterns_of(each)


def test_every_pattern_has_its_sentence(app: FastAPI) -> None:
    """A pattern is for programs; whoever misses it is told what to write."""
    patterns = set(_patterns_of(app.openapi()))
    assert patterns
    assert patterns == set(FORMS)


@pytest.mark.parametrize(
    ("path", "sent", "pointer", "detail"),
    [
        ("/campaigns", {"quiet_hours": [{"start": "20", "end": "08:00"}]}, "/quiet_hours/0/start", "such as `08:00`"),
        ("/automations", {"event": "Voucher used"}, "/event", "such as `voucher_nearly_used`"),
        ("/otp-profiles", {"name": "Splash page"}, "/name", "without blanks"),
    ],
)
async def test_a_pattern_is_told_in_plain_words(
    client: AsyncClient, path: str, sent: dict[str, Any], pointer: str, detail: str
) -> None:
    problem = problem_of(await client.post(f"/v1{path}", json=sent), 422, "invalid")
    (told,) = [error["detail"] for error in problem["errors"] if error["pointer"] == pointer]
    assert detail in told


async def test_a_price_with_a_comma_is_told_of_the_point(client: AsyncClient) -> None:
    answer = await client.put("/v1/prices/DE", json={"price": "0,07", "currency": "EUR"})
    assert problem_of(answer, 422, "invalid")["detail"] == (
        "/price: Give a number, such as 7.5, with a point and without a unit."
    )


@pytest.mark.parametrize("moment", ["2026-03-01T09:00:00+01:00", "2026-03-01T09:00+0100"])
async def test_the_plus_of_a_time_in_an_address_is_missed(client: AsyncClient, moment: str) -> None:
    problem = problem_of(await client.get(f"/v1/messages?from={moment}"), 422, "invalid")
    assert problem["detail"].startswith("?from: In an address a plus is a blank: write `%2B` for it")
    assert (await client.get("/v1/messages", params={"from": moment})).status_code == 200


@pytest.mark.parametrize(("path", "pointer"), [("/trees/seven", "{number}"), ("/trees/7?limit=9", "?limit")])
async def test_parameters_are_named_by_where_they_stand(client: AsyncClient, path: str, pointer: str) -> None:
    problem = problem_of(await client.get(path), 422, "invalid")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]


async def test_an_error_is_named_after_its_class(client: AsyncClient) -> None:
    problem = problem_of(await client.get("/fails/seat"), 409, "seat-taken")
    assert problem["title"] == "Seat taken"
    assert problem["detail"] == "Seat 7 is taken; choose another."


async def test_a_refused_value_found_later_has_its_pointer(client: AsyncClient) -> None:
    problem = problem_of(await client.get("/fails/invalid"), 422, "invalid")
    assert problem["errors"] == [{"pointer": "/height", "detail": "Too tall."}]


async def test_retry_after_is_rounded_up(client: AsyncClient) -> None:
    response = await client.get("/fails/limit")
    problem_of(response, 429, "limit-reached")
    assert response.headers["retry-after"] == "3"
    response = await client.get("/fails/away")
    problem_of(response, 503, "unavailable")
    assert int(response.headers["retry-after"]) >= 1


async def test_what_nobody_foresaw_tells_nothing(client: AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    response = await client.get("/fails/bug")
    problem = problem_of(response, 500, "internal-error")
    assert "secret" not in response.text
    written = [record for record in caplog.records if getattr(record, "request_id", None) == problem["request_id"]]
    assert any(record.exc_info for record in written)


async def test_a_wrong_statement_is_a_500(client: AsyncClient) -> None:
    response = await client.get("/fails/SELECT nothing FROM nowhere")
    problem_of(response, 500, "internal-error")
    assert "nowhere" not in response.text


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SELECT pg_terminate_backend(pg_backend_pid())", id="shut down while asked"),
        pytest.param("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$", id="deadlock"),
        pytest.param("DO $$ BEGIN RAISE SQLSTATE '57014'; END $$", id="statement timeout"),
        pytest.param("DO $$ BEGIN RAISE SQLSTATE '25006'; END $$", id="read-only after a failover"),
        pytest.param("DO $$ BEGIN RAISE SQLSTATE '53300'; END $$", id="too many connections"),
    ],
)
async def test_a_database_in_trouble_is_a_503(client: AsyncClient, statement: str) -> None:
    response = await client.get(f"/fails/{statement}")
    problem_of(response, 503, "unavailable")
    assert response.headers["retry-after"] == "5"


@pytest.fixture
async def stranded(resources: Resources) -> AsyncIterator[AsyncClient]:
    """The api with no database behind it."""
    engine = build_engine("postgresql+asyncpg://lapwing@/lapwing?host=/nonexistent", application_name="tests")
    app = create_app(dataclasses.replace(resources, engine=engine))
    headers = {"Authorization": "Bearer lw_bootstrap_for_the_tests_only"}
    async with AsyncClient(transport=ASGITransport(app), base_url="https://sms.example.com", headers=headers) as client:
        yield client
    await engine.dispose()


async def test_no_database_is_a_503(stranded: AsyncClient) -> None:
    response = await stranded.get("/v1/api-keys")
    problem_of(response, 503, "unavailable")
    assert response.headers["retry-after"] == "5"


async def test_the_pool_being_empty_is_a_503(app: FastAPI, resources: Resources, migrated_url: str) -> None:
    engine = build_engine(migrated_url, application_name="tests", pool_size=1)
    engine.pool._timeout = 0.2  # type: ignore[attr-defined]  # ten seconds is long for a test
    small = create_app(dataclasses.replace(resources, engine=engine))
    headers = {"Authorization": "Bearer lw_bootstrap_for_the_tests_only"}
    async with (
        begin(engine),
        AsyncClient(transport=ASGITransport(small), base_url="https://sms.example.com", headers=headers) as client,
    ):
        problem_of(await client.get("/v1/api-keys"), 503, "unavailable")
    await engine.dispose()


async def test_a_body_that_says_it_is_too_large(client: AsyncClient) -> None:
    response = await client.post("/v1/api-keys", content=b"x" * (JSON_LIMIT + 1))
    assert "1,048,576 bytes" in problem_of(response, 413, "content-too-large")["detail"]
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_a_body_that_turns_out_to_be_too_large(client: AsyncClient) -> None:
    sent = 0

    async def drip() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 65536
            yield b" " * 65536

    response = await client.post("/v1/api-keys", content=drip(), headers={"Content-Type": "application/json"})
    problem_of(response, 413, "content-too-large")
    assert sent <= JSON_LIMIT + 65536


async def test_the_largest_body_is_read(client: AsyncClient) -> None:
    body = json.dumps({"name": "x", "scopes": ["send"]}).encode().ljust(JSON_LIMIT)
    response = await client.post("/v1/api-keys", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 201


async def test_a_type_can_be_followed(anonymous: AsyncClient) -> None:
    response = await anonymous.get("/problems/idempotency-key-reused")
    assert response.status_code == 200
    assert response.json()["status"] == 422
    assert "another body" in response.json()["meaning"]
    problem_of(await anonymous.get("/problems/no-such-thing"), 404, "not-found")
    listed = (await anonymous.get("/problems")).json()
    assert {"/problems/not-found", "/problems/conflict"} <= {kind["type"] for kind in listed}


def test_every_kind_has_a_status_and_a_meaning() -> None:
    for slug, kind in known_kinds().items():
        assert 400 <= status_of(kind) < 600, slug
        assert kind.__doc__, f"{kind.__name__} has no docstring: it is the meaning of /problems/{slug}"


@pytest.mark.parametrize("slug", ["callback-not-signed", "attachment-link-forged"])
def test_who_carries_no_key_is_not_told_to_use_another(slug: str) -> None:
    remedy = remedy_of(known_kinds()[slug])
    assert "key" not in remedy.lower()
    assert "/v1/me" not in remedy


def test_slugs_are_unique() -> None:
    def below(kind: type[ServiceError]) -> list[type[ServiceError]]:
        return [each for child in kind.__subclasses__() for each in (child, *below(child))]

    kinds = below(ServiceError)
    assert len({slug_of(kind) for kind in kinds}) == len(set(kinds))


def test_what_a_route_lists() -> None:
    listed = problems(404, 409, SeatTaken)
    assert set(listed) == {404, 409}
    examples = listed[409]["content"][MEDIA_TYPE]["examples"]
    assert set(examples) == {"conflict", "seat-taken"}
    assert examples["seat-taken"]["value"]["status"] == 409


def test_a_document_without_fields_has_no_list_of_them() -> None:
    assert document_of(NotFound, detail="Gone.") == {
        "type": "/problems/not-found",
        "title": "Not found",
        "status": 404,
        "detail": "Gone.",
    }


# What is one too many among what is sent below.
MISFITS = {"contact_id", "voucher"}


@pytest.mark.parametrize(
    ("path", "sent", "detail"),
    [
        ("/messages", {"text": "x"}, "Neither msisdn nor contact_id is given: one of them is needed."),
        ("/messages", {"msisdn": "+12025550142"}, "Neither text nor template_id is given: one of them is needed."),
        (
            "/messages",
            {"msisdn": "+12025550142", "contact_id": "0192f0c1-3b7a-7c3e-9a51-5b1f2c9d7e10", "text": "x"},
            "msisdn and contact_id are both given: keep one of them.",
        ),
        (
            "/messages",
            {"msisdn": "+12025550142", "text": "x", "voucher": {"code": "A"}},
            "voucher is of the kind voucher only: set kind to voucher, or leave voucher out.",
        ),
        (
            f"/webhooks/{A_CAMPAIGN[-36:]}/redeliver",
            {},
            "Neither event_id nor dead_since is given: one of them is needed.",
        ),
        (
            f"/campaigns/{A_CAMPAIGN[-36:]}/exclusions",
            {},
            "Nobody is named: give contact_ids, msisdns or a search `q`.",
        ),
    ],
)
async def test_one_of_two_is_asked_for_by_both_names(
    client: AsyncClient, path: str, sent: dict[str, Any], detail: str
) -> None:
    problem = problem_of(await client.post(f"/v1{path}", json=sent), 422, "invalid")
    pointer = "".join(f"/{name}" for name in sent if name in MISFITS)
    assert problem["errors"] == [{"pointer": pointer, "detail": detail}]
