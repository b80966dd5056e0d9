"""The table of a run: medians of its rounds, their range, and ratios."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

Cell = tuple[str, str]
"""A row's name and a column's."""


@dataclass(frozen=True)
class _Unit:
    format: Callable[[float], str]
    better: str
    worse: str
    more_is_better: bool = False


_TIME = _Unit(lambda seconds: f"{digits(seconds * 1000)} ms", "faster", "slower")
_RATE = _Unit(lambda rate: f"{digits(rate)} /s", "more", "less", more_is_better=True)
_SIZE = _Unit(lambda size: f"{digits(size / 2**20)} MiB", "smaller", "larger")
_BYTES = _Unit(lambda size: f"{size:,.0f} B", "smaller", "larger")
_RATIO = _Unit(lambda ratio: f"{digits(ratio)} x", "less", "more")


class Report:
    """Collects figures by row and column, one for each round.

    compared: there are two columns, and a third tells what the first is to the second.
    """

    def __init__(self, columns: Sequence[str], compared: bool = False) -> None:
        self._columns = list(columns)
        self._compared = compared
        self._units: dict[str, _Unit] = {}
        self._figures: dict[Cell, list[float]] = {}

    def time(self, row: str, column: str, seconds: float) -> None:
        """Note a time."""
        self._note(row, column, seconds, _TIME)

    def rate(self, row: str, column: str, per_second: float) -> None:
        """Note how often something was done."""
        self._note(row, column, per_second, _RATE)

    def size(self, row: str, column: str, size: float) -> None:
        """Note a large number of bytes."""
        self._note(row, column, size, _SIZE)

    def bytes(self, row: str, column: str, size: float) -> None:
        """Note a small number of bytes."""
        self._note(row, column, size, _BYTES)

    def ratio(self, row: str, column: str, ratio: float) -> None:
        """Note how many times as much something took as something else."""
        self._note(row, column, ratio, _RATIO)

    def middle(self, row: str, column: str) -> float | None:
        """Return the median of a cell, None where nothing was measured."""
        figures = self._figures.get((row, column))
        return median(figures) if figures else None

    def worst(self, row: str, column: str) -> float | None:
        """Return the largest figure of a cell, None where nothing was measured."""
        return max(self._figures.get((row, column), []), default=None)

    def least(self, row: str, column: str) -> float | None:
        """Return the smallest figure of a cell, None where nothing was measured."""
        return min(self._figures.get((row, column), []), default=None)

    def quotient(self, dividend: Cell, divisor: Cell) -> float | None:
        """Return the quotient of two medians, None where one was not measured."""
        if dividend not in self._figures or divisor not in self._figures:
            return None
        return median(self._figures[dividend]) / median(self._figures[divisor])

    def text(self, facts: Sequence[str], verdicts: Sequence[object]) -> str:
        """Return the table for a terminal."""
        return "\n".join([*facts, "", *self._table(), "", *map(str, verdicts)])

    def markdown(
        self, about: str, facts: Sequence[str], verdicts: Sequence[object]
    ) -> str:
        """Return a Markdown document: `about`, which has a place for the facts, and
        the table."""
        told = about.format(facts="\n".join(f"- {fact}" for fact in facts))
        owed = [f"- {verdict}" for verdict in verdicts]
        return "\n".join([told, *self._table(), "", "Targets:", "", *owed, ""])

    def _note(self, row: str, column: str, figure: float, unit: _Unit) -> None:
        self._units[row] = unit
        self._figures.setdefault((row, column), []).append(figure)

    def _table(self) -> list[str]:
        titles = ["", *self._columns]
        titles += [f"{self._columns[0]} is"] if self._compared else []
        rows = [titles, [], *map(self._row, self._units)]
        widths = [
            max(map(len, column)) for column in zip(*filter(None, rows), strict=True)
        ]
        rows[1] = ["-" * width for width in widths]
        return ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]

    def _row(self, name: str) -> list[str]:
        cells = [self._cell(name, column) for column in self._columns]
        return [name, *cells, *([self._ratio(name)] if self._compared else [])]

    def _cell(self, row: str, column: str) -> str:
        figures, unit = self._figures.get((row, column), []), self._units[row]
        if not figures:
            return ""
        middle = unit.format(median(figures))
        if len(figures) == 1:
            return middle
        low, high = unit.format(min(figures)), unit.format(max(figures))
        return f"{middle} ({low.partition(' ')[0]} to {high})"

    def _ratio(self, row: str) -> str:
        own, other = ((row, column) for column in self._columns)
        ratio, unit = self.quotient(other, own), self._units[row]
        if ratio is None:
            return ""
        if unit.more_is_better:
            ratio = 1 / ratio
        word = unit.better if ratio >= 1 else unit.worse
        return f"{digits(max(ratio, 1 / ratio))} x {word}"


def digits(number: float) -> str:
    """Write `number` with about three significant digits and no exponent."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"


def groups_told(number: int) -> str:
    """Name a size of the store."""
    return f"{number:,} group{'' if number == 1 else 's'}"
