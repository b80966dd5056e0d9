"""Calls of commands, and what they take."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Taken:
    """What a call took, in seconds. processor: the time of the command and of all that
    it waited for."""

    seconds: float
    processor: float


class Calls:
    """Calls commands with the environment `environ` and no input.

    What they write to standard error goes to a file in `directory`, and is told when
    one fails.
    """

    def __init__(self, environ: Mapping[str, str], directory: Path) -> None:
        self._environ = dict(environ)
        self._errors = directory / "errors"

    def whole(self, *command: str, **environ: str) -> Taken:
        """Return what `command` takes from its start until its end was seen."""
        started = time.perf_counter()
        pid = self._spawn(command, environ, None)
        return self._wait(command, pid, started)

    def until_first_byte(self, *command: str, **environ: str) -> float:
        """Return the seconds from the start until the first byte of output came."""
        ours, theirs = os.pipe()
        started = time.perf_counter()
        pid = self._spawn(command, environ, theirs)
        os.close(theirs)
        assert os.read(ours, 1), f"{command} wrote nothing"
        seconds = time.perf_counter() - started
        self._wait(command, pid, started)
        os.close(ours)
        return seconds

    def at_once(self, number: int, *command: str, **environ: str) -> float:
        """Return the seconds until all of so many calls at once have ended."""
        started = time.perf_counter()
        pids = [self._spawn(command, environ, None) for _ in range(number)]
        return [self._wait(command, pid, started) for pid in pids][-1].seconds

    def _spawn(
        self, command: tuple[str, ...], environ: Mapping[str, str], output: int | None
    ) -> int:
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        files: list[tuple[Any, ...]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, self._errors, append, 0o600),
        ]
        if output is not None:
            files[1] = (os.POSIX_SPAWN_DUP2, output, 1)
        environment = {**self._environ, **environ}
        return os.posix_spawn(command[0], command, environment, file_actions=files)

    def _wait(self, command: tuple[str, ...], pid: int, started: float) -> Taken:
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - started
        if status:
            told = self._errors.read_text()[-1000:]
            raise RuntimeError(f"{command} ended with {status}: {told}")
        return Taken(seconds, usage.ru_utime + usage.ru_stime)
