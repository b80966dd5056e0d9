"""Durations of runs as one line of bars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pushrelay.cli.tables import Cell

BARS = "▁▂▃▅▇"
ASCII_BARS = ".:-=#"
"""The same for outputs that have no bars."""

OUTCOME_COLOURS = {
    "success": "green",
    "failure": "red",
    "timeout": "red",
    "signal": "red",
    "skipped": "yellow",
    "running": "cyan",
    "abandoned": "red",
}
FAILED = frozenset({"failure", "timeout", "signal"})


def outcome_of(run: dict[str, Any]) -> str:
    """Return how `run` ended; of one without an end, whether one is waited for."""
    if run["state"] == "finished":
        return str(run["outcome"])
    return "abandoned" if run["abandoned"] else "running"


def bars_for(encoding: str) -> str:
    """Return the bars that can be written in `encoding`, the lowest first."""
    try:
        BARS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII_BARS
    return BARS


def sparkline(runs: Iterable[dict[str, Any]], bars: Sequence[str]) -> list[Cell]:
    """Return a bar for each of `runs` (the newest first), the oldest first: its
    duration as a part of the longest, those that failed in their colour.

    Runs without a duration, which have not finished or whose start is not known, leave
    a gap.
    """
    shown = list(runs)[::-1]
    lengths = [run["duration_seconds"] for run in shown]
    longest = max([length for length in lengths if length is not None], default=0)
    return [
        Cell(_bar(length, longest, bars), _colour(run))
        for run, length in zip(shown, lengths, strict=True)
    ]


def _bar(length: float | None, longest: float, bars: Sequence[str]) -> str:
    if length is None:
        return " "
    part = length / longest if longest > 0 else 0
    return bars[min(int(part * len(bars)), len(bars) - 1)]


def _colour(run: dict[str, Any]) -> str | None:
    outcome = outcome_of(run)
    return OUTCOME_COLOURS[outcome] if outcome in FAILED else None
