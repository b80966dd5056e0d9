"""What does a job cost that `pushrelay exec --` stands before?

pushrelay is installed from a wheel into a venv of its own, and a relay takes the
reports; `--require-report` makes a call fail whose report was not delivered. All calls
are made in turn, one of each kind, so that all have the same luck, and differences and
ratios are those of calls of the same turn. The exit status is 1 if what is owed is
missed.

What the wrapper adds before the start of a command is measured with `echo` into a pipe:
from the spawn of the call until its first byte, less the same of `echo` alone. It is
compared with all that `python3 -c pass` takes, from its spawn until its end was seen,
with the Python of the same venv.

    make bench-exec
    make bench-exec ARGS='--quick'
    make bench-exec ARGS='--output benchmarks/RESULTS-exec.md'

Conclusion (2026-11-26, two quiet CPUs; RESULTS-exec.md has the table): what is added
before a command starts is 8 ms, 1.06 x of `python3 -c pass`; nearly all of it is
Python's own start. On a busy machine it was up to 1.25 x. A job of 100 ms takes 13 ms
longer with its report delivered, on a busy machine 16 to 21. What delivers is imported
beside the job, which with the rest takes 40 ms of processor time, the largest part for
`http.client` and what that imports: a job that is over sooner waits for it, and `true`
takes 2 x as long as with `chronic`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from calls import Calls, Taken
from installed import install
from load import percentile
from machine import circumstances, loaded, say
from report import Report
from servers import Pushrelay
from targets import Verdict, at_most, failed, milliseconds, times

ABOUT = """\
# Results of `pushrelay exec`

Written by `make bench-exec ARGS='--output benchmarks/RESULTS-exec.md'`.

{facts}

