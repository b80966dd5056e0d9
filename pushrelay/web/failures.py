"""Bounds how often somebody may try to guess a secret."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from pushrelay.errors import TooManyFailures

BURST = 20
"""So many failures in a row are taken for mistakes."""

SECONDS = 3.0
"""After so long, one more is."""

_ADDRESSES = 10_000
_IPV6_NETWORK = 64


class Failures:
    """Counts failures by address; those of an IPv6 network, which one machine can have
    for itself, are one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # When all failures of an address will have been made good.
        self._good_at: OrderedDict[str, float] = OrderedDict()

    def require_patience(self, address: str) -> None:
        """Raise TooManyFailures for an address that has failed too often."""
        good_at = self._good_at.get(_network(address), 0.0)
        wait = good_at - self._clock() - (BURST - 1) * SECONDS
        if wait > 0:
            raise TooManyFailures(math.ceil(wait))

    def note(self, address: str) -> None:
        """Note a failure."""
        network, now = _network(address), self._clock()
        good_at = max(self._good_at.pop(network, 0.0), now)
        self._good_at[network] = good_at + SECONDS
        while len(self._good_at) > _ADDRESSES:
            self._good_at.popitem(last=False)


def _network(address: str) -> str:
    if ":" not in address:
        return address
    try:
        network = ipaddress.IPv6Network((address, _IPV6_NETWORK), strict=False)
    except ValueError:
        return address
    return str(network)
