"""Attachments over HTTP: a file goes in once, and campaigns name it."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, File, Path, Query, Request, Response, UploadFile

from api.attachments import examples, queries
from api.attachments.schemas import AttachmentOut
from api.attachments.upload import AttachmentRoute, check, read_given
from api.deps import CanManage, CanRead, Deeds, Now, Page, Reader, Res, Tx
from api.examples import answered
from api.idempotency import IdempotentRoute
from api.limits import ATTACHMENT_LIMIT
from api.paging import PageOut, page_of
from api.places import id_of
from api.problems import UnsupportedMediaType, problems
from api.resources import Resources
from shared.domain import attachment as law
from shared.domain.attachment_link import expiry, key_of, link
from shared.ids import uuid7
from shared.queries.attachments import drop_contents, find_user
from shared.queries.policy import get_policy

router = APIRouter(tags=["attachments"], route_class=IdempotentRoute)
uploads = APIRouter(route_class=AttachmentRoute)

AttachmentId = Annotated[UUID, Path(description="The attachment's id.")]
_REFUSED: Final = (
    law.AttachmentTypeNotTaken,
    law.AttachmentTypeLies,
    law.AttachmentNameRefused,
    law.AttachmentTooLarge,
    UnsupportedMediaType,
)
# The file as it is may also be the body. Its own type does as well, but not every generator of clients can read those.
_PLAIN_BODIES: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"example": examples.UPLOAD},
            # And each of the types themselves, which programs that make clients of the document do not know.
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}, "example": examples.BYTES},
        },
    }
}


@uploads.post(
    "/attachments",
    status_code=201,
    max_body_size=ATTACHMENT_LIMIT,
    form_limits={"max_files": 1, "max_fields": 4},
    openapi_extra=_PLAIN_BODIES,
    responses={**problems(413, *_REFUSED), **answered(examples.ATTACHMENT, status=201)},
)
async def create_attachment(  # noqa: PLR0913, PLR0917 - what a route asks for, by name
    request: Request,
    tx: Tx,
    caller: CanManage,
    now: Now,
    res: Res,
    deeds: Deeds,
    file: Annotated[UploadFile | None, File(description="The file, in a form.")] = None,
    name: Annotated[
        str | None,
        Query(
            description="The file's name. Needed where the body is the file itself; in a form it wins.", max_length=400
        ),
    ] = None,
) -> AttachmentOut:
    """Keep a file that may go with the messages of campaigns: in a form as `file`, or as the body itself.

    Its type is found by its content, and what `Content-Type` and the name say must not be something else. The same
    bytes are kept once, however often and under whatever names they are uploaded.
    """
    given = await read_given(request, file, name)
    kept_as, content_type = check(given, most=(await get_policy(tx)).max_attachment_bytes)
    digest = sha256(given.data).digest()
    is_new = await queries.keep_content(tx, digest, given.data)
    attachment_id = uuid7(now)
    await queries.insert_attachment(
        tx,
        {
            "id": attachment_id,
            "name": kept_as,
            "content_type": content_type,
            "size_bytes": len(given.data),
            "sha256": digest,
            "created_by": caller.id,
            "created_at": now,
        },
    )
    told = {"name": kept_as, "content_type": content_type, "size_bytes": len(given.data), "stored": is_new}
    await deeds.write("attachment.created", ("attachment", attachment_id), told)
    return _shown(await queries.get_attachment(tx, attachment_id), res, now)


router.include_router(uploads)


@router.get("/attachments", responses=problems(422))
async def list_attachments(tx: Reader, _caller: CanRead, page: Page, res: Res, now: Now) -> PageOut[AttachmentOut]:
    """Attachments, the newest first."""
    rows = await queries.list_attachments(tx, before=id_of(page), limit=page.limit + 1)
    shown, cursor = page_of(rows, page, place=lambda row: {"id": row.id})
    return PageOut(items=[_shown(row, res, now) for row in shown], next_cursor=cursor)


@router.get("/attachments/{attachment_id}", responses=problems(404))
async def get_attachment(
    attachment_id: AttachmentId, tx: Reader, _caller: CanRead, res: Res, now: Now
) -> AttachmentOut:
    """One attachment, with a fresh link to its content."""
    return _shown(await queries.get_attachment(tx, attachment_id), res, now)


@router.delete("/attachments/{attachment_id}", status_code=204, responses=problems(404, law.AttachmentInUse))
async def delete_attachment(attachment_id: AttachmentId, tx: Tx, _caller: CanManage, deeds: Deeds) -> Response:
    """Take an attachment away. Not while a campaign that is not over sends it; its links end at once."""
    row = await queries.lock_attachment(tx, attachment_id)
    user = await find_user(tx, attachment_id)
    if user is not None:
        raise law.AttachmentInUse(
            f"The campaign {user.name!r} ({user.id}) sends this attachment and is not over; take it out there first."
        )
    await queries.delete_attachment(tx, attachment_id)
    await drop_contents(tx, [row.sha256])
    await deeds.write("attachment.deleted", ("attachment", attachment_id), {"name": row.name})
    return Response(status_code=204)


def _shown(row: queries.AnyRow, res: Resources, now: datetime) -> AttachmentOut:
    expires = expiry(now)
    media = law.Media(row.id, row.name, row.content_type, row.size_bytes)
    return AttachmentOut.model_validate(
        {
            **row._mapping,  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping
            "sha256": row.sha256.hex(),
            "link": link(res.public_url, key_of(res.pepper), media, expires=expires),
            "link_expires_at": datetime.fromtimestamp(expires, UTC),
        }
    )
