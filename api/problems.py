"""RFC 9457: one table from error to status, one shape for every refusal.

`type` and `title` come from the error's class name, the meaning from its docstring, `detail` from the one who
raised it. Fields are named by JSON pointers into the body (`/messages/0/text`), by `?limit` for a query
parameter, `{contact_id}` for one in the path and `Idempotency-Key:` for a header; a command that has no such field in
its body names the one of what it commands (`/opt_in_acknowledged` of the campaign).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

from pydantic import Field

from api.schemas import Out
from api.security import MissingScope
from shared import errors
from shared.domain.attachment import AttachmentTooLarge
from shared.domain.attachment_link import AttachmentLinkExpired
from shared.errors import FieldError, ServiceError

MEDIA_TYPE: Final = "application/problem+json"


class MalformedJson(ServiceError):
    """The body is not JSON that can be read."""

    remedy: ClassVar[str] = "Mend the JSON where `detail` points; a JSON library writes it right."


class MethodNotAllowed(ServiceError):
    """The path is known, but not with this method."""

    remedy: ClassVar[str] = "Use one of the methods that the `Allow` header names."


class UnreadableBody(ServiceError):
    """The body cannot be read in the form that it claims to have."""

    remedy: ClassVar[str] = "Send the body in the form that its `Content-Type` says."


class ContentTooLarge(ServiceError):
    """The body is larger than this path takes."""

    remedy: ClassVar[str] = "Send less at once: split the list, or the file."


class RequestTimeout(ServiceError):
    """The request came too slowly: its body stopped on the way. Send it again."""

    remedy: ClassVar[str] = "Send it again, over a better line; with the same `Idempotency-Key` nothing happens twice."


class HeadersTooLarge(ServiceError):
    """The headers or the address of the request are larger than any that are meant. Leave out what is not needed."""

    remedy: ClassVar[str] = "Leave out headers, cookies or parameters that are not needed."


class UnsupportedMediaType(ServiceError):
    """The body is not in the form that this path reads."""

    remedy: ClassVar[str] = "Send the `Content-Type` that `detail` names."


class UnsupportedContentEncoding(UnsupportedMediaType):
    """The body is compressed, and bodies are read as they come."""

    remedy: ClassVar[str] = "Send the body as it is, without the header `Content-Encoding`."


class AnswerOutOfReach(errors.Forbidden):
    """The request was answered before, to a key that reached further than this one does."""

    remedy: ClassVar[str] = (
        "Nothing was lost: look at what the request made, or repeat it with a key that has the scopes `detail` names."
    )


class IdempotencyKeyReused(errors.Invalid):
    """The key was used before, with another body: it stands for that request alone."""

    remedy: ClassVar[str] = "Take a new key for a new request; repeat the old request word for word to see its answer."


class IdempotencyKeyBusy(errors.Conflict):
    """The first request with this key is still at work; its answer will be had by asking again."""

    remedy: ClassVar[str] = "Send the same again after `Retry-After`: it is answered as the first one was."

    retry_after: Final = 1.0


class InternalError(ServiceError):
    """Something went wrong here that is not the request's doing. It was written down under the request id."""

    remedy: ClassVar[str] = (
        "Tell whoever runs this the `request_id`. A request with an `Idempotency-Key` may be sent again."
    )


# The nearest class above an error decides; a subclass needs a line only where its parent's is wrong.
STATUS_OF: Final[Mapping[type[ServiceError], int]] = {
    MalformedJson: 400,
    UnreadableBody: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    RequestTimeout: 408,
    errors.Conflict: 409,
    AttachmentLinkExpired: 410,
    ContentTooLarge: 413,
    AttachmentTooLarge: 413,
    UnsupportedMediaType: 415,
    errors.Invalid: 422,
    errors.LimitReached: 429,
    HeadersTooLarge: 431,
    InternalError: 500,
    errors.Unavailable: 503,
    ServiceError: 422,
}
_USUAL: Final[Mapping[int, type[ServiceError]]] = {
    status: kind
    for kind, status in reversed(tuple(STATUS_OF.items()))
    if kind not in (ServiceError, UnreadableBody, AttachmentTooLarge)
}
RETRY_AFTER_SECONDS: Final = 5.0
_EXAMPLE_REQUEST_ID: Final = "0192f0c1-3b7a-7c3e-9a51-5b1f2c9d7e10"


