"""Which hosts and addresses the door refuses: the corpus of spellings and ranges."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from shared.addresses import UnreadableHost, host_of, may_connect, read_addresses

LOOPBACK = IPv4Address("127.0.0.1")
EVERYTHING = (ip_network("0.0.0.0/0"), ip_network("::/0"))

PUBLIC = ["1.1.1.1", "8.8.8.8", "54.172.60.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"]

NEVER = [
    pytest.param("169.254.169.254", id="metadata"),
    pytest.param("169.254.170.2", id="ECS metadata"),
    pytest.param("169.254.1.1", id="link-local"),
    pytest.param("100.100.100.200", id="Alibaba metadata"),
    pytest.param("168.63.129.16", id="Azure wire server"),
    pytest.param("192.0.0.192", id="Oracle metadata"),
    pytest.param("0.0.0.0", id="this host"),
    pytest.param("0.1.2.3", id="this network"),
    pytest.param("255.255.255.255", id="broadcast"),
    pytest.param("::", id="this host, IPv6"),
    pytest.param("fe80::1", id="link-local, IPv6"),
    pytest.param("fd00:ec2::254", id="AWS metadata, IPv6"),
    pytest.param("fd20:ce::254", id="Google metadata, IPv6"),
    pytest.param("::ffff:169.254.169.254", id="metadata, mapped"),
    pytest.param("::169.254.169.254", id="metadata, compatible"),
    pytest.param("64:ff9b::a9fe:a9fe", id="metadata through NAT64"),
    pytest.param("2002:a9fe:a9fe::1", id="metadata through 6to4"),
    pytest.param("2001:0:0808:0808:0:0:5601:5601", id="metadata through Teredo"),
]

UNLESS_ALLOWED = [
    pytest.param("127.0.0.1", "127.0.0.0/8", id="loopback"),
    pytest.param("127.255.255.254", "127.0.0.0/8", id="far end of loopback"),
    pytest.param("10.0.0.1", "10.0.0.0/8", id="private A"),
    pytest.param("172.31.255.255", "172.16.0.0/12", id="private B"),
    pytest.param("192.168.1.1", "192.168.1.0/24", id="private C"),
    pytest.param("100.64.0.1", "100.64.0.0/10", id="carrier NAT"),
    pytest.param("192.0.0.8", "192.0.0.0/24", id="protocol assignments"),
    pytest.param("198.18.0.1", "198.18.0.0/15", id="benchmarking"),
    pytest.param("203.0.113.7", "203.0.113.0/24", id="documentation"),
    pytest.param("192.88.99.1", "192.88.99.0/24", id="6to4 relay"),
    pytest.param("224.0.0.1", "224.0.0.0/4", id="multicast"),
    pytest.param("240.0.0.1", "240.0.0.0/4", id="reserved"),
    pytest.param("::1", "::1/128", id="loopback, IPv6"),
    pytest.param("fc00::1", "fc00::/7", id="unique local"),
    pytest.param("fd12:3456::1", "fd12:3456::/32", id="unique local, fd"),
    pytest.param("ff02::1", "ff00::/8", id="multicast, IPv6"),
    pytest.param("::ffff:10.0.0.1", "10.0.0.0/8", id="private, mapped"),
    pytest.param("64:ff9b::7f00:1", "64:ff9b::/96", id="NAT64"),
    pytest.param("64:ff9b:1::7f00:1", "64:ff9b:1::/48", id="local NAT64"),
    pytest.param("2002:7f00:1::", "2002::/16", id="6to4"),
    pytest.param("2001:0:808:808::f7f7:f7f7", "2001::/23", id="Teredo"),
    pytest.param("2001:db8::1", "2001:db8::/32", id="documentation, IPv6"),
    pytest.param("100::1", "100::/64", id="discard"),
    pytest.param("4000::1", "4000::/8", id="not yet handed out"),
]

SPELLINGS = [
    pytest.param("127.0.0.1", LOOPBACK, id="dotted"),
    pytest.param("127.0.0.1.", LOOPBACK, id="trailing dot"),
    pytest.param("2130706433", LOOPBACK, id="decimal"),
    pytest.param("0x7f000001", LOOPBACK, id="hexadecimal"),
    pytest.param("0X7F.1", LOOPBACK, id="hexadecimal and short"),
    pytest.param("127.1", LOOPBACK, id="short"),
    pytest.param("127.0.1", LOOPBACK, id="three parts"),
    pytest.param("017700000001", LOOPBACK, id="octal"),
    pytest.param("0177.0.0.1", LOOPBACK, id="octal part"),
    pytest.param("0x7f.0.0.0x1", LOOPBACK, id="mixed"),
    pytest.param("0", IPv4Address(0), id="zero"),
    pytest.param("::1", IPv6Address("::1"), id="IPv6"),
    pytest.param("0:0:0:0:0:0:0:1", IPv6Address("::1"), id="IPv6 in full"),
    pytest.param("::ffff:127.0.0.1", LOOPBACK, id="mapped"),
    pytest.param("::FFFF:7F00:1", LOOPBACK, id="mapped, hexadecimal"),
    pytest.param("fe80::1%eth0", IPv6Address("fe80::1"), id="with a zone"),
    pytest.param("API.Example.COM.", "api.example.com", id="name"),
    pytest.param("xn--bcher-kva.example", "xn--bcher-kva.example", id="punycode"),
    pytest.param("sms_gw.internal", "sms_gw.internal", id="underscore"),
    pytest.param("localhost", "localhost", id="localhost"),
    pytest.param("1and1.example", "1and1.example", id="digits in a name"),
]

UNREADABLE = [
    "",
    ".",
    "a..b",
    "256.256.256.256",
    "1.2.3.4.5",
    "08.1.1.1",
    "example.1",
    "0x",
    "0xzz.1",
    "exa mple.com",
    "good.example\\evil",
    "good.example%2eevil",
    "-a.example",
    "a" * 64 + ".example",
    ".".join(["abcdefgh"] * 30),
    "127。0。0。1",  # ideographic full stops: httpx turns them into dots, nothing else gets here
    "１２７.0.0.1",  # noqa: RUF001 - full-width digits are the point
    "1::2::3",
    "gateway:80",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_need_no_leave(address: str) -> None:
    assert may_connect(ip_address(address), ())


@pytest.mark.parametrize("address", NEVER)
def test_metadata_and_link_local_are_never_connected_to(address: str) -> None:
    assert not may_connect(ip_address(address), ())
    assert not may_connect(ip_address(address), EVERYTHING)


@pytest.mark.parametrize(("address", "network"), UNLESS_ALLOWED)
def test_special_addresses_need_leave(address: str, network: str) -> None:
    assert not may_connect(ip_address(address), ())
    assert not may_connect(ip_address(address), (ip_network("192.168.77.0/24"),))
    assert may_connect(ip_address(address), (ip_network(network),))


@pytest.mark.parametrize(("host", "meant"), SPELLINGS)
def test_hosts_are_read_as_every_reader_would(host: str, meant: object) -> None:
    assert host_of(host) == meant


@pytest.mark.parametrize("host", UNREADABLE)
def test_what_only_some_would_read_is_refused(host: str) -> None:
    with pytest.raises(UnreadableHost):
        host_of(host)


def test_answers_of_a_resolver_are_unmapped_and_told_once() -> None:
    told = ["127.0.0.1", "::ffff:127.0.0.1", "fe80::1%eth0", "127.0.0.1"]
    assert read_addresses(told) == (LOOPBACK, IPv6Address("fe80::1"))


def test_an_answer_that_is_no_address_is_refused() -> None:
    with pytest.raises(UnreadableHost):
        read_addresses(["not an address"])
