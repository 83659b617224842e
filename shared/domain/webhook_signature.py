"""The signatures of our webhooks, as Standard Webhooks has them. Pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

PREFIX: Final = "whsec_"
SECRET_BYTES: Final = 32


def secret_text(secret: bytes) -> str:
    """A secret as owners and libraries write it."""
    return PREFIX + base64.b64encode(secret).decode()


def join_secrets(secrets: Sequence[bytes]) -> bytes:
    """Several secrets as one value, to be sealed as one; `split_secrets` takes them apart."""
    if any(len(secret) != SECRET_BYTES for secret in secrets):
        raise ValueError(f"a secret has {SECRET_BYTES} bytes")
    return b"".join(secrets)


def split_secrets(joined: bytes) -> list[bytes]:
    return [joined[place : place + SECRET_BYTES] for place in range(0, len(joined), SECRET_BYTES)]


def signature_headers(
    secrets: Sequence[bytes], *, event_id: str, timestamp: int, body: bytes
) -> tuple[tuple[str, str], ...]:
    """The three headers: signed with each secret that is live, the newest first."""
    signed = f"{event_id}.{timestamp}.".encode() + body
    signatures = (base64.b64encode(hmac.digest(secret, signed, sha256)).decode() for secret in secrets)
    return (
        ("webhook-id", event_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", " ".join(f"v1,{signature}" for signature in signatures)),
    )
