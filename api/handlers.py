"""From an exception to its problem: ours, the framework's, the database's, and whatever nobody thought of."""

import logging
from collections import defaultdict
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path

from api.bodies import step
from api.hints import hint_for, models_in
from api.problems import (
    MEDIA_TYPE,
    ContentTooLarge,
    InternalError,
    MalformedJson,
    MethodNotAllowed,
    UnsupportedMediaType,
    document_of,
    headers_of,
    status_of,
)
from api.schemas import LEFT_OUT, MISPLACED, NAME, UNSTORABLE
from api.sentences import describe, in_one, sentence_of
from api.unreadable import find_encoded, refusal_of
from shared.db import is_busy, is_outage, is_unstorable
from shared.errors import FieldError, Invalid, NotFound, ServiceError, Unavailable

log = logging.getLogger(__name__)

_FROM_FRAMEWORK: Final[dict[int, tuple[type[ServiceError], str]]] = {
    HTTPStatus.NOT_FOUND: (NotFound, "There is nothing at this path; `/docs` lists what there is."),
    HTTPStatus.METHOD_NOT_ALLOWED: (MethodNotAllowed, "This path does not take that method; it takes {methods}."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        ContentTooLarge,
        "The body is larger than this path takes; send it in parts.",
    ),
}
_NO_BODY: Final = frozenset({"missing", "model_attributes_type", "model_type"})
_KNOW_THE_WAY: Final = frozenset({UNSTORABLE, MISPLACED})
_MOST_NAMED: Final = 5
_LONGEST_PATH: Final = 200
_FORMS: Final = frozenset({"multipart/form-data", "application/x-www-form-urlencoded"})


def add_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ServiceError, _on_service_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


def respond(
    error: ServiceError,
    *,
    fields: Sequence[FieldError] = (),
    request_id: str | None,
    headers: dict[str, str] | None = None,
) -> Response:
    """The problem as an answer."""
    fields = fields or error.errors
    document = document_of(type(error), detail=error.detail, fields=fields, request_id=request_id)
    return JSONResponse(
        document,
        status_code=status_of(type(error)),
        headers={**(headers or {}), **headers_of(error)},
        media_type=MEDIA_TYPE,
    )


def respond_to_the_unforeseen(error: Exception, *, request_id: str) -> Response:
    """503 when the database is away, which is told to come back; 500 otherwise, which tells nothing."""
    if is_outage(error) or is_busy(error):
        log.warning("database is away", extra={"request_id": request_id}, exc_info=error)
        away = Unavailable("The database cannot answer at the moment. Try again shortly.")
        return respond(away, request_id=request_id)
    if is_unstorable(error):
        # Without the error's words: they quote the value.
        log.warning("unstorable value", extra={"request_id": request_id})
        refusal = Invalid("A value in the request cannot be stored; leave out NUL characters and impossible dates.")
        return respond(refusal, request_id=request_id)
    log.error("request failed", extra={"request_id": request_id}, exc_info=error)
    failed = InternalError("Something went wrong here; it was written down under this request id.")
    return respond(failed, request_id=request_id)


async def _on_service_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise error
    return respond(error, request_id=_request_id(request))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return respond(refusal_of(request, error), request_id=_request_id(request))
    kind, detail = _FROM_FRAMEWORK.get(error.status_code, (InternalError, "The request could not be answered."))
    headers = dict(error.headers) if error.headers else None
    if kind is MethodNotAllowed:
        # The framework names the methods of the first route of this path only.
        methods = ", ".join(_methods_at(request, request.scope["path"]))
        headers, detail = {"Allow": methods}, detail.format(methods=methods)
    if kind is NotFound:
        detail = f"{detail}{_meant_path(request)}"
    return respond(kind(detail), request_id=_request_id(request), headers=headers)


def _meant_path(request: Request) -> str:
    """The path without a slash at its end, or behind /v1, where there is something there."""
    path = request.scope["path"]
    ways = [way for way in (path.rstrip("/"), f"/v1{path}".rstrip("/")) if way not in {path, ""}]
    meant = next((way for way in ways if len(way) <= _LONGEST_PATH and _methods_at(request, way)), None)
    return f" Did you mean `{meant}`?" if meant else ""


def _methods_at(request: Request, path: str) -> list[str]:
    """Every method that is meant at this path: of the routes of a word, where it is one, and not of an id's."""
    there = [
        context
        for context in iter_route_contexts(request.app.routes)
        if context.path and compile_path(context.path)[0].fullmatch(path)
    ]
    exact = [context for context in there if context.path == path] or there
    return sorted(method for context in exact for method in context.methods or ())


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    refusal = _unreadable(request, error)
    if refusal is not None:
        return respond(refusal, request_id=_request_id(request))
    said: defaultdict[str, list[str]] = defaultdict(list)
    for found in (_in_a_name(each, error.body) for each in error.errors()):
        pointer = _pointer(_place(found), error.body, kind=found["type"])
        said[pointer].append(_said_of(found, request, pointer=pointer))
    # The members of a union refuse the same field, each in its own words or in those of another.
    fields = [FieldError(pointer, in_one(dict.fromkeys(sentences))) for pointer, sentences in said.items()]
    return respond(Invalid(describe(fields)), fields=fields, request_id=_request_id(request))


