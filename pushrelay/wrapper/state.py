"""Where the wrapper keeps what must outlive it: the spool, locks, what it found out.

Read before the command starts, so that little beyond `os` is imported.
"""

from __future__ import annotations

import os

from pushrelay.wrapper.host import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PRIVATE = 0o700
_LEADING = 0o755


def state_directories(environ: Mapping[str, str]) -> list[str]:
    """Return the directories that may hold the state of this user, the best first.

    They need not exist. PUSHRELAY_STATE_DIR names the only one; else it is
    `pushrelay` in XDG_STATE_HOME, then below the home directory, and below /var/tmp
    where there is no home or none that can be written to.
    """
    if named := environ.get("PUSHRELAY_STATE_DIR"):
        return [absolute(named)]
    found = []
    if (state := environ.get("XDG_STATE_HOME", "")).startswith("/"):
        found.append(state)
    if (home := environ.get("HOME") or _home()).startswith("/"):
        found.append(os.path.join(home, ".local", "state"))
    directories = [os.path.join(each, "pushrelay") for each in found]
    return [*directories, f"/var/tmp/pushrelay-{os.geteuid()}"]  # noqa: S108  # checked


def private_directory(path: str) -> bool:
    """Return whether `path` is a directory that only this user can change, after making
    it and what leads to it if need be. Raises OSError.

    Others cannot change what leads to it either, whatever the umask is.
    """
    _make_directory(path, _PRIVATE)
    return is_private(path)


def is_private(path: str) -> bool:
    """Return whether `path` is a directory that only this user can change. Raises
    OSError."""
    found = os.lstat(path)
    is_directory = found.st_mode & 0o170000 == 0o040000
    return is_directory and found.st_uid == os.geteuid() and not found.st_mode & 0o022


def usable_directory(directories: list[str], name: str) -> str:
    """Return the directory `name` below the first of `directories` that can hold it.

    Raises OSError, with the reason of the first, if none can.
    """
    first: OSError | None = None
    for directory in directories:
        path = os.path.join(directory, name)
        try:
            if private_directory(directory) and private_directory(path):
                if os.access(path, os.W_OK | os.X_OK):
                    return path
                raise PermissionError(13, "Permission denied", path)
            raise PermissionError(1, "it belongs to others, or others may write", path)
        except OSError as error:
            first = first or error
    raise first or FileNotFoundError(2, "no directory for it", name)


def _make_directory(path: str, mode: int) -> None:
    if os.path.isdir(path):
        return
    _make_directory(os.path.dirname(path) or ".", _LEADING)
    try:
        os.mkdir(path, mode)
    except FileExistsError as error:
        if not os.path.isdir(path):  # else it was made meanwhile
            raise NotADirectoryError(20, "Not a directory", path) from error


def _home() -> str:
    import pwd  # cron and systemd set HOME, so that this is rare

    try:
        return pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        return ""
