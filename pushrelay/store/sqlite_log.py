"""Looks into the write-ahead log of a database in a file, before SQLite does.

SQLite takes a log that begins with garbage for an empty one, and of others what comes
before the first frame that is damaged: it cannot know whether more was ever confirmed.

The format: https://www.sqlite.org/walformat.html
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from pushrelay.errors import StartupError
from pushrelay.store.sqlite_faults import Damaged, damage

_SMALLEST_PAGE = 512

_HEADER = struct.Struct(">8I")
_MAGIC = 0x377F0682
"""What a log begins with; the last bit tells the byte order of its checksums."""

_FRAME = struct.Struct(">4I8x")
_LAST_FRAME = struct.Struct("=16xI")
"""Where the index of a log tells the last frame that belongs to a commit."""


def log_of(path: Path) -> Path:
    """Return the log of the database at `path`."""
    return path.with_name(path.name + "-wal")


def has_log(path: Path) -> bool:
    """Whether there is something in the log of the database at `path`."""
    return bool(_header(path))


def require_no_log(path: Path) -> None:
    """Raise StartupError for the log of a database that is not there."""
    if has_log(path):
        raise StartupError(
            f"there is no database {path}, but its write-ahead log {log_of(path)}, "
            "which has the newest commits; put the database back, or remove the log to "
            "begin anew"
        )


def require_log(path: Path) -> None:
    """Raise Damaged for a log that begins with garbage."""
    header = _header(path)
    # One of which nothing reached the disk has zeros.
    if any(header) and not _is_header(header):
        raise Damaged(
            f"the write-ahead log {log_of(path)} is damaged, and has the newest "
            f"commits; move it away to go on without them, or with {path}, too, and "
            "restore a backup with `pushrelay restore`"
        )


def require_all_commits(path: Path) -> None:
    """Raise Damaged for a log with commits that SQLite does not see behind damage.

    It must be open, and each commit have been on the disk before the next one began:
    then a power cut leaves the traces of one at most.
    """
    header = _header(path)
    if len(header) < _HEADER.size or not any(header):
        return
    ends = _ends_of_commits(path, header)
    index = path.with_name(path.name + "-shm").read_bytes()[: _LAST_FRAME.size]
    # Somebody else may have begun the log anew meanwhile.
    if _header(path) != header:
        return
    [last] = _LAST_FRAME.unpack(index)
    lost = sum(number > last for number in ends)
    if lost > 1:
        raise Damaged(
            f"the write-ahead log {log_of(path)} is damaged, and {lost} commits are "
            f"behind that; move it away with {path}, and restore a backup with "
            "`pushrelay restore`, or start once with --database.sync=normal to go on "
            "without them"
        )


def require_last_page(path: Path) -> None:
    """Raise Damaged for a file that does not end where a page does."""
    # What is cut off may be in the log.
    if path.stat().st_size % _SMALLEST_PAGE and not has_log(path):
        raise Damaged(damage(path, "its last page is cut off"))


def _header(path: Path) -> bytes:
    try:
        with log_of(path).open("rb") as file:
            return file.read(_HEADER.size)
    except OSError:
        return b""


def _is_header(header: bytes) -> bool:
    if len(header) < _HEADER.size:
        return False
    magic, *_, first, second = _HEADER.unpack(header)
    if magic & ~1 != _MAGIC:
        return False
    words = struct.unpack(">6I" if magic & 1 else "<6I", header[:24])
    a = b = 0
    for one, other in zip(words[::2], words[1::2], strict=True):
        a = (a + one + b) & 0xFFFFFFFF
        b = (b + other + a) & 0xFFFFFFFF
    return (a, b) == (first, second)


def _ends_of_commits(path: Path, header: bytes) -> list[int]:
    """Return the numbers of the frames, from 1, that end a commit of this log."""
    _, _, page, _, *salts, _, _ = _HEADER.unpack(header)
    ends: list[int] = []
    with log_of(path).open("rb") as file:
        size = _FRAME.size + page
        whole = (os.fstat(file.fileno()).st_size - _HEADER.size) // size
        for number in range(whole):
            file.seek(_HEADER.size + number * size)
            _, pages, *found = _FRAME.unpack(file.read(_FRAME.size))
            if pages and found == salts:
                ends.append(number + 1)
    return ends
