"""What an API key looks like: `lw_<public id>_<secret>_<checksum>`, in base62 so that a double-click selects all of it.

The public id names the key in logs, rows and answers; the checksum lets a scanner tell a key from a string like it
without asking us. The secret has 190 bits, so a plain SHA-256 of the whole is all that needs keeping.
"""

import re
import secrets
import string
import zlib
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PUBLIC_ID_LENGTH: Final = 12
_SECRET_LENGTH: Final = 32
_CHECKSUM_LENGTH: Final = 6
LENGTH: Final = len("lw___") + _PUBLIC_ID_LENGTH + _SECRET_LENGTH + _CHECKSUM_LENGTH
_SHAPE: Final = re.compile(r"(lw_([0-9A-Za-z]{12})_[0-9A-Za-z]{32})_([0-9A-Za-z]{6})")


@dataclass(frozen=True, slots=True)
class NewKey:
    """`text` is shown once and kept by nobody here."""

    text: str = field(repr=False)
    public_id: str
    digest: bytes = field(repr=False)


def new_key() -> NewKey:
    public_id = _random(_PUBLIC_ID_LENGTH)
    head = f"lw_{public_id}_{_random(_SECRET_LENGTH)}"
    text = f"{head}_{_checksum(head)}"
    return NewKey(text=text, public_id=public_id, digest=digest_of(text))


def parse(text: str) -> tuple[str, bytes] | None:
    """The public id and the digest of something that has the form and the checksum of a key, or None."""
    shape = _SHAPE.fullmatch(text)
    if shape is None or _checksum(shape[1]) != shape[3]:
        return None
    return shape[2], digest_of(text)


def digest_of(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checksum(head: str) -> str:
    number = zlib.crc32(head.encode())
    digits = ""
    for _ in range(_CHECKSUM_LENGTH):
        number, place = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[place] + digits
    return digits
