"""Puts a file in the place of another, so that nobody reads half of one."""

from __future__ import annotations

import os
from contextlib import suppress

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def replace_file(path: str, content: bytes, mode: int, *, durable: bool) -> None:
    """Let `path` be a file with this content and mode, whatever the umask is.

    durable: whether it is on disk before it takes its place; else a power cut may leave
        it empty.

    Raises OSError about `path`; what was there is there then.
    """
    try:
        _replace(path, content, mode, durable)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def _replace(path: str, content: bytes, mode: int, durable: bool) -> None:
    directory, name = os.path.split(path)
    # Its end is not that of `name`: who looks for files by that passes it by.
    temporary = os.path.join(directory, f".{name}.{os.urandom(8).hex()}")
    descriptor = os.open(temporary, _NEW, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, mode)
            if durable:
                os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
