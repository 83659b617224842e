"""Refusals that a person can read; they know no HTTP (`api/problems.py` gives each its status).

A subclass's docstring is the meaning of the problem; `detail` is the sentence for this one occurrence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that was refused: a JSON pointer (RFC 6901) and why."""

    pointer: str
    detail: str


class ServiceError(Exception):
    """Something the caller can understand and act on."""

    # What to do about any of its kind; the nearest parent's counts.
    remedy: ClassVar[str] = "Read `detail`: it says what to do about this one."

    def __init__(self, detail: str, *, pointer: str | None = None, errors: Sequence[FieldError] = ()) -> None:
        """`pointer` names the field where one is to blame; a command's refusal names the field of its subject."""
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors) or ((FieldError(pointer, detail),) if pointer else ())


class Invalid(ServiceError):
    """The request is well-formed, but a value in it cannot be used."""

    remedy: ClassVar[str] = "Mend what `errors` names and send the request again; nothing was done."

    def at(self, pointer: str) -> Self:
        """The same refusal, named by the field it came in."""
        return type(self)(self.detail, errors=(FieldError(pointer, self.detail),))


class NotFound(ServiceError):
    """There is nothing here under that id."""

    remedy: ClassVar[str] = (
        "Check the id: it may be of another deployment, or the thing was deleted. Lists show what there is."
    )


class Conflict(ServiceError):
    """The thing is not in a state that allows this."""

    remedy: ClassVar[str] = (
        "Look at the thing as it is now; `detail` says what it would take. Repeating alone does not help."
    )


class Unauthenticated(ServiceError):
    """The request carries no key that is known here."""

    remedy: ClassVar[str] = (
        "Send a good key: `Authorization: Bearer lw_...`. An administrator makes one with `POST /v1/api-keys`."
    )


class Forbidden(ServiceError):
    """The key is known, but its scopes do not reach this far."""

    remedy: ClassVar[str] = "Use a key that may do this; `GET /v1/me` tells what yours may. Repeating does not help."


class LimitReached(ServiceError):
    """Too much at once; wait for as long as the answer says."""

    remedy: ClassVar[str] = "Wait as many seconds as `Retry-After` says, then send it again."

    def __init__(self, detail: str, *, retry_after: float) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(ServiceError):
    """A part that this needs is away for the moment; the request may be repeated."""

    remedy: ClassVar[str] = "Send it again after `Retry-After`, with the same `Idempotency-Key`: nothing happens twice."
