"""Signatures over a request's URL and parameters, as Twilio puts them into X-Twilio-Signature.

They carry no time, so a request can be repeated for ever: who accepts one must not mind hearing it
twice.
https://www.twilio.com/docs/usage/webhooks/webhooks-security
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from hashlib import sha1, sha256
from typing import Final

_PARTS = re.compile(r"(?P<scheme>https?)://(?P<host>[^/?#]*?)(?::(?P<port>\d+))?(?P<rest>[/?].*)?")
_DEFAULT_PORT: Final = {"http": "80", "https": "443"}


def sign(token: str, url: str, params: Sequence[tuple[str, str]] = ()) -> str:
    """The signature of a request to this URL with these form parameters, decoded."""
    # A parameter given several times counts with its distinct values; the order is that of the code
    # points.
    signed = url + "".join(name + value for name, value in sorted(set(params)))
    # SHA-1 is the gateway's choice; as an HMAC it still holds.
    digest = hmac.new(token.encode(), signed.encode("utf-8", "replace"), sha1).digest()
    return b64encode(digest).decode()


def is_signed(token: str, signature: str, url: str, params: Sequence[tuple[str, str]] = ()) -> bool:
    """Whether the signature fits the URL with its port or without: back ends differ in that."""
    given = signature.encode("utf-8", "replace")
    # All are compared, so that the time taken does not say which one fitted.
    fits = [hmac.compare_digest(sign(token, u, params).encode(), given) for u in _spellings(url)]
    return any(fits)


def is_body_hash(value: str, body: bytes) -> bool:
    """Whether `bodySHA256`, by which bodies that are no forms are signed, fits the body."""
    return hmac.compare_digest(sha256(body).hexdigest().encode(), value.encode("utf-8", "replace"))


def _spellings(url: str) -> Iterator[str]:
    yield url
    if match := _PARTS.fullmatch(url):
        scheme, host, rest = match["scheme"], match["host"], match["rest"] or ""
        if match["port"]:
            yield f"{scheme}://{host}{rest}"
        else:
            yield f"{scheme}://{host}:{_DEFAULT_PORT[scheme]}{rest}"
