"""What does it take to scrape a large page in shards?

A store is filled, and its page scraped with gzip: whole, and in so many shards one
after the other, by a relay that was started for it. Then again: unchanged, after one
change, and after changes all over it.

    make bench-shards
    make bench-shards ARGS='--quick'
    make bench-shards ARGS='--output benchmarks/RESULTS-shards.md'

Conclusion (2026-11-26, two CPUs; RESULTS-shards.md has the table): with 100,000 groups,
each of four shards takes the relay 15 ms of processor time while nothing changes, and
the whole page 11 ms; after 1,000 changes it is 0.4 and 0.7 s. Four shards take 4 % more
memory, sixteen 9 %.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from client import Connection, pipeline, request
from load import CONNECTIONS, SCRAPE, Pushes
from machine import circumstances, loaded, say
from report import Report, groups_told
from servers import Pushrelay
from targets import Verdict, at_most, failed, times

ABOUT = """\
# Results of scrapes in shards

Written by `make bench-shards ARGS='--output benchmarks/RESULTS-shards.md'`.

{facts}

Each figure is a median of the rounds, with the range in parentheses. Scrapes are with
gzip, by one client, one shard after the other. A group has 25 samples in 10 families.
"""

MANY = 1_000
SHARDS = (1, 4, 16)
WHOLE = "whole page"
REST = 0.02
"""Seconds after which a relay has nothing left to do."""

ONE, ALL = "one shard, {}", "processor time of all shards, {}"
FIRST, CHANGED, UNCHANGED = "first scrape", "after one change", "unchanged"
AFTER_MANY = f"after {MANY:,} changes"
SIZE, MEMORY = "all shards, compressed", "memory after that"

MOST_MEMORY, MOST_TIME = 1.5, 5.0
"""How many times as much as of the whole page it may be."""


class Shards:
    """One run: a relay, and what its page took in shards."""

    def __init__(self, groups: int, rounds: int, directory: Path) -> None:
        self._groups = groups
        self._rounds = rounds
        self._relay = Pushrelay(directory)
        self._pushes = Pushes(groups)
        self.report = Report([column(of) for of in SHARDS])

    def run(self) -> None:
        """Measure everything."""
        say(f"filling a store with {groups_told(self._groups)}")
        self._relay.prepare(self._groups)
        try:
            for number in range(self._rounds):
                say(f"round {number + 1} of {self._rounds}")
                for of in SHARDS:
                    self._relay.stop()
                    self._relay.start()
                    self._round(of)
        finally:
            self._relay.stop()

    def _round(self, of: int) -> None:
        with Connection(self._relay.port) as connection:
            self._scrape(FIRST, of, connection)
            self._scrape(UNCHANGED, of, connection)
            self._note_size(of, connection)
            connection.ask(self._pushes.next())
            self._scrape(CHANGED, of, connection)
            changes = [self._pushes.next() for _ in range(min(MANY, self._groups))]
            pipeline(self._relay.port, changes, CONNECTIONS)
            self._scrape(AFTER_MANY, of, connection)
        used = self._relay.processes().memory()
        self.report.size(MEMORY, column(of), used)

    def _scrape(self, state: str, of: int, connection: Connection) -> None:
        """Scrape all shards once."""
        processes = self._relay.processes()
        time.sleep(REST)
        before = processes.processor_seconds()
        seconds = [connection.time(each) for each in scrapes(of)]
        time.sleep(REST)
        spent = processes.processor_seconds() - before
        self.report.time(ONE.format(state), column(of), median(seconds))
        self.report.time(ALL.format(state), column(of), spent)

    def _note_size(self, of: int, connection: Connection) -> None:
        size = 0
        for each in scrapes(of):
            connection.send(each)
            size += connection.drain()
        self.report.size(SIZE, column(of), size)

    def verdicts(self) -> list[Verdict]:
        """Judge what is owed."""
        verdicts = []
        rows = ((ALL.format(AFTER_MANY), MOST_TIME), (MEMORY, MOST_MEMORY))
        for of in SHARDS[1:]:
            for row, limit in rows:
                ratio = self.report.quotient((row, column(of)), (row, WHOLE))
                what = f"{row}, {column(of)}, of that of the {WHOLE}"
                verdicts.append(at_most(what, limit, ratio, times))
        return verdicts


def column(of: int) -> str:
    """Name so many shards."""
    return WHOLE if of == 1 else f"{of} shards"


def scrapes(of: int) -> list[bytes]:
    """Return the requests for so many shards."""
    if of == 1:
        return [SCRAPE]
    targets = [f"/metrics?shard={number}&shards={of}" for number in range(of)]
    return [
        request("GET", target, headers="Accept-Encoding: gzip\r\n")
        for target in targets
    ]


def main() -> int:
    """Run the benchmark; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, 10,000 groups")
    parser.add_argument("--rounds", type=int, help="how many rounds (default: 3)")
    parser.add_argument("--groups", type=int, help="how many (default: 100000)")
    parser.add_argument("--output", type=Path, help="also write the table as Markdown")
    options = parser.parse_args()
    rounds = options.rounds or (1 if options.quick else 3)
    groups = options.groups or (10_000 if options.quick else 100_000)
    with tempfile.TemporaryDirectory(prefix="pushrelay-shards-") as name:
        directory, before = Path(name), os.getloadavg()[0]
        facts = [*circumstances(directory, []), f"Store: {groups_told(groups)}"]
        shards = Shards(groups, rounds, directory / "store")
        shards.run()
    facts.append(loaded(rounds, before))
    verdicts = shards.verdicts()
    print(shards.report.text(facts, verdicts))
    if options.output:
        options.output.write_text(shards.report.markdown(ABOUT, facts, verdicts))
    return int(failed(verdicts))


if __name__ == "__main__":
    sys.exit(main())
