"""Which URLs a webhook may have. What a name stands for is checked where it is connected to, each time."""

from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from shared.addresses import Network, UnreadableHost, literal_of, may_connect
from shared.errors import Invalid

_LONGEST: Final = 2_000
_POINTER: Final = "/url"


class UnusableUrl(Invalid):
    """No webhook may be sent to this URL."""


def check_url(url: str, *, allowed: Sequence[Network]) -> None:
    """Raise UnusableUrl for what can be seen at once: another scheme, credentials, an address nobody may reach."""
    if len(url) > _LONGEST or not url.isascii() or not url.isprintable() or set(url) & set(' \\"<>'):
        raise _refused(f"has to be up to {_LONGEST} printable ASCII characters; write others as %XX or in Punycode")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("cannot be read; give it as https://host/path") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise _refused("has to begin with https:// or http:// and name a host")
    if "@" in parts.netloc or "#" in url:
        raise _refused("must hold neither credentials nor a fragment; the signature proves who calls")
    _check_host(parts.hostname, allowed)


def _check_host(name: str, allowed: Sequence[Network]) -> None:
    try:
        address = literal_of(name)
    except UnreadableHost:
        raise _refused("names no host that can be read") from None
    if address is not None and not may_connect(address, allowed):
        raise _refused(
            "leads to an address inside; only public ones are called, and those that LAPWING_ALLOWED_NETWORKS lists"
        )


def _refused(why: str) -> UnusableUrl:
    return UnusableUrl(f"url {why}.", pointer=_POINTER)
