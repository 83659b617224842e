"""Where gateways fetch what goes with a message: no key, no cookie, only a link that we signed and that ends.

The signature is checked before the database is asked for anything. A piece at a time is read, each in a transaction of
its own, so that a slow gateway holds no connection.
"""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from api.attachments import queries
from api.attachments.examples import BYTES
from api.deps import Now, Res
from api.problems import problems
from api.resources import Resources
from shared.db import reading
from shared.domain.attachment_link import STEP_SECONDS, AttachmentLinkExpired, AttachmentLinkForged, check, key_of
from shared.errors import NotFound

router = APIRouter(prefix="/attachments", tags=["attachments"])

_FOUND: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The file.",
        "content": {
            # Whichever of the types it is: the answer tells.
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": BYTES}
        },
    },
    304: {"description": "The file is still the one that `If-None-Match` names."},
}


class FileResponse(StreamingResponse):
    """A file whose type is told with it."""

    media_type = None


@router.head("/{attachment_id}/{name}", include_in_schema=False)
@router.get(
    "/{attachment_id}/{name}",
    response_class=FileResponse,
    responses={**_FOUND, **problems(AttachmentLinkForged, 404, AttachmentLinkExpired)},
)
async def fetch_attachment(  # noqa: PLR0913, PLR0917 - all that a link says
    request: Request,
    attachment_id: Annotated[str, Path(description="The attachment's id.")],
    name: Annotated[str, Path(description="The file's name.")],
    res: Res,
    now: Now,
    expires: Annotated[str, Query(description="When the link ends, in seconds since 1970.")] = "",
    signature: Annotated[str, Query(description="Ours over all of it: nothing in a link can be changed.")] = "",
) -> Response:
    """For gateways: the file behind a signed link, as `GET /v1/attachments/{id}` and a message's media give it."""
    check(key_of(res.pepper), attachment_id, name, expires=expires, signature=signature, now=now)
    async with reading(res.engine) as tx:
        row = await queries.find_attachment(tx, UUID(attachment_id))
    if row is None:
        raise NotFound("The attachment was deleted.")
    headers = _headers(row, expires=int(expires), now=now)
    if headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    headers |= {"Content-Type": row.content_type, "Content-Length": str(row.size_bytes)}
    if request.method == "HEAD":
        return Response(headers=headers)
    return FileResponse(_pieces(res, row.sha256), headers=headers)


def _headers(row: queries.AnyRow, *, expires: int, now: datetime) -> dict[str, str]:
    plain = row.name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    return {
        # Nobody's browser is to run or frame it on our address, whatever is in it.
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(row.name, safe='')}",
        "ETag": f'"{row.sha256.hex()}"',
        # A gateway that keeps it need not come for every recipient; never for longer than the link is good.
        "Cache-Control": f"public, immutable, max-age={min(STEP_SECONDS, int(expires - now.timestamp()))}",
    }


async def _pieces(resources: Resources, digest: bytes) -> AsyncIterator[bytes]:
    position = 0
    while True:
        async with reading(resources.engine) as tx:
            data = await queries.find_chunk(tx, digest, position)
        if data is None:
            return
        yield data
        position += 1
