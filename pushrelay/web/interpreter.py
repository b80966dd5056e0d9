"""What is set of the Python interpreter, for pushes not to wait for each other."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SHORT_SECONDS = 0.0005

_LONG_SECONDS = sys.getswitchinterval()
_computing = 0


@contextmanager
def short_turns() -> Iterator[None]:
    """Keep turns short for as long as a thread computes; for the event loop only.

    Python takes itself from a thread that computes after 5 ms, and a push needs it
    several times: on the event loop, for the writer and back. Beside a thread that
    computed, pushes took 17 to 19 ms, and with turns of 0.5 ms 7 to 10 ms. Short turns
    for ever are no answer: the event loop and the writer then take it from each other,
    and a push costs them a fifth more.
    """
    global _computing
    _computing += 1
    sys.setswitchinterval(SHORT_SECONDS)
    try:
        yield
    finally:
        _computing -= 1
        if not _computing:
            sys.setswitchinterval(_LONG_SECONDS)


def collect_garbage_rarely() -> None:
    """Look for reference cycles after many more new objects than Python's 700.

    Hardly anything here makes any, while a large push makes hundreds of thousands of
    objects, and looking through those of all groups stops all threads.
    """
    gc.set_threshold(50_000, 20, 100)
