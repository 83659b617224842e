"""The shape of an attachment."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from api.attachments import examples
from api.examples import shown
from api.schemas import Out


class AttachmentOut(Out):
    """A file that may go with messages. It never changes: for another content upload another one."""

    model_config = shown(examples.ATTACHMENT)

    id: UUID
    name: str
    content_type: str = Field(description="Found by the content.", examples=["image/jpeg"])
    size_bytes: int
    sha256: str = Field(description="Of the content, in hexadecimal: the same bytes are kept once.")
    created_by: str | None
    created_at: datetime
    link: str = Field(description="Where it can be fetched without a key, as a gateway does, until `link_expires_at`.")
    link_expires_at: datetime
