"""`pushrelay exec`: runs a command as if we were not there, and reports how it went.

What is imported here is imported before the command runs, so that it is little.
"""

from __future__ import annotations

import os
import sys

from pushrelay.errors import Misuse
from pushrelay.wrapper.command_line import read_command_line
from pushrelay.wrapper.execution import Execution
from pushrelay.wrapper.signals import default_interrupt, die_by

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pushrelay.wrapper.options import Options

MISUSE = 125
"""The exit status of calls that cannot be followed, as of `env`, `nice`, `timeout`."""


def main(arguments: list[str]) -> None:
    """Do what `arguments`, those behind `exec`, ask for, and end this process; return
    if that is help."""
    _prefer_pythons_modules()
    try:
        options = read_command_line(arguments, os.environ)
    except Misuse as error:
        exit_with(MISUSE, str(error))
    if options is not None:
        execute(options)


def _prefer_pythons_modules() -> None:
    """Look last at what PYTHONPATH adds: it is meant for the command, and may have
    modules with the names of Python's own, which we have yet to import."""
    for directory in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        path = os.path.abspath(directory)
        if directory and path in sys.path:
            sys.path.remove(path)
            sys.path.append(path)


def execute(options: Options) -> NoReturn:
    """Run the command of `options`, and end this process as it ended."""
    default_interrupt()
    try:
        if options.dry_run:
            from pushrelay.wrapper.dry_run import dry_run

            _write(1, dry_run(options, os.environ))
            os._exit(0)
        ended = Execution(options).run()
    except Misuse as error:
        exit_with(MISUSE, str(error))
    if ended.signal is None:
        exit_with(ended.status, ended.message)
    _say(ended.message)
    die_by(ended.signal)


def exit_with(status: int, message: str = "") -> NoReturn:
    """End this process with `status`, at once; `message` is said before."""
    _say(message)
    # Threads that still wait for a relay must not hold us up.
    os._exit(status)


def _say(message: str) -> None:
    """Write `message`, unless it is empty, to standard error."""
    # Where it was closed, its number may be that of a connection by now.
    if message and sys.stderr is not None:
        _write(2, f"pushrelay exec: {_readable(message)}")


def _readable(message: str) -> str:
    """Return `message` as one line that no terminal obeys."""
    kept = [c if c.isprintable() or "\udc80" <= c <= "\udcff" else " " for c in message]
    return "".join(kept)


def _write(file: int, text: str) -> None:
    from contextlib import suppress

    with suppress(OSError):  # it is closed, or nobody reads it
        os.write(file, f"{text}\n".encode(errors="surrogateescape"))
