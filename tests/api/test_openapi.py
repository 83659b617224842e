"""The OpenAPI document is the contract: every route says what it does, what it takes, and how it refuses."""

import base64
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts
from httpx import AsyncClient
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine

from api import example_world
from api.idempotency import IdempotentRoute
from api.meanings import MEANINGS
from api.openapi import TAGS
from api.problems import MEDIA_TYPE, document_of, known_kinds, status_of
from api.shared_answers import EXAMPLES, RESPONSES, share_answers
from shared.db import begin
from shared.errors import Conflict
from tests.factories import make_api_key

JSON = "application/json"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
NUMBER = re.compile(r"\+\d{8,15}")
FICTITIOUS = re.compile(r"\+120255501\d\d")
METHODS = ("get", "put", "post", "patch", "delete")
# Posts that neither create nor send: asking twice changes nothing. Gateways bring callbacks without keys.
ONLY_ASKS = ("/preview", "/estimate", "/render", "/measure", "/classify", "/balance", "/dry-run")


def whole(node: Any, components: dict[str, Any]) -> Any:
    """What is shared, put back into its places: answers and examples, not schemas."""
    match node:
        case {"$ref": str(ref)} if ref.startswith((RESPONSES, EXAMPLES)):
            _, _, kind, name = ref.split("/")
            return whole(components[kind][name], components)
        case dict():
            return {key: whole(value, components) for key, value in node.items()}
        case list():
            return [whole(value, components) for value in node]
        case _:
            return node


@pytest.fixture
def document(app: FastAPI) -> dict[str, Any]:
    """As a client has it that follows its references."""
    told = app.openapi()
    paths: dict[str, Any] = whole(told["paths"], told["components"])
    return told | {"paths": paths}


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def parameters(operation: dict[str, Any], where: str) -> set[str]:
    return {given["name"] for given in operation.get("parameters", ()) if given["in"] == where}


async def test_it_is_served(anonymous: AsyncClient) -> None:
    response = await anonymous.get("/openapi.json")
    assert response.status_code == 200
    told = response.json()
    assert told["openapi"].startswith("3.1")
    assert told["info"]["title"] == "Lapwing"
    assert "loses nothing" in told["info"]["description"]


def test_what_is_the_same_everywhere_stands_there_once(app: FastAPI, document: dict[str, Any]) -> None:
    """The document is less than half of what it would be, and holds no problem's example twice."""
    told = app.openapi()
    assert 2 * len(json.dumps(told)) < len(json.dumps(document))
    text = json.dumps(told["paths"])
    refs = set(re.findall(r'"(#/components/(?:responses|examples)/[^"]+)"', text + json.dumps(told["components"])))
    components = {
        f"#/components/{kind}/{name}" for kind in ("responses", "examples") for name in told["components"][kind]
    }
    assert refs == components, "each reference leads somewhere, and nothing stands there for nobody"
    assert all(re.fullmatch(r"[a-zA-Z0-9._-]+", ref.rpartition("/")[2]) for ref in refs)
    for path, method, operation in operations(told):
        for status, answer in operation["responses"].items():
            for shape in answer.get("content", {}).values():
                for slug, example in shape.get("examples", {}).items() if MEDIA_TYPE in answer["content"] else ():
                    assert example == {"$ref": f"{EXAMPLES}{slug}"}, (method, path, status)


def test_the_usual_refusal_has_the_plain_name(app: FastAPI) -> None:
    shared = app.openapi()["components"]["responses"]
    shown = {name: set(answer["content"][MEDIA_TYPE]["examples"]) for name, answer in shared.items()}
    assert shown["Problem404"] == {"not-found"}
    assert shown["Problem401"] == {"unauthenticated", "malformed-key", "key-expired", "key-revoked"}
    assert shown["Problem404-otp-not-pending"] == {"otp-not-pending"}
    assert shown["Problem422-idempotency-key-reused"] == {"invalid", "idempotency-key-reused"}


def answer_of(*slugs: str) -> dict[str, Any]:
    examples = {slug: {"summary": slug, "value": {}} for slug in slugs}
    return {"description": slugs[0], "content": {MEDIA_TYPE: {"schema": {}, "examples": examples}}}


