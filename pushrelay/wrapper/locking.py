"""Locks of files that are held for a moment."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_PAUSE = 0.005


@contextmanager
def locked(path: str, flags: int, seconds: float = 0.0) -> Iterator[bool]:
    """Yield whether no other process has `path` locked, after so many seconds at most;
    none will while it is True.

    It is True also where nothing can be locked, as on a medium that is read-only.

    flags: with which to open it.
    """
    try:
        file = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except OSError:
        yield True
        return
    try:
        yield _could_lock(file, time.monotonic() + seconds)
    finally:
        with suppress(OSError):
            # A process that was forked meanwhile has the file open as well.
            fcntl.flock(file, fcntl.LOCK_UN)
        os.close(file)


def _could_lock(file: int, until: float) -> bool:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE)
        except OSError:
            return True  # not here
        else:
            return True
