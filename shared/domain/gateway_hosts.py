"""What can be seen of a gateway's addresses before anything connects to them. A name is looked up where it is used."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from shared.addresses import Network, UnreadableHost, is_never, literal_of, may_connect


def warnings(settings: Mapping[str, Any], *, allowed: Sequence[Network]) -> Iterator[str]:
    """A sentence for each address in these settings to which nothing of ours would connect."""
    for name, url in _urls(settings):
        try:
            address = literal_of(urlsplit(url).hostname or "name")
        except (UnreadableHost, ValueError):
            continue  # refused when settings are saved
        if address is None or may_connect(address, allowed):
            continue
        if is_never(address):
            yield f"{name} leads to {address}, which is never connected to; give the gateway's own address."
        else:
            yield (
                f"{name} leads to {address}, an address inside: nothing can be handed over until "
                "LAPWING_ALLOWED_NETWORKS lists its network; or give a public address."
            )


def _urls(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    balance, login = settings.get("balance") or {}, settings.get("login") or {}
    for name, url in (
        ("base_url", settings.get("base_url")),
        ("url", settings.get("url")),
        ("balance.url", balance.get("url")),
        ("login.url", login.get("url")),
    ):
        if url is not None and "://" in url:
            yield name, url
