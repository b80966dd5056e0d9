"""Commands under `pushrelay exec`, and what is known of their runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from canned_server import Asked, Canned, data
from noting_relay import TAKEN
from relay_process import REPOSITORY, HTTPClient
from run_http import runs_of
from waiting import DEADLINE

from pushrelay.wrapper.spool import Spool

_PROGRAM = (sys.executable, "-m", "pushrelay", "exec")
_WAITING = 'while [ ! -e "$1" ]; do sleep 0.02; done; exit "$2"'


def until(file: Path) -> list[str]:
    """Return a command that ends once `file` is there."""
    return ["/bin/sh", "-c", _WAITING, "sh", str(file), "0"]


def taking(file: Path) -> Callable[[Asked], Canned]:
    """Return what takes all reports, and makes `file` at the first."""

    def take(_: Asked) -> Canned:
        file.touch()
        return data(TAKEN)

    return take


class Executor:
    """Calls `pushrelay exec`, with its state below `directory`, to report to `url`."""

    def __init__(self, directory: Path, url: str) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.spool = Spool([str(self.state)])
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PUSHRELAY_")},
            "PYTHONPATH": str(REPOSITORY),
            "PUSHRELAY_STATE_DIR": str(self.state),
            # Who is killed leaves the file for the command's metrics there.
            "TMPDIR": str(directory),
            "PUSHRELAY_URL": url,
        }

    def run(
        self, *arguments: str, around: Sequence[str] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Call it with `arguments`, under the command `around`, and return what it
        said."""
        return subprocess.run(
            [*around, *_PROGRAM, *arguments],
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=DEADLINE,
        )

    def begin(self, *arguments: str, **environment: str) -> Begun:
        """Call it with `arguments` and a command that waits."""
        release = self.directory / f"release-{time.monotonic_ns()}"
        command = ["sh", "-c", _WAITING, "sh", str(release), "3"]
        process = subprocess.Popen(
            [*_PROGRAM, *arguments, *command],
            env={**self._environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="surrogateescape",
        )
        return Begun(process, release)

    def spooled(self, job: str) -> list[str]:
        """Return the states that wait in the spool of runs of `job`."""
        documents = [entry.report.document for entry in self.spool.waiting()]
        return [each["state"] for each in documents if each["job"] == job]


class Begun:
    """A command under the wrapper, which ends with 3 once it is released."""

    def __init__(self, process: subprocess.Popen[str], release: Path) -> None:
        self.process = process
        self._release = release

    def __enter__(self) -> Begun:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.communicate(timeout=DEADLINE)

    def release(self) -> None:
        """Let the command end."""
        self._release.touch()

    def end(self) -> tuple[int, str]:
        """Let the command end; return the exit status of the wrapper and what it said
        on standard error."""
        self.release()
        return self._ended()

    def end_by(self, number: int) -> tuple[int, str]:
        """Send the wrapper a signal that ends it; return what `end` does."""
        self.process.send_signal(number)
        return self._ended()

    def _ended(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, errors


def runs_of_job(relay: HTTPClient, job: str) -> list[dict[str, Any]]:
    """Return the runs of `job` that the relay knows, the newest first."""
    runs: list[dict[str, Any]] = runs_of(relay, f"?job={job}")["runs"]
    return runs


def counted(relay: HTTPClient, job: str) -> dict[str, float]:
    """Return how many runs of `job` the relay has counted, by their outcomes."""
    found = {}
    for line in relay.page().splitlines():
        if line.startswith("pushrelay_job_runs_total{") and f'job="{job}"' in line:
            outcome = line.partition('outcome="')[2].partition('"')[0]
            found[outcome] = float(line.rpartition(" ")[2])
    return {outcome: number for outcome, number in found.items() if number}
