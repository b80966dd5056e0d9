"""Bounds how often somebody may try to guess a secret."""

from __future__ import annotations

import asyncio
import ipaddress
import math
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakValueDictionary

from pushrelay.errors import NotAuthenticated, TooManyFailures

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
        # What is tried right now, by address.
        self._tried: dict[str, Counter[Hashable]] = {}
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @contextmanager
    def attempt(self, address: str, secret: Hashable) -> Iterator[None]:
        """Let `secret` be tried; NotAuthenticated is a failure.

        What is tried at the same time counts as failed until it is known, or many would
        be tried before the first one has failed; the same secret counts once. Raises
        TooManyFailures for an address that has failed too often.
        """
        network = _network(address)
        tried = self._tried.get(network, Counter())
        if secret not in tried:
            self._require_patience(network, len(tried))
        self._tried[network] = tried
        tried[secret] += 1
        try:
            yield
        except NotAuthenticated:
            self._note(network)
            raise
        finally:
            tried[secret] -= 1
            if not tried[secret]:
                del tried[secret]
            if not tried:
                self._tried.pop(network, None)

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncIterator[None]:
        """Wait until nobody else at `address` has their turn: whoever asks from another
        one then waits for at most one secret from here."""
        network = _network(address)
        turns = self._turns.setdefault(network, asyncio.Lock())
        async with turns:
            yield

    def _require_patience(self, network: str, tried: int) -> None:
        now = self._clock()
        failed = max(0.0, self._good_at.get(network, 0.0) - now)
        wait = failed - (BURST - 1 - tried) * SECONDS
        if wait > 0:
            raise TooManyFailures(math.ceil(wait))

    def _note(self, network: str) -> None:
        now = self._clock()
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
