"""Attachments: which files go with a message. Each is known by its content, never by what it says it is.

Pure: bytes and names in, a type or a refusal out. The list is what gateways of multimedia messages take; whatever a
browser would run (HTML, SVG, scripts) is not in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Final
from uuid import UUID

from shared.errors import Conflict, Invalid, ServiceError

MOST: Final = 10  # that go with one message
LARGEST: Final = 10_000_000  # bytes, whatever the policy says
LONGEST_NAME: Final = 100
HEAD_BYTES: Final = 64  # so much of a file tells its type

# Each type by its media type, with the extensions its files have; the first is given to a name without one.
EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "image/jpeg": ("jpg", "jpeg", "jpe", "jfif"),
        "image/png": ("png",),
        "image/gif": ("gif",),
        "application/pdf": ("pdf",),
        "video/mp4": ("mp4", "m4v"),
        "video/3gpp": ("3gp", "3gpp"),
        "video/3gpp2": ("3g2", "3gp2", "3gpp2"),
        "video/quicktime": ("mov", "qt"),
        "audio/mp4": ("m4a", "mp4"),
        "audio/mpeg": ("mp3",),
        "audio/amr": ("amr",),
        "audio/ogg": ("ogg", "oga", "opus"),
        "text/vcard": ("vcf", "vcard"),
        "text/calendar": ("ics", "ical"),
    }
)
TYPES: Final = tuple(EXTENSIONS)

# Other names of the same types, as clients write them.
_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "image/jpg": "image/jpeg",
        "image/pjpeg": "image/jpeg",
        "application/x-pdf": "application/pdf",
        "video/x-m4v": "video/mp4",
        "audio/3gpp": "video/3gpp",
        "audio/3gpp2": "video/3gpp2",
        "audio/m4a": "audio/mp4",
        "audio/x-m4a": "audio/mp4",
        "audio/mp3": "audio/mpeg",
        "audio/x-mp3": "audio/mpeg",
        "audio/x-amr": "audio/amr",
        "application/ogg": "audio/ogg",
        "audio/opus": "audio/ogg",
        "text/x-vcard": "text/vcard",
        "text/directory": "text/vcard",
        "application/ics": "text/calendar",
    }
)
# They claim nothing.
_SAYS_NOTHING: Final = frozenset({"", "application/octet-stream", "binary/octet-stream", "application/binary"})

_BEGINNINGS: Final = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"\xff\xf3", "audio/mpeg"),
    (b"\xff\xf2", "audio/mpeg"),
    (b"#!AMR", "audio/amr"),
    (b"OggS", "audio/ogg"),
)
# ISO base media (ISO/IEC 14496-12) says by its brand which of its family it is.
_BRANDS: Final = (
    (b"3gp", "video/3gpp"),
    (b"3ge", "video/3gpp"),
    (b"3gg", "video/3gpp"),
    (b"3g2", "video/3gpp2"),
    (b"qt  ", "video/quicktime"),
    (b"M4A", "audio/mp4"),
    (b"M4B", "audio/mp4"),
    (b"M4V", "video/mp4"),
    (b"iso", "video/mp4"),
    (b"mp4", "video/mp4"),
    (b"avc1", "video/mp4"),
    (b"MSNV", "video/mp4"),
    (b"mmp4", "video/mp4"),
)
_WORDS: Final = ((b"BEGIN:VCARD", "text/vcard"), (b"BEGIN:VCALENDAR", "text/calendar"))


@dataclass(frozen=True, slots=True)
class Media:
    """An attachment as a campaign's message keeps it: enough to make its link, and to show what was sent."""

    id: UUID
    name: str
    content_type: str
    size_bytes: int

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> "Media":
        return cls(UUID(stored["id"]), stored["name"], stored["content_type"], stored["size_bytes"])

    def write(self) -> dict[str, Any]:
        return {"id": str(self.id), "name": self.name, "content_type": self.content_type, "size_bytes": self.size_bytes}


class AttachmentTypeNotTaken(Invalid):
    """The file is of no type that gateways of multimedia messages take."""

    remedy: ClassVar[str] = "Convert the file to one of the types that `detail` lists, and upload it again."


