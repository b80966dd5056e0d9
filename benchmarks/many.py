"""What does it take to manage many groups: to list, to choose and to delete them?

A store of each size is filled with groups of 25 samples in 10 families. Pages of the
list and scrapes of a part are measured first. Then all groups but ten are deleted with
one request, while a client pushes to those ten. The exit status is 1 if what is owed is
missed.

    make bench-many
    make bench-many ARGS='--quick'
    make bench-many ARGS='--output benchmarks/RESULTS-many.md'

Conclusion (2026-11-25, two quiet CPUs; RESULTS-many.md has the table): all that is owed
is there. Of 50,000 groups, 49,990 are deleted in 1.6 s, and pushes meanwhile wait up to
60 ms (p99). Two thirds of the time are the database's. A page of the list takes 3 to
30 ms at 10,000 groups and ten times that at 100,000; what asks for a job by name, 4 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from client import Connection, dechunked, request
from load import SAMPLES, Pushes, exposed_samples, fill, percentile, repeat
from machine import circumstances, loaded, say
from report import Report, groups_told
from servers import Pushrelay
from targets import Verdict, at_most, failed, milliseconds

ABOUT = """\
# Results of managing many groups

Written by `make bench-many ARGS='--output benchmarks/RESULTS-many.md'`.

{facts}

Each figure is a median of the rounds, with the range in parentheses. A group has 25
samples in 10 families. Each round deletes all groups but ten with one request; one
client pushes to the ten meanwhile, one push after the other.
"""

KEPT = 10
MOST = '{job="bench",instance!~"host-."}'
"""All groups of the benchmark but KEPT."""

ONE_JOB = '{job="bench"}'
FEW = '{instance=~"host-1.?"}'
NONE_BY_JOB = '{job="nobody"}'

LISTS = {
    "list, first page": {},
    "list, last pushed first": {"sort": "-pushed"},
    "list, by a regular expression": {"match[]": FEW},
    "list, by a job and an age": {"match[]": ONE_JOB, "older_than": "1ms"},
    "list, by a job without groups": {"match[]": NONE_BY_JOB},
}
PARTS = {
    "scrape of 11 groups by a regular expression": FEW,
    "scrape of no group by its job": NONE_BY_JOB,
}
DRY_RUN, DELETION = "dry run of the deletion", "deletion of all but ten"
ALONE, MEANWHILE = "push {}, nothing else going on", "push {}, meanwhile"
AFTER = "page of the list after it"

OWED_AT = (10_000, 50_000)
"""The groups that the limits of a page and of a deletion are meant for."""


class Many:
    """One run: a relay for each size of the store, and what was measured of them."""

    def __init__(self, sizes: tuple[int, ...], rounds: int, directory: Path) -> None:
        self._sizes = sizes
        self._rounds = rounds
        self._directory = directory
        self.report = Report([groups_told(size) for size in sizes])

    def run(self) -> None:
        """Measure everything."""
        for size in self._sizes:
            relay = Pushrelay(self._directory / f"{size}")
            say(f"filling a store with {groups_told(size)}")
            relay.prepare(size)
            try:
                for number in range(self._rounds):
                    say(f"round {number + 1} of {self._rounds}")
                    self._round(relay.port, size)
                    if number + 1 < self._rounds:
                        fill(relay.port, size)
            finally:
                relay.stop()

    def _round(self, port: int, size: int) -> None:
        at = groups_told(size)
        with Connection(port) as connection:
            self._look(connection, at)
            alone = _push_times(connection, lambda: True, 1.0)
        self._note_pushes(ALONE, at, alone)
        self._delete(port, size)
        assert exposed_samples(port) == KEPT * SAMPLES
        with Connection(port) as connection:
            self.report.time(AFTER, at, connection.time(_get("/api/v1/groups", {})))

    def _look(self, connection: Connection, at: str) -> None:
        for row, query in LISTS.items():
            asked = _get("/api/v1/groups", query)
            self._note(row, at, connection, asked)
        for row, selector in PARTS.items():
            asked = _get("/metrics", {"match[]": selector})
            self._note(row, at, connection, asked)
        asked = _deletion({"dry_run": "1"})
        self._note(DRY_RUN, at, connection, asked)

    def _note(self, row: str, at: str, connection: Connection, asked: bytes) -> None:
        times = repeat(lambda: connection.time(asked), 0.5, 3, 100)
        self.report.time(row, at, median(times))

    def _delete(self, port: int, size: int) -> None:
        """Delete with one request, and push until it is answered."""
        at = groups_told(size)
        # It only waits for its answer: a thread disturbs nobody.
        with Connection(port) as connection, ThreadPoolExecutor(1) as threads:
            deletion = threads.submit(_delete, port)
            pushes = _push_times(connection, lambda: not deletion.done(), 600.0)
        seconds, deleted = deletion.result()
        assert deleted == size - KEPT, deleted
        say(f"  {seconds:.2f} s, and {len(pushes):,} pushes meanwhile")
        self.report.time(DELETION, at, seconds)
        self._note_pushes(MEANWHILE, at, pushes)

    def _note_pushes(self, row: str, at: str, times: list[float]) -> None:
        self.report.time(row.format("p50"), at, median(times))
        self.report.time(row.format("p99"), at, percentile(times, 0.99))

    def verdicts(self) -> list[Verdict]:
        """Judge what is owed."""
        pages, deletions = map(groups_told, OWED_AT)

        def limited(row: str, at: str, limit: float) -> Verdict:
            worst = self.report.worst(row, at)
            return at_most(f"{row}, of {at}", limit, worst, milliseconds)

        return [
            *(limited(row, pages, 0.1) for row in LISTS),
            limited(DELETION, deletions, 2.0),
            limited(MEANWHILE.format("p99"), deletions, 0.1),
        ]


def _get(path: str, query: dict[str, str]) -> bytes:
    return request("GET", f"{path}?{urlencode(query)}")


def _deletion(query: dict[str, str]) -> bytes:
    return request("DELETE", f"/api/v1/groups?{urlencode({'match[]': MOST, **query})}")


def _delete(port: int) -> tuple[float, int]:
    """Return how long the deletion took, in seconds, and of how many groups."""
    with Connection(port) as connection:
        started = time.perf_counter()
        body = connection.ask(_deletion({}))
        seconds = time.perf_counter() - started
    return seconds, json.loads(dechunked(body))["data"]["count"]


def _push_times(
    connection: Connection, goes_on: Callable[[], bool], seconds: float
) -> list[float]:
    """Return the times of pushes to the groups that are kept."""
    pushes, times = Pushes(KEPT), []
    end = time.monotonic() + seconds
    while goes_on() and time.monotonic() < end:
        times.append(connection.time(pushes.next()))
    return times


def main() -> int:
    """Run the benchmark; return its exit status."""
    options = _options()
    rounds = options.rounds or (1 if options.quick else 3)
    with tempfile.TemporaryDirectory(prefix="pushrelay-many-") as name:
        directory, before = Path(name), os.getloadavg()[0]
        facts = circumstances(directory, [])
        many = Many(options.groups or OWED_AT, rounds, directory)
        many.run()
    facts.append(loaded(rounds, before))
    verdicts = many.verdicts()
    print(many.report.text(facts, verdicts))
    if options.output:
        options.output.write_text(many.report.markdown(ABOUT, facts, verdicts))
    return int(failed(verdicts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--rounds", type=int, help="how many rounds (default: 3)")
    parser.add_argument(
        "--groups", type=_sizes, help="sizes of the store (default: 10000,50000)"
    )
    parser.add_argument("--output", type=Path, help="also write the table as Markdown")
    return parser.parse_args()


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
