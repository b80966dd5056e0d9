"""The table of a run: medians of its rounds, their range, and ratios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

Cell = tuple[str, str]
"""A row's name and a server's."""

ABOUT = """\
# Results

Written by `benchmarks/bench.py --output`; `make bench` repeats the run.

{facts}

Each figure is the median of the rounds' medians, with the range of the rounds in
parentheses. A round visits all store sizes and both servers in turn. Other programs
were free to run at the same time, so single rounds say little, and ratios within one
run say more than times.

A push carries 25 samples in 10 families, and every push has other values than the one
before. It comes over a connection that stays open. pushrelay checks a push and has it
on disk before it answers 200; the Pushgateway checks it (its default) and keeps it in
memory.
"""


@dataclass(frozen=True)
class Verdict:
    """Whether an owed figure was reached; None where it was not measured."""

    promise: str
    measured: float | None
    passed: bool | None

    def __str__(self) -> str:
        word = {True: "PASS", False: "FAIL", None: "not measured"}[self.passed]
        found = "" if self.measured is None else f" (it is {self.measured:.3g} x)"
        return f"{word}: {self.promise}{found}"


@dataclass(frozen=True)
class _Unit:
    format: Callable[[float], str]
    better: str
    worse: str
    more_is_better: bool = False


_TIME = _Unit(lambda seconds: f"{_digits(seconds * 1000)} ms", "faster", "slower")
_RATE = _Unit(lambda rate: f"{_digits(rate)}/s", "more", "less", more_is_better=True)
_SIZE = _Unit(lambda size: f"{size / 2**20:,.0f} MiB", "smaller", "larger")


class Report:
    """Collects figures by row and server, one for each round."""

    def __init__(self, servers: list[str]) -> None:
        self._servers = servers
        self._units: dict[str, _Unit] = {}
        self._figures: dict[Cell, list[float]] = {}

    def time(self, row: str, server: str, seconds: float) -> None:
        """Note a time."""
        self._note(row, server, seconds, _TIME)

    def rate(self, row: str, server: str, per_second: float) -> None:
        """Note how often something was done."""
        self._note(row, server, per_second, _RATE)

    def size(self, row: str, server: str, size: float) -> None:
        """Note a number of bytes."""
        self._note(row, server, size, _SIZE)

    def quotient(self, dividend: Cell, divisor: Cell) -> float | None:
        """Return the quotient of two medians, None where one was not measured."""
        if dividend not in self._figures or divisor not in self._figures:
            return None
        return median(self._figures[dividend]) / median(self._figures[divisor])

    def text(self, facts: list[str], verdicts: list[Verdict]) -> str:
        """Return the table for a terminal."""
        return "\n".join([*facts, "", *self._table(), "", *map(str, verdicts)])

    def markdown(self, facts: list[str], verdicts: list[Verdict]) -> str:
        """Return the table as a Markdown document."""
        about = ABOUT.format(facts="\n".join(f"- {fact}" for fact in facts))
        owed = [f"- {verdict}" for verdict in verdicts]
        return "\n".join([about, *self._table(), "", "Owed:", "", *owed, ""])

    def _note(self, row: str, server: str, figure: float, unit: _Unit) -> None:
        self._units[row] = unit
        self._figures.setdefault((row, server), []).append(figure)

    def _table(self) -> list[str]:
        compared = len(self._servers) == 2
        titles = ["", *self._servers, *(["pushrelay is"] if compared else [])]
        rows = [titles, [], *(self._row(name, compared) for name in self._units)]
        widths = [
            max(map(len, column)) for column in zip(*filter(None, rows), strict=True)
        ]
        rows[1] = ["-" * width for width in widths]
        return ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in rows]

    def _row(self, name: str, compared: bool) -> list[str]:
        cells = [self._cell(name, server) for server in self._servers]
        return [name, *cells, *([self._ratio(name)] if compared else [])]

    def _cell(self, row: str, server: str) -> str:
        figures, unit = self._figures.get((row, server), []), self._units[row]
        if not figures:
            return ""
        middle = unit.format(median(figures))
        if len(figures) == 1:
            return middle
        low, high = unit.format(min(figures)), unit.format(max(figures))
        return f"{middle} ({low.rpartition(' ')[0] or low} to {high})"

    def _ratio(self, row: str) -> str:
        own, other = ((row, server) for server in self._servers)
        ratio, unit = self.quotient(other, own), self._units[row]
        if ratio is None:
            return ""
        if unit.more_is_better:
            ratio = 1 / ratio
        word = unit.better if ratio >= 1 else unit.worse
        return f"{_digits(max(ratio, 1 / ratio))} x {word}"


def _digits(number: float) -> str:
    """Write `number` with three significant digits and no exponent."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"
