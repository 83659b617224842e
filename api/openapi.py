"""The OpenAPI document: what the framework finds out, and what it cannot know: the problems every route shares."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute, iter_route_contexts

from api.answer_headers import HEADERS, add_headers
from api.deps import SCOPE_OF
from api.examples import add_examples, unpack_examples
from api.meanings import add_meanings
from api.problems import AnswerOutOfReach, IdempotencyKeyBusy, IdempotencyKeyReused, Problem, problems
from api.rate_limits import RateLimitReached
from api.schema_names import rename_schemas
from api.security import AddressNotAllowed, KeyExpired, KeyRevoked, MalformedKey, MissingScope
from api.shared_answers import share_answers

TITLE: Final = "Lapwing"
SUMMARY: Final = "An open SMS service: campaigns, one-time passwords, personal and voucher messages."
DESCRIPTION: Final = """\
**It loses nothing, it never silently sends twice, and it says what it does not know.**

* **Keys.** Every request under `/v1` carries `Authorization: Bearer lw_...`. A key has scopes: `send` hands
  messages in and reads nothing, `read` reads everything, `manage` does both and runs campaigns, `admin` does all.
  `POST /v1/api-keys` makes them, `GET /v1/me` tells what yours may do.
* **Limits.** A key may make so many requests a minute; `RateLimit` says how many are left, and a 429 when to come back.
* **Problems.** A refusal is an RFC 9457 problem (`application/problem+json`). Its `type` is a path here that
  explains it, `errors[].pointer` names the fields, `request_id` finds it in the log.
* **Repeating.** Every `POST` that creates or sends takes an `Idempotency-Key`. Repeat a request whose answer you did
  not see with the same key: within 72 hours it creates nothing again and is answered as it was the first time.
* **Lists** are `{"items": [...], "next_cursor": ...}`. Pass `next_cursor` as `cursor` to read on.
* **Times** are RFC 3339 in UTC. **Numbers** (`msisdn`) are E.164 with their `+`.
* **A message** is `queued`, `sending`, `submitted`, `sent`, `delivered`, `undelivered`, `failed`, `unconfirmed`,
  `expired`, `skipped` or `cancelled`. `unconfirmed` is the honest one: a gateway may have it, and nothing says so yet.
