"""A client's reference is one message's own: asked for again it is the same message, and never a second one."""

from datetime import datetime
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from api.messages import queries
from api.messages.schemas import MessageIn
from api.security import Caller
from shared.errors import Conflict

_PERSON: Final = b"client reference"  # keeps this use of the pepper apart from the others


class ClientReferenceTaken(Conflict):
    """The client_reference was given before, to another request: it stands for that message alone."""


async def find_made(tx: AsyncConnection, wanted: MessageIn, caller: Caller, *, pepper: bytes) -> Any | None:
    """The message that this very request has made before; raises ClientReferenceTaken where another one did."""
    if wanted.client_reference is None:
        return None
    known = await queries.find_reference(tx, wanted.client_reference)
    if known is None:
        return None
    message = await queries.find_message(tx, known.message_id)
    if message is None or known.fingerprint != _fingerprint(wanted, pepper):
        raise _taken(wanted.client_reference)
    if not caller.may_read and message.created_by not in caller.keys:
        raise _taken(wanted.client_reference)
    return message


async def take(tx: AsyncConnection, wanted: MessageIn, *, message_id: UUID, pepper: bytes, now: datetime) -> bool:
    """Keep the reference for a message that is about to be made; False for whoever comes second.

    Who asks for the same at the same moment waits here until the first one is done, and finds its message then.
    """
    if wanted.client_reference is None:
        return True
    fingerprint = _fingerprint(wanted, pepper)
    return await queries.take_reference(
        tx, wanted.client_reference, message_id=message_id, fingerprint=fingerprint, now=now
    )


def _fingerprint(wanted: MessageIn, pepper: bytes) -> bytes:
    """Of all that was asked for, keyed: numbers and codes could be guessed from a plain digest."""
    asked = wanted.model_dump_json(exclude_defaults=True).encode()
    return blake2b(asked, digest_size=16, key=pepper[:64], person=_PERSON).digest()


def _taken(reference: str) -> ClientReferenceTaken:
    return ClientReferenceTaken(
        f"client_reference {reference!r} stands for another message, made before; take a reference of its own for each "
        "message, and repeat a request unchanged."
    )
