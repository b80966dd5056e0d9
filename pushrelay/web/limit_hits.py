"""Tells of limits that are hit: counts each time, and logs some."""

from __future__ import annotations

import logging
import time
from math import inf

from pushrelay.telemetry import Telemetry

log = logging.getLogger(__name__)

OVERLOAD_LIMITS = frozenset(
    {
        *("connections", "requests", "incoming_bytes", "slow_readers"),
        *("queued_writes", "queued_bytes"),
    }
)
"""Limits of all clients together, which no single client has to know of."""

LOG_EVERY_SECONDS = 60.0


class LimitHits:
    """Counts limits that are hit in `telemetry`."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._logged_at: dict[str, float] = {}

    def note(self, limit: str) -> None:
        """Note that something was over the limit of this name. Overload is logged, at
        most once a minute for each limit: it may be hit thousands of times a second."""
        self._telemetry.limit_exceeded(limit)
        if limit not in OVERLOAD_LIMITS:
            return
        now = time.monotonic()
        if now >= self._logged_at.get(limit, -inf) + LOG_EVERY_SECONDS:
            self._logged_at[limit] = now
            log.warning(
                "more at once than --limit.%s allows; some is refused or cut off",
                limit.replace("_", "-"),
            )
