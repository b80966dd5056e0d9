"""Does a normal push get through while somebody attacks the relay over HTTP?

Each attack goes on in a process of its own, on the same machine, while pushes are
measured: a new connection for each, as jobs have, of 25 samples in 10 families. Before
each attack they are measured without one. The exit status is 1 if a push was refused
or took longer than it may.

    make bench-attacks
    make bench-attacks ARGS='--quick'
    make bench-attacks ARGS='--output benchmarks/RESULTS-attacks.md'

Conclusion (2026-11-26, two CPUs, which the attackers shared; RESULTS-attacks.md has
the table): no attack keeps a push waiting for the second that is owed, not even when
it begins; the slowest took 0.7 s. Measured for the first time, pushes took 5 s beside
chunks of a byte, 6 s beside endless heads of 1.2 MB, 12 s beside pages and scrapes that
500 clients ask for without a pause, and 40 s beside probes that they send ahead. So
heads and chunks have a parser of ours, what is sent ahead waits outside and has turns,
as large requests have, those who scrape at once share an exposition, and of each kind
of long answers one is made at a time.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from attacking import ATTACKS, Attack
from client import Connection
from load import Pushes, percentile
from machine import circumstances, loaded, say
from meanwhile import going_on
from report import Report, groups_told
from servers import Pushrelay
from targets import Verdict, at_most, failed, milliseconds

ABOUT = """\
# Results of attacks over HTTP

Written by `make bench-attacks ARGS='--output benchmarks/RESULTS-attacks.md'`.

{facts}

Each figure is a median of the rounds, with the range in parentheses, of pushes of 25
samples in 10 families, with a new connection for each, while the attack goes on.
Attackers, relay and the one who pushes share the machine.
"""

NOTHING = "no attack"
P50, P99, SLOWEST = "push p50", "p99", "slowest"
OWED_SECONDS = 1.0

_PAUSE = 0.01
_AT_LEAST = 20
_GROUPS_PUSHED_TO = 8


class Attacks:
    """One run: a relay that is attacked, and what pushes to it took meanwhile."""

    def __init__(
        self,
        attacks: dict[str, Attack],
        groups: int,
        rounds: int,
        seconds: float,
        directory: Path,
    ) -> None:
        self._attacks = attacks
        self._groups = groups
        self._rounds = rounds
        self._seconds = seconds
        self._directory = directory
        self._pushes = Pushes(_GROUPS_PUSHED_TO)
        self.refused = 0
        self.report = Report([P50, P99, SLOWEST])

    def run(self) -> None:
        """Measure everything."""
        for number in range(self._rounds):
            for name, attack in self._attacks.items():
                say(f"round {number + 1} of {self._rounds}: {name}")
                # What one attack left must not be the next one's.
                place = f"{number}-{list(self._attacks).index(name)}"
                self._one(name, attack, Pushrelay(self._directory / place))

    def _one(self, name: str, attack: Attack, relay: Pushrelay) -> None:
        relay.prepare(self._groups)
        try:
            self._measure(NOTHING, relay.port)
            with going_on(attack, relay.port):
                self._measure(name, relay.port)
        finally:
            relay.stop()

    def _measure(self, row: str, port: int) -> None:
        taken: list[float] = []
        end = time.monotonic() + self._seconds
        while time.monotonic() < end or len(taken) < _AT_LEAST:
            taken.append(self._push(port))
            time.sleep(_PAUSE)
        self.report.time(row, P50, median(taken))
        self.report.time(row, P99, percentile(taken, 0.99))
        self.report.time(row, SLOWEST, max(taken))

    def _push(self, port: int) -> float:
        """Return how long a push took that connects first; refused, it counts."""
        push = self._pushes.next()
        started = time.perf_counter()
        try:
            with Connection(port) as connection:
                connection.ask(push)
        except (OSError, RuntimeError) as error:
            self.refused += 1
            say(f"a push was refused: {error}")
        return time.perf_counter() - started

    def verdicts(self) -> list[Verdict]:
        """Judge what is owed."""
        pushes = (
            at_most(
                f"slowest push, {name}",
                OWED_SECONDS,
                self.report.worst(name, SLOWEST),
                milliseconds,
            )
            for name in self._attacks
        )
        return [
            at_most("pushes that were refused", 0, self.refused, lambda n: f"{n:.0f}"),
            *pushes,
        ]


def main() -> int:
    """Run the benchmark; return its exit status."""
    options = _options()
    rounds = options.rounds or (1 if options.quick else 3)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    chosen = {name: ATTACKS[name] for name in ATTACKS if options.only in name}
    with tempfile.TemporaryDirectory(prefix="pushrelay-attacks-") as name:
        directory, before = Path(name), os.getloadavg()[0]
        facts = circumstances(directory, [])
        seconds = 2.0 if options.quick else 5.0
        attacks = Attacks(chosen, options.groups, rounds, seconds, directory)
        attacks.run()
    facts.append(loaded(rounds, before))
    facts.append(f"Stored: {groups_told(options.groups)}")
    verdicts = attacks.verdicts()
    print(attacks.report.text(facts, verdicts))
    if options.output:
        options.output.write_text(attacks.report.markdown(ABOUT, facts, verdicts))
    return int(failed(verdicts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="how many rounds (default: 3)")
    parser.add_argument("--only", default="", help="attacks with this in their names")
    parser.add_argument(
        "--groups", type=int, default=1000, help="how many groups (default: 1000)"
    )
    parser.add_argument("--output", type=Path, help="also write the table as Markdown")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
