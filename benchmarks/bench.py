"""How fast is pushrelay beside the Pushgateway that it replaces?

One run starts both on this machine, gives them equal work and prints one table. Every
round visits every store size and both servers in turn, so that what else the machine
does hits all alike; shown are medians of the rounds, with their range. targets.py has
what is owed; the exit status is 1 if one of it is missed.

    make bench
    make bench ARGS=--quick         # 43 to 72 seconds
    make bench ARGS='--output benchmarks/RESULTS.md'

Conclusion (2026-11-26, two quiet CPUs, Pushgateway 1.5.1; RESULTS.md has the table): a
push costs the same at every size of the store (p50 0.44 ms at 1 group, 0.47 ms at
5,000), the Pushgateway's grows from 0.33 to 133 ms. At 5,000 groups a scrape is 72 x
faster after one changed group and 219 x unchanged. With 8 connections, 1.9 x as much is
pushed. A lone push to a small store misses what is owed by a hair: 1.32 x slower, of
1.3 allowed. A third of its time is the disk (profile.md); since it was 1.22, rights,
limits and the evidence of runs came. Large pushes are faster where their series came
before, and at an empty store slower where all are new.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import load
from client import Connection, request
from echo import client_share
from load import SCRAPE, LargePushes, Pushes, percentile, repeat
from machine import circumstances, loaded, say
from report import Report, groups_told
from servers import INSTALL_PUSHGATEWAY, Pushgateway, Pushrelay, Server
from targets import (
    THROUGHPUT,
    beside_pushgateway,
    failed,
    large_row,
    push_row,
    scrape_row,
)

ABOUT = """\
# Results

Written by `make bench ARGS='--output benchmarks/RESULTS.md'`.

{facts}

Each figure is the median of the rounds' medians, with the range of the rounds in
parentheses. A round visits all store sizes and both servers in turn. Other programs
were free to run at the same time, so single rounds say little, and ratios within one
run say more than times.

A push carries 25 samples in 10 families, and every push has other values than the one
before. It comes over a connection that stays open. The group of a push of 10,000
samples is deleted before the next one comes, which has the same series with other
values, or series that are all new. pushrelay checks a push and has it on disk before
it answers 200; the Pushgateway checks it (its default) and keeps it in memory.
"""

LARGE_AT = 1_000
"""Beside the empty store, the size of the store that gets large pushes."""

SLICES = 4
"""A round visits each store so many times to push."""


@dataclass(frozen=True)
class Effort:
    """How long one round measures each row, in seconds."""

    push: float = 2.0
    large: float = 2.0
    scrape: float = 1.5
    wrk: float = 4.0
    rounds: int = 5
    groups: tuple[int, ...] = (1, 100, 1_000, 5_000)


QUICK = Effort(0.7, 1.0, 0.5, 2.0, rounds=1)


class Bench:
    """One run: the servers at each size, and what was measured of them."""

    def __init__(self, effort: Effort, directory: Path) -> None:
        self._effort = effort
        self._directory = directory
        self._kinds: list[type[Server]] = [Pushrelay]
        if Pushgateway.program is not None:
            self._kinds.append(Pushgateway)
        self._servers: dict[tuple[str, str], Server] = {}
        names = [kind.name for kind in self._kinds]
        self.report = Report(names, compared=len(names) == 2)

    def run(self) -> None:
        """Measure everything."""
        largest = max(self._effort.groups)
        try:
            for size in self._effort.groups:
                self._prepare(f"{size}", size)
            self._prepare("busy", load.CONNECTIONS)
            self._prepare("empty", 0)
            for number in range(self._effort.rounds):
                say(f"round {number + 1} of {self._effort.rounds}")
                self._round(number)
            for server in self._each(f"{largest}", 0):
                self._memory(server, largest)
            say("restarts")
            for number in range(self._effort.rounds):
                for server in self._each(f"{largest}", number):
                    self._restart(server, largest)
        finally:
            for server in self._servers.values():
                server.stop()

    def _prepare(self, role: str, groups: int) -> None:
        for kind in self._kinds:
            say(f"starting {kind.name} with {groups_told(groups)}")
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
            self._large_pushes(server, "empty store")
        if LARGE_AT in self._effort.groups:
            for server in self._each(f"{LARGE_AT}", number):
                self._large_pushes(server, groups_told(LARGE_AT))

    def _pushes(self, number: int) -> None:
        """Measure pushes in slices, so that a noisy second hits all alike."""
        times: dict[tuple[str, int], list[float]] = {}
        for _ in range(SLICES):
            for size in self._effort.groups:
                for server in self._each(f"{size}", number):
                    found = self._slice(server, size)
                    times.setdefault((server.name, size), []).extend(found)
        for (name, size), measured in times.items():
            at, high = groups_told(size), percentile(measured, 0.99)
            self.report.time(push_row("p50", at), name, median(measured))
            self.report.time(push_row("p99", at), name, high)

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
        self.report.rate(THROUGHPUT, server.name, rate)

    def _large_pushes(self, server: Server, store: str) -> None:
        pushes = LargePushes(load.LARGE)
        for row, make in (
            (large_row(store), pushes.next),
            (large_row(f"all series new, {store}"), pushes.next_cold),
        ):
            with Connection(server.port) as connection:
                middle = self._large_push(connection, make)
            self.report.time(row, server.name, middle)

    def _large_push(self, connection: Connection, make: Callable[[], bytes]) -> float:
        def push() -> float:
            seconds = connection.time(make())
            connection.ask(request("DELETE", load.LARGE_PATH))
            return seconds

        # The first one also makes room for the others.
        push()
        return median(repeat(push, self._effort.large, 3, 50))

    def _restart(self, server: Server, groups: int) -> None:
        server.stop()
        row = f"restart to ready, {groups_told(groups)}"
        self.report.time(row, server.name, server.start())

    def _memory(self, server: Server, groups: int) -> None:
        used = server.memory()
        if used is None:
            return
        samples = groups * load.SAMPLES
        row = f"memory after the rounds, {groups_told(groups)}"
        self.report.size(row, server.name, used)
        row = f"the same, of each of {samples:,} samples"
        self.report.bytes(row, server.name, used / samples)


def main() -> int:
    """Run the benchmark; return its exit status."""
    options = _options()
    effort = QUICK if options.quick else Effort()
    effort = replace(
        effort,
        rounds=options.rounds or effort.rounds,
        groups=options.groups or effort.groups,
    )
    hints = [] if Pushgateway.program else [INSTALL_PUSHGATEWAY]
    hints += [] if load.has_wrk() else [f"No throughput: {load.INSTALL_WRK}"]
    for hint in hints:
        say(hint)
    others = [f"Pushgateway {Pushgateway.version()}"] if Pushgateway.program else []
    with tempfile.TemporaryDirectory(prefix="pushrelay-bench-") as name:
        directory, before = Path(name), os.getloadavg()[0]
        facts = [*circumstances(directory, others), _client_told(directory)]
        bench = Bench(effort, directory)
        bench.run()
    facts += [loaded(effort.rounds, before), *hints]
    verdicts = beside_pushgateway(bench.report)
    print(bench.report.text(facts, verdicts))
    if options.output:
        options.output.write_text(bench.report.markdown(ABOUT, facts, verdicts))
    return int(failed(verdicts))


def _client_told(directory: Path) -> str:
    small, _, large = client_share(directory)
    return (
        f"Client: with a server that does nothing, a push takes {small * 1e3:.3f} ms "
        f"and one of 10,000 samples {large * 1e3:.2f} ms"
    )


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


if __name__ == "__main__":
    sys.exit(main())
