"""A lock that only one run at a time has."""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pushrelay.wrapper.options import Options

# Far from the files that scripts open by number.
_LOWEST = 100


class Lock:
    """The lock in the file `path`, which is made if need be. Raises OSError.

    wait: until it is ours. is_ours: whether it is.

    The kernel frees it when all that have it open are gone: we and the command. So a
    command that outlives us keeps it; what the command leaves behind does not.
    """

    def __init__(self, path: str, *, wait: bool) -> None:
        opened = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._file = fcntl.fcntl(opened, fcntl.F_DUPFD, _LOWEST)
        finally:
            os.close(opened)
        self.is_ours = True
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            self.is_ours = False
        except OSError as error:
            raise OSError(error.errno, error.strerror, path) from None

    def free(self) -> None:
        """Give the lock back, whoever else has its file open."""
        fcntl.flock(self._file, fcntl.LOCK_UN)


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
