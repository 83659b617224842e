"""Signatures from the vendors' descriptions: written on their own, shared with nobody.

https://www.twilio.com/docs/usage/webhooks/webhooks-security
https://docs.smsportal.com/docs/webhook-signatures
"""

import base64
import hmac
from collections.abc import Sequence


def twilio_signature(token: str, url: str, params: Sequence[tuple[str, str]] = ()) -> str:
    """HMAC-SHA1 over the URL without its fragment and the distinct parameters, sorted."""
    signed = url.partition("#")[0] + "".join(name + value for name, value in sorted(dict.fromkeys(params)))
    # SHA-1 is the vendor's choice; HMAC keeps it sound.
    digest = hmac.digest(token.encode(), signed.encode(), "sha1")
    return base64.b64encode(digest).decode("ascii")


def smsportal_signature(key: str, request: tuple[str, str, bytes], *, timestamp: str) -> bytes:
    """HMAC-SHA256 over the version, the time and the request: (method, URL, body)."""
    method, url, body = request
    return hmac.digest(key.encode(), f"v1:{timestamp}|{method}|{url}|".encode() + body, "sha256")