def _said_of(found: dict[str, Any], request: Request, *, pointer: str) -> str:
    if not pointer and found["type"] in _NO_BODY:
        return _no_body(request)
    if found["type"] != "extra_forbidden":
        told = sentence_of(found)
        return told.replace("The text", found.get("in", "The text"))
    *path, name = found["loc"][1:]
    hint = hint_for(str(name), path, _body_of(request))
    return f"There is no such field; remove it or check its spelling.{hint}"


def _unreadable(request: Request, error: RequestValidationError) -> ServiceError | None:
    found = error.errors()
    if found and found[0]["type"] == "json_invalid":
        if encoded := find_encoded(request):
            return encoded
        at = found[0]["loc"][-1]
        reason = found[0].get("ctx", {}).get("error", "it cannot be read")
        return MalformedJson(f"The body is not valid JSON: {reason} (at character {at}).{_slip_at(at, error.body)}")
    sent = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if isinstance(error.body, bytes) and error.body:
        return UnsupportedMediaType(f"Send the body with `Content-Type: application/json`, not {_quoted(sent)}.")
    if isinstance(error.body, FormData) and sent not in _FORMS:
        return UnsupportedMediaType(f"Send the body with `Content-Type: multipart/form-data`, not {_quoted(sent)}.")
    return None


def _slip_at(at: object, body: object) -> str:
    """The two slips that a parser's words do not name."""
    if not isinstance(at, int) or not isinstance(body, str):
        return ""
    if body[at : at + 1] in {"}", "]"} and body[:at].rstrip().endswith(","):
        return " There is a comma before the closing bracket: take it out."
    return " Names and texts stand in double quotes." if body[at : at + 1] == "'" else ""


def _quoted(media_type: str) -> str:
    return f"`{media_type[:100]}`" if media_type else "without one"


def _place(found: dict[str, Any]) -> tuple[str | int, ...]:
    """Where the fault is; what cannot be stored is found by its field, which knows the rest of the way."""
    way: tuple[str | int, ...] = found["ctx"]["path"] if found["type"] in _KNOW_THE_WAY else ()
    return (*found["loc"], *way)


def _in_a_name(found: dict[str, Any], body: object) -> dict[str, Any]:
    """What was found; of a name that is no text the framework tells the object that has it, and not where it is."""
    if found["type"] != "string_unicode":
        return found
    node: Any = body
    for part in found["loc"][1:]:
        node = node[part] if _holds(node, part) else node
    return {**found, "loc": (*found["loc"], found["input"]), "in": NAME} if isinstance(node, dict) else found


def _no_body(request: Request) -> str:
    """What the route would read, by the names of its fields: first of all those that have to be there."""
    fields = {name: one for model in models_in(_body_of(request)) for name, one in model.model_fields.items()}
    needed = [name for name, one in fields.items() if one.is_required()]
    told = needed or list(fields)
    named = ", ".join(f"`{name}`" for name in told[:_MOST_NAMED])
    more = f" and {len(told) - _MOST_NAMED} more" if len(told) > _MOST_NAMED else ""
    holding = f" with {named}{more}" if needed else f", which may hold {named}{more}" if told else ""
    return f"The body is missing or no object; send a JSON object{holding}."


def _body_of(request: Request) -> Any:
    """The type that the route reads its body as; None if it reads none."""
    field = getattr(request.scope.get("route"), "body_field", None)
    return field and field.field_info.annotation


def _pointer(loc: Sequence[str | int], body: object, *, kind: str) -> str:
    where, *path = loc
    match where:
        case "query":
            return f"?{path[0]}" if path else "?"
        case "path":
            return f"{{{path[0]}}}" if path else "{}"
        case "header":
            return "-".join(part.capitalize() for part in str(path[0]).split("-")) + ":"
        case "body":
            return _pointer_into(path, body, kind=kind)
        case _:
            return "/" + "/".join(map(str, loc))


def _pointer_into(path: Sequence[str | int], body: object, *, kind: str) -> str:
    """The place in the body as it was sent: what pydantic adds for unions and keys is left out."""
    pointer = ""
    node: Any = dict(body) if isinstance(body, FormData) else body
    for number, part in enumerate(path, start=1):
        if _holds(node, part):
            node = node[part]
        elif not (number == len(path) and kind in {"missing", LEFT_OUT}):
            continue
        pointer = step(pointer, part)
    return pointer


def _holds(node: object, part: str | int) -> bool:
    return (isinstance(node, dict) and part in node) or (isinstance(node, list) and part in range(len(node)))


def _request_id(request: Request) -> str | None:
    return getattr(request.state, "request_id", None)
