"""A lock that only one run at a time has."""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pushrelay.wrapper.options import Options

# Far from the files that scripts open by number; nearer where limits are low.
_NUMBERS = (100, 50, 25, 10, 3)


class Lock:
    """The lock in the file `path`, which is made if need be. Raises OSError about it.

    wait: until it is ours. is_ours: whether it is.

    The command has the file open as well, as number 100 or above if limits allow that,
    so that a command that outlives us keeps the lock. The kernel frees it when all that
    have the file open are gone: where we are killed before `free`, also what the
    command left behind.
    """

    def __init__(self, path: str, *, wait: bool) -> None:
        try:
            self._file = _open_far_away(path)
            self.is_ours = _could_lock(self._file, wait)
            while self.is_ours and not _is_at(self._file, path):
                # It was removed while another had it; who comes next makes a new one.
                os.close(self._file)
                self._file = _open_far_away(path)
                self.is_ours = _could_lock(self._file, wait)
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None

    def free(self) -> None:
        """Give the lock back, whoever else has its file open."""
        fcntl.flock(self._file, fcntl.LOCK_UN)


def _open_far_away(path: str) -> int:
    opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for number in _NUMBERS[:-1]:
            try:
                return fcntl.fcntl(opened, fcntl.F_DUPFD, number)
            except OSError:
                continue  # beyond the limit, or all from there to it are open
        return fcntl.fcntl(opened, fcntl.F_DUPFD, _NUMBERS[-1])
    finally:
        os.close(opened)


def _is_at(file: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _could_lock(file: int, wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def lock_path(directories: list[str], options: Options) -> str:
    """Return the file for the lock of a job and its labels, in the first of
    `directories` that can hold it. Raises OSError."""
    import hashlib

    from pushrelay.wrapper.naming import job_and_labels
    from pushrelay.wrapper.state import usable_directory

    job, labels = job_and_labels(options)
    named = "\0".join([job, *[f"{name}={labels[name]}" for name in sorted(labels)]])
    digest = hashlib.sha256(named.encode(errors="surrogateescape")).hexdigest()
    return os.path.join(usable_directory(directories, "locks"), f"{digest[:32]}.lock")
