"""Files that are read, and read again when they change."""

from __future__ import annotations

import os
from pathlib import Path

from pushrelay.errors import PushrelayError

MOST_BYTES = 1024 * 1024

Stamps = dict[Path, tuple[int, ...] | None]
"""What tells whether a file has changed; None for one that is not there."""


class UnreadableFile(PushrelayError):
    """A file that cannot be read; the text begins with its path."""


class WatchedFiles:
    """The files that were read with it.

    stamps: theirs, from before they were read.
    """

    def __init__(self) -> None:
        self.stamps: Stamps = {}

    def read(self, path: Path) -> bytes:
        """Return what is in the file. Raises UnreadableFile."""
        self.stamps[path] = _stamp_of(path)
        try:
            if path.is_fifo() or path.is_char_device():
                # Reading might wait for ever.
                raise UnreadableFile(f"{path}: cannot be read: it is no file")
            with path.open("rb") as file:
                content = file.read(MOST_BYTES + 1)
        except OSError as error:
            told = f"{path}: cannot be read: {error.strerror}"
            raise UnreadableFile(told) from error
        except ValueError as error:
            raise UnreadableFile(f"{path!r}: is no path of a file") from error
        if len(content) > MOST_BYTES:
            raise UnreadableFile(f"{path}: is larger than {MOST_BYTES} bytes")
        return content

    def stamps_now(self) -> Stamps:
        """Return what the stamps of the files are now."""
        return {path: _stamp_of(path) for path in self.stamps}


def _stamp_of(path: Path) -> tuple[int, ...] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    times = found.st_mtime_ns, found.st_ctime_ns
    return found.st_dev, found.st_ino, found.st_size, *times
