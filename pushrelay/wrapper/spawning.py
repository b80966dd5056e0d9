"""Starts the command as it would be started without us."""

from __future__ import annotations

import os

from pushrelay.wrapper.signals import IGNORED_BY_PYTHON, Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pushrelay.wrapper.environment import Environment

_NO_SUCH_FILE = 2
_NO_EXEC_FORMAT = 8
_PERMISSION_DENIED = 13
_SHELL = "/bin/sh"
_FOR_PROCESS = (b"LISTEN_PID", b"WATCHDOG_PID")
"""With them systemd names the one process that its sockets or watchdog are for."""


class CommandNotStarted(Exception):
    """The command cannot be started.

    exit_code: as of shells and `env`: 127 if it is not there, 126 for all else.
    """

    def __init__(self, command: str, error: OSError) -> None:
        super().__init__(f"{command}: {error.strerror}")
        self.exit_code = 127 if error.errno == _NO_SUCH_FILE else 126


def spawn(
    command: list[str],
    environment: Environment,
    signals: Signals,
    file_actions: Sequence[tuple[Any, ...]] = (),
) -> int:
    """Start `command` and return its process id.

    It has our process group, directory, limits and open files, the mask of `signals`
    and what they ignored before us, and what `file_actions` (see os.posix_spawn; only
    POSIX_SPAWN_DUP2) do. Raises CommandNotStarted.
    """
    try:
        try:
            return _spawn(command[0], command, environment, signals, file_actions)
        except OSError as error:
            if error.errno != _NO_EXEC_FORMAT:
                raise
        # As shells do with a script that does not say what reads it.
        script = [_SHELL, _found(command[0], environment), *command[1:]]
        return _spawn(_SHELL, script, environment, signals, file_actions)
    except OSError as error:
        raise CommandNotStarted(command[0], error) from None


def _spawn(
    program: str,
    command: list[str],
    environment: Environment,
    signals: Signals,
    file_actions: Sequence[tuple[Any, ...]],
) -> int:
    ours = str(os.getpid()).encode()
    own_id = [name for name in _FOR_PROCESS if environment.get(name) == ours]
    if own_id or signals.ignored_children:
        from pushrelay.wrapper.forking import fork_and_exec  # most runs need it not

        path = _found(program, environment)
        return fork_and_exec(path, command, environment, own_id, signals, file_actions)
    return os.posix_spawnp(
        program,
        command,
        environment,  # type: ignore[arg-type]  # a mapping as far as it is asked
        file_actions=file_actions,
        setsigmask=signals.mask,
        setsigdef=IGNORED_BY_PYTHON,
    )


def _found(name: str, environment: Environment) -> str:
    """Return where the program `name` is. Raises OSError."""
    if "/" in name:
        return name
    path = environment.get(b"PATH")
    directories = os.defpath if path is None else os.fsdecode(path)
    problem = _NO_SUCH_FILE
    for directory in directories.split(":"):
        found = os.path.join(directory or ".", name)
        if os.path.isfile(found):
            if os.access(found, os.X_OK):
                return found
            problem = _PERMISSION_DENIED
    raise OSError(problem, os.strerror(problem))
