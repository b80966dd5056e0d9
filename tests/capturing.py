"""A command whose output is captured, run as the wrapper runs it.

As a program it is the wrapper; `Capturing` starts it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from relay_process import REPOSITORY
from waiting import DEADLINE

from pushrelay.wrapper.capture import Capture
from pushrelay.wrapper.held_back import HeldBack


class Capturing:
    """Runs commands with the options `options` of the program below."""

    def __init__(self, directory: Path, *options: str) -> None:
        self._report = directory / "report.json"
        self._options = options

    def arguments(self, *command: str) -> list[str]:
        """Return how to run `command`."""
        program = [sys.executable, __file__, *self._options]
        return [*program, "--report", str(self._report), *command]

    def run(
        self, *command: str, before: str = "", **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `command` and return its output. before: what a shell does first."""
        return run_after(before, *self.arguments(*command), **environment)

    def start(self, *command: str, **streams: Any) -> subprocess.Popen[bytes]:
        """Start `command`; `streams` are for Popen."""
        return subprocess.Popen(
            self.arguments(*command), env=environment_with({}), **streams
        )

    def report(self) -> dict[str, Any]:
        """Return what became of the command, which has ended: of its last attempt
        `status`, negative for a signal, `tails` and `failures`."""
        report: dict[str, Any] = json.loads(self._report.read_text())
        return report


def run_after(
    before: str, *command: str, **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run `command` in the place of a shell that has done `before`."""
    return subprocess.run(
        ["sh", "-c", f'{before}\nexec "$@"', "sh", *command],
        capture_output=True,
        env=environment_with(environment),
        timeout=DEADLINE,
    )


def environment_with(more: dict[str, str]) -> dict[str, str]:
    """Return our environment, with `more` and with what a program of ours needs."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), **more}


def _main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--report", required=True)
    parser.add_argument("--tail", type=int, default=0)
    parser.add_argument("--quiet", choices=["reveal", "discard"])
    parser.add_argument("--attempts", type=int, default=1)
    parser.add_argument("--patience", type=float, default=-1)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    held = HeldBack() if options.quiet else None
    for _ in range(options.attempts):
        report = _run(options, held)
    if held:
        getattr(held, options.quiet)()
    Path(options.report).write_text(json.dumps(report))


def _run(options: argparse.Namespace, held: HeldBack | None) -> dict[str, Any]:
    capture = Capture(options.tail, held)
    pid = os.posix_spawnp(
        options.command[0],
        options.command,
        os.environ,
        file_actions=capture.file_actions,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE],
    )
    capture.start()
    _, status = os.waitpid(pid, 0)
    while not capture.finish(options.patience):
        os.write(2, b"waiting\n")
    return {
        "status": os.waitstatus_to_exitcode(status),
        "tails": capture.tails(),
        "failures": {name: e.errno for name, e in capture.failures().items()},
    }


if __name__ == "__main__":
    _main()
