"""Contacts as clients see them: with the standing no of their number, which is kept apart from them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from api.contacts.schemas import ContactOut
from shared.queries.opt_outs import find_opt_outs
from shared.sealing import hash_msisdn


async def shown_contacts(tx: AsyncConnection, rows: Sequence[Any], *, pepper: bytes) -> list[ContactOut]:
    """These contacts, in their order."""
    hashes = [hash_msisdn(pepper, row.msisdn) for row in rows]
    said = await find_opt_outs(tx, hashes)
    return [
        ContactOut.model_validate({**row._mapping, "opt_out": said.get(msisdn_hash)})  # noqa: SLF001 - SQLAlchemy's public name
        for row, msisdn_hash in zip(rows, hashes, strict=True)
    ]


async def shown_contact(tx: AsyncConnection, row: Any, *, pepper: bytes) -> ContactOut:
    """One of them."""
    return (await shown_contacts(tx, [row], pepper=pepper))[0]
