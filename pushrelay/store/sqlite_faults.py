"""What is wrong with a database in a file, in words, and what to do about it.

SQLite says of most that the file cannot be opened, or that it is read-only. It takes an
empty file for an empty database, and throws its write-ahead log away; so a file is
looked at before it is let near.
"""

from __future__ import annotations

import errno
import os
import pwd
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path

_SALVAGE = (
    "move it away with {path}-wal, and restore a backup with `pushrelay restore`, or "
    "what `sqlite3 {path} .dump` can read; `pushrelay db check` tells more"
)

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_NO_ACCESS = (
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)

_LITTLE = 64 * 1024
"""With less space than this, SQLite cannot even make the index of its log."""


class Unusable(sqlite3.DatabaseError):
    """SQLite must not be let near; the text says why, and what to do."""


class Damaged(Unusable):
    """The files are not those of a whole database."""


def is_damage(error: BaseException) -> bool:
    """Whether SQLite came upon damage of the file, as `error` says."""
    return _code(error) in _DAMAGED


def is_full(error: BaseException) -> bool:
    """Whether `error` says that there is no room for what is written."""
    cause = getattr(error, "orig", None) or error
    return (
        _code(cause) == sqlite3.SQLITE_FULL
        or getattr(cause, "errno", None) in _NO_SPACE
    )


def explain(path: Path, error: BaseException) -> str:
    """Return what `error` means for the database at `path`, and what to do."""
    cause = getattr(error, "orig", None) or error
    said = " ".join(str(cause).split())
    if isinstance(cause, Unusable):
        return said
    if is_damage(cause):
        return damage(path, said)
    with suppress(OSError):  # of what goes while it is looked at
        return _trouble(path, cause) or said
    return said


def _trouble(path: Path, cause: BaseException) -> str | None:
    directory = path.parent
    if is_full(cause):
        return _full(directory)
    if _code(cause) in _NO_ACCESS or isinstance(cause, OSError):
        if (denied := _no_access(path)) is not None:
            return denied
        if _has_no_room(directory):
            return _full(directory)
    return None


def damage(path: Path, found: str) -> str:
    """Return what is said of a file that is damaged, as SQLite says with `found`."""
    told = " ".join(found.split())
    return f"the file {path} is damaged: {told}; {_SALVAGE.format(path=path)}"


def not_makeable(path: Path, error: BaseException) -> str:
    """Return why no database can be made at `path`, and what to do."""
    directory = path.parent
    while not os.path.exists(directory):
        directory = directory.parent
    if not directory.is_dir():
        reason = (
            f"{directory} is no directory; choose another place with --database.url"
        )
    elif (denied := _denied(directory, *_MAKE_FILES)) is not None:
        reason = denied
    elif is_full(error) or _has_no_room(directory):
        reason = _full(directory)
    else:
        reason = f"{error}; choose another place with --database.url"
    return f"cannot make the database {path}: {reason}"


def require_content(path: Path) -> None:
    """Raise Damaged for an empty file in the place of a database, and Unusable for what
    is no file."""
    try:
        status = path.stat()
    except OSError:
        return
    if not stat.S_ISREG(status.st_mode):
        # It might wait for ever until somebody writes to a pipe.
        raise Unusable(_no_file(path))
    if not status.st_size:
        raise Damaged(
            f"the file {path} is empty, and no database ever is: it was cut off, or is "
            f"not ours; move it away with {path}-wal, and restore a backup with "
            "`pushrelay restore`, or begin anew"
        )


def require_access(path: Path) -> None:
    """Raise Unusable for what may not be read and written. SQLite opens such a file all
    the same, and fails later."""
    if (denied := _no_access(path)) is not None:
        raise Unusable(denied)


def _code(error: BaseException) -> int:
    cause = getattr(error, "orig", None) or error
    code: int = getattr(cause, "sqlite_errorcode", None) or 0
    return code & 0xFF


# --- full disks ---


def _has_no_room(directory: Path) -> bool:
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize < _LITTLE


def _full(directory: Path) -> str:
    disk = os.statvfs(directory)
    free, size = (n * disk.f_frsize for n in (disk.f_bavail, disk.f_blocks))
    return (
        f"the disk of the database is full: {directory} has {_mebibytes(free)} of "
        f"{_mebibytes(size)} left; make room there"
    )


def _mebibytes(number: int) -> str:
    return f"{number / 2**20:.1f} MiB"


# --- access ---


def _no_access(path: Path) -> str | None:
    """Return what keeps us from reading and writing `path`, None if that is unknown.

    Who reads must be able to write, too: what belongs to the log is made anew.
    """
    for directory in reversed(path.parents):
        if not directory.is_dir():
            return f"there is no directory {directory}; make it, or mount what is there"
        if (denied := _denied(directory, "enter", os.X_OK)) is not None:
            return denied
    if not path.exists():
        return f"there is no file {path}; put it back, or mount the disk that it is on"
    for end in ("", "-wal", "-shm", ".lock"):
        # The last one to leave a database removes its log, perhaps between two looks.
        with suppress(FileNotFoundError):
            file = path.with_name(path.name + end)
            if not stat.S_ISREG(file.stat().st_mode):
                return _no_file(file)
            if (denied := _denied(file, *_READ_AND_WRITE)) is not None:
                return denied
    return _denied(path.parent, *_MAKE_FILES)


_READ_AND_WRITE = ("read and write", os.R_OK | os.W_OK)
_MAKE_FILES = ("make files in", os.R_OK | os.W_OK | os.X_OK)


def _no_file(path: Path) -> str:
    kind = "a directory" if path.is_dir() else "no regular file"
    return f"{path} is {kind}; choose another file with --database.url"


def _denied(path: Path, what: str, mode: int) -> str | None:
    if os.access(path, mode, effective_ids=True):
        return None
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return (
            f"the file system of {path} is read-only; have it mounted read-write, or "
            "choose another place with --database.url"
        )
    status = path.stat()
    me, owner = _user(os.geteuid()), _user(status.st_uid)
    return (
        f"{me} may not {what} {path}, which belongs to {owner} "
        f"({stat.filemode(status.st_mode)}); let {me} do so with chown or chmod, or "
        "run pushrelay as another user"
    )


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
