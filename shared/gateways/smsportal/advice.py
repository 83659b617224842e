"""Settings of an SMSPortal account that are allowed and may still not be what its owner wants."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def warnings(settings: Mapping[str, Any]) -> Sequence[str]:
    return [*_warnings(settings)]


def _warnings(settings: Mapping[str, Any]) -> Iterator[str]:
    if str(settings.get("base_url", "")).startswith("http://"):
        yield "base_url begins with http: messages and secrets travel in the clear; use https."
    # Each of these settings is there with its secret only.
    if "webhook_header" not in settings and "signature_header" not in settings:
        yield (
            "receipts and replies are believed by the token in their address alone: whoever has seen the address can "
            "forge them. Activate signatures in the vendor's portal and set signature_secret with its two headers, or "
            "let the portal send a header of your choice and set webhook_header and webhook_secret."
        )
    if settings.get("test_mode"):
        yield "test_mode is on: the vendor checks and answers, and sends nothing."
