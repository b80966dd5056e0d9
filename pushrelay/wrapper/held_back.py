"""Output that is held back until it is known whether somebody wants to see it.

Made before the command starts, so that little beyond `os` is imported.
"""

from __future__ import annotations

import os

from pushrelay.wrapper.descriptors import above_standard, write_all
from pushrelay.wrapper.host import temporary_directories

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

IN_MEMORY = 1 << 20
"""Bytes that are held in memory before they go to a file."""

_LENGTH_BYTES = 4


class HeldBack:
    """What came for our streams, in the order in which it came.

    It may serve one command after the other. Beyond IN_MEMORY it is in a file without
    a name, in the first of the temporary directories that takes one. What cannot be
    held back is not lost: all is written out then, and nothing is held any more.
    """

    def __init__(self) -> None:
        # Both hold frames: the descriptor (one byte), the length, the data.
        self._recent = bytearray()
        self._file = -1
        self._has_given_up = False

    def keep(self, fd: int, data: bytes) -> bool:
        """Hold back `data`, which came for `fd`, and return True; or return False if
        it is to be written now, all before it having been written."""
        if self._has_given_up:
            return False
        frame = bytes([fd]) + len(data).to_bytes(_LENGTH_BYTES, "big") + data
        try:
            if len(self._recent) >= IN_MEMORY:
                self._spill()
            self._recent += frame
        except (OSError, MemoryError):
            self._has_given_up = True
            self.reveal()
            return False
        return True

    def reveal(self) -> None:
        """Write all to where it was meant to go, and hold it no longer. What cannot be
        written is left out."""
        refusing = set()
        try:
            for fd, data in self._frames():
                if fd not in refusing and not _could_write(fd, data):
                    refusing.add(fd)
        except OSError:
            pass  # the disk with our file does not give it back
        self.discard()

    def discard(self) -> None:
        """Forget all."""
        self._recent = bytearray()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _spill(self) -> None:
        if self._file < 0:
            self._file = _open_unnamed()
        whole = os.lseek(self._file, 0, os.SEEK_CUR)
        try:
            write_all(self._file, self._recent)
        except OSError:
            os.ftruncate(self._file, whole)
            raise
        self._recent = bytearray()

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        import io

        if self._file >= 0:
            os.lseek(self._file, 0, os.SEEK_SET)
            with open(self._file, "rb", closefd=False) as file:
                yield from _read_frames(file)
        yield from _read_frames(io.BytesIO(self._recent))


def _read_frames(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    while head := file.read(1 + _LENGTH_BYTES):
        yield head[0], file.read(int.from_bytes(head[1:], "big"))


def _could_write(fd: int, data: bytes) -> bool:
    try:
        write_all(fd, data)
    except OSError:
        return False
    return True


def _open_unnamed() -> int:
    """Return a new file that has no name any more, open for both. Raises OSError, with
    the reason of the first directory."""
    first: OSError | None = None
    for directory in temporary_directories(os.environ, for_much=True):
        try:
            return above_standard(_open_unnamed_in(directory))
        except OSError as error:
            first = first or error
    raise first or FileNotFoundError(2, "no directory for temporary files")


def _open_unnamed_in(directory: str) -> int:
    flags = os.O_RDWR | os.O_EXCL | os.O_CLOEXEC
    try:
        return os.open(directory, flags | os.O_TMPFILE, 0o600)
    except OSError:
        # Not every file system has such files, NFS for one.
        path = os.path.join(directory, f".pushrelay-{os.urandom(8).hex()}")
        file = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        os.unlink(path)
        return file
