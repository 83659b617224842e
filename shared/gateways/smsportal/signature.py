"""How a webhook of SMSPortal's shows that it is one: a header with a secret, or a signature with a time.

The vendor publishes neither the names of the signature's headers nor how it is written, so the names
are settings, and hex and Base64 are both read.
https://docs.smsportal.com/docs/webhook-signatures
"""

import hmac
import re
from base64 import b64decode
from datetime import timedelta
from typing import Final

from shared.adapter import Account, Callback, ForgedCallback
from shared.gateways.smsportal.codes import moment_of

# A signed request that is older may have been recorded and sent again.
FRESH: Final = timedelta(minutes=5)

_HEX = re.compile("[0-9a-fA-F]{64}")
_BASE64 = re.compile("[A-Za-z0-9+/_-]{43}=?")
_NOTHING: Final = b""


def check_genuine(account: Account, callback: Callback) -> None:
    """Raise ForgedCallback unless the request shows all that this account's webhooks are to show."""
    settings, secrets = account.settings, account.secrets
    if secret := secrets.get("webhook_secret"):
        given = callback.headers.get(str(settings.get("webhook_header", "")).lower(), "")
        if not hmac.compare_digest(secret.encode(), given.encode("utf-8", "replace")):
            raise ForgedCallback(
                "The header named by webhook_header does not hold webhook_secret; set it in the vendor's portal."
            )
    if secret := secrets.get("signature_secret"):
        signature = callback.headers.get(str(settings.get("signature_header", "")).lower(), "")
        timestamp = callback.headers.get(str(settings.get("timestamp_header", "")).lower(), "")
        _check_signature(secret, callback, signature=signature, timestamp=timestamp)


def _check_signature(secret: str, callback: Callback, *, signature: str, timestamp: str) -> None:
    said = f"v1:{timestamp}|{callback.method}|{callback.url}|".encode("utf-8", "replace") + callback.body
    if not hmac.compare_digest(hmac.digest(secret.encode(), said, "sha256"), _digest_of(signature)):
        raise ForgedCallback(
            "The signature does not fit; signature_secret must be the newest one, signature_header and "
            "timestamp_header the names of its headers, and the public URL the one that the vendor calls."
        )
    signed_at = moment_of(timestamp)
    if signed_at is None or callback.received_at is None or abs(callback.received_at - signed_at) > FRESH:
        raise ForgedCallback("The signature's time is not of the last five minutes; the request may be a repeated one.")


def _digest_of(signature: str) -> bytes:
    """The bytes a signature stands for, whichever way it is written; none where it is no signature."""
    text = signature.strip()
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if _BASE64.fullmatch(text):
        return b64decode(text.translate({ord("-"): "+", ord("_"): "/"}).rstrip("=") + "=")
    return _NOTHING
