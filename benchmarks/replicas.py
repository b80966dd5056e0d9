"""What do several relays of one PostgreSQL do, and what does it cost to share it?

A server is started for the run, which waits for the disk as servers do. Three replicas
share a database of 5,000 groups, of which one, two or all three are used; the server,
the replicas and their clients have the same CPUs. targets.py has what is owed; the exit
status is 1 if one of it is missed.

    make bench-replicas
    make bench-replicas ARGS='--quick'
    make bench-replicas ARGS='--output benchmarks/RESULTS-replicas.md'

Conclusion (2026-11-26; RESULTS-replicas.md has the table): a scrape after a push to
another replica takes 1.3 to 1.4 x that after an own one, 5 to 6 ms. On the same CPUs,
more replicas push less with 8 clients: each takes over what the others wrote, and their
commits have fewer pushes in them. With 64 clients, two push 1.25 x as much as one, and
three less again. A snapshot that is held open makes no push slower;
tests/store/test_long_snapshots.py counts that nothing more is asked of the database.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import load
from client import Connection
from load import CONNECTIONS, SCRAPE, Pushes, percentile, repeat
from machine import circumstances, loaded, say
from postgres import Postgres, Replica
from report import Report
from targets import (
    AFTER_OTHER,
    AFTER_OWN,
    LONG_SNAPSHOT,
    ONE_GROUP,
    SPREAD,
    failed,
    push_row,
    replicas_told,
    shared,
)

ABOUT = """\
# Results with replicas

Written by `make bench-replicas ARGS='--output benchmarks/RESULTS-replicas.md'`.

{facts}

Each figure is the median of the rounds' medians, with the range of the rounds in
parentheses. The replicas share a PostgreSQL database of 5,000 groups of 25 samples
in 10 families; it waits for the disk at every commit. Server, replicas and clients run
on the same CPUs: the throughput of more replicas is that of the same CPUs with more to
do, and says nothing of machines of their own. The processor time of a push does.