def test_what_is_said_once_or_differently_stays_where_it_is() -> None:
    """A name is never taken twice, an example that differs is no reference, and other answers are left alone."""
    other = answer_of("gone")
    other["content"][MEDIA_TYPE]["examples"]["gone"]["summary"] = "Other words."
    answers = [answer_of("gone"), answer_of("gone"), answer_of("gone", "lost"), other]
    fine = {"200": {"description": "Done."}}
    paths = {f"/{place}": {"get": {"responses": {"404": one} | fine}} for place, one in enumerate(answers)}
    told = share_answers({"paths": paths, "components": {}})
    refs = [told["paths"][f"/{place}"]["get"]["responses"]["404"].get("$ref") for place in range(4)]
    assert refs == [f"{RESPONSES}Problem404"] * 2 + [None, None]
    assert told["paths"]["/2"]["get"]["responses"]["404"]["content"][MEDIA_TYPE]["examples"]["gone"] == {
        "$ref": f"{EXAMPLES}gone"
    }
    assert other["content"][MEDIA_TYPE]["examples"]["gone"]["summary"] == "Other words."
    assert told["paths"]["/0"]["get"]["responses"]["200"] == {"description": "Done."}


def test_every_noun_is_there(document: dict[str, Any]) -> None:
    nouns = {path.split("/")[2] for path in document["paths"] if path.startswith("/v1/")}
    assert {
        "contacts",
        "imports",
        "target-groups",
        "campaigns",
        "messages",
        "gateways",
        "sender-ids",
        "opt-outs",
        "inbound",
        "notices",
        "api-keys",
        "me",
        "audit",
    } <= nouns


