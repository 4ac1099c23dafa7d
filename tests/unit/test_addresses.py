"""Which addresses a download may reach: every range that is not the open internet is refused."""

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.media import addresses
from workers.media.addresses import Allowed, Endpoint, is_public, may_reach, unwrap

NOT_PUBLIC = [
    *("0.1.2.3", "0.255.0.1", "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1"),
    *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192"),
    *("192.88.99.1", "198.18.0.1", "203.0.113.5", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "fe80::1", "fe80::1%lo"),
    *("fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::a00:1"),
    *("2002:7f00:1::1", "2002:a00:1::", "2001:0:5ef5:79fd::1", "2001:db8::1", "100::1", "5f00::1"),
]
PUBLIC = [
    *("1.1.1.1", "93.184.216.34", "100.63.255.255", "172.32.0.1", "::ffff:1.1.1.1"),
    *("2606:4700::1111", "64:ff9b::101:101", "2002:101:101::1"),
]


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_what_is_not_of_the_open_internet_is_not_reached(text: str) -> None:
    assert not may_reach(ip_address(text), 443, Allowed())


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_reached(text: str) -> None:
    assert may_reach(ip_address(text), 443, Allowed())


@pytest.mark.parametrize(
    ("entry", "text", "port"),
    [
        ("10.0.0.0/8", "10.9.8.7", 80),
        ("10.0.0.0/8", "::ffff:10.9.8.7", 80),
        ("10.1.2.3", "10.1.2.3", 80),
        (" 127.0.0.1:8080 ", "127.0.0.1", 8080),
        ("127.0.0.1:8080", "::ffff:127.0.0.1", 8080),
        ("[::1]:8080", "::1", 8080),
        ("fd00::/8", "fd00::7", 80),
        ("::1", "::1", 80),
    ],
)
def test_an_allowed_address_network_or_port_is_reached(entry: str, text: str, port: int) -> None:
    assert may_reach(ip_address(text), port, addresses.read([entry]))


@pytest.mark.parametrize(
    ("entry", "text", "port"),
    [
        ("10.0.0.0/8", "11.0.0.1", 80),
        ("127.0.0.1:8080", "127.0.0.1", 8081),
        ("127.0.0.1:8080", "127.0.0.2", 8080),
        ("[::1]:8080", "::1", 80),
    ],
)
def test_an_allowance_goes_no_further_than_it_says(entry: str, text: str, port: int) -> None:
    allowed = addresses.read([entry, "8.8.8.8"])

    assert is_public(ip_address(text)) or not may_reach(ip_address(text), port, allowed)


def test_a_host_is_allowed_by_name_at_one_port_alone() -> None:
    allowed = addresses.read(["Media.LAN:443", "10.0.0.0/8"])

    assert allowed.names(443) == ("media.lan",)
    assert allowed.names(80) == ()
    assert str(Endpoint("media.lan", 443)) == "media.lan:443"


@pytest.mark.parametrize(
    "entry",
    ["", "media.lan", "10.0.0.1/8", "10.0.0.0/33", "a b:80", "127.0.0.1:0", "127.0.0.1:99999",
     "http://media.lan:80", "127.1:80", "[::1]", "media.lan:", ":80", "127.0.0.1:8o"],
)  # fmt: skip
def test_an_entry_that_is_neither_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match=r"is no address|has no port|names no host") as caught:
        addresses.read([entry])

    assert repr(entry) in str(caught.value)


@given(st.ip_addresses(v=4))
def test_an_address_in_an_envelope_is_judged_like_the_address(inner: IPv4Address) -> None:
    number = int(inner)
    envelopes = (0xFFFF << 32 | number, int(ip_address("64:ff9b::")) | number)
    wrapped = [ip_address(envelope.to_bytes(16, "big")) for envelope in envelopes]
    wrapped.append(ip_address((0x2002 << 112 | number << 80).to_bytes(16, "big")))

    assert {unwrap(one) for one in wrapped} == {inner}
    assert {is_public(one) for one in wrapped} == {is_public(inner)}