class FieldErrorOut(Out):
    pointer: str = Field(
        description="Which field: `/messages/0/text` in the body, `?limit` in the query, `{id}` in the "
        "path, `Idempotency-Key:` among the headers."
    )
    detail: str


class Problem(Out):
    """Why a request was refused (RFC 9457, `application/problem+json`)."""

    type: str = Field(description="What kind of problem; `GET` it for its meaning.")
    title: str
    status: int
    detail: str | None = Field(default=None, description="This one occurrence, for a person.")
    errors: list[FieldErrorOut] | None = Field(default=None, description="The fields refused.")
    request_id: str | None = Field(default=None, description="Name it when asking for help.")


def status_of(kind: type[ServiceError]) -> int:
    return next(STATUS_OF[parent] for parent in kind.__mro__ if parent in STATUS_OF)


def slug_of(kind: type[ServiceError]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


def title_of(kind: type[ServiceError]) -> str:
    return slug_of(kind).replace("-", " ").capitalize().replace("json", "JSON")


def meaning_of(kind: type[ServiceError]) -> str:
    return " ".join((kind.__doc__ or title_of(kind)).split())


def remedy_of(kind: type[ServiceError]) -> str:
    return kind.remedy


def document_of(
    kind: type[ServiceError],
    *,
    detail: str | None = None,
    fields: Sequence[FieldError] = (),
    request_id: str | None = None,
) -> dict[str, Any]:
    """The body of the problem."""
    problem = Problem(
        type=f"/problems/{slug_of(kind)}",
        title=title_of(kind),
        status=status_of(kind),
        detail=detail,
        errors=[FieldErrorOut(pointer=field.pointer, detail=field.detail) for field in fields] or None,
        request_id=request_id,
    )
    return problem.model_dump(exclude_none=True)


def headers_of(error: ServiceError) -> dict[str, str]:
    """What else a client should know: how to authenticate, when to come back."""
    match error:
        case errors.Unauthenticated():
            return {"WWW-Authenticate": 'Bearer realm="lapwing"'}
        case MissingScope(scope=scope):
            challenge = f'Bearer realm="lapwing", error="insufficient_scope", scope="{scope}"'
            return {"WWW-Authenticate": challenge}
        case errors.Unavailable():
            wait = getattr(error, "retry_after", RETRY_AFTER_SECONDS)
        case _:
            wait = getattr(error, "retry_after", None)
    # Rounded up: who comes back a moment too early is refused once more.
    return {} if wait is None else {"Retry-After": str(max(1, -int(-wait // 1)))}


def problems(*which: int | type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """What a route may refuse with, for `responses=`: statuses for the plain case, classes for a named one."""
    kinds = [_USUAL[each] if isinstance(each, int) else each for each in which]
    responses: dict[int | str, dict[str, Any]] = {}
    for kind in dict.fromkeys(kinds):
        status = status_of(kind)
        response = responses.setdefault(
            status,
            {
                "description": meaning_of(kind),
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}},
            },
        )
        response["content"][MEDIA_TYPE]["examples"][slug_of(kind)] = example_of(kind)
    return responses


def example_of(kind: type[ServiceError]) -> dict[str, Any]:
    fields = [FieldError("/name", "This field is required.")] if status_of(kind) == 422 else []
    if issubclass(kind, IdempotencyKeyReused):
        fields = [FieldError("Idempotency-Key:", "Was used before, with another body.")]
    document = document_of(kind, detail=meaning_of(kind), fields=fields, request_id=_EXAMPLE_REQUEST_ID)
    return {"summary": title_of(kind), "value": document}


def known_kinds() -> dict[str, type[ServiceError]]:
    """Every kind of problem that this process can tell, by its slug."""
    return {slug_of(kind): kind for kind in sorted(_below(ServiceError), key=slug_of)}


def _below(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _below(child)
