"""How many requests are taken: a bucket of tokens, one for each request."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from pushrelay.web.errors import HTTPError


@dataclass(frozen=True, slots=True)
class Rate:
    """One request each `interval` seconds, and `burst` of them at once."""

    interval: float
    burst: int


class RateLimit:
    """Keeps requests within `rate`; begins with a full bucket."""

    def __init__(self, rate: Rate, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._full_at = 0.0

    def take(self) -> None:
        """Take a request. Raises HTTPError for one too many."""
        now = self._clock()
        full_at = max(self._full_at, now)
        wait = full_at - now - (self.rate.burst - 1) * self.rate.interval
        if wait > 0:
            raise HTTPError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "Too Many Requests",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        self._full_at = full_at + self.rate.interval
