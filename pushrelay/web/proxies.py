"""Where a request comes from and whom it asks, as far as those may be believed who
passed it on.

Everybody can write `X-Forwarded-For` and the like. They count from peers that are
trusted, and of what those were told, from the peers that they name and that are trusted
as well. The header `Forwarded` is not read: most proxies neither set nor remove it, and
then it is the client's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

from pushrelay.errors import StartupError

UNIX = "unix"
"""Stands for peers on a Unix socket among the addresses that are trusted."""

MOST_HOPS = 32
"""How many proxies a request may have passed; of those before, nothing is believed."""

_FOR, _PROTO, _HOST = b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"

_ADDRESS = re.compile(
    r"\[(?P<bracketed>[0-9a-f]*:[0-9a-f:.]+)\](?::[0-9]{1,5})?"
    r"|(?P<v4>[0-9.]+)(?::[0-9]{1,5})?"
    r"|(?P<v6>[0-9a-f:.]+)",
    re.IGNORECASE,
)

HOST = re.compile(
    r"(?:[A-Za-z0-9._~%!$&'()*+,;=-]*|\[[0-9A-Za-z:.%_~-]+\])(?::[0-9]*)?"
)
"""What Go's server takes for the name of a host, with its port."""

_SCHEMES = ("http", "https")

_Fields = Iterable[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a request comes from, and whom it asks.

    client: the address; empty on a Unix socket. scheme: `http` or `https`. host: with
    the port if it is not the usual one, as in the header; empty if nobody says.
    """

    client: str
    scheme: str
    host: str


class Proxies:
    """Peers that are trusted to tell where a request comes from.

    trusted: networks in CIDR notation, addresses, or UNIX. Raises StartupError for what
    is none.
    """

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        named = set(trusted)
        self._trusts_unix = UNIX in named
        self._networks = [_network(each) for each in sorted(named - {UNIX})]

    def source(self, scope: MutableMapping[str, Any]) -> Source:
        """Return what is to be believed of the request with this ASGI scope."""
        fields: _Fields = scope["headers"]
        peer, scheme = _peer(scope), scope.get("scheme", "http")
        host = next((_text(v) for name, v in fields if name == b"host"), "")
        if not self._trusts(peer):
            return Source(peer, scheme, host)
        client, hops = self._client(peer, _listed(fields, _FOR))
        told = _told(fields, _PROTO, hops).lower()
        asked = _told(fields, _HOST, hops)
        return Source(
            client,
            told if told in _SCHEMES else scheme,
            asked if asked and HOST.fullmatch(asked) else host,
        )

    def _client(self, peer: str, told: list[str]) -> tuple[str, int]:
        """Return the first address from the right that is not trusted, or whatever is
        the last one before something that is no address; and how many hops are."""
        client, hops = peer, 0
        while hops < MOST_HOPS and self._trusts(client):
            hops += 1
            before = _address(told.pop()) if told else None
            if before is None:
                break
            client = before
        return client, hops

    def _trusts(self, address: str) -> bool:
        if not address:
            return self._trusts_unix
        if not self._networks:
            return False
        parsed = ip_address(address)
        return any(parsed in network for network in self._networks)


NO_PROXIES = Proxies()


def _network(written: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(written)
    except ValueError as error:
        raise StartupError(
            f"--web.trusted-proxies: {error}; write networks such as 10.0.0.0/8 or "
            f"fd00::/8, addresses, or {UNIX} for peers on a Unix socket, with commas "
            "between them"
        ) from None


def _peer(scope: MutableMapping[str, Any]) -> str:
    address = scope.get("client")
    # A socket for both kinds of addresses shows IPv4 ones in this way.
    return str(address[0]).removeprefix("::ffff:") if address else ""


def _listed(fields: _Fields, wanted: bytes) -> list[str]:
    """Return what the headers `wanted` list: one header, as RFC 9110 joins them."""
    joined = b",".join(value for name, value in fields if name == wanted)
    last = _text(joined).rsplit(",", MOST_HOPS)
    return [each.strip() for each in last]


def _told(fields: _Fields, wanted: bytes, hops: int) -> str:
    """Return what the first of the trusted `hops` was asked. One that passes on and
    adds its own says as many as there are hops; one that replaces, one."""
    listed = _listed(fields, wanted)
    return listed[-min(hops, len(listed))]


def _address(written: str) -> str | None:
    """Return the address that `written` is, perhaps with a port, in its usual form."""
    match = _ADDRESS.fullmatch(written)
    if match is None:
        return None
    try:
        address: IPv4Address | IPv6Address | None = ip_address(
            match[match.lastgroup or 0]
        )
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return str(address)


def _text(value: bytes) -> str:
    return value.decode("latin-1")
