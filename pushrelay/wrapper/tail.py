"""The last bytes of a stream."""

from __future__ import annotations


class Tail:
    """The last `most` bytes of what was added; `most` is 1 at least."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = bytearray()
        self._is_cut = False

    def add(self, data: bytes) -> None:
        """Add `data` at the end."""
        self._kept += data[-self._most :]
        self._is_cut = self._is_cut or len(data) > self._most
        # Not for every few bytes: it moves all that is kept.
        if len(self._kept) > 2 * self._most:
            del self._kept[: -self._most]
            self._is_cut = True

    def text(self) -> str:
        """Return them, without the rest of a character whose beginning was cut off;
        what is no UTF-8 becomes U+FFFD."""
        kept = bytes(self._kept)
        if self._is_cut or len(kept) > self._most:
            kept = _from_a_character(kept[-self._most :])
        return kept.decode(errors="replace")


def _from_a_character(data: bytes) -> bytes:
    """Return `data` from where a character of UTF-8 may begin. Three bytes at most
    belong to one that began before."""
    start = 0
    while start < min(3, len(data)) and data[start] & 0xC0 == 0x80:
        start += 1
    return data[start:]
