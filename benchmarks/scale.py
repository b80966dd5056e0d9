"""Does pushrelay stay fast and small with 100,000 groups, 2.5 million samples?

One run fills a store of each size and prints one table with a column for each.
targets.py has what is owed; the exit status is 1 if one of it is missed.

    make bench-scale
    make bench-scale ARGS='--quick --groups 1,1000,10000'
    make bench-scale ARGS='--output benchmarks/RESULTS-scale.md'

Conclusion (2026-11-26, two quiet CPUs; RESULTS-scale.md has the table): all that is
owed is there. With 100,000 groups, 190 MiB of text, pushes take as long as with one
group, a scrape after one change 1.3 s plain, 0.02 s with gzip and 0.03 s as protobuf
with gzip; after 1,000 changes all over the store 1.3 s with gzip and 5 s as protobuf,
for all groups beside a changed one are written again. Memory is 2.2 x the text, a
restart takes 1.9 s, and pushes beside large scrapes and pushes of 100,000 samples wait
up to 36 ms (p99). Series that are new with every push leave nothing behind.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import load
from client import Connection, pipeline
from load import SCRAPE, SCRAPES, Pushes, percentile, repeat
from machine import circumstances, loaded, say
from meanwhile import STREAMS, going_on, remove_large
from processes import processor_time, until_first_byte
from report import Report, groups_told
from servers import Pushrelay
from targets import (
    ALL_NEW_SERIES,
    CHANGED,
    FEW_NEW_SERIES,
    FIRST_BYTE,
    FIRST_NEW_SERIES,
    HELD,
    MEMORY,
    ONE_GROUP,
    PER_MEGABYTE,
    RESTART,
    SPREAD,
    at_scale,
    failed,
    format_row,
    push_row,
)

ABOUT = """\
# Results with many groups

Written by `make bench-scale ARGS='--output benchmarks/RESULTS-scale.md'`.

{facts}

