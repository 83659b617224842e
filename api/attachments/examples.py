"""Attachments in the document's examples."""

from typing import Any, Final

from api import example_world as world

BYTES: Final = "(the file's bytes)"
UPLOAD: Final[dict[str, Any]] = {"file": BYTES}
ATTACHMENT: Final[dict[str, Any]] = {
    "id": world.ATTACHMENT,
    "name": "menu.pdf",
    "content_type": "application/pdf",
    "size_bytes": 48213,
    "sha256": "0f343b0931126a20f133d67c2b018a3b9b3b1d5a7a1f2f1e6f2d8f3c6f1c7a55",
    "created_by": world.API_KEY,
    "created_at": world.CREATED,
    "link": f"https://sms.example.com/attachments/{world.ATTACHMENT}/menu.pdf?expires=1772614800&signature="
    "6b1f0b5b7a0c4a3e9a2c9a1d5d1c0f6f3d2e7c8b9a0f1e2d3c4b5a6978879695",
    "link_expires_at": "2026-03-04T09:00:00Z",
}