Each figure is a median of the rounds, with the range in parentheses; a round has many
turns, and each turn one call of each kind. The relay, where there is one, is on the
same machine, and has stored the report before the call ends. What is added, and ratios,
are of calls of the same turn. The processor time is that of the call with all it waited
for.
"""

P50, P95, PROCESSOR = "p50", "p95", "processor time"

PYTHON = "`python3 -c pass`"
ECHO = "`echo`, until its first byte"
EXEC_ECHO = "`pushrelay exec -- echo`, until its first byte"
BEFORE_START = "added before the start"
START_RATIO = f"added before the start, of {PYTHON}"
TRUE = "`true`"
SHELL_TRUE = "`sh -c true`"
CHRONIC_TRUE = "`chronic true`"
EXEC_TRUE = "`pushrelay exec -- true`"
CHRONIC_RATIO = f"{EXEC_TRUE}, of {CHRONIC_TRUE}"
SLEEP = "`sleep 0.1`"
EXEC_SLEEP = "`pushrelay exec -- sleep 0.1`"
ADDED = "added to `sleep 0.1`"
DOWN_SLEEP = f"{EXEC_SLEEP}, relay down"
DOWN_ADDED = f"{ADDED}, relay down"
SILENT_SLEEP = f"{EXEC_SLEEP}, relay silent"
TOGETHER = 20
SLEEPS = f"{TOGETHER} x {SLEEP} at once"
EXEC_SLEEPS = f"{TOGETHER} x {EXEC_SLEEP} at once"

INSTALL_CHRONIC = "chronic is not installed (Debian: apt-get install moreutils)"

_RATIOS = frozenset({START_RATIO, CHRONIC_RATIO})
_JOB = "/bin/sleep", "0.1"
_REPORT_TIMEOUT = "--report-timeout=500ms"
_SILENT_LIMIT = 1.0


class Turns:
    """The figures of the turns of a round, by row."""

    def __init__(self) -> None:
        self._figures: dict[str, list[float]] = {}
        self._processor: dict[str, list[float]] = {}

    def add(self, row: str, figure: float) -> float:
        """Note a time or a ratio, and return it."""
        self._figures.setdefault(row, []).append(figure)
        return figure

    def take(self, row: str, taken: Taken) -> float:
        """Note what a call took; return the seconds."""
        self._processor.setdefault(row, []).append(taken.processor)
        return self.add(row, taken.seconds)

    def tell(self, report: Report) -> None:
        """Report what they come to."""
        for row, figures in self._figures.items():
            note = report.ratio if row in _RATIOS else report.time
            note(row, P50, median(figures))
            note(row, P95, percentile(figures, 0.95))
        for row, figures in self._processor.items():
            report.time(row, PROCESSOR, median(figures))


class Exec:
    """One run: what is called, and what was measured of it."""

    def __init__(
        self, commands: Path, rounds: int, turns: int, directory: Path
    ) -> None:
        self._commands = commands
        self._rounds = rounds
        self._turns = turns
        self._directory = directory
        self._relay = Pushrelay(directory / "relay")
        self._refused = _refusing_port()
        self._spools = 0
        # Much as cron has it.
        environ = {"PATH": "/usr/bin:/bin", "HOME": str(directory)}
        self._calls = Calls(environ, directory)
        self._chronic = shutil.which("chronic")
        self.report = Report([P50, P95, PROCESSOR])

    def run(self) -> None:
        """Measure everything."""
        with ExitStack() as stack:
            stack.callback(self._relay.stop)
            self._relay.start()
            self._turn(Turns())  # whatever is done once is done then
            for number in range(self._rounds):
                say(f"round {number + 1} of {self._rounds}")
                turns = Turns()
                for _ in range(self._turns):
                    self._turn(turns)
                turns.tell(self.report)
                self._once_a_round()

    def _turn(self, turns: Turns) -> None:
        self._starts(turns)
        self._calls_of_true(turns)
        self._jobs(turns)

    def _starts(self, turns: Turns) -> None:
        first_byte = self._calls.until_first_byte
        whole = self._calls.whole(str(self._commands / "python3"), "-c", "pass")
        python = turns.take(PYTHON, whole)
        echo = turns.add(ECHO, first_byte("/bin/echo"))
        wrapped = turns.add(EXEC_ECHO, first_byte(*self._exec("/bin/echo")))
        added = turns.add(BEFORE_START, wrapped - echo)
        turns.add(START_RATIO, added / python)

    def _calls_of_true(self, turns: Turns) -> None:
        whole = self._calls.whole
        turns.take(TRUE, whole("/bin/true"))
        turns.take(SHELL_TRUE, whole("/bin/sh", "-c", "true"))
        if self._chronic:
            chronic = turns.take(CHRONIC_TRUE, whole(self._chronic, "true"))
        wrapped = turns.take(EXEC_TRUE, whole(*self._exec("/bin/true")))
        if self._chronic:
            turns.add(CHRONIC_RATIO, wrapped / chronic)

    def _jobs(self, turns: Turns) -> None:
        whole = self._calls.whole
        alone = turns.take(SLEEP, whole(*_JOB))
        wrapped = turns.take(EXEC_SLEEP, whole(*self._exec(*_JOB)))
        turns.add(ADDED, wrapped - alone)
        spool, call = self._spool(), self._call(self._refused)
        kept = whole(*call, *_JOB, PUSHRELAY_STATE_DIR=spool)
        turns.add(DOWN_ADDED, turns.take(DOWN_SLEEP, kept) - alone)
        assert list(Path(spool).rglob("*.json")), "the report was not kept"

    def _once_a_round(self) -> None:
        """Measure what takes too long for each turn."""
        note, at_once = self.report.time, self._calls.at_once
        note(SLEEPS, P50, at_once(TOGETHER, *_JOB))
        note(EXEC_SLEEPS, P50, at_once(TOGETHER, *self._exec(*_JOB)))
        with socket.create_server(("127.0.0.1", 0)) as silent:
            call = self._call(silent.getsockname()[1], _REPORT_TIMEOUT)
            spool = self._spool()
            taken = self._calls.whole(*call, *_JOB, PUSHRELAY_STATE_DIR=spool)
            note(SILENT_SLEEP, P50, taken.seconds)

    def _exec(self, *command: str) -> list[str]:
        """Return the call for `command`; it fails if its report is not delivered."""
        return [*self._call(self._relay.port, "--require-report"), *command]

    def _call(self, port: int, *options: str) -> list[str]:
        """Return the words before a command whose report goes to `port`."""
        program, url = str(self._commands / "pushrelay"), f"http://127.0.0.1:{port}"
        return [program, "exec", f"--url={url}", *options, "--"]

    def _spool(self) -> str:
        """Return a directory for a spool that is empty."""
        self._spools += 1
        return str(self._directory / f"spool-{self._spools}")

    def verdicts(self) -> list[Verdict]:
        """Judge what is owed."""

        def middle(row: str) -> float | None:
            return self.report.middle(row, P50)

        silent = self.report.worst(SILENT_SLEEP, P50)
        told = f"{SILENT_SLEEP}, {_REPORT_TIMEOUT}"
        return [
            at_most(START_RATIO, 1.3, middle(START_RATIO), times),
            at_most(ADDED, 0.05, middle(ADDED), milliseconds),
            at_most(DOWN_ADDED, 0.05, middle(DOWN_ADDED), milliseconds),
            at_most(told, _SILENT_LIMIT, silent, milliseconds),
        ]


def _refusing_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> int:
    """Run the benchmark; return its exit status."""
    options = _options()
    rounds, turns = (1, 10) if options.quick else (3, 40)
    rounds = options.rounds or rounds
    with tempfile.TemporaryDirectory(prefix="pushrelay-exec-") as name:
        directory, before = Path(name), os.getloadavg()[0]
        facts = circumstances(directory, [])
        say("installing a wheel")
        measured = Exec(install(directory), rounds, turns, directory)
        measured.run()
    facts.append(f"{loaded(rounds, before)}; {turns} turns a round")
    if not measured.report.middle(CHRONIC_TRUE, P50):
        facts.append(INSTALL_CHRONIC)
    verdicts = measured.verdicts()
    print(measured.report.text(facts, verdicts))
    if options.output:
        options.output.write_text(measured.report.markdown(ABOUT, facts, verdicts))
    return int(failed(verdicts))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--rounds", type=int, help="how many rounds (default: 3)")
    parser.add_argument("--output", type=Path, help="also write the table as Markdown")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
