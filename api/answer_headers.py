"""The headers of answers in the OpenAPI document: described once, and named wherever they may come."""

from collections.abc import Iterator
from typing import Any, Final

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "X-Request-Id": {
        "description": "The request's own id, as in the log: yours, where you sent one that will do.",
        "schema": {"type": "string"},
        "example": "0192f0c1-3b7a-7c3e-9a51-5b1f2c9d7e10",
    },
    "RateLimit-Policy": {
        "description": "What the key may do: so many requests (`q`) in so many seconds (`w`); missing without a limit.",
        "schema": {"type": "string"},
        "example": '"key";q=60000;w=60',
    },
    "RateLimit": {
        "description": "What is left of it: so many requests (`r`); after so many seconds (`t`) it is whole again.",
        "schema": {"type": "string"},
        "example": '"key";r=59998;t=1',
    },
    "Retry-After": {
        "description": "After how many seconds the same request may be sent again.",
        "schema": {"type": "integer", "minimum": 1},
        "example": 5,
    },
    "Idempotent-Replayed": {
        "description": "`true` where the request was made before: nothing was created or sent again.",
        "schema": {"type": "string", "const": "true"},
        "example": "true",
    },
}
# Refused before the key was looked at, or without one that is known.
_NOT_COUNTED: Final = frozenset({"401", "408", "413", "431", "500", "503"})
_LATER: Final = frozenset({"429", "503"})
_BUSY: Final = "idempotency-key-busy"


def add_headers(path: str, operation: dict[str, Any]) -> None:
    """Name the headers of each answer of an operation; it is changed in place."""
    takes_key = any(given["name"] == "Idempotency-Key" for given in operation.get("parameters", ()))
    for status, answer in operation["responses"].items():
        names = _names(status, answer, of_v1=path.startswith("/v1/"), takes_key=takes_key)
        answer.setdefault("headers", {}).update({name: {"$ref": f"#/components/headers/{name}"} for name in names})


def _names(status: str, answer: dict[str, Any], *, of_v1: bool, takes_key: bool) -> Iterator[str]:
    yield "X-Request-Id"
    if of_v1 and status not in _NOT_COUNTED:
        yield from ("RateLimit-Policy", "RateLimit")
    if status in _LATER or _BUSY in str(answer.get("content")):
        yield "Retry-After"
    if takes_key and status.startswith("2"):
        yield "Idempotent-Replayed"
