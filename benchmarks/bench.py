"""How fast is pushrelay beside the Pushgateway that it replaces?

One run starts both on this machine, gives them equal work and prints one table. Every
round visits every store size and both servers in turn, so that what else the machine
does hits all alike; shown are medians of the rounds, with their range.

    make bench                      # about five minutes
    make bench ARGS=--quick         # about one

The exit status is 1 if one of the figures that are owed is missed.

Conclusion (2026-11-22, two busy CPUs, Pushgateway 1.5.1; RESULTS.md has the table): a
push costs the same at every size of the store (p50 1.2 ms at 1 group, 1.5 ms at
5,000), the Pushgateway's grows from 0.5 to 202 ms. At 5,000 groups a scrape is 93 x
faster after one changed group and 302 x unchanged. Small stores are where pushrelay
is slower: 2.5 x for a lone push, 2.1 x less throughput with 8 connections, 2.6 x for
10,000 samples at once. That is interpreter time; profile.md tells of what.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import load
from load import SCRAPE, Connection, Pushes, group_path, repeat, request
from report import Report, Verdict
from servers import (
    INSTALL_PUSHGATEWAY,
    Pushgateway,
    Pushrelay,
    Server,
    fsync_seconds,
)

import pushrelay

FLATNESS = 1.5
"""Own push p50 at 5,000 groups is at most so many times that at 1 group."""

SCRAPE_ADVANTAGE = 10
"""A scrape after one changed group, of 5,000, is so many times the Pushgateway's."""

OWED_AT = 5_000

SLICES = 4
"""A round visits each store so many times to push."""


@dataclass(frozen=True)
class Effort:
    """How long one round measures each row, in seconds."""

    push: float
    scrape: float
    wrk: float
    rounds: int
    groups: tuple[int, ...]


FULL = Effort(2.0, 1.5, 4.0, 5, (1, 100, 1_000, 5_000))
QUICK = Effort(0.7, 0.5, 2.0, 1, (1, 100, 1_000, 5_000))


class Bench:
    """One run: the servers at each size, and what was measured of them."""

    def __init__(self, effort: Effort, directory: Path) -> None:
        self._effort = effort
        self._directory = directory
        self._kinds: list[type[Server]] = [Pushrelay]
        if Pushgateway.program is not None:
            self._kinds.append(Pushgateway)
        self._servers: dict[tuple[str, str], Server] = {}
        self.report = Report([kind.name for kind in self._kinds])

    def run(self) -> None:
        """Measure everything."""
        largest = max(self._effort.groups)
        try:
            for size in self._effort.groups:
                self._prepare(f"{size}", size)
            self._prepare("busy", load.CONNECTIONS)
            self._prepare("empty", 0)
            for number in range(self._effort.rounds):
                _say(f"round {number + 1} of {self._effort.rounds}")
                self._round(number)
            for server in self._each(f"{largest}", 0):
                self._memory(server, largest)
            _say("restarts")
            for number in range(self._effort.rounds):
                for server in self._each(f"{largest}", number):
                    self._restart(server, largest)
        finally:
            for server in self._servers.values():
                server.stop()

    def _prepare(self, role: str, groups: int) -> None:
        for kind in self._kinds:
            _say(f"starting {kind.name} with {_groups(groups)}")
            server = kind(self._directory / f"{kind.name}-{role}")
            self._servers[kind.name, role] = server
            server.prepare(groups)

    def _each(self, role: str, number: int) -> Iterator[Server]:
        """Yield the servers of one role; who comes first changes with the round."""
        kinds = self._kinds if number % 2 == 0 else self._kinds[::-1]
        for kind in kinds:
            yield self._servers[kind.name, role]

    def _round(self, number: int) -> None:
        self._pushes(number)
        for size in self._effort.groups:
            for server in self._each(f"{size}", number):
                self._scrapes(server, size)
        if load.has_wrk():
            for server in self._each("busy", number):
                self._throughput(server)
        for server in self._each("empty", number):
            self._large_pushes(server, number)

    def _pushes(self, number: int) -> None:
        """Measure pushes in slices, so that a noisy second hits all alike."""
        times: dict[tuple[str, int], list[float]] = {}
        for _ in range(SLICES):
            for size in self._effort.groups:
                for server in self._each(f"{size}", number):
                    found = self._slice(server, size)
                    times.setdefault((server.name, size), []).extend(found)
        for (name, size), measured in times.items():
            measured.sort()
            high = measured[min(len(measured) - 1, int(len(measured) * 0.99))]
            self.report.time(push_row("p50", size), name, median(measured))
            self.report.time(push_row("p99", size), name, high)

    def _slice(self, server: Server, groups: int) -> list[float]:
        pushes = Pushes(groups)
        with Connection(server.port) as connection:

            def push() -> float:
                return connection.time(pushes.next())

            repeat(push, 0.05, 1, 20)
            return repeat(push, self._effort.push / SLICES, 2, 1_000)

    def _scrapes(self, server: Server, groups: int) -> None:
        pushes, seconds = Pushes(groups), self._effort.scrape
        with Connection(server.port) as connection:

            def unchanged() -> float:
                return connection.time(SCRAPE)

            def changed() -> float:
                connection.ask(pushes.next())
                return connection.time(SCRAPE)

            repeat(unchanged, 0, 2, 2)
            same = median(repeat(unchanged, seconds, 3, 100))
            other = median(repeat(changed, seconds, 3, 100))
        self.report.time(scrape_row("unchanged", groups), server.name, same)
        self.report.time(scrape_row("one group changed", groups), server.name, other)

    def _throughput(self, server: Server) -> None:
        rate = load.throughput(server.port, self._effort.wrk, self._directory)
        row = f"push throughput, {load.CONNECTIONS} connections to 8 groups"
        self.report.rate(row, server.name, rate)

    def _large_pushes(self, server: Server, number: int) -> None:
        path = group_path(0)
        with Connection(server.port) as connection:

            def push() -> float:
                body = load.large_body(time.time_ns() % 1_000_000)
                seconds = connection.time(request("PUT", path, body))
                connection.ask(request("DELETE", path))
                return seconds

            times = repeat(push, self._effort.push, 4, 20)
        # The first one also makes room for the others.
        row = "push of 10,000 samples to an empty store, p50"
        self.report.time(row, server.name, median(times[1:]))

    def _restart(self, server: Server, groups: int) -> None:
        server.stop()
        row = f"restart to ready, {_groups(groups)}"
        self.report.time(row, server.name, server.start())

    def _memory(self, server: Server, groups: int) -> None:
        used = server.memory()
        if used is not None:
            row = f"memory after the rounds, {_groups(groups)}"
            self.report.size(row, server.name, used)


