"""Fewer marks where more could not be told apart, so that a chart stays small."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from pushrelay.web.charts.svg import WIDTH

MOST_MARKS = 300
"""Of a chart; each is a link of about 200 bytes."""

Mark = TypeVar("Mark")


def told_apart(
    marks: Sequence[Mark], cell_of: Callable[[Mark, float], Hashable], finest: float
) -> list[list[Mark]]:
    """Return `marks`, those of one cell together, in the order of the first of them.

    cell_of: where a mark falls with cells of so many units. They are of `finest` units,
    or as much coarser as it takes to have no more than MOST_MARKS, if that is possible.
    """
    size = finest
    while True:
        cells: dict[Hashable, list[Mark]] = {}
        for mark in marks:
            cells.setdefault(cell_of(mark, size), []).append(mark)
        if len(cells) <= MOST_MARKS or size > WIDTH:
            return list(cells.values())
        size *= 2
