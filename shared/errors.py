"""Refusals that a person can read; they know no HTTP (`api/problems.py` gives each its status).

A subclass's docstring is the meaning of the problem; `detail` is the sentence for this one occurrence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that was refused: a JSON pointer (RFC 6901) and why."""

    pointer: str
    detail: str


class ServiceError(Exception):
    """Something the caller can understand and act on."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class Invalid(ServiceError):
    """The request is well-formed, but a value in it cannot be used."""

    def __init__(self, detail: str, *, pointer: str | None = None, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.errors = tuple(errors) or ((FieldError(pointer, detail),) if pointer else ())

    def at(self, pointer: str) -> Self:
        """The same refusal, named by the field it came in."""
        return type(self)(self.detail, errors=(FieldError(pointer, self.detail),))


class NotFound(ServiceError):
    """There is nothing here under that id."""


class Conflict(ServiceError):
    """The thing is not in a state that allows this."""


class Unauthenticated(ServiceError):
    """The request carries no key that is known here."""


class Forbidden(ServiceError):
    """The key is known, but its scopes do not reach this far."""


class LimitReached(ServiceError):
    """Too much at once; wait for as long as the answer says."""

    def __init__(self, detail: str, *, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(ServiceError):
    """A part that this needs is away for the moment; the request may be repeated."""