A push has other values than the one before, and comes over a connection that stays
open. For the throughput, each replica has its share of the connections, which push to
all groups in turn. While a snapshot is held open, as by a backup, 8 connections push
for a time before anything is measured.
"""

DOCS = Path(__file__).parents[1] / "docs" / "scaling.md"
"""The page that shows some of the rows; `--output` brings them up to date."""

GROUPS = 5_000
REPLICAS = (1, 2, 3)
MANY_CONNECTIONS = 64


@dataclass(frozen=True)
class Effort:
    """How long one round measures each row, in seconds."""

    push: float = 1.0
    scrape: float = 1.5
    wrk: float = 3.0
    rounds: int = 3


QUICK = Effort(0.5, 0.7, 2.0, rounds=1)


class Shared:
    """One run: the replicas, and what was measured of them."""

    def __init__(self, effort: Effort, server: Postgres, directory: Path) -> None:
        self._effort = effort
        self._server = server
        self._directory = directory
        self._replicas = [
            Replica(directory / f"replica-{n}", server.url) for n in REPLICAS
        ]
        self._pushes = Pushes(GROUPS)
        self.report = Report([replicas_told(number) for number in REPLICAS])

    def run(self) -> None:
        """Measure everything."""
        first, *others = self._replicas
        try:
            say(f"filling a store with {GROUPS:,} groups")
            first.prepare(GROUPS)
            for replica in others:
                replica.start()
            for number in range(self._effort.rounds):
                for used in REPLICAS:
                    told = replicas_told(used)
                    say(f"round {number + 1} of {self._effort.rounds}: {told}")
                    self._round(self._replicas[:used], told)
        finally:
            for replica in self._replicas:
                replica.stop()

    def _round(self, used: list[Replica], at: str) -> None:
        for replica in used:
            self._warm_up(replica)
        if load.has_wrk():
            for connections in (CONNECTIONS, MANY_CONNECTIONS):
                self._throughput(used, at, connections)
        self._scrapes(used, at)
        self._note_pushes(SPREAD, at, self._push_times(used[0], None))
        self._note_pushes(ONE_GROUP, at, self._push_times(used[0], 0))
        with self._server.snapshot():
            if load.has_wrk():
                self._load(used, CONNECTIONS)
            for of, target in ((SPREAD, None), (ONE_GROUP, 0)):
                times = self._push_times(used[0], target)
                self._note_pushes(f"{of}, {LONG_SNAPSHOT}", at, times)
        # As the server itself would do in a minute.
        self._server.run("VACUUM")

    def _warm_up(self, replica: Replica) -> None:
        with Connection(replica.port) as connection:
            connection.ask(self._pushes.next())
            repeat(lambda: connection.time(SCRAPE), 0, 2, 2)

    def _throughput(self, used: list[Replica], at: str, connections: int) -> None:
        """Note the pushes of all, their commits, and the processor time of each."""
        relays = [replica.processes() for replica in used]

        def spent() -> tuple[float, float]:
            replicas = sum(each.processor_seconds() for each in relays)
            return replicas, self._server.processor_seconds()

        before, commits = spent(), self._server.commits()
        rate = self._load(used, connections)
        after, seconds = spent(), self._effort.wrk
        made = self._server.commits() - commits
        self.report.rate(f"push throughput, {connections} connections in all", at, rate)
        self.report.rate(f"commits, {connections} connections", at, made / seconds)
        for of, begin, end in zip(("replicas", "database"), before, after, strict=True):
            row = f"processor time of the {of} for a push, {connections} connections"
            self.report.time(row, at, (end - begin) / (rate * seconds))

    def _load(self, used: list[Replica], connections: int) -> float:
        """Push as fast as can be; return how often, in a second, that was."""
        shares = [len(range(n, connections, len(used))) for n in range(len(used))]

        def push(replica: Replica, share: int) -> float:
            seconds, directory = self._effort.wrk, replica.directory
            return load.throughput(replica.port, seconds, directory, share, GROUPS)

        with ThreadPoolExecutor(len(used)) as threads:
            return sum(threads.map(push, used, shares))

    def _scrapes(self, used: list[Replica], at: str) -> None:
        """Scrape the first, unchanged, and after pushes to each of them in turn."""
        own, other = [], []
        with ExitStack() as stack:
            opened = [stack.enter_context(Connection(each.port)) for each in used]
            first = opened[0]
            unchanged = repeat(
                lambda: first.time(SCRAPE), self._effort.scrape / 3, 3, 99
            )

            def push_and_scrape() -> float:
                for pushing in opened:
                    pushing.ask(self._pushes.next())
                    taken = first.time(SCRAPE)
                    (own if pushing is first else other).append(taken)
                return taken

            repeat(push_and_scrape, self._effort.scrape, 5, 200)
        self.report.time("scrape with gzip, unchanged", at, median(unchanged))
        self.report.time(AFTER_OWN, at, median(own))
        if other:
            self.report.time(AFTER_OTHER, at, median(other))

    def _push_times(self, replica: Replica, target: int | None) -> list[float]:
        with Connection(replica.port) as connection:

            def push() -> float:
                return connection.time(self._pushes.next(target))

            repeat(push, 0.05, 1, 20)
            return repeat(push, self._effort.push, 20, 100_000)

    def _note_pushes(self, of: str, at: str, times: list[float]) -> None:
        self.report.time(push_row("p50", of), at, median(times))
        self.report.time(push_row("p99", of), at, percentile(times, 0.99))


def main() -> int:
    """Run the benchmark; return its exit status."""
    options = _options()
    effort = QUICK if options.quick else Effort()
    hints = [] if load.has_wrk() else [f"No throughput: {load.INSTALL_WRK}"]
    with tempfile.TemporaryDirectory(prefix="pushrelay-replicas-") as name:
        directory, before = Path(name), os.getloadavg()[0]
        with Postgres.running() as server:
            facts = circumstances(directory, [f"PostgreSQL {server.version()}"])
            run = Shared(effort, server, directory)
            run.run()
    facts += [loaded(effort.rounds, before), *hints]
    verdicts = shared(run.report)
    print(run.report.text(facts, verdicts))
    if options.output:
        results = run.report.markdown(ABOUT, facts, verdicts)
        options.output.write_text(results)
        DOCS.write_text(with_figures(DOCS.read_text(), results))
    return int(failed(verdicts))


def with_figures(page: str, results: str) -> str:
    """Return `page` with the figures of `results` in the rows that both have."""
    measured = {_cells(line)[0]: _cells(line) for line in results.splitlines()}

    def updated(line: str) -> str:
        name, *_ = _cells(line)
        is_row = line.startswith("|") and bool(name) and name in measured
        return f"| {' | '.join(measured[name])} |" if is_row else line

    return "\n".join(map(updated, page.split("\n")))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument(
        "--output",
        type=Path,
        help="also write the table as Markdown, and its figures in docs/scaling.md",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
