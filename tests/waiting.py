"""Waiting for what other threads and processes do."""

from __future__ import annotations

import time
from collections.abc import Callable

DEADLINE = 60.0
"""Seconds after which it will not happen any more, however busy the machine is."""


def wait_until(is_so: Callable[[], object], what: str = "it") -> None:
    """Return as soon as something is so. what: is told if it never is."""
    deadline = time.monotonic() + DEADLINE
    while not is_so():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)
