"""Which addresses the one door may connect to. Pure: values in, values out, no look-ups.

Three kinds: never (metadata services and link-local, whatever the operator lists), public (always),
and everything else (private, loopback, carrier NAT, tunnels, multicast, reserved), which needs an
entry in ALLOWED_NETWORKS.
"""

import re
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NEVER: tuple[Network, ...] = tuple(
    ip_network(cidr)
    for cidr in (
        "0.0.0.0/8",  # "this host": connects to loopback
        "169.254.0.0/16",  # link-local, with most clouds' metadata
        "100.100.100.200/32",  # Alibaba metadata
        "168.63.129.16/32",  # Azure's wire server
        "192.0.0.192/32",  # Oracle metadata
        "255.255.255.255/32",
        "::/128",
        "fe80::/10",
        "fec0::/10",  # site-local, long deprecated
        "fd00:ec2::/32",  # AWS metadata and its neighbours
        "fd20:ce::254/128",  # Google metadata
        "fd00:42::42/128",  # Scaleway metadata
    )
)

# `is_global` calls 64:ff9b::/96, 2002::/16, 192.0.0.8 and multicast global in Python 3.11, and
# changes its mind between releases: what is special is listed here, after the IANA registries.
_SPECIAL: tuple[Network, ...] = tuple(
    ip_network(cidr)
    for cidr in (
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier NAT
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",  # Teredo, ORCHID and other protocol assignments
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all else in IPv6 is special: ULA, NAT64, multicast, ...
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_V4_COMPATIBLE = IPv6Network("::/96")

_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")


class UnreadableHost(ValueError):
    """Neither a host name nor an address that every reader of URLs would read alike."""


def host_of(host: str) -> str | Address:
    """The name (lower case, no trailing dot) or the address that a URL's host stands for.

    An address is recognised in every spelling a resolver or URL parser would take: decimal,
    hexadecimal, octal, with parts left out. What only some parsers would read is refused, so that
    the check and the connection can never mean two different hosts.
    """
    host = host.lower().removesuffix(".")
    if ":" in host:
        return unmapped(_address(host))
    if _NUMERIC.fullmatch(host.rpartition(".")[2]):
        try:
            return IPv4Address(socket.inet_aton(host))
        except OSError:
            raise UnreadableHost("the last label is a number, but the host is no address") from None
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise UnreadableHost("not a host name")
    return host


def unmapped(address: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped one (which connects over IPv4), else the address."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def literal_of(host: str) -> Address | None:
    """The address that a URL's host says without a look-up, as `localhost` does; None for a name."""
    found = host_of(host)
    if not isinstance(found, str):
        return found
    return IPv4Address("127.0.0.1") if found == "localhost" or found.endswith(".localhost") else None


def is_never(address: Address) -> bool:
    """Whether nothing may connect there, whatever the operator lists."""
    address = unmapped(address)
    return any(inner in network for inner in (address, *_carried(address)) for network in _NEVER)


def may_connect(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether the door may connect to this address, given the operator's ALLOWED_NETWORKS."""
    address = unmapped(address)
    if is_never(address):
        return False
    return not _is_special(address) or any(address in network for network in allowed)


def read_addresses(texts: Sequence[str]) -> tuple[Address, ...]:
    """A resolver's answers as addresses, each once, in its order."""
    return tuple(dict.fromkeys(unmapped(_address(text)) for text in texts))


def _address(text: str) -> Address:
    # A zone ("fe80::1%eth0") only makes sense for link-local addresses, which are never allowed.
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        raise UnreadableHost("not an IP address") from None


def _is_special(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _GLOBAL_UNICAST:
        return True
    return any(address in network for network in _SPECIAL)


def _carried(address: Address) -> tuple[Address, ...]:
    """The IPv4 addresses that a translator or tunnel would make of an IPv6 one."""
    if isinstance(address, IPv4Address):
        return ()
    carried: list[Address] = []
    if address.sixtofour:
        carried.append(address.sixtofour)
    if address.teredo:
        carried.extend(address.teredo)
    if (address in _V4_COMPATIBLE and not address.is_loopback) or any(address in network for network in _NAT64):
        carried.append(IPv4Address(int(address) & 0xFFFF_FFFF))
    return tuple(carried)
