"""Which addresses photographs may be fetched from, and connections that go nowhere else.

A feed is written by somebody else, and so is the answer of a name server. A name is resolved once, its
addresses are judged, and the connection goes to one that was judged, so that no second answer leads anywhere
else.
"""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpcore

Address = IPv4Address | IPv6Address

_NOT_PUBLIC = tuple(
    ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24", "2002::/16", "3fff::/20", "fec0::/10")
)
"""Protocol assignments, relays, 6to4, documentation, site-local: in IANA's special-purpose registries, and
public to some versions of Python that this project runs on."""
_UNICAST = ip_network("2000::/3")
"""The part of IPv6 that is given out to hosts (RFC 4291, section 2.4, and IANA's registry of IPv6 space)."""
_TRANSLATED = ip_network("64:ff9b::/96")
"""Addresses of IPv4 hosts as networks without IPv4 write them (RFC 6052); the last 32 bits are the host's."""
_MOST_TRIED = 3
"""Addresses of a host that are tried one after the other."""


class RefusedAddress(Exception):
    """A host may not be asked; the message is the reason alone."""


def is_public(address: Address) -> bool:
    """Whether an address is one of a host on the public internet, and not of this machine or its networks."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _TRANSLATED:
            return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _UNICAST:
            return False
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_link_local)
        and not any(address in network for network in _NOT_PUBLIC if network.version == address.version)
    )


class CheckedConnections(httpcore.NetworkBackend):
    """Connects to addresses that may be asked, and to no others.

    Args:
        private_hosts: hosts with ports, such as ``("images.internal", 8080)``, that may have any address.
    """

    def __init__(self, private_hosts: Iterable[tuple[str, int]] = ()) -> None:
        self._private_hosts = frozenset(private_hosts)
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to one of the host's addresses.

        Raises:
            RefusedAddress: none of them may be asked.
            httpcore.ConnectError: the name has no address, or nobody answers there.
            httpcore.ConnectTimeout: nobody answers there in time.
        """
        addresses = self._permitted(host, port)
        for address in addresses[:_MOST_TRIED]:
            try:
                return self._plain.connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _permitted(self, host: str, port: int) -> list[Address]:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the name {host} cannot be resolved: {error}") from error
        addresses = list(dict.fromkeys(ip_address(answer[4][0]) for answer in answers))
        if (host.lower(), port) in self._private_hosts:
            return addresses
        permitted = [address for address in addresses if is_public(address)]
        if not permitted:
            raise RefusedAddress(
                f"{host} is {addresses[0]}, which is not a public address; "
                f"add {host}:{port} to ASSET_PIPELINE_FETCH_PRIVATE if it is meant"
            )
        return permitted
