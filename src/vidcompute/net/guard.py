"""The guard at the socket: it sees the address that is really dialled, whatever led there.

Checking a URL's host beforehand misses redirects, names that change their address between check and use, and literals
that never meet a resolver. aiohttp asks this for a socket right before connecting, with the numeric address.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver

from vidcompute.net.addresses import is_metadata, is_public


class Guard:
    """Gives out sockets for public addresses and allowed ports only, and remembers a refusal."""

    def __init__(self, *, ports: Collection[int], allow_private_networks: bool) -> None:
        """With `allow_private_networks` every port and address is fine, except where clouds keep credentials."""
        self._ports = ports
        self._allow_private = allow_private_networks
        self.refused = False

    def socket(self, found: tuple[Any, Any, int, str, Any]) -> socket.socket:
        """A socket for one result of getaddrinfo; raises OSError to refuse, as aiohttp expects."""
        family, kind, protocol, _, address = found
        if not self._allows(str(address[0]), int(address[1])):
            self.refused = True
            raise OSError(errno.EACCES, "the guard does not allow this address")
        return socket.socket(family, kind, protocol)

    def _allows(self, host: str, port: int) -> bool:
        if self._allow_private:
            return not is_metadata(host)
        return port in self._ports and is_public(host)

    def connector(self, resolver: AbstractResolver | None) -> aiohttp.TCPConnector:
        """A connector that dials through this guard."""
        return aiohttp.TCPConnector(
            socket_factory=self.socket,
            resolver=resolver,
            # Every request dials anew, so that every request is looked at.
            force_close=True,
            use_dns_cache=False,
        )
