"""Starts the command as it would be started without us."""

from __future__ import annotations

import os

from pushrelay.wrapper.signals import IGNORED_BY_PYTHON

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

_NO_SUCH_FILE = 2
_NO_EXEC_FORMAT = 8
_SHELL = "/bin/sh"


class CommandNotStarted(Exception):
    """The command cannot be started.

    exit_code: as of shells and `env`: 127 if it is not there, 126 for all else.
    """

    def __init__(self, command: str, error: OSError) -> None:
        super().__init__(f"{command}: {error.strerror}")
        self.exit_code = 127 if error.errno == _NO_SUCH_FILE else 126


def spawn(
    command: list[str],
    environment: Mapping[bytes, bytes],
    mask: Iterable[int],
    file_actions: Sequence[tuple[Any, ...]] = (),
) -> int:
    """Start `command` and return its process id.

    It has our process group, directory, limits and open files, the signal `mask`, and
    what `file_actions` (see os.posix_spawn) do. Raises CommandNotStarted.
    """
    try:
        return _spawn(command, environment, mask, file_actions)
    except OSError as error:
        if error.errno != _NO_EXEC_FORMAT:
            raise CommandNotStarted(command[0], error) from None
    # As shells do with a script that does not say what reads it.
    try:
        script = _found(command[0], environment)
        return _spawn([_SHELL, script, *command[1:]], environment, mask, file_actions)
    except OSError as error:
        raise CommandNotStarted(command[0], error) from None


def own_environment() -> dict[bytes, bytes]:
    """Return the environment that we were started with.

    Python's own has a LC_CTYPE more where the locale was C (PEP 538).
    """
    try:
        with open("/proc/self/environ", "rb", buffering=0) as file:
            variables = (file.readall() or b"").split(b"\0")
    except OSError:
        return dict(os.environb)
    pairs = [variable.partition(b"=") for variable in variables if variable]
    # The first of two with one name is what programs find.
    return {name: value for name, _, value in reversed(pairs)}


def _spawn(
    command: list[str],
    environment: Mapping[bytes, bytes],
    mask: Iterable[int],
    file_actions: Sequence[tuple[Any, ...]],
) -> int:
    return os.posix_spawnp(
        command[0],
        command,
        environment,
        file_actions=file_actions,
        setsigmask=mask,
        setsigdef=IGNORED_BY_PYTHON,
    )


def _found(name: str, environment: Mapping[bytes, bytes]) -> str:
    """Return where the program `name` is."""
    if "/" in name:
        return name
    path = os.fsdecode(environment.get(b"PATH") or os.defpath)
    for directory in path.split(":"):
        if os.access(found := os.path.join(directory, name), os.X_OK):
            return found
    return name
