"""Secrets at rest, and the keyed hash of a number.

A sealed value is AES-256-GCM: version, key id, nonce, ciphertext; bound to its place (table, row, column) by the
associated data, so that it opens nowhere else. The first key seals, every key opens.
"""

import base64
import binascii
import hmac
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b, sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.exits import refuse_to_start

_VERSION: Final = b"\x01"
_ID_BYTES: Final = 4
_NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
HASH_BYTES: Final = 16


class SealBroken(Exception):
    """The value was sealed by a key that is not among ours, or for another place."""


@dataclass(frozen=True, slots=True)
class Sealer:
    """Seals with the first of `keys` (32 bytes each) and opens with any of them."""

    keys: Sequence[bytes] = field(repr=False)

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> "Sealer":
        """From base64 texts, as `LAPWING_SECRET_KEYS` holds them."""
        keys = []
        for place, text in enumerate(texts, start=1):
            try:
                key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            except (binascii.Error, ValueError):
                key = b""
            if len(key) != KEY_BYTES:
                refuse_to_start(f"LAPWING_SECRET_KEYS: key {place} is not {KEY_BYTES} bytes in URL-safe base64.")
            keys.append(key)
        return cls(tuple(keys))

    def seal(self, value: bytes, *, place: str) -> bytes:
        key = self.keys[0]
        nonce = os.urandom(_NONCE_BYTES)
        return self.head + nonce + AESGCM(key).encrypt(nonce, value, place.encode())

    @property
    def head(self) -> bytes:
        """What every value begins with that the first key sealed."""
        return _VERSION + _id_of(self.keys[0])

    def open(self, sealed: bytes, *, place: str) -> bytes:
        head, rest = sealed[: 1 + _ID_BYTES], sealed[1 + _ID_BYTES :]
        for key in self.keys:
            if head == _VERSION + _id_of(key):
                try:
                    nonce, ciphertext = rest[:_NONCE_BYTES], rest[_NONCE_BYTES:]
                    return AESGCM(key).decrypt(nonce, ciphertext, place.encode())
                except (InvalidTag, ValueError):  # the latter for one that was cut short
                    continue
        raise SealBroken(f"the sealed value of {place} cannot be opened with the keys given")

    @property
    def pepper_version(self) -> str:
        """Which pepper new one-time codes are derived with: the first key's."""
        return _id_of(self.keys[0]).hex()

    def code_pepper(self, version: str) -> bytes | None:
        """The pepper of that version, derived from its key; None once the key is not in the list any more."""
        for key in self.keys:
            if _id_of(key).hex() == version:
                return hmac.digest(key, b"lapwing one-time codes", sha256)
        return None


def new_key() -> str:
    """A fresh secret key, as text."""
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode().rstrip("=")


def place_of_secrets(gateway_id: object) -> str:
    """Where a gateway's secrets live, for the seal."""
    return f"gateways|{gateway_id}|secrets_sealed"


def place_of_webhook(webhook_id: object, column: str = "secret_sealed") -> str:
    """Where one of a webhook's secrets lives, for the seal."""
    return f"webhooks|{webhook_id}|{column}"


PLACE_OF_PEPPER: Final = "installation|1|pepper_sealed"


def hash_msisdn(pepper: bytes, msisdn: str) -> bytes:
    """What stands for a number where the number itself may not be kept. Useless without the pepper."""
    hashed = _hasher(pepper).copy()  # with the key in it already: an expansion asks thousands of times a second
    hashed.update(msisdn.encode())
    return hashed.digest()


@lru_cache(maxsize=4)
def _hasher(pepper: bytes) -> blake2b:
    return blake2b(digest_size=HASH_BYTES, key=pepper, person=b"msisdn")


def _id_of(key: bytes) -> bytes:
    return sha256(b"lapwing key id" + key).digest()[:_ID_BYTES]


Secrets = Mapping[str, str]
