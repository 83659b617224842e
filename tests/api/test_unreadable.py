"""Bodies that cannot be read, or not be kept: each is told what is wrong with it, and none is the end of us."""

import gzip
import json
import re
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy.ext.asyncio import AsyncEngine

from api.problems import MEDIA_TYPE
from api.schemas import DEEPEST
from shared.db import begin
from shared.sealing import Sealer
from tests.factories import make_gateway, make_msisdn

JSON = {"Content-Type": "application/json"}
FORM = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nmsisdn\r\n--b--\r\n'
MULTIPART = "multipart/form-data; boundary=b"


def nested(levels: int) -> Any:
    """So many objects, one in the other."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("sent", "headers", "status", "slug", "told"),
    [
        pytest.param(b'{"a":' * 3000 + b"1" + b"}" * 3000, {}, 422, "invalid", "nested too deep", id="too deep"),
        pytest.param(
            b'{"a": ' + b"9" * 5000 + b"}", {}, 422, "invalid", "more than 4,300 digits", id="a number without end"
        ),
        pytest.param(b'{"a": "Gr\xfc\xdfe"}', {}, 400, "unreadable-body", "no UTF-8 at byte 9", id="not UTF-8"),
        pytest.param(
            gzip.compress(b"{}"),
            {"Content-Encoding": "gzip"},
            415,
            "unsupported-content-encoding",
            "without that header",
            id="compressed",
        ),
        pytest.param(
            b"x\x9c",
            {"Content-Encoding": "br"},
            415,
            "unsupported-content-encoding",
            "compressed",
            id="compressed, too",
        ),
        pytest.param(
            b"x", {"Content-Encoding": "br"}, 415, "unsupported-content-encoding", "compressed", id="as a text"
        ),
        pytest.param(
            b"x", {"Content-Encoding": "identity"}, 400, "malformed-json", "not valid JSON", id="not compressed"
        ),
        pytest.param(
            b"{}",
            {"Content-Type": "application/json; charset=ISO-8859-1"},
            415,
            "unsupported-media-type",
            "in `iso-8859-1`; send it in UTF-8",
            id="another charset",
        ),
    ],
)
async def test_json_that_cannot_be_read(
    client: AsyncClient, sent: bytes, headers: dict[str, str], status: int, slug: str, told: str
) -> None:
    answer = await client.post("/v1/events", content=sent, headers=JSON | headers)
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{slug}"), answer.text
    assert told in problem["detail"]


@pytest.mark.parametrize(
    ("sent", "media_type", "told"),
    [
        pytest.param(FORM, "multipart/form-data", "names no boundary", id="without a boundary"),
        pytest.param(b"msisdn\r\n", MULTIPART, "between the boundaries", id="no form"),
        pytest.param(FORM.replace(b'name="file"; ', b""), MULTIPART, "has no name", id="a part without a name"),
        pytest.param(FORM[:-7] + FORM, MULTIPART, "more files than this path takes: 1", id="two files"),
        pytest.param(
            FORM.replace(b'; filename="a.csv"', b"").replace(b"msisdn", b"x" * (2 << 20)),
            MULTIPART,
            "larger than 1024 kB",
            id="a field as large as a file",
        ),
    ],
)
async def test_form_that_cannot_be_read(client: AsyncClient, sent: bytes, media_type: str, told: str) -> None:
    answer = await client.post("/v1/contacts/import", content=sent, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/unreadable-body"), answer.text
    assert told in answer.json()["detail"]


@pytest.mark.parametrize("path", ["/v1/attachments", "/v1/contacts/import", "/v1/opt-outs/import.csv"])
async def test_part_of_a_form_that_is_no_file_is_told_how_to_be_one(client: AsyncClient, path: str) -> None:
    sent = FORM.replace(b'; filename="a.csv"', b"")
    answer = await client.post(path, content=sent, headers={"Content-Type": MULTIPART})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["pointer"] == "/file"
    assert error["detail"] == 'This is a text; send a file, as a part with a `filename` (curl: `-F "file=@menu.pdf"`).'


@pytest.mark.parametrize("charset", ["utf-8", '"UTF-8"', "utf8", "US-ASCII", ""])
async def test_json_in_utf_8_by_any_name(client: AsyncClient, charset: str) -> None:
    headers = {"Content-Type": f"application/json; charset={charset}"}
    answer = await client.post("/v1/texts/measure", content='{"text": "Grüße"}'.encode(), headers=headers)
    assert (answer.status_code, answer.json()["characters"]) == (200, 5)


@pytest.mark.parametrize(
    ("sent", "pointers"),
    [
        pytest.param('{"text": "a", "text": "b"}', ["/text"], id="in the body"),
        pytest.param('{"text" : "a", "text"\n: "a"}', ["/text"], id="of one value, and blanks about it"),
        pytest.param('{"text": "\\": a", "text": "b"}', ["/text"], id="beside what looks like a name"),
        pytest.param('{"text": "a", "te\\u0078t": "b"}', ["/text"], id="written otherwise"),
        pytest.param('{"text": {"a/b": [0, {"~": 1, "~": 1, "x": 2, "x": 3}]}}', ["/text/a~1b/1/~0", "/text/a~1b/1/x"]),
        pytest.param('{"x": [{"": 1, "": 1}], "text": "a", "text": "b"}', ["/text", "/x/0/"], id="some, empty"),
        pytest.param('{"\\ud83d": 1, "\\ud83d": 1}', ["/\\ud83d"], id="half a character"),
        pytest.param('[{"a": 1, "a": 1}]', ["/0/a"], id="in a list"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
async def test_a_field_that_is_given_twice(client: AsyncClient, sent: str, pointers: list[str], encoding: str) -> None:
    answer = await client.post("/v1/texts/measure", content=sent.encode(encoding), headers=JSON)
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "/problems/invalid"), answer.text
    assert [error["pointer"] for error in problem["errors"]] == pointers
    assert "give it once" in problem["errors"][0]["detail"]


@pytest.mark.parametrize("sent", ['{"text": "\\": \\":"}', '{"text" :\t"a: \\"b\\" : c"}', '{"text": "☃"}'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
async def test_what_only_looks_like_a_field_is_taken(client: AsyncClient, sent: str, encoding: str) -> None:
    answer = await client.post("/v1/texts/measure", content=sent.encode(encoding), headers=JSON)
    assert (answer.status_code, answer.json()["characters"]) == (200, len(json.loads(sent)["text"]))


async def test_no_route_takes_a_field_twice(app: FastAPI, client: AsyncClient) -> None:
    asked = 0
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            if "application/json" not in operation.get("requestBody", {}).get("content", {}):
                continue
            url = re.sub(r"{[^}]*}", str(uuid4()), path)
            answer = await client.request(method, url, content=b'{"a": 1, "a": 2}', headers=JSON)
            told = (answer.status_code, [error["pointer"] for error in answer.json().get("errors", ())])
            assert told == (422, ["/a"]), (method, path, answer.text)
            asked += 1
    assert asked > 40


async def test_what_is_nested_as_deep_as_may_be_is_kept(client: AsyncClient) -> None:
    told = {"id": "a", "name": "x", "msisdn": make_msisdn(1), "data": nested(DEEPEST)}
    made = await client.post("/v1/events", json=told)
    assert made.status_code == 202, made.text
    (kept,) = (await client.get("/v1/events")).json()["items"]
    assert kept["data"] == told["data"]


@pytest.mark.parametrize("levels", [DEEPEST + 1, 202, 700])
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/events", {"id": "a", "name": "x", "msisdn": make_msisdn(1)}, "data"),
        ("/v1/gateways", {"name": "a", "kind": "custom", "secrets": {}}, "settings"),
        ("/v1/gateways/classify", {"kind": "custom", "status": 200, "body": ""}, "settings"),
        ("/v1/contacts", {"msisdn": make_msisdn(1)}, "fields"),
        ("/v1/messages", {"msisdn": make_msisdn(1), "text": "Hi"}, "variables"),
        ("/v1/messages", {"msisdn": make_msisdn(1), "text": "Hi", "kind": "voucher"}, "voucher"),
        ("/v1/target-groups", {"name": "a", "kind": "dynamic"}, "conditions"),
        ("/v1/target-groups/preview", {}, "conditions"),
    ],
)
async def test_what_is_nested_deeper_is_refused_by_its_field(
    client: AsyncClient, path: str, body: dict[str, Any], field: str, levels: int
) -> None:
    answer = await client.post(path, content=json.dumps(body | {field: nested(levels)}), headers=JSON)
    assert answer.status_code == 422, answer.text
    assert any(error["pointer"].startswith(f"/{field}") for error in answer.json()["errors"]), answer.text


async def test_settings_of_a_gateway_are_changed_within_the_same_depth(
    client: AsyncClient, engine: AsyncEngine, sealer: Sealer
) -> None:
    async with begin(engine) as tx:
        gateway = await make_gateway(tx, sealer)
    answer = await client.patch(f"/v1/gateways/{gateway}", json={"settings": {"x": nested(202)}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0] == {
        "pointer": "/settings",
        "detail": "The value is nested more than 100 levels deep; flatten it.",
    }


async def test_a_body_that_may_be_left_out_is_not_null(client: AsyncClient, app: FastAPI) -> None:
    """As the document has it; null was read as nothing at all."""
    paths = app.openapi()["paths"]
    may_lack = [
        (method, path)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if "requestBody" in operation and not operation["requestBody"].get("required")
    ]
    assert len(may_lack) >= 7
    for method, path in may_lack:
        url = re.sub(r"\{\w+\}", str(uuid4()), path)
        answer = await client.request(method, url, content=b" null\n", headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid"), (path, answer.text)
        assert "leave it out" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "sent", "pointer"),
    [
        pytest.param("/v1/texts/measure", '{"text": "a", "\\ud83d": 1}', "/\\ud83d", id="of the body"),
        pytest.param(
            "/v1/events",
            '{"id": "e", "name": "n", "msisdn": "+12025550142", "data": {"a": {"x\\udc00": 1}}}',
            "/data/a/x\\udc00",
            id="of an object of one's own",
        ),
    ],
)
async def test_a_name_that_is_no_text(client: AsyncClient, path: str, sent: str, pointer: str) -> None:
    problem = (await client.post(path, content=sent, headers=JSON)).json()
    assert (problem["status"], [error["pointer"] for error in problem["errors"]]) == (422, [pointer])
    assert "The name of the field holds half a character" in problem["errors"][0]["detail"]
