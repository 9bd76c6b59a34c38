"""Which addresses are of the public internet.

Not `ipaddress.is_global`: in the Pythons that we support it is true for NAT64, 6to4, old site-local and segment-routing
ranges and for cloud endpoints, each a way to an inner network. Sources: the IANA IPv4 and IPv6 Special-Purpose Address
Registries; RFC 6052 (NAT64), RFC 5214 (ISATAP).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network; 0.0.0.0 reaches the loopback
            "10.0.0.0/8",  # private
            "100.64.0.0/10",  # carrier NAT, and Alibaba's metadata at 100.100.100.200
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure's host agent
            "169.254.0.0/16",  # link-local, cloud metadata
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # protocol assignments, Oracle's metadata
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112 sink
            "192.52.193.0/24",  # multicast tunnels
            "192.88.99.0/24",  # 6to4 relays
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112 sink
            "198.18.0.0/15",  # benchmarks
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, broadcast
        ),
    )
)

#: All that IANA has opened for global unicast; what is outside needs no list.
_GLOBAL_UNICAST_6 = IPv6Network("2000::/3")
_NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: hides an IPv4 address, and no relay is left
            "2620:4f:8000::/48",  # AS112 sink
            "3fff::/20",  # documentation
        ),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")

#: Where clouds hand out credentials: refused even to those who open private networks.
_METADATA = tuple(map(IPv4Network, ("169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")))
_METADATA_6 = tuple(map(IPv6Network, ("fe80::/10", "fd00:ec2::/32", "fd20:ce::/32")))


def is_public(address: str | IPv4Address | IPv6Address) -> bool:
    """Whether connecting to `address` stays out of every private, local and special network.

    An IPv6 address that carries an IPv4 one is judged by both. Raises ValueError for what is not an address.
    """
    parsed = _parsed(address)
    if isinstance(parsed, IPv4Address):
        return not any(parsed in network for network in _NOT_PUBLIC_4)
    carried = _carried(parsed)
    if parsed.ipv4_mapped is not None or parsed in _NAT64:
        return carried is not None and is_public(carried)
    if parsed not in _GLOBAL_UNICAST_6 or any(parsed in network for network in _NOT_PUBLIC_6):
        return False
    return carried is None or is_public(carried)


def is_metadata(address: str | IPv4Address | IPv6Address) -> bool:
    """Whether `address` is link-local or a known place of cloud credentials. Raises ValueError like `is_public`."""
    parsed = _parsed(address)
    if isinstance(parsed, IPv4Address):
        return any(parsed in network for network in _METADATA)
    carried = _carried(parsed)
    return any(parsed in network for network in _METADATA_6) or (carried is not None and is_metadata(carried))


def _parsed(address: str | IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    # A zone ("%eth0") chooses an interface, not another address; left in place it would make comparisons fail.
    return ip_address(str(address).partition("%")[0])


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address inside: mapped, translated, 6to4, Teredo's client, ISATAP's interface."""
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return low
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    isatap = (int(address) >> 32) & 0xFFFFFFFF in {0x00005EFE, 0x02005EFE}
    return low if isatap else None