def push_row(figure: str, groups: int) -> str:
    """Name the row of a push's p50 or p99."""
    return f"push {figure}, {_groups(groups)}"


def scrape_row(state: str, groups: int) -> str:
    """Name the row of a scrape."""
    return f"scrape with gzip, {state}, {_groups(groups)}"


def _groups(number: int) -> str:
    return f"{number:,} group{'' if number == 1 else 's'}"


def verdicts(report: Report) -> list[Verdict]:
    """Judge the figures that are owed."""
    small, large = push_row("p50", 1), push_row("p50", OWED_AT)
    flatness = report.quotient((large, Pushrelay.name), (small, Pushrelay.name))
    scrape = scrape_row("one group changed", OWED_AT)
    advantage = report.quotient((scrape, Pushgateway.name), (scrape, Pushrelay.name))
    return [
        Verdict(
            f"own push p50 at {OWED_AT:,} groups: at most {FLATNESS} x that at 1 group",
            flatness,
            None if flatness is None else flatness <= FLATNESS,
        ),
        Verdict(
            f"scrape after one changed group of {OWED_AT:,}: at least "
            f"{SCRAPE_ADVANTAGE} x faster than the Pushgateway's",
            advantage,
            None if advantage is None else advantage >= SCRAPE_ADVANTAGE,
        ),
    ]


def circumstances(directory: Path) -> list[str]:
    """Return what the figures depend on."""
    versions = [f"pushrelay {pushrelay.__version__}"]
    versions += [f"Python {platform.python_version()}"]
    versions += [f"SQLite {sqlite3.sqlite_version}"]
    if Pushgateway.program is not None:
        versions.append(f"Pushgateway {Pushgateway.version()}")
    flush = fsync_seconds(directory) * 1000
    return [
        f"Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"Machine: {_processor()}, {os.cpu_count()} CPUs, {platform.system()} "
        f"{platform.release()}; its disk takes {flush:.2f} ms to append and flush 4 kB",
        "Versions: " + ", ".join(versions),
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return models[0] if models else platform.machine()


def _loaded(before: float, effort: Effort) -> str:
    after = os.getloadavg()[0]
    return (
        f"Rounds: {effort.rounds}; load average {before:.1f} when it began and "
        f"{after:.1f} when it ended"
    )


def main() -> int:
    """Run the benchmark; return its exit status."""
    options = _options()
    effort = QUICK if options.quick else FULL
    effort = Effort(
        effort.push,
        effort.scrape,
        effort.wrk,
        options.rounds or effort.rounds,
        options.groups or effort.groups,
    )
    hints = [] if Pushgateway.program else [INSTALL_PUSHGATEWAY]
    hints += [] if load.has_wrk() else [f"No throughput: {load.INSTALL_WRK}"]
    for hint in hints:
        _say(hint)
    with tempfile.TemporaryDirectory(prefix="pushrelay-bench-") as name:
        directory, before = Path(name), os.getloadavg()[0]
        facts = circumstances(directory)
        bench = Bench(effort, directory)
        bench.run()
    facts.append(_loaded(before, effort))
    owed = verdicts(bench.report)
    print(bench.report.text(facts + hints, owed))
    if options.output:
        options.output.write_text(bench.report.markdown(facts + hints, owed))
    return 1 if any(verdict.passed is False for verdict in owed) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="how many rounds (default: 5)")
    parser.add_argument(
        "--groups",
        type=lambda text: tuple(int(part) for part in text.split(",")),
        help="sizes of the store (default: 1,100,1000,5000)",
    )
    parser.add_argument("--output", type=Path, help="also write the table as Markdown")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
