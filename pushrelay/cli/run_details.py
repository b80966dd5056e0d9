"""One run with all that is known of it, for people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import tzinfo
from signal import Signals
from typing import Any

import click

from pushrelay.cli.sparkline import FAILED, OUTCOME_COLOURS, outcome_of
from pushrelay.cli.tables import Cell, facts, line, word
from pushrelay.cli.times import ago, length, moment
from pushrelay.grouping_key import GroupingKey

_INDENT = "  "
_NO_OUTPUT = "not reported; --output-tail 10kB takes it along"
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def details(run: dict[str, Any], now: int, zone: tzinfo | None) -> Iterator[str]:
    """Yield the lines that show the run document `run`; what is not known is left out.

    now: Unix nanoseconds. zone: on whose clocks times are told, None for this
    machine's.
    """
    outcome = outcome_of(run)
    # Without its usage, it was not a command that `pushrelay exec` ran.
    is_silent = run["usage"] is not None and run["output_tail"] is None
    known: dict[str, Cell | str | None] = {
        "run": word(run["id"]),
        "job": str(GroupingKey.of({**run["labels"], "job": run["job"]})),
        "outcome": Cell(word(outcome), OUTCOME_COLOURS.get(outcome)),
        "started": _when(run["started_at"], now, zone),
        "finished": _when(run["finished_at"], now, zone),
        "duration": _known(run["duration_seconds"], length),
        "exit code": _known(run["exit_code"], word),
        "signal": _known(run["signal"], signal_name),
        "attempt": word(run["attempt"]),
        "host": _known(run["host"], word),
        "trace": _known(run["trace_id"], word),
        **_usage(run["usage"] or {}),
        "expected": facts(run["expectation"]) if run["expectation"] else None,
        "output": _NO_OUTPUT if is_silent and outcome in FAILED else None,
    }
    width = max(map(len, known))
    for name, fact in known.items():
        if fact is not None:
            told = fact if isinstance(fact, Cell) else Cell(fact)
            yield line([Cell(f"{name.ljust(width)}{_INDENT}"), told], None)
    tail = run["output_tail"] or {}
    yield from _block("problems of its metrics", run.get("metrics_problems") or [])
    yield from _block("end of its standard output", _lines(tail.get("stdout")))
    yield from _block("end of its standard error", _lines(tail.get("stderr")))


def signal_name(number: Any) -> str:
    """Return what people call a signal."""
    try:
        return Signals(number).name
    except ValueError:
        return f"signal {word(number)}"


def _known(value: Any, told: Callable[[Any], str]) -> str | None:
    return None if value is None else told(value)


def _when(at: float | None, now: int, zone: tzinfo | None) -> str | None:
    return None if at is None else f"{moment(at, zone)}, {ago(at, now)}"


def _usage(usage: Mapping[str, Any]) -> dict[str, str | None]:
    """Return what a run took of its machine, by what it is."""
    cpu = {"user": usage.get("user_seconds"), "system": usage.get("system_seconds")}
    memory = usage.get("max_rss_bytes")
    return {
        "CPU time": _joined({name: _known(s, length) for name, s in cpu.items()}),
        "memory": None if memory is None else f"{_bytes(memory)} at most",
        "blocks": _joined(
            {"read": usage.get("block_reads"), "written": usage.get("block_writes")}
        ),
        "switches": _joined(
            {
                "voluntary": usage.get("voluntary_switches"),
                "involuntary": usage.get("involuntary_switches"),
            }
        ),
    }


def _joined(values: Mapping[str, object]) -> str | None:
    known = [f"{word(v)} {name}" for name, v in values.items() if v is not None]
    return ", ".join(known) or None


def _bytes(number: float) -> str:
    for unit in _UNITS[:-1]:
        if number < 1024:
            return f"{number:.3g} {unit}"
        number /= 1024
    return f"{number:.3g} {_UNITS[-1]}"


def _lines(text: str | None) -> list[str]:
    # Its colours would come out as litter.
    return [] if text is None else click.unstyle(text).splitlines()


def _block(title: str, lines: list[str]) -> Iterator[str]:
    """Yield `lines` as they may be shown on a terminal, which must not obey them."""
    if lines:
        yield ""
        yield f"{title}:"
    for each in lines:
        kept = [c if c.isprintable() else "?" for c in each.expandtabs()]
        yield _INDENT + "".join(kept)
