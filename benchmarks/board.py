"""How soon is the jobs board there, with very many groups?

A store of each size is filled with groups, a job's instance each, and a tenth of them
have runs; the hundred that need attention most have thirty each. Then the board is
asked for: again and again, after a push, after a report, by search, matcher and state.
The exit status is 1 if what is owed is missed.

    make bench-board
    make bench-board ARGS='--quick'
    make bench-board ARGS='--output benchmarks/RESULTS-board.md'

Conclusion (2026-11-26, two CPUs; RESULTS-board.md has the table): the first page is
there in 19 ms with 10,000 groups and in 28 ms with 100,000, also after a push or a
report, since only rows that changed are made anew. A search looks at all rows: 53 ms
for 100,000, and 122 ms by a regular expression. The first page after a start makes all
of them, in 0.2 and 1.3 s.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from itertools import count, islice
from pathlib import Path
from statistics import median
from urllib.parse import urlencode

from client import Connection, pipeline, request
from load import CONNECTIONS, percentile, repeat
from machine import circumstances, loaded, say
from report import Report, groups_told
from servers import Pushrelay
from targets import Verdict, at_most, failed, milliseconds

ABOUT = """\
# Results of the jobs board

Written by `make bench-board ARGS='--output benchmarks/RESULTS-board.md'`.

{facts}

Each figure is a median of the rounds, with the range in parentheses, of the time to the
first byte. Each group is a job's instance, and so a row of the board. A tenth of the
rows have runs; the hundred that failed have thirty each.
"""

JOBS = 1_000
FAILED_ROWS, RUNS_OF_FAILED = 100, 30

VIEWS = {
    "first page": {},
    "search for a job": {"search": "bench-job-7"},
    "by a matcher": {"search": '{instance=~"host-1.?"}'},
    "by a state": {"state": "ok"},
}
AFTER_PUSH, AFTER_REPORT = "first page after a push", "first page after a report"
P50, P99 = "{}, p50", "{}, p99"
LENGTH = "first page, length"
FIRST_EVER = "first page after a start"

OWED_AT, LARGEST = 10_000, 100_000
"""The groups that the limit of a page is meant for, and those with which it answers."""


class Board:
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
            relay.start()
            try:
                pipeline(relay.port, _groups(size), 2)
                pipeline(relay.port, _runs(size), CONNECTIONS)
                for number in range(self._rounds):
                    say(f"round {number + 1} of {self._rounds}")
                    self._round(relay, groups_told(size))
            finally:
                relay.stop()

    def _round(self, relay: Pushrelay, at: str) -> None:
        relay.stop()
        relay.start()
        with Connection(relay.port) as connection:
            self.report.time(FIRST_EVER, at, _until_first_byte(connection, _board({})))
            for view, query in VIEWS.items():
                self._note(view, at, connection, _board(query))
            self._note(AFTER_PUSH, at, connection, _board({}), map(_push, count()))
            self._note(AFTER_REPORT, at, connection, _board({}), map(_report, count()))
            connection.send(_board({}))
            self.report.bytes(LENGTH, at, connection.drain())

    def _note(
        self,
        row: str,
        at: str,
        connection: Connection,
        asked: bytes,
        changes: Iterable[bytes] = (),
    ) -> None:
        """Ask for it again and again, after one of `changes` each time."""
        left = iter(changes)

        def look() -> float:
            for change in islice(left, 1):
                connection.ask(change)
            return _until_first_byte(connection, asked)

        seconds = repeat(look, 2.0, 10, 200)
        self.report.time(P50.format(row), at, median(seconds))
        self.report.time(P99.format(row), at, percentile(seconds, 0.99))

    def verdicts(self) -> list[Verdict]:
        """Judge what is owed."""

        def limited(row: str, groups: int, limit: float) -> Verdict:
            at = groups_told(groups)
            figure = self.report.worst(P50.format(row), at)
            return at_most(f"{row}, p50, {at}", limit, figure, milliseconds)

        rows = [*VIEWS, AFTER_PUSH, AFTER_REPORT]
        return [
            *(limited(row, OWED_AT, 0.1) for row in rows),
            *(limited(row, LARGEST, 0.5) for row in rows),
        ]


def _board(query: dict[str, str]) -> bytes:
    return request("GET", f"/?{urlencode(query)}")


def _until_first_byte(connection: Connection, asked: bytes) -> float:
    """Return the seconds until the head of the answer has come."""
    seen: list[float] = []

    def take(_part: memoryview) -> None:
        if not seen:
            seen.append(time.perf_counter())

    started = time.perf_counter()
    connection.send(asked)
    connection.drain(take)
    return seen[0] - started


def _instance(row: int) -> dict[str, str]:
    return {"job": f"bench-job-{row % JOBS}", "instance": f"host-{row // JOBS}"}


def _groups(size: int, each: int = 5_000) -> Iterator[bytes]:
    """Yield pushes to all groups, many at a time."""
    for first in range(0, size, each):
        lines = ["# TYPE bench_rows gauge"]
        for row in range(first, min(first + each, size)):
            labels = ",".join(f'{k}="{v}"' for k, v in _instance(row).items())
            lines.append(f"bench_rows{{{labels}}} {row}")
        body = "\n".join([*lines, ""]).encode()
        yield request("POST", "/api/v1/groups?by=job,instance", body)


def _runs(size: int) -> Iterator[bytes]:
    """Yield the reports of all runs."""
    for row in range(0, size, 10):
        is_failed = row < 10 * FAILED_ROWS
        for ago in range(RUNS_OF_FAILED if is_failed else 1, 0, -1):
            outcome = "failure" if is_failed and ago < 3 else "success"
            yield _run(row, ago * 600.0, outcome)


def _run(row: int, ago: float, outcome: str) -> bytes:
    labels = _instance(row)
    started_at = time.time() - ago
    document = {
        "job": labels.pop("job"),
        "labels": labels,
        "state": "finished",
        "started_at": started_at,
        "finished_at": started_at + min(row % 97 + 1, ago),
        "outcome": outcome,
    }
    path = f"/api/v1/runs/{uuid.uuid4()}"
    return request("PUT", path, json.dumps(document).encode())


def _push(number: int) -> bytes:
    path = "/metrics/job/bench-job-5/instance/host-0"
    body = b"# TYPE bench_rows gauge\nbench_rows %d\n" % number
    return request("PUT", path, body)


def _report(number: int) -> bytes:
    return _run(10 * (number % FAILED_ROWS), 0.001, "failure")


def main() -> int:
    """Run the benchmark; return its exit status."""
    options = _options()
    rounds = options.rounds or (1 if options.quick else 3)
    with tempfile.TemporaryDirectory(prefix="pushrelay-board-") as name:
        directory, before = Path(name), os.getloadavg()[0]
        facts = circumstances(directory, [])
        board = Board(options.groups or (OWED_AT, LARGEST), rounds, directory)
        board.run()
    facts.append(loaded(rounds, before))
    verdicts = board.verdicts()
    print(board.report.text(facts, verdicts))
    if options.output:
        options.output.write_text(board.report.markdown(ABOUT, facts, verdicts))
    return int(failed(verdicts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--rounds", type=int, help="how many rounds (default: 3)")
    parser.add_argument(
        "--groups", type=_sizes, help="sizes of the store (default: 10000,100000)"
    )
    parser.add_argument("--output", type=Path, help="also write the table as Markdown")
    return parser.parse_args()


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
