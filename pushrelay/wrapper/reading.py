"""Reads files in whose place somebody may have put something else."""

from __future__ import annotations

import os
import stat
from errno import ELOOP, ENOENT, ENXIO

# Neither waits for who writes into a pipe, nor takes a terminal.
_SAFELY = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_LINK_OR_SOCKET = (ELOOP, ENXIO)


def read_file(path: str, most: int, *, follow: bool = False) -> bytes:
    """Return the content of the file at `path`. follow: whether it may be a link.

    Raises OSError: FileNotFoundError also for another link, a pipe and all else that is
    no regular file. Raises ValueError for more than `most` bytes, with what is wrong
    with the file, without a subject.
    """
    try:
        descriptor = os.open(path, _SAFELY if follow else _SAFELY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno in _LINK_OR_SOCKET:
            raise _no_regular_file(path) from error
        raise
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _no_regular_file(path)
        if found.st_size <= most:
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(most + 1)
            if len(content) <= most:
                return content
        raise ValueError(f"is larger than {most} bytes")
    finally:
        os.close(descriptor)


def _no_regular_file(path: str) -> FileNotFoundError:
    return FileNotFoundError(ENOENT, "it is no regular file", path)
