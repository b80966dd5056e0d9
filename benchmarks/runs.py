"""What do reports of runs cost, and what does it cost to know who is late?

Three relays have the same groups of 25 samples in 10 families. One has nothing else,
one the evidence of the runs of as many jobs, and one expects them to run at certain
times as well. Unchanged scrapes of the three are measured in turn, then scrapes after
one report, then reports. The exit status is 1 if what is owed is missed.

    make bench-runs
    make bench-runs ARGS='--quick'
    make bench-runs ARGS='--output benchmarks/RESULTS-runs.md'

Conclusion (2026-11-26, two CPUs, RESULTS-runs.md has the table): what is expected of
10,000 jobs costs a scrape nothing but the bytes it shows, 1.0 to 1.2 x of the time
without it. The evidence of their runs doubles the compressed page of as many groups,
from 1.5 to 3.1 MiB, and expectations add 0.2 MiB. The relay takes 2,000 reports a
second and more. Pages are made of what was reported when somebody looks, 70 us each;
since that is done 50 at a time, with as long a pause after each portion, the p99 of
1,000 reports a second is 10 to 24 ms, where it was 550 ms with 500 at a time and
hardly a pause.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from client import Connection, pipeline
from load import CONNECTIONS, SCRAPE, percentile
from machine import circumstances, loaded, say
from processes import processor_time, until_first_byte
from report import Report, groups_told
from run_load import RunDocuments, paced
from servers import Pushrelay
from targets import Verdict, at_least, at_most, failed, milliseconds, times

ABOUT = """\
# Results of reports of runs

Written by `make bench-runs ARGS='--output benchmarks/RESULTS-runs.md'`.

{facts}

