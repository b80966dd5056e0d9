"""Looks into the write-ahead log of a database in a file, before SQLite does.

SQLite takes a log that begins with garbage for an empty one, and of others what comes
before the first frame that is damaged: it cannot know whether more was ever confirmed.

The format: https://www.sqlite.org/walformat.html
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from pushrelay.errors import StartupError
from pushrelay.store.sqlite_faults import Damaged, damage

_SMALLEST_PAGE = 512

_HEADER = struct.Struct(">8I")
_MAGIC = 0x377F0682
"""What a log begins with; the last bit tells the byte order of its checksums."""

_FRAME = struct.Struct(">4I8x")
_INDEX = struct.Struct("=16xI12x8s")
"""Where the index of a log tells the last frame that belongs to a commit, and the salts
of the log."""


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
    then a power cut leaves the traces of one at most. Those that failed, as on a disk
    that is full, leave traces of which none follows another.
    """
    header = _header(path)
    if len(header) < _HEADER.size or not any(header):
        return
    ends = _ends_of_commits(path, header)
    index = path.with_name(path.name + "-shm").read_bytes()[: _INDEX.size]
    last, salts = _INDEX.unpack(index)
    # Somebody else may begin the log anew meanwhile, the index first.
    if _header(path) != header or salts != header[16:24]:
        return
    lost = [number for number in ends if number > last]
    if any(_is_unbroken(path, header, *each) for each in pairwise(lost)):
        raise Damaged(
            f"the write-ahead log {log_of(path)} is damaged, and {len(lost)} commits "
            f"are behind that; move it away with {path}, and restore a backup with "
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
    magic, *_ = _HEADER.unpack(header)
    return bool(
        magic & ~1 == _MAGIC
        and _checksum(header, header[:24], bytes(8)) == header[24:32]
    )


def _checksum(header: bytes, content: bytes, before: bytes) -> bytes:
    """Return the checksum of `content`, which comes after what has that of `before`, in
    the log that begins with `header`."""
    a, b = struct.unpack(">2I", before)
    order = ">" if header[3] & 1 else "<"
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for one, other in zip(words[::2], words[1::2], strict=True):
        a = (a + one + b) & 0xFFFFFFFF
        b = (b + other + a) & 0xFFFFFFFF
    return struct.pack(">2I", a, b)


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


def _is_unbroken(path: Path, header: bytes, first: int, last: int) -> bool:
    """Whether each frame after the `first` one, up to the `last` one, was written
    after the one before."""
    return all(
        _checksum(header, frame[:8] + frame[_FRAME.size :], before[16:24])
        == frame[16:24]
        for before, frame in pairwise(_frames(path, header, range(first, last + 1)))
    )


def _frames(path: Path, header: bytes, numbers: Iterable[int]) -> Iterator[bytes]:
    size = _FRAME.size + _HEADER.unpack(header)[2]
    with log_of(path).open("rb") as file:
        for number in numbers:
            file.seek(_HEADER.size + (number - 1) * size)
            yield file.read(size)
