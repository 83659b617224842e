"""Taking in one file: as a form's `file`, or as the body itself under `?name=`.

Like an import's, the body is read for a caller who may send it and for nobody else, and before a database connection
is taken: a slow client holds none.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from fastapi import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from api.idempotency import IdempotentRoute
from api.problems import UnsupportedMediaType
from shared.domain import attachment as law
from shared.errors import Invalid

_FORM: Final = "multipart/form-data"
_OTHER_FORM: Final = "application/x-www-form-urlencoded"


class AttachmentRoute(IdempotentRoute):
    """A POST whose whole body is there before anything else is asked for."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            await self.check_caller(request)
            media_type = _type_of(request)
            if media_type == _OTHER_FORM:
                raise UnsupportedMediaType(
                    "Send the file as multipart/form-data, or as the body itself with its own Content-Type, such as "
                    "image/jpeg."
                )
            if media_type != _FORM:
                await request.body()
            return await handle(request)

        return answer


@dataclass(frozen=True, slots=True)
class Given:
    """A file as it came: `at` is where its name stood in the request, `type_at` where its type."""

    data: bytes
    name: str
    declared: str
    at: str
    type_at: str


async def read_given(request: Request, file: UploadFile | None, name: str | None) -> Given:
    """The file of a request, whichever way it came."""
    media_type = _type_of(request)
    if media_type == _FORM:
        if file is None:
            raise Invalid("The form has no file; send it as the field `file`.", pointer="/file")
        at = "/file" if name is None else "?name"
        return Given(await file.read(), name or file.filename or "", file.content_type or "", at, "/file")
    if name is None:
        raise Invalid("The file has no name; add ?name=menu.pdf to the address.", pointer="?name")
    return Given(await request.body(), name, media_type, "?name", "Content-Type:")


def check(given: Given, *, most: int) -> tuple[str, str]:
    """The name and the type by which the file is kept; raises, naming the field."""
    try:
        name = law.check_name(given.name)
    except Invalid as refusal:
        raise refusal.at(given.at) from None
    try:
        law.check_size(len(given.data), most=most)
        found = law.check_type(given.data[: law.HEAD_BYTES], declared=given.declared, name=name)
    except Invalid as refusal:
        raise refusal.at(given.type_at) from None
    return law.with_extension(name, found), found


def _type_of(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
