"""Public or not, one line an address."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

import pytest

from vidcompute.net.addresses import is_metadata, is_public


def words(text: str) -> list[str]:
    return text.split()


PUBLIC = words("""
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.216.34 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1
168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.1.0 192.0.3.0
192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 203.0.112.255 223.255.255.255
2606:4700:4700::1111 2001:4860:4860::8888 2a00:1450:4001:800::200e 2001:200:: 2400:cb00::1
::ffff:8.8.8.8 64:ff9b::8.8.8.8 2a00::5efe:8.8.8.8
""")

NOT_PUBLIC = words("""
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.255
168.63.129.16 169.254.169.254 169.254.0.1 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.31.196.1
192.52.193.1 192.88.99.1 192.168.0.1 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1
239.255.255.250 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::8.8.8.8 64:ff9b:1::a9fe:a9fe
100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:db8::1
2002:7f00:1:: 2002:0a00:0001:: 2002:808:808:: 2620:4f:8000::1 3fff::1 4000::1 5f00::1
fc00::1 fd00:ec2::254 fd12:3456:789a::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1
2a00::5efe:127.0.0.1 2a00::200:5efe:10.0.0.1 fe80::5efe:8.8.8.8
""")


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [line for line in NOT_PUBLIC if "." in line and ":" not in line])
def test_an_inner_address_stays_inner_in_every_disguise(address: str) -> None:
    low = int(ip_address(address))
    prefixes = ["::ffff:0:0", "64:ff9b::", "2a00::5efe:0:0", "2a00::200:5efe:0:0", "::"]
    disguises = [IPv6Address(int(IPv6Address(prefix)) | low) for prefix in prefixes]
    sixtofour = IPv6Address((0x2002 << 112) | (low << 80))
    teredo = IPv6Address((0x20010000 << 96) | (low ^ 0xFFFFFFFF))

    assert [str(disguise) for disguise in [*disguises, sixtofour, teredo] if is_public(disguise)] == []


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fe80::1%eth0",
     "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::"],
)  # fmt: skip
def test_where_clouds_keep_credentials(address: str) -> None:
    assert is_metadata(address)
    assert not is_public(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "::1", "fd12::1", "8.8.8.8"])
def test_private_networks_are_not_metadata(address: str) -> None:
    assert not is_metadata(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "0x7f000001", "2130706433", "1.2.3.4.5"])
def test_what_is_not_an_address_is_an_error_not_an_answer(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        is_public(text)
