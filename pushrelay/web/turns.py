"""How long a thread may keep the interpreter while others wait for it.

Python takes it from a thread that computes after 5 ms, and a push needs it several
times: on the event loop, for the writer and back. Beside a thread that computed, pushes
took 17 to 19 ms, and with turns of 0.5 ms 7 to 10 ms. Short turns for ever are no
answer: the event loop and the writer then take it from each other, and a push costs
them a fifth more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

SHORT_SECONDS = 0.0005

_LONG_SECONDS = sys.getswitchinterval()
_computing = 0


@contextmanager
def short_turns() -> Iterator[None]:
    """Keep turns short for as long as a thread computes; for the event loop only."""
    global _computing
    _computing += 1
    sys.setswitchinterval(SHORT_SECONDS)
    try:
        yield
    finally:
        _computing -= 1
        if not _computing:
            sys.setswitchinterval(_LONG_SECONDS)
