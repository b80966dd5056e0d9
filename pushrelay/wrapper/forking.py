"""Starts the command where `posix_spawn` cannot: what it has depends on its process id,
or a signal must be ignored that we cannot ignore."""

from __future__ import annotations

import fcntl
import os

from pushrelay.wrapper.signals import Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, NoReturn

    from pushrelay.wrapper.environment import Environment

_ABOVE_STANDARD = 3
_NOT_STARTED = 127


def fork_and_exec(
    program: str,
    command: list[str],
    environment: Environment,
    own_id: Sequence[bytes],
    signals: Signals,
    file_actions: Sequence[tuple[Any, ...]],
) -> int:
    """Do what `os.posix_spawn` does with `program`, and return its process id.

    own_id: variables of `environment` that get that id. file_actions: POSIX_SPAWN_DUP2
    only. Raises OSError.
    """
    outlet, opened = os.pipe()
    # What the file actions replace must not be this one.
    inlet = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, _ABOVE_STANDARD)
    os.close(opened)
    pid = os.fork()
    if pid == 0:
        try:
            for name in own_id:
                environment.set(name, str(os.getpid()).encode())
            _become(program, command, environment, signals, file_actions)
        except OSError as error:
            os.write(inlet, str(error.errno).encode())
        finally:
            os._exit(_NOT_STARTED)
    os.close(inlet)
    failure = os.read(outlet, 16)  # its end is closed when the program runs
    os.close(outlet)
    if failure:
        os.waitpid(pid, 0)
        raise OSError(int(failure), os.strerror(int(failure)))
    return pid


def _become(
    program: str,
    command: list[str],
    environment: Environment,
    signals: Signals,
    file_actions: Sequence[tuple[Any, ...]],
) -> NoReturn:
    for _, source, target in file_actions:
        os.dup2(source, target)
    signals.restore()
    # To run what we were given is all we do; its environment is mapping enough.
    os.execve(program, command, environment)  # type: ignore[arg-type]  # noqa: S606