def test_every_operation_introduces_itself(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        assert operation.get("summary"), (method, path)
        assert operation.get("description"), f"{method} {path} has no docstring: it is the API's documentation"
        assert operation["tags"], (method, path)


def test_every_parameter_is_explained(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for given in operation.get("parameters", ()):
            assert given.get("description"), f"{method} {path}: {given['name']} has no description"


async def test_every_operation_of_v1_names_the_scope_that_it_asks_for(
    client: AsyncClient, document: dict[str, Any]
) -> None:
    """A key with that one scope is let in, or at least no longer refused for its scopes; a key without is refused."""
    keys = {}
    for scope in ("read", "send", "manage", "admin"):
        made = await client.post("/v1/api-keys", json={"name": scope, "scopes": [scope]})
        keys[scope] = {"Authorization": f"Bearer {made.json()['key']}"}
    for path, method, operation in operations(document):
        if not path.startswith("/v1/") or path == "/v1/me":
            continue
        (named,) = re.findall(r"Needs the scope `(\w+)`\.$", operation["description"])
        weaker = "send" if named == "read" else {"send": "read", "manage": "read", "admin": "manage"}[named]
        for scope, refused in ((named, False), (weaker, True)):
            answer = await client.request(method, re.sub(r"\{\w+\}", "0" * 12, path), headers=keys[scope])
            slug = answer.json()["type"] if answer.status_code == 403 else ""
            assert (slug == "/problems/missing-scope") is refused, (method, path, scope, answer.text)


@pytest.mark.parametrize("name", MEANINGS)
def test_every_word_of_an_explained_enumeration_is_explained(document: dict[str, Any], name: str) -> None:
    words = set(document["components"]["schemas"][name]["enum"])
    assert MEANINGS[name].keys() == words, f"say in api/meanings.py what each word of {name} means"


def test_schemas_have_names_of_their_own(document: dict[str, Any]) -> None:
    """Two of one name are told apart by their modules, which mean nothing to a client."""
    assert not [name for name in document["components"]["schemas"] if "__" in name]


def test_operation_ids_are_unique_and_plain(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert sorted(ids) == sorted(set(ids))
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", each) for each in ids)


def test_every_tag_is_explained(document: dict[str, Any]) -> None:
    used = {tag for _, _, operation in operations(document) for tag in operation["tags"]}
    assert used <= {name for name, _ in TAGS}
    assert [tag["name"] for tag in document["tags"]] == [name for name, _ in TAGS]


def test_every_v1_route_needs_a_key_and_no_other_does(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if path.startswith("/v1/"):
            assert operation.get("security") == [{"ApiKey": []}], (method, path)
        else:
            assert "security" not in operation, (method, path)
    assert document["components"]["securitySchemes"]["ApiKey"]["scheme"] == "bearer"


def test_every_route_declares_its_problems(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        answers = set(operation["responses"])
        assert any(status.startswith("2") for status in answers), (method, path)
        if path.startswith("/v1/"):
            assert {"401", "403", "422", "500", "503"} <= answers, (method, path, answers)
            if path.endswith("}") or "}/" in path:
                assert "404" in answers, f"{method} {path} does not say that there may be nothing under the id"
        if "requestBody" in operation:
            assert {"400", "413", "415"} <= answers, (method, path)


def test_every_answer_names_its_headers(document: dict[str, Any]) -> None:
    known = {f"#/components/headers/{name}": name for name in document["components"]["headers"]}
    named: set[str] = set()
    for path, method, operation in operations(document):
        takes_key = "Idempotency-Key" in parameters(operation, "header")
        for status, answer in operation["responses"].items():
            where = (method, path, status)
            headers = set(answer["headers"])
            assert all(known[answer["headers"][name]["$ref"]] == name for name in headers), where
            assert "X-Request-Id" in headers, where
            busy = "idempotency-key-busy" in str(answer)
            assert ("Retry-After" in headers) == (status in {"429", "503"} or busy), where
            assert ("Idempotent-Replayed" in headers) == (takes_key and status.startswith("2")), where
            if path.startswith("/v1/") and status.startswith("2"):
                assert {"RateLimit", "RateLimit-Policy"} <= headers, where
            named |= headers
    assert named == set(known.values()), "each is described, and none for nobody"


async def test_the_headers_that_are_named_are_sent(
    anonymous: AsyncClient, engine: AsyncEngine, document: dict[str, Any]
) -> None:
    async with begin(engine) as tx:
        key = (await make_api_key(tx, "manage", rate_limit=2)).text
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k"}
    told = [await anonymous.post("/v1/contacts", json={"msisdn": "+447700900123"}, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in told] == [201, 201, 429]
    declared = document["paths"]["/v1/contacts"]["post"]["responses"]
    for name in declared["201"]["headers"]:
        assert name in told[1].headers, name
    for name in declared["429"]["headers"]:
        assert name in told[2].headers, name


def test_every_problem_has_its_schema_and_an_example(document: dict[str, Any]) -> None:
    shown = set()
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if not status.startswith(("4", "5")) or path == "/readyz":
                continue
            content = answer["content"]
            assert list(content) == [MEDIA_TYPE], (method, path, status)
            assert content[MEDIA_TYPE]["schema"] == {"$ref": "#/components/schemas/Problem"}
            examples = content[MEDIA_TYPE]["examples"]
            assert examples, (method, path, status)
            for slug, example in examples.items():
                assert example["value"]["status"] == int(status), (method, path, slug)
                assert example["value"]["type"] == f"/problems/{slug}"
                shown.add(slug)
    assert {"not-found", "unauthenticated", "idempotency-key-reused", "idempotency-key-busy"} <= shown
    ours = {slug: kind for slug, kind in known_kinds().items() if kind.__module__.startswith(("api.", "shared."))}
    assert {slug for slug, kind in ours.items() if issubclass(kind, Conflict) and kind is not Conflict} <= shown
    # What stands for all of its kind would send a client to the wrong page.
    assert not {"conflict", "forbidden"} & shown
    assert "Problem" in document["components"]["schemas"]
    assert "FieldErrorOut" in document["components"]["schemas"]
    assert "HTTPValidationError" not in str(document)


def test_what_is_declared_is_what_is_sent() -> None:
    for slug, kind in known_kinds().items():
        told = document_of(kind, detail="x")
        assert (told["type"], told["status"]) == (f"/problems/{slug}", status_of(kind))


def test_every_post_that_creates_takes_a_key(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        takes_key = "Idempotency-Key" in parameters(operation, "header")
        if method != "post" or not path.startswith("/v1/"):
            assert not takes_key, (method, path)
        elif not path.endswith(ONLY_ASKS):
            assert takes_key, f"{path} creates or sends, so its router needs route_class=IdempotentRoute"
            assert {"409", "422"} <= set(operation["responses"]), path
            assert "idempotency-key-reused" in operation["responses"]["422"]["content"][MEDIA_TYPE]["examples"]


def test_no_post_of_v1_escapes_its_route_class(app: FastAPI) -> None:
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if isinstance(route, APIRoute) and "POST" in (route.methods or ()) and (context.path or "").startswith("/v1/"):
            assert isinstance(route, IdempotentRoute), context.path


def test_every_list_is_paged_alike(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for path, method, operation in operations(document):
        shape = operation["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
        name = shape.get("$ref", "").rsplit("/", 1)[-1]
        if name.startswith("PageOut"):
            assert {"limit", "cursor"} <= parameters(operation, "query"), (method, path)
            assert set(schemas[name]["properties"]) == {"items", "next_cursor"}


def examples_of(content: dict[str, Any]) -> Iterator[Any]:
    """Of one body or answer: each example of each of its media types."""
    for shape in content.values():
        if "example" in shape:
            yield shape["example"]
        yield from (example["value"] for example in shape.get("examples", {}).values())


def successes(operation: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Statuses and contents of what is answered with a body; an event stream has no one example."""
    for status, answer in operation["responses"].items():
        content = answer.get("content", {})
        if status.startswith("2") and content and "text/event-stream" not in content:
            yield status, content


def routes_of(app: FastAPI) -> Iterator[tuple[str, str, APIRoute]]:
    for context in iter_route_contexts(app.routes):
        if isinstance(route := context.original_route, APIRoute):
            yield from ((context.path or "", method.lower(), route) for method in route.methods or ())


def test_every_body_and_every_answer_has_an_example(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        contents = dict(successes(operation))
        if "requestBody" in operation:
            contents["body"] = operation["requestBody"]["content"]
        for which, content in contents.items():
            shown = list(examples_of(content))
            assert shown, f"{method} {path}: no example of {which}; give its schema one (see api/examples.py)"


def test_what_an_example_asks_is_understood(app: FastAPI, document: dict[str, Any]) -> None:
    for path, method, route in routes_of(app):
        content = document["paths"].get(path, {}).get(method, {}).get("requestBody", {}).get("content", {})
        if JSON in content:
            assert route.body_field is not None
            body = TypeAdapter[Any](route.body_field.field_info.annotation or None)
            for example in examples_of(content):
                body.validate_json(json.dumps(example))


@pytest.mark.parametrize("noun", ["contacts", "target-groups", "gateways", "api-keys", "opt-outs"])
async def test_what_an_example_asks_is_done(client: AsyncClient, document: dict[str, Any], noun: str) -> None:
    """Beyond its form: of those that name nothing else and no moment."""
    body = document["paths"][f"/v1/{noun}"]["post"]["requestBody"]["content"]
    for example in examples_of(body):
        response = await client.post(f"/v1/{noun}", json=example)
        assert response.status_code == 201, response.text


def test_what_an_example_answers_is_whole(app: FastAPI, document: dict[str, Any]) -> None:
    """It goes through the model and comes out the same: nothing is missing, nothing is made up."""
    for path, method, route in routes_of(app):
        for status, content in successes(document["paths"].get(path, {}).get(method, {"responses": {}})):
            other = route.responses.get(int(status), {}).get("model")
            model = TypeAdapter[Any](other or route.response_model)
            for example in examples_of(content) if JSON in content else ():
                told = model.dump_python(model.validate_json(json.dumps(example)), mode="json", by_alias=True)
                assert told == example, (method, path, status)


def test_the_examples_are_of_one_world(document: dict[str, Any]) -> None:
    ours = set(UUID.findall(str(vars(example_world))))
    for path, method, operation in operations(document):
        contents = [content for _, content in successes(operation)]
        contents.append(operation.get("requestBody", {}).get("content", {}))
        for text in (str(example) for content in contents for example in examples_of(content)):
            assert set(UUID.findall(text)) <= ours, f"{method} {path}: name its ids in api/example_world.py"
            assert all(FICTITIOUS.fullmatch(number) for number in NUMBER.findall(text)), (method, path)


async def test_the_root_leads_to_the_docs(anonymous: AsyncClient) -> None:
    response = await anonymous.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/docs")
    document = (await anonymous.get("/openapi.json")).json()
    assert "/" not in document["paths"]
    new = document["paths"]["/v1/gateways"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert new["enabled"] is False, "an invented account takes no messages"


async def test_docs_work(anonymous: AsyncClient) -> None:
    response = await anonymous.get("/docs")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in response.text
    policy = response.headers["content-security-policy"]
    for script in re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL):
        digest = base64.b64encode(sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    for address in re.findall(r'(?:src|href)="(https?://[^/"]+)', response.text):
        assert address in policy


async def test_there_is_no_second_documentation(anonymous: AsyncClient) -> None:
    assert (await anonymous.get("/redoc")).status_code == 404
