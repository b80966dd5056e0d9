"""Signals of the wrapper: it takes all of them without handlers, one after the other.

All are blocked before the command starts, so that none is lost between the start and
the first wait; the command gets the mask that we were started with.

`signal` imports `enum`, which takes a fifth of Python's own start; `_signal` is its
part in C, with plain numbers.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from signal import struct_siginfo as SignalInfo
    from typing import NoReturn
else:
    import _signal

SIGCHLD = int(_signal.SIGCHLD)
SIGKILL = int(_signal.SIGKILL)
SIGTERM = int(_signal.SIGTERM)
SIGCONT = int(_signal.SIGCONT)
_SIGALRM = int(_signal.SIGALRM)
_OF_A_HANGUP = frozenset(map(int, (_signal.SIGHUP, _signal.SIGCONT)))
TERMINAL_STOPS = frozenset(
    map(int, (_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU))
)
ENDING = frozenset(
    map(int, (_signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT, _signal.SIGTERM))
)
"""What people and systems send to end a program."""
IGNORED_BY_PYTHON = frozenset(map(int, (_signal.SIGPIPE, _signal.SIGXFSZ)))
"""Python ignores them from its start; nothing tells what they were before."""

# What the kernel says of a signal that no process sent; si_pid is 0 as well for
# processes outside of a container.
_BY_KERNEL = 0
_FALL_BACK = 128
_SOON = 0.1


class Signals:
    """The signals of this process, which are blocked from now on.

    mask: what was blocked before. ignored_children: whether SIGCHLD was ignored.
    """

    def __init__(self) -> None:
        self.ignored_children = _is_ignored(SIGCHLD)
        # A parent that ignores SIGCHLD would let us wait for nothing.
        _signal.signal(SIGCHLD, _signal.SIG_DFL)
        ignored = {number for number in _catchable() if _is_ignored(number)}
        # Blocked signals are kept for us even where they are ignored: what nohup
        # ignores must stay ignored.
        self._awaited = _catchable() - (ignored - IGNORED_BY_PYTHON)
        self.mask = set(map(int, _signal.pthread_sigmask(_signal.SIG_BLOCK, ())))
        _signal.pthread_sigmask(_signal.SIG_BLOCK, self._awaited)

    def wait(self, seconds: float | None = None) -> SignalInfo | None:
        """Return the next signal; None if none comes for so many seconds."""
        if seconds is None:
            return _signal.sigwaitinfo(self._awaited)
        return _signal.sigtimedwait(self._awaited, max(seconds, 0))

    def restore(self) -> None:
        """Undo all, and what Python did at its start, for a program that is to take the
        place of this process."""
        for number in IGNORED_BY_PYTHON:
            _signal.signal(number, _signal.SIG_DFL)
        if self.ignored_children:
            _signal.signal(SIGCHLD, _signal.SIG_IGN)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, self.mask)

    def want_an_end(self) -> bool:
        """Return whether someone wants us to end; what else came is forgotten."""
        while (signal := self.wait(0)) is not None:
            if signal.si_signo in ENDING:
                return True
        return False


def is_sent(signal: SignalInfo) -> bool:
    """Return whether `signal` is for us, so that the command does not have it yet. The
    terminal's come from the kernel and reach the whole process group."""
    if signal.si_signo == _SIGALRM:
        return True  # of an alarm that was set before we were started
    if signal.si_signo in _OF_A_HANGUP and signal.si_code > _BY_KERNEL:
        return os.getsid(0) == os.getpid()  # only who leads the session gets them
    return signal.si_code <= _BY_KERNEL and signal.si_pid != os.getpid()


def stop(number: int) -> None:
    """Stop this process as the signal `number` of the terminal does, until someone
    continues it."""
    while _signal.sigtimedwait([number, SIGCONT], 0) is not None:
        pass  # the terminal's own is still there: it would stop us a second time
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
    _signal.pthread_sigmask(_signal.SIG_BLOCK, [number])


def has_come_to_us(number: int) -> bool:
    """Return whether the signal `number` was sent to us as well as to the command; it
    is waited for, as the terminal sends it to one process after the other."""
    return _signal.sigtimedwait([number], _SOON) is not None


def is_continued() -> bool:
    """Return whether someone has continued this process, and not stopped it since; once
    for each time."""
    return _signal.sigtimedwait([SIGCONT], 0) is not None


def die_by(number: int) -> NoReturn:
    """End this process as if the signal `number` had ended it; where that cannot be,
    with the status that shells have for it."""
    import resource

    # The command left a core dump if it should; ours would be of Python. With a limit
    # of 0 the kernel still passes it on to a program that collects them, with 1 not.
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (1 if hard else 0, hard))
    if number in _catchable():
        _signal.signal(number, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
    # For process 1 of a container no signal is deadly.
    os._exit(_FALL_BACK + number)


def default_interrupt() -> None:
    """Let SIGINT end this process without Python's traceback."""
    if not _is_ignored(_signal.SIGINT):
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def _catchable() -> set[int]:
    uncatchable = {SIGKILL, int(_signal.SIGSTOP)}
    return set(map(int, _signal.valid_signals())) - uncatchable


def _is_ignored(number: int) -> bool:
    return _signal.getsignal(number) == _signal.SIG_IGN
