"""Takes the output of the command while it runs, without its noticing.

Made before the command starts, so that little beyond `os` is imported.
"""

from __future__ import annotations

import _thread
import errno
import os

from pushrelay.wrapper.copying import Copier
from pushrelay.wrapper.descriptors import (
    above_standard,
    is_same_file,
    open_pipe,
    takes_output,
)
from pushrelay.wrapper.tail import Tail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pushrelay.wrapper.held_back import HeldBack

_NAMES = {1: "stdout", 2: "stderr"}
_FOR_EVER = -1.0


def capture_refusal() -> str | None:
    """Return why output cannot be captured; None if it can."""
    for fd, name in _NAMES.items():
        if os.isatty(fd):
            return (
                f"output is not captured: {name} is a terminal, and the command would "
                "not see it any more; send stdout and stderr to files or pipes"
            )
    return None


class Capture:
    """Takes the output of one command, and passes it on at once, or to `held`.

    tail_bytes: how much of the end of each stream is remembered. Nothing is captured
    with neither of both, nor a stream that is closed.

    A stream whose reader is gone, or that takes no more, is closed for the command too.
    Processes that the command leaves behind find theirs closed after `finish`.

    Makes threads, which must never get a signal: all must be blocked by now. Raises
    OSError; then there is nothing to be finished.
    """

    def __init__(self, tail_bytes: int, held: HeldBack | None = None) -> None:
        self._streams: list[_Stream] = []
        self._stop = -1
        if not tail_bytes and held is None:
            return
        self._stop = above_standard(os.eventfd(0))
        turn = _thread.allocate_lock()
        try:
            for fds in _streams_of_pipes(tail_bytes):
                tail = Tail(tail_bytes) if tail_bytes else None
                self._streams.append(_Stream(fds, self._stop, turn, tail, held))
        except OSError:
            self.finish()
            raise

    @property
    def file_actions(self) -> list[tuple[int, int, int]]:
        """What `os.posix_spawn` must do so that the command writes to us."""
        return [
            (os.POSIX_SPAWN_DUP2, stream.inlet, fd)
            for stream in self._streams
            for fd in stream.fds
        ]

    def start(self) -> None:
        """Take what comes. To be called when the command was started."""
        for stream in self._streams:
            stream.start()

    def finish(self, seconds: float = _FOR_EVER) -> bool:
        """Pass on all that the command has written, and take no more. To be called when
        it has ended, or was not started.

        seconds: to wait for each stream that does not take it.

        Returns whether all is done; if not, it goes on, and may be waited for again.
        """
        self.start()
        if self._stop < 0:
            return True
        os.eventfd_write(self._stop, 1)
        if not all(stream.has_ended(seconds) for stream in self._streams):
            return False
        os.close(self._stop)
        self._stop = -1
        return True

    def tails(self) -> dict[str, str]:
        """Return the end of each stream that is captured, by its name; nothing if none
        is remembered."""
        return {
            _NAMES[stream.fds[0]]: stream.tail.text()
            for stream in self._streams
            if stream.tail is not None
        }

    def failures(self) -> dict[str, OSError]:
        """Return why output could not be passed on, for each stream that did not take
        it, by its name. That nobody reads it any more is none."""
        return {
            _NAMES[stream.fds[0]]: stream.failure
            for stream in self._streams
            if stream.failure is not None
        }


def _streams_of_pipes(tail_bytes: int) -> list[list[int]]:
    """Return for each pipe that is needed for which of our streams it is."""
    fds = [fd for fd in _NAMES if takes_output(fd)]
    if len(fds) > 1 and not tail_bytes and is_same_file(*fds):
        return [fds]  # one pipe keeps the order in which it is written
    return [[fd] for fd in fds]


class _Stream:
    """A pipe in the place of `fds`, and the thread that reads it."""

    def __init__(
        self,
        fds: list[int],
        stop: int,
        turn: _thread.LockType,
        tail: Tail | None,
        held: HeldBack | None,
    ) -> None:
        self.fds = fds
        self.tail = tail
        self.failure: OSError | None = None
        self._outlet, self.inlet = open_pipe()
        self._copier = Copier(self._outlet, fds[0], stop, turn, tail, held)
        self._waits = _thread.allocate_lock()
        self._waits.acquire()
        self._runs = _thread.allocate_lock()
        self._runs.acquire()
        try:
            # Before the command is started: without it, the command would block.
            _thread.start_new_thread(self._run, ())
        except RuntimeError as error:
            os.close(self._outlet)
            os.close(self.inlet)
            raise OSError(errno.EAGAIN, *error.args) from error

    def start(self) -> None:
        """Read what comes, if that is new."""
        if self.inlet >= 0:
            os.close(self.inlet)
            self.inlet = -1
            self._waits.release()

    def has_ended(self, seconds: float) -> bool:
        """Return whether it reads no more, after waiting for it."""
        has_ended = self._runs.acquire(timeout=seconds)
        if has_ended:
            self._runs.release()
        return has_ended

    def _run(self) -> None:
        self._waits.acquire()
        try:
            self._copier.copy()
        except (BrokenPipeError, ConnectionResetError):
            pass  # the command gets SIGPIPE as it would without us
        except OSError as error:
            self.failure = error
        finally:
            os.close(self._outlet)
            self._runs.release()
