"""Many runs for people: bars for their durations, and a table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from typing import Any

from pushrelay.cli.run_details import signal_name
from pushrelay.cli.sparkline import OUTCOME_COLOURS, outcome_of, sparkline
from pushrelay.cli.tables import Cell, Columns, fitted, line, table, table_width, word
from pushrelay.cli.times import length, moment, short_moment

_STARTED = "STARTED"
_GIVES_WAY = ("LABELS", "HOST")
_GIVES_WAY_LAST = ("DURATION", "ATTEMPT", "EXIT")
"""What a run is known by stays whole: by its id, it can be shown."""


def history(
    runs: list[dict[str, Any]],
    bars: str,
    columns: int | None,
    now: int,
    zone: tzinfo | None,
) -> Iterator[str]:
    """Yield the bars of `runs`, of the last ones if `columns` has no space for more,
    and a table of all. Where that is too wide, what tells least is cut or left out, but
    never the ids.

    now: Unix nanoseconds. zone: on whose clocks times are told, None for this
    machine's.
    """
    if any(run["duration_seconds"] is not None for run in runs):
        heading = "DURATIONS  "
        most = None if columns is None else max(columns - len(heading), 1)
        yield line([Cell(heading), *sparkline(runs[:most], bars)], columns)
        yield ""
    told = _columns(runs, zone)
    if columns is not None:
        told = fitted(told, columns, _GIVES_WAY)
        if table_width(told) > columns:
            told[_STARTED] = [short_moment(r["started_at"], now, zone) for r in runs]
        told = fitted(told, columns, _GIVES_WAY_LAST)
    rows = list(zip(*told.values(), strict=True))
    right = [place for place, name in enumerate(told) if name == "DURATION"]
    yield from table(list(told), rows, None, right=right)


def _columns(runs: list[dict[str, Any]], zone: tzinfo | None) -> Columns:
    """Return the columns of the table of `runs`; those that would tell nothing are not
    there."""
    told: Columns = {
        _STARTED: [moment(run["started_at"], zone) for run in runs],
        "DURATION": [length(run["duration_seconds"]) for run in runs],
        "OUTCOME": list(map(_outcome, runs)),
        "EXIT": list(map(_exit, runs)),
        "ATTEMPT": [word(run["attempt"]) for run in runs],
        "ID": [word(run["id"]) for run in runs],
        "HOST": [word(run["host"]) for run in runs],
        "LABELS": list(map(_labels, runs)),
    }
    if all(run["attempt"] == 1 for run in runs):
        del told["ATTEMPT"]
    if all(labels == "-" for labels in told["LABELS"]):
        del told["LABELS"]
    return told


def _outcome(run: dict[str, Any]) -> Cell:
    outcome = outcome_of(run)
    return Cell(word(outcome), OUTCOME_COLOURS.get(outcome))


def _exit(run: dict[str, Any]) -> str:
    """Return the code that `run` ended with, or the signal that ended it."""
    return (
        word(run["exit_code"]) if run["signal"] is None else signal_name(run["signal"])
    )


def _labels(run: dict[str, Any]) -> str:
    """Return the labels of `run` that its job and its host do not tell:
    `db=main,instance=db1`."""
    pairs = [
        f"{word(name)}={word(value)}"
        for name, value in sorted(run["labels"].items())
        if (name, value) != ("instance", run["host"])
    ]
    return ",".join(pairs) or "-"