class AttachmentTypeLies(Invalid):
    """The file's content is of another type than its `Content-Type` or its name says."""

    remedy: ClassVar[str] = "Name the file after what it is, or leave the claim out: its content decides."


class AttachmentNameRefused(Invalid):
    """The file's name could not stand in an address: it holds a path or characters that cannot be seen."""

    remedy: ClassVar[str] = "Give the file a plain name such as `menu.pdf`."


class AttachmentTooLarge(ServiceError):
    """The file is larger than the policy's `max_attachment_bytes`."""

    remedy: ClassVar[str] = (
        "Make the file smaller, or have an admin set `max_attachment_bytes` under `PATCH /v1/policy`."
    )


class AttachmentInUse(Conflict):
    """A campaign that is not over sends this attachment."""

    remedy: ClassVar[str] = "Take it out of the campaign that `detail` names, or wait until that is over."


class AttachmentGone(Conflict):
    """An attachment of the campaign was deleted since, and its messages would lack it."""

    remedy: ClassVar[str] = "Upload the file again, and name the new attachment in the campaign's messages."


class NoGatewayForAttachments(Conflict):
    """No gateway that could send this campaign takes attachments."""

    remedy: ClassVar[str] = "Enable a gateway whose `capabilities.attachments` is true, or leave the attachments out."


class AttachmentsNotResent(Conflict):
    """The message carried attachments, which go with campaigns only."""

    remedy: ClassVar[str] = "Send it again with its campaign: `POST /v1/campaigns/{id}/resend`."


def type_of(head: bytes) -> str | None:
    """The media type of a file by its first bytes; None if it is none that is taken."""
    for beginning, found in _BEGINNINGS:
        if head.startswith(beginning):
            return found
    if head[4:8] == b"ftyp":
        return next((found for brand, found in _BRANDS if head[8:12].startswith(brand)), None)
    words = head.removeprefix(b"\xef\xbb\xbf").lstrip().upper()
    return next((found for word, found in _WORDS if words.startswith(word)), None)


def check_type(head: bytes, *, declared: str, name: str) -> str:
    """The type of a file; raises where it is none that is taken, and where the file says it is another."""
    found = type_of(head)
    if found is None:
        raise AttachmentTypeNotTaken(f"The content is of no type that gateways take; these are: {', '.join(TYPES)}.")
    claimed = declared.partition(";")[0].strip().lower()
    if claimed not in _SAYS_NOTHING and _ALIASES.get(claimed, claimed) != found:
        raise AttachmentTypeLies(
            f"Content-Type says {claimed[:80]!r}, and the content is {found}; send it as that, or as "
            "application/octet-stream."
        )
    extension = _extension_of(name)
    if extension and extension not in EXTENSIONS[found]:
        raise AttachmentTypeLies(
            f"The name ends in .{extension}, and the content is {found}; name it .{EXTENSIONS[found][0]}."
        )
    return found


def check_name(name: str) -> str:
    """The name as it can stand in an address and on a disk; raises where it would have to be another."""
    shown = ascii(name[:LONGEST_NAME])
    if not name.strip():
        raise AttachmentNameRefused("The file has no name; give one, such as menu.pdf.")
    if "/" in name or "\\" in name or name.startswith("."):
        raise AttachmentNameRefused(f"The name {shown} holds a path; give the file's own name, such as menu.pdf.")
    if not name.isprintable():
        raise AttachmentNameRefused(f"The name {shown} holds characters that cannot be seen; remove them.")
    if len(name) > LONGEST_NAME:
        raise AttachmentNameRefused(
            f"The name has {len(name)} characters, and {LONGEST_NAME} are the most; shorten it."
        )
    return name.strip()


def with_extension(name: str, found: str) -> str:
    """The name with the extension of its type: some gateways go by that."""
    return name if _extension_of(name) else f"{name}.{EXTENSIONS[found][0]}"


def check_size(size: int, *, most: int) -> None:
    if not size:
        raise Invalid("The file is empty; there is nothing to send.")
    if size > most:
        raise AttachmentTooLarge(
            f"The file has {size:,} bytes, and {most:,} are the most; make it smaller, or have an admin set "
            "max_attachment_bytes under PATCH /v1/policy."
        )


def _extension_of(name: str) -> str:
    _, dot, extension = name.rpartition(".")
    return extension.lower() if dot else ""
