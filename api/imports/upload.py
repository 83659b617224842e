"""Taking in a file, in pieces: it may be larger than the memory it should take."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from fastapi import UploadFile
from sqlalchemy.ext.asyncio import AsyncConnection

from api.imports import queries
from shared.domain.msisdn import parse_region
from shared.errors import Invalid
from shared.ids import uuid7

CHUNK_BYTES: Final = 256 * 1024


def check_file(file: UploadFile) -> None:
    if not file.size:
        raise Invalid("The file is empty; its first row must name the columns.", pointer="/file")


def read_region(code: str | None) -> str | None:
    try:
        return parse_region(code) if code else None
    except Invalid as refusal:
        raise refusal.at("/default_region") from None


async def store_file(tx: AsyncConnection, file: UploadFile, values: Mapping[str, Any], *, now: datetime) -> UUID:
    """The file as an import that waits for a dispatcher, in pieces; its id."""
    import_id = uuid7(now)
    begun = {"id": import_id, "status": "queued", "file_name": _name_of(file), "size_bytes": file.size}
    await queries.insert_import(tx, {**begun, **values, "created_at": now})
    position = 0
    while data := await file.read(CHUNK_BYTES):
        await queries.insert_chunk(tx, import_id, position=position, data=data)
        position += 1
    return import_id


def _name_of(file: UploadFile) -> str | None:
    """The file's name as its owner knows it, without the path that some browsers send."""
    name = (file.filename or "").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(filter(str.isprintable, name))[:200] or None
