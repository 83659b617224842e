"""Links by which a gateway fetches an attachment: signed, and good for two days. Pure.

Every message of a campaign that leaves within the same hour carries the same link, so that a gateway which remembers
what it fetched does not fetch it once a recipient.
"""

import hmac
from datetime import datetime
from hashlib import sha256
from typing import ClassVar, Final
from urllib.parse import quote

from shared.domain.attachment import Media
from shared.errors import Forbidden, ServiceError

LIFE_SECONDS: Final = 48 * 3600  # gateways keep a message in their queue for hours, some for two days
STEP_SECONDS: Final = 3600


class AttachmentLinkForged(Forbidden):
    """The link's signature does not fit: it was altered, cut short, or made by another deployment."""

    remedy: ClassVar[str] = "Use the link as it was given, whole; `GET /v1/attachments/{id}` gives a fresh one."


class AttachmentLinkExpired(ServiceError):
    """The link was good until a moment that has passed."""

    remedy: ClassVar[str] = "Ask for a fresh link with `GET /v1/attachments/{id}`."


def key_of(pepper: bytes) -> bytes:
    """The key of this deployment's links; it lives as long as the data, through every change of the secret keys."""
    return hmac.digest(pepper, b"lapwing attachment links", sha256)


def expiry(now: datetime) -> int:
    """When a link that is made now ends, in seconds since 1970: the same for all that are made within an hour."""
    hours = int(now.timestamp()) // STEP_SECONDS + 1
    return hours * STEP_SECONDS + LIFE_SECONDS


def sign(key: bytes, attachment_id: str, name: str, expires: str) -> str:
    said = f"{attachment_id}\n{name}\n{expires}".encode("utf-8", "replace")
    return hmac.digest(key, said, sha256).hex()


def link(public_url: str, key: bytes, media: Media, *, expires: int) -> str:
    signature = sign(key, str(media.id), media.name, str(expires))
    path = f"/attachments/{media.id}/{quote(media.name, safe='')}"
    return f"{public_url.rstrip('/')}{path}?expires={expires}&signature={signature}"


def signature_of(made: str) -> str:
    """The part of a link that opens it: nobody may read it in a record."""
    return made.rpartition("=")[2]


def check(key: bytes, attachment_id: str, name: str, *, expires: str, signature: str, now: datetime) -> None:
    """Raise unless the link is ours, whole, and still good. The signature comes first: nobody learns from a guess."""
    fits = hmac.compare_digest(sign(key, attachment_id, name, expires).encode(), signature.encode("utf-8", "replace"))
    if not fits:
        raise AttachmentLinkForged("The link's signature does not fit; use the link as it was given.")
    if int(expires) <= now.timestamp():
        raise AttachmentLinkExpired("The link has expired; GET /v1/attachments/{id} gives a fresh one.")