Each figure is a median, with the range in parentheses: of the rounds for pushes and
processor time, of all that were made for scrapes and restarts. A round visits all
stores in turn. A group has 25 samples in 10 families. Readers and the other client are
processes of their own on the same CPUs.
"""

MANY = 1_000
"""So many pushes to any of the groups, or as many as there are, before a scrape."""

SLICES = 4
"""A round visits each store so many times to push."""


@dataclass(frozen=True)
class Effort:
    """How long a round measures a row, in seconds, and how often it does things."""

    push: float = 2.0
    scrapes: int = 2
    unchanged: int = 12
    stream: float = 5.0
    rounds: int = 3
    new_series: int = 180_000
    groups: tuple[int, ...] = (1, 10_000, 100_000)


QUICK = Effort(1.0, 2, 12, 2.0, rounds=1, new_series=FIRST_NEW_SERIES)


class Scale:
    """One run: a relay for each size of the store, and what was measured of them."""

    def __init__(self, effort: Effort, directory: Path) -> None:
        self._effort = effort
        self._directory = directory
        self._relays: dict[int, Pushrelay] = {}
        self.report = Report([groups_told(size) for size in effort.groups])

    def run(self) -> None:
        """Measure everything."""
        small, large = self._effort.groups[0], self._effort.groups[-1]
        try:
            for size in self._effort.groups:
                self._fill(size)
            for number in range(self._effort.rounds):
                say(f"round {number + 1} of {self._effort.rounds}: pushes")
                self._pushes()
                for size in self._effort.groups:
                    say(f"scrapes of {groups_told(size)}")
                    self._scrapes(size)
                    self._unchanged_scrapes(size)
            for size in self._effort.groups:
                self._memory(MEMORY, size)
            for stream in STREAMS:
                say(f"pushes to {groups_told(large)} {stream}")
                self._pushes_while(stream, large)
            remove_large(self._relays[large].port)
            self._memory("memory after that", large)
            for _ in range(self._effort.rounds):
                for size in self._effort.groups:
                    say(f"restarting with {groups_told(size)}")
                    self._restart(size)
            self._new_series(small)
        finally:
            for relay in self._relays.values():
                relay.stop()

    def _fill(self, groups: int) -> None:
        say(f"filling a store with {groups_told(groups)}")
        relay = Pushrelay(self._directory / f"{groups}")
        self._relays[groups] = relay
        relay.prepare(groups)
        say("first scrapes of it")
        for format_, scrape in SCRAPES.items():
            # Filling it was seen to be complete by a scrape with gzip.
            if format_ != "gzip":
                with Connection(relay.port) as connection:
                    seconds = connection.time(scrape)
                self.report.time(
                    f"first scrape, {format_}", groups_told(groups), seconds
                )

    def _pushes(self) -> None:
        """Measure pushes in slices, so that a noisy second hits all alike."""
        times: dict[tuple[str, int], list[float]] = {}
        for _ in range(SLICES):
            for size in self._effort.groups:
                for of in (SPREAD, ONE_GROUP):
                    target = None if of == SPREAD else random.randrange(size)
                    seconds = self._effort.push / SLICES
                    found = self._push_times(size, target, seconds)
                    times.setdefault((of, size), []).extend(found)
        for (of, size), measured in times.items():
            self._note_pushes(of, size, measured)

    def _note_pushes(self, of: str, size: int, measured: list[float]) -> None:
        at, high = groups_told(size), percentile(measured, 0.99)
        self.report.time(push_row("p50", of), at, median(measured))
        self.report.time(push_row("p99", of), at, high)

    def _push_times(
        self, groups: int, target: int | None, seconds: float
    ) -> list[float]:
        pushes = Pushes(groups)
        with Connection(self._relays[groups].port) as connection:

            def push() -> float:
                return connection.time(pushes.next(target))

            repeat(push, 0.05, 1, 20)
            return repeat(push, seconds, 20, 100_000)

    def _scrapes(self, groups: int) -> None:
        """Scrape in each format, after changes all over the store and after single
        ones."""
        relay, at, pushes = self._relays[groups], groups_told(groups), Pushes(groups)
        for format_, scrape in SCRAPES.items():
            many = (pushes.next() for _ in range(min(MANY, groups)))
            pipeline(relay.port, many, load.CONNECTIONS)
            with Connection(relay.port) as connection:
                seconds = connection.time(scrape)
                self.report.time(
                    format_row(f"after {MANY:,} changes", format_), at, seconds
                )
                for _ in range(self._effort.scrapes):
                    connection.ask(pushes.next())
                    seconds = connection.time(scrape)
                    self.report.time(format_row(CHANGED, format_), at, seconds)
        with Connection(relay.port) as connection:
            connection.send(SCRAPES["plain"])
            self.report.size(HELD, at, connection.drain())

    def _unchanged_scrapes(self, groups: int) -> None:
        """Measure scrapes while nothing changes, and the processor time of them."""
        relay, at = self._relays[groups], groups_told(groups)
        processes = relay.processes()
        first_bytes, per_megabyte = [], []
        with Connection(relay.port) as connection:
            connection.time(SCRAPE)
            for _ in range(self._effort.unchanged):
                seconds = connection.time(SCRAPE)
                self.report.time(format_row("unchanged", "gzip"), at, seconds)
                spent, size = processor_time(processes, connection, SCRAPE)
                per_megabyte.append(spent / size * 1e6)
                first_bytes.append(until_first_byte(processes, connection, SCRAPE))
        # Whatever delays the client's look at the server adds to this, nothing takes
        # from it: the least is nearest.
        self.report.time(FIRST_BYTE, at, min(first_bytes))
        self.report.time(PER_MEGABYTE, at, median(per_megabyte))

    def _memory(self, row: str, groups: int) -> None:
        used = self._relays[groups].processes().memory()
        self.report.size(row, groups_told(groups), used)

    def _pushes_while(self, stream: str, groups: int) -> None:
        """Measure pushes while `stream` goes on."""
        relay = self._relays[groups]
        with going_on(STREAMS[stream], relay.port) as moved:
            before = moved()
            times = self._push_times(groups, None, self._effort.stream)
            rate = (moved() - before) / sum(times) / 1e6
        say(f"  {len(times):,} pushes; meanwhile {rate:,.1f} MB/s were moved")
        self._note_pushes(stream, groups, times)

    def _restart(self, groups: int) -> None:
        relay, at = self._relays[groups], groups_told(groups)
        relay.stop()
        self.report.time(RESTART, at, relay.start())
        with Connection(relay.port) as connection:
            seconds = connection.time(SCRAPE)
        self.report.time("first scrape with gzip after that", at, seconds)

    def _new_series(self, groups: int) -> None:
        """Push series that are always new, and look at the memory twice."""
        relay = self._relays[groups]
        for row, pushes in (
            (FEW_NEW_SERIES, FIRST_NEW_SERIES),
            (ALL_NEW_SERIES, self._effort.new_series),
        ):
            say(f"{pushes:,} pushes of new series")
            load.push_new_series(relay.port, pushes)
            time.sleep(1.0)
            self._memory(row, groups)


def main() -> int:
    """Run the benchmark; return its exit status."""
    options = _options()
    effort = QUICK if options.quick else Effort()
    effort = replace(
        effort,
        rounds=options.rounds or effort.rounds,
        groups=options.groups or effort.groups,
    )
    with tempfile.TemporaryDirectory(prefix="pushrelay-scale-") as name:
        directory, before = Path(name), os.getloadavg()[0]
        facts = circumstances(directory, [])
        scale = Scale(effort, directory)
        scale.run()
    facts.append(loaded(effort.rounds, before))
    pushes = FIRST_NEW_SERIES + effort.new_series
    facts.append(f"Pushes of new series: {pushes:,} in all")
    verdicts = at_scale(scale.report, effort.groups, list(STREAMS))
    print(scale.report.text(facts, verdicts))
    if options.output:
        options.output.write_text(scale.report.markdown(ABOUT, facts, verdicts))
    return int(failed(verdicts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="how many rounds (default: 3)")
    parser.add_argument(
        "--groups",
        type=_sizes,
        help="two or more sizes of the store, rising (default: 1,10000,100000)",
    )
    parser.add_argument("--output", type=Path, help="also write the table as Markdown")
    return parser.parse_args()


def _sizes(text: str) -> tuple[int, ...]:
    sizes = tuple(int(part) for part in text.split(","))
    if len(sizes) < 2 or list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
        raise argparse.ArgumentTypeError("must be two or more, rising: 1,1000,10000")
    return sizes


if __name__ == "__main__":
    sys.exit(main())
