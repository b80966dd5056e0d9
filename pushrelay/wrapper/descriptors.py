"""File descriptors: which of ours the command gets, and how we make our own.

Read before the command starts, so that little beyond `os` is imported.
"""

from __future__ import annotations

import fcntl
import os

_ABOVE_STANDARD = 3


def takes_output(fd: int) -> bool:
    """Return whether the command can write to `fd` if it gets our descriptors."""
    try:
        # One that is closed on exec was opened by us, in the place of one that is not
        # there.
        closes = fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        mode = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        return False
    return not closes and mode != os.O_RDONLY


def is_same_file(one: int, other: int) -> bool:
    """Return whether both are open on the same file, pipe or socket."""
    return os.path.samestat(os.fstat(one), os.fstat(other))


def open_pipe() -> tuple[int, int]:
    """Return a pipe for reading and for writing. Raises OSError."""
    reading, writing = os.pipe()
    return above_standard(reading), above_standard(writing)


def above_standard(fd: int) -> int:
    """Return `fd`, which must be ours, or what takes its place where that would be
    taken for a standard stream; closed on exec. Raises OSError."""
    if fd >= _ABOVE_STANDARD:
        return fd
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE_STANDARD)
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes | bytearray) -> None:
    """Write all of `data`, however long `fd` takes for it. Raises OSError."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(fd, left) :]
        except BlockingIOError:
            _wait_until_writable(fd)


def _wait_until_writable(fd: int) -> None:
    # Whoever shares it with us may have made it non-blocking.
    import select

    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()
