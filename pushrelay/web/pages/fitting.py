"""How much of what has names of any length is on one page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

PAGE_BYTES = 256 * 1024
"""Of names in addresses: a name may have 64 KiB, and a page hundreds of rows. All
groups that are chosen on a page are named in one address, too."""

Row = TypeVar("Row")


def fitting(rows: Sequence[Row], size_of: Callable[[Row], int]) -> Sequence[Row]:
    """Return as many of the first of `rows` as a page takes, and one at least: it ends
    before that which takes it beyond PAGE_BYTES."""
    size = 0
    for number, row in enumerate(rows):
        size += size_of(row)
        if size > PAGE_BYTES:
            return rows[: number or 1]
    return rows