"""
TAGS: Final = (
    ("contacts", "Stored people: a number, a name, fields of your own."),
    ("contact fields", "Fields of your own, with a type: text, number, date, boolean or choice."),
    ("imports", "CSV files on their way into contacts or opt-outs; a bad row never stops the file."),
    ("target groups", "Whom to reach: a list by hand, or conditions."),
    (
        "templates",
        "Texts with tags that are kept to be used again, what a text may hold, and what it costs on the air.",
    ),
    ("attachments", "Pictures and files that go with messages, and the links by which gateways fetch them."),
    ("campaigns", "One sending to target groups, contacts and loose numbers."),
    ("messages", "Every SMS, of every kind: send one, look it up, cancel it."),
    ("otp", "One-time passwords: start, check, send again; what is spent, blocked and used."),
    ("otp profiles", "How passwords look and behave, a profile for each splash page."),
    ("automations", "When this happens, send that: rules, and the events that they wait for."),
    ("gateways", "The accounts that messages are handed to, and in which order."),
    ("sender ids", "What the handset shows."),
    ("opt-outs", "People's standing no."),
    ("inbound", "What handsets wrote to us."),
    ("notices", "What you should know without asking: low balances, withdrawn gateways."),
    ("policy", "The operator's sending rules: times, lengths, senders, countries, what is switched on."),
    ("me", "Who this key is, and what it may do."),
    ("webhooks", "Have your own systems told what happens, signed."),
    ("quota", "How much may still be sent, and the ledger that says why."),
    ("prices", "What a segment to a country costs, by your own table."),
    ("api keys", "Who may call, and how far."),
    ("audit", "Who did what."),
    ("callbacks", "Where gateways bring receipts and inbound messages."),
    ("problems", "What each kind of refusal means."),
    ("operation", "For the machines that watch this one."),
)
_WORDS: Final = {"Api": "API", "Id": "ID", "Ids": "IDs", "Otp": "OTP", "Prometheus": "Prometheus"}
_METHODS: Final = ("get", "put", "post", "delete", "patch")
_SHARED: Final = problems(
    401, MalformedKey, KeyExpired, KeyRevoked, MissingScope, AddressNotAllowed, 422, RateLimitReached, 431, 500, 503
)
_OF_BODIES: Final = problems(400, 408, 413, 415)
_OF_KEYS: Final = problems(AnswerOutOfReach, IdempotencyKeyBusy, IdempotencyKeyReused)


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` tell all of it."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend the document


def _document(app: FastAPI) -> dict[str, Any]:
    found = get_openapi(
        title=TITLE,
        version=app.version,
        summary=SUMMARY,
        description=DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": description} for name, description in TAGS],
        license_info=app.license_info,
        separate_input_output_schemas=True,
    )
    document: dict[str, Any] = unpack_examples(found)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    document["components"]["headers"] = HEADERS
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                _add_shared_problems(path, item[method])
                add_headers(path, item[method])
                add_examples(item[method], schemas)
                _word(item[method])
                _make_bodies_plain(item[method])
    _tell_scopes(document, app)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    renamed = rename_schemas(document)
    add_meanings(renamed["components"]["schemas"])
    return share_answers(renamed)


def _add_shared_problems(path: str, operation: dict[str, Any]) -> None:
    answers = operation["responses"]
    if path.startswith("/v1/"):
        answers.pop("422", None) if _is_frameworks(answers.get("422")) else None
        _merge(answers, _SHARED)
    elif _is_frameworks(answers.get("422")):
        del answers["422"]
        _merge(answers, problems(422))
    if "requestBody" in operation:
        _merge(answers, _OF_BODIES)
    if any(given["name"] == "Idempotency-Key" for given in operation.get("parameters", ())):
        _merge(answers, _OF_KEYS)
    operation["responses"] = dict(sorted(answers.items()))


def _make_bodies_plain(operation: dict[str, Any]) -> None:
    """A body that may be left out is that, and not also null: generators make nonsense of the two at once."""
    for shape in operation.get("requestBody", {}).get("content", {}).values():
        match shape.get("schema"):
            case {"anyOf": [{"$ref": ref}, {"type": "null"}]}:
                shape["schema"] = {"$ref": ref}
            case _:
                pass


def _word(operation: dict[str, Any]) -> None:
    """The summary as a sentence begins, and what the id in a path is of where its name says all there is to say."""
    first, *others = operation["summary"].split(" ")
    operation["summary"] = " ".join([first, *(_WORDS.get(word, word.lower()) for word in others)])
    for given in operation.get("parameters", ()):
        name = given["name"]
        if given["in"] == "path" and name.endswith("_id"):
            given.setdefault("description", f"The {name.removesuffix('_id').replace('_', ' ')}'s id.")


def _tell_scopes(document: dict[str, Any], app: FastAPI) -> None:
    """Say with each operation which scope a key needs for it: the guard's own word, so it cannot be another."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        if not isinstance(route, APIRoute):
            continue
        scope = _scope_of(route.dependant)
        for method in route.methods or ():
            operation = document["paths"].get(context.path, {}).get(method.lower())
            if operation is not None and scope is not None:
                operation["description"] = f"{operation['description']}\n\nNeeds the scope `{scope}`."


def _scope_of(dependant: Dependant) -> str | None:
    for each in dependant.dependencies:
        scope = SCOPE_OF.get(each.call) if each.call is not None else None
        if (found := scope or _scope_of(each)) is not None:
            return found
    return None


def _is_frameworks(answer: dict[str, Any] | None) -> bool:
    return answer is not None and "HTTPValidationError" in str(answer.get("content"))


def _merge(answers: dict[str, Any], more: dict[int | str, dict[str, Any]]) -> None:
    """Add what is missing; where the status is there already, its examples grow."""
    for status, answer in more.items():
        there = answers.setdefault(str(status), {"description": answer["description"], "content": {}})
        content = there.setdefault("content", {})
        for media_type, shape in answer["content"].items():
            target = content.setdefault(media_type, {"schema": shape["schema"], "examples": {}})
            target["examples"] = {**shape["examples"], **target.get("examples", {})}
