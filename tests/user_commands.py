"""Commands of a user who may do little: one process for many of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from relay_process import REPOSITORY

NOBODY = 65534


class UserCommands:
    """Calls `pushrelay` in a process that belongs to nobody."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Do what `command.call` does; `serve` does not serve, but ends with 0."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return subprocess.CompletedProcess(arguments, *answer)


@contextmanager
def commands_of_nobody() -> Iterator[UserCommands]:
    """Start such a process; it ends with the context. Needs root."""
    paths = f"{REPOSITORY}:{REPOSITORY / 'tests'}"
    with subprocess.Popen(
        [sys.executable, Path(__file__)],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield UserCommands(process)


def _main() -> None:
    from command import call

    from pushrelay.cli import serve

    serve._run = lambda *_: None
    # What is imported only when it is needed may be out of nobody's reach.
    with TemporaryDirectory() as directory:
        for command in ("serve", "db upgrade", "db current", "db check"):
            call(*command.split(), f"--database.url=sqlite:///{directory}/relay.db")
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    for line in sys.stdin:
        done = call(*json.loads(line))
        answer = [done.returncode, done.stdout, done.stderr]
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
