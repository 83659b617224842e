"""Signatures that a script asks for and we work out: HMACs under a secret, computed after the script has returned.

Where a text may stand, the script says `{hmac_sha256 = {secret = "signing_key", over = "..."}}`. It never sees the key,
and what is signed may be the body as it is really sent, with its secrets filled in.
"""

import binascii
import hmac
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from shared.adapter import Account, UnfitScript
from shared.gateways.custom.marks import filled
from shared.gateways.custom.values import secret_of

_DIGESTS: Final[Mapping[str, str]] = MappingProxyType(
    {"hmac_sha256": "sha256", "hmac_sha1": "sha1", "hmac_sha512": "sha512"}
)
_FORMS: Final[Mapping[str, Callable[[bytes], str]]] = MappingProxyType(
    {
        "hex": bytes.hex,
        "base64": lambda digest: b64encode(digest).decode(),
        "base64url": lambda digest: urlsafe_b64encode(digest).decode(),
    }
)
_KEYS: Final[Mapping[str, Callable[[str], bytes]]] = MappingProxyType(
    {"text": str.encode, "hex": bytes.fromhex, "base64": lambda text: b64decode(text, validate=True)}
)
_TEXTS: Final = ("secret", "over", "as", "prefix", "secret_is")
_MAY_SAY: Final = (*_TEXTS, "body")


def is_signature(value: object) -> bool:
    """Whether a table asks for a signature; one that only looks like it is refused where it is worked out."""
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in _DIGESTS


def signature(account: Account, value: Mapping[str, Any], *, body: bytes | None) -> str:
    """The signature as the script wants it written; `body` is what is sent, where that is settled already."""
    ((kind, wanted),) = value.items()
    if not isinstance(wanted, Mapping) or not wanted.keys() <= set(_MAY_SAY):
        raise UnfitScript(f"The script's {kind} must be a table; it may have: {', '.join(_MAY_SAY)}.")
    texts = {name: _text(kind, name, wanted.get(name)) for name in _TEXTS}
    over = filled(account, texts["over"]).encode("utf-8", "replace") + _body(kind, wanted.get("body"), body)
    if not over:
        raise UnfitScript(f"The script's {kind} signs nothing; say what in over, or body = true.")
    key = _key(account, kind, texts["secret"], texts["secret_is"] or "text")
    write = _FORMS.get(texts["as"] or "hex")
    if write is None:
        raise UnfitScript(f"The script's {kind}.as must be one of {', '.join(_FORMS)}.")
    return texts["prefix"] + write(hmac.digest(key, over, _DIGESTS[kind]))


def _text(kind: str, name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnfitScript(f"The script's {kind}.{name} must be a text.")
    return value


def _body(kind: str, wanted: object, body: bytes | None) -> bytes:
    """What is sent, behind `over`: it is known in the query and in the headers, and not within itself."""
    if wanted is None or wanted is False:
        return b""
    if wanted is not True or body is None:
        raise UnfitScript(f"The script's {kind}.body can be true in query and headers, and nothing else.")
    return body


def _key(account: Account, kind: str, name: str, written: str) -> bytes:
    if not name:
        raise UnfitScript(f"The script's {kind}.secret must be the name of a secret.")
    read = _KEYS.get(written)
    if read is None:
        raise UnfitScript(f"The script's {kind}.secret_is must be one of {', '.join(_KEYS)}.")
    try:
        return read(secret_of(account, (name,)))
    except (ValueError, binascii.Error):
        raise UnfitScript(f"The secret {name} is no {written}, which the script's {kind}.secret_is says.") from None