Each figure is a median of the rounds, with the range in parentheses. The three relays
have the same groups of 25 samples in 10 families, and as many jobs. All scrapes are
with gzip. A run is reported twice, when it starts and when it has finished; no document
is like another. Of reports at a fixed rate, each figure counts from the moment at which
the report had its turn.
"""

NO_RUNS, RUNS, EXPECTED = "groups alone", "and runs", "and expectations"

PAGE = "page, compressed"
UNCHANGED = "unchanged scrape"
FIRST_BYTE = "processor time until its first byte"
PER_MEGABYTE = "processor time for each MB of it"
CHANGED = "scrape after one report"
ALL_AT_ONCE = f"reports, {CONNECTIONS} connections"
RATE = 1000
PER_REPORT = f"processor time for a report, {RATE:,} /s"
PACED = f"report {{}}, {RATE:,} /s over {CONNECTIONS} connections"

_SCRAPES = 20
_WARM_UP = 3


def _rate(figure: float) -> str:
    return f"{figure:,.0f} /s"


class Runs:
    """One run: the three relays, and what was measured of them."""

    def __init__(self, size: int, rounds: int, seconds: float, directory: Path) -> None:
        self._size = size
        self._rounds = rounds
        self._seconds = seconds
        self._relays = {
            name: Pushrelay(directory / name.replace(" ", "-"))
            for name in (NO_RUNS, RUNS, EXPECTED)
        }
        self._documents = {
            name: RunDocuments(size, are_expected=name == EXPECTED)
            for name in (RUNS, EXPECTED)
        }
        self.report = Report([*self._relays])

    def run(self) -> None:
        """Measure everything."""
        with ExitStack() as stack:
            for name, relay in self._relays.items():
                say(f"filling: {groups_told(self._size)}, {name}")
                stack.callback(relay.stop)
                relay.prepare(self._size)
                if name in self._documents:
                    documents = self._documents[name].all_once()
                    pipeline(relay.port, documents, CONNECTIONS)
            for number in range(self._rounds):
                say(f"round {number + 1} of {self._rounds}")
                self._round()

    def _round(self) -> None:
        self._unchanged_scrapes()
        for name, documents in self._documents.items():
            port = self._relays[name].port
            self._changed_scrapes(name, port, documents)
            self._all_at_once(name, port, documents)
            self._at_a_rate(name, port, documents)

    def _unchanged_scrapes(self) -> None:
        """Measure scrapes of all relays in turn, so that all have the same luck."""
        seen: dict[str, list[tuple[float, float, float, int]]] = {}
        for number in range(_WARM_UP + _SCRAPES):
            for name, relay in self._relays.items():
                figures = _look(relay)
                if number >= _WARM_UP:
                    seen.setdefault(name, []).append(figures)
        for name, looks in seen.items():
            seconds, first_bytes, spent, sizes = zip(*looks, strict=True)
            self.report.size(PAGE, name, sizes[0])
            self.report.time(UNCHANGED, name, median(seconds))
            # Whatever delays the client's look at the server adds to this, nothing
            # takes from it: the least is nearest.
            self.report.time(FIRST_BYTE, name, min(first_bytes))
            self.report.time(PER_MEGABYTE, name, median(spent) / sizes[0] * 1e6)

    def _changed_scrapes(self, name: str, port: int, documents: RunDocuments) -> None:
        seconds = []
        with Connection(port) as connection:
            for _ in range(_SCRAPES):
                connection.ask(documents.next())
                seconds.append(connection.time(SCRAPE))
        self.report.time(CHANGED, name, median(seconds))

    def _all_at_once(self, name: str, port: int, documents: RunDocuments) -> None:
        count = 0
        end = time.monotonic() + self._seconds
        started = time.perf_counter()
        while time.monotonic() < end:
            made = [documents.next() for _ in range(2 * CONNECTIONS * 10)]
            pipeline(port, made, CONNECTIONS)
            count += len(made)
        self.report.rate(ALL_AT_ONCE, name, count / (time.perf_counter() - started))

    def _at_a_rate(self, name: str, port: int, documents: RunDocuments) -> None:
        processes = self._relays[name].processes()
        before = processes.processor_seconds()
        seconds = paced(port, documents, RATE, self._seconds)
        spent = processes.processor_seconds() - before
        self.report.time(PER_REPORT, name, spent / len(seconds))
        self.report.time(PACED.format("p50"), name, median(seconds))
        self.report.time(PACED.format("p99"), name, percentile(seconds, 0.99))

    def verdicts(self) -> list[Verdict]:
        """Judge what is owed."""

        def beside(row: str) -> Verdict:
            ratio = self.report.quotient((row, EXPECTED), (row, RUNS))
            return at_most(f"{row}, {EXPECTED}, of that without", 1.3, ratio, times)

        least = self.report.least(ALL_AT_ONCE, EXPECTED)
        p99 = PACED.format("p99")
        worst = self.report.worst(p99, EXPECTED)
        return [
            at_least(ALL_AT_ONCE, RATE, least, _rate),
            at_most(p99, 0.05, worst, milliseconds),
            *(beside(row) for row in (UNCHANGED, FIRST_BYTE, PER_MEGABYTE, CHANGED)),
        ]


def _look(relay: Pushrelay) -> tuple[float, float, float, int]:
    """Return how long a scrape of `relay` takes; the processor time of another one
    until its first byte and of a third one, in seconds; and the page's length."""
    processes = relay.processes()
    with Connection(relay.port) as connection:
        seconds = connection.time(SCRAPE)
        first_byte = until_first_byte(processes, connection, SCRAPE)
        spent, size = processor_time(processes, connection, SCRAPE)
    return seconds, first_byte, spent, size


def main() -> int:
    """Run the benchmark; return its exit status."""
    options = _options()
    rounds = options.rounds or (1 if options.quick else 3)
    with tempfile.TemporaryDirectory(prefix="pushrelay-runs-") as name:
        directory, before = Path(name), os.getloadavg()[0]
        facts = circumstances(directory, [])
        runs = Runs(options.groups, rounds, 2.0 if options.quick else 5.0, directory)
        runs.run()
    facts.append(loaded(rounds, before))
    facts.append(f"Groups, and jobs: {options.groups:,}")
    verdicts = runs.verdicts()
    print(runs.report.text(facts, verdicts))
    if options.output:
        options.output.write_text(runs.report.markdown(ABOUT, facts, verdicts))
    return int(failed(verdicts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="how many rounds (default: 3)")
    parser.add_argument(
        "--groups",
        type=int,
        default=10_000,
        help="how many groups, and as many jobs (default: 10000)",
    )
    parser.add_argument("--output", type=Path, help="also write the table as Markdown")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
