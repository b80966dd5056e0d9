"""Waits for the command: passes signals on, keeps its time, and sees how it ends."""

from __future__ import annotations

import os
import time

from pushrelay.wrapper.process_tree import descendants, is_stopped, send
from pushrelay.wrapper.signals import (
    ENDING,
    SIGCHLD,
    SIGCONT,
    SIGKILL,
    SIGTERM,
    TERMINAL_STOPS,
    Signals,
    has_come_to_us,
    is_continued,
    is_sent,
    stop,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from resource import struct_rusage as Usage
    from signal import struct_siginfo as SignalInfo

_SECOND = 1e9
_LOOK_AGAIN = 0.05
_LOOK_RARELY = 1.0
# What SIGKILL does not end by then waits for a disk, and nobody can end it.
_GIVE_UP = 5.0


class Ended:
    """How a command ended.

    exit_code, signal: one of them is None. usage: what it and all that it waited for
    took. timed_out: whether it was ended for taking too long; killed: by SIGKILL.
    interrupted: whether someone asked us to end meanwhile.
    """

    __slots__ = (
        "exit_code",
        "interrupted",
        "killed",
        "signal",
        "timed_out",
        "usage",
    )

    def __init__(self, status: int, usage: Usage) -> None:
        died = os.WIFSIGNALED(status)
        self.signal = os.WTERMSIG(status) if died else None
        self.exit_code = None if died else os.WEXITSTATUS(status)
        self.usage = usage
        self.timed_out = self.killed = self.interrupted = False


class Supervisor:
    """Waits for the child `pid`.

    timeout: nanoseconds after which all that comes from us gets SIGTERM; None for
    never. kill_after: how much later it gets SIGKILL. reap: `wait` or `kill` for what
    the child leaves behind; None to let it be. strangers: children that we had before.
    """

    def __init__(
        self,
        pid: int,
        signals: Signals,
        timeout: int | None,
        kill_after: int,
        reap: str | None,
        strangers: frozenset[int],
    ) -> None:
        self._pid = pid
        self._signals = signals
        self._kill_after = kill_after / _SECOND
        self._reap = reap
        self._strangers = strangers
        self._next: float | None = None
        if timeout is not None:
            self._next = time.monotonic() + timeout / _SECOND
        self._terminated = False
        self._killed_at: float | None = None
        self._timed_out = self._killed = self._interrupted = False
        self._ended: Ended | None = None
        # Signals that stop, which came to us before we saw what the child does.
        self._stops: set[int] = set()

    def wait(self) -> Ended:
        """Return how the child ended, after it and all that is to be waited for."""
        while self._ended is None:
            self._step(None)
        if self._reap == "kill" and not self._terminated:
            self._terminate()
        while (self._reap or self._timed_out) and self._is_one_left():
            # The end of any of them is told; this is in case that it is not.
            self._step(_LOOK_RARELY)
        self._see_children()
        self._ended.timed_out = self._timed_out
        self._ended.killed = self._killed
        self._ended.interrupted = self._interrupted
        return self._ended

    def _step(self, most: float | None) -> None:
        """Wait for what happens next, for `most` seconds at most, and deal with it."""
        left = None if self._next is None else self._next - time.monotonic()
        waits = [seconds for seconds in (left, most) if seconds is not None]
        signal = self._signals.wait(min(waits, default=None))
        if signal is not None:
            self._deal_with(signal)
        # Also behind a signal: they may come without a pause.
        if self._next is not None and time.monotonic() >= self._next:
            self._escalate()

    def _deal_with(self, signal: SignalInfo) -> None:
        if signal.si_signo == SIGCHLD:
            self._see_children()
        sent = is_sent(signal)
        if sent and signal.si_pid in self._ours():
            return  # it has it already, as with `kill 0`, or does not want it
        self._interrupted |= signal.si_signo in ENDING
        if signal.si_signo in TERMINAL_STOPS:
            self._stops.add(signal.si_signo)
        if sent:
            self._pass_on(signal.si_signo)

    def _pass_on(self, number: int) -> None:
        send(number, [self._pid] if self._ended is None else self._ours())

    def _ours(self) -> list[int]:
        """Return the child and all that comes from it, in so far as it still runs."""
        found = descendants(self._strangers)
        if self._ended is None and self._pid not in found:
            found.insert(0, self._pid)
        return found

    def _see_children(self) -> None:
        """Take note of all children that ended or stopped; some may be orphans that
        process 1 has adopted."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid != self._pid:
                continue
            if not os.WIFSTOPPED(status):
                self._ended = Ended(status, usage)
            else:
                self._see_stop(os.WSTOPSIG(status))

    def _see_stop(self, number: int) -> None:
        """Stop with the child if the terminal, or somebody through us, stopped it; else
        whoever continues it would not know of us."""
        is_for_both = number in TERMINAL_STOPS and (
            number in self._stops or has_come_to_us(number)
        )
        self._stops.clear()
        if is_for_both:
            self._stop_too(number)

    def _stop_too(self, number: int) -> None:
        """Stop so that the shell sees its job stopped, and can continue it."""
        stop(number)
        # Shells continue the whole process group, others perhaps only us. To be looked
        # at first: it may be stopped once more, and that is not to be undone.
        has_stayed = is_stopped(self._pid)
        if is_continued() and has_stayed:
            send(SIGCONT, [self._pid])

    def _escalate(self) -> None:
        if self._terminated:
            self._kill()
        else:
            self._timed_out = True
            self._terminate()

    def _terminate(self) -> None:
        self._terminated = True
        self._next = time.monotonic() + self._kill_after
        processes = self._ours()
        send(SIGTERM, processes)
        send(SIGCONT, processes)

    def _kill(self) -> None:
        now = time.monotonic()
        self._killed_at = self._killed_at or now
        self._killed |= self._ended is None
        self._next = now + _LOOK_AGAIN  # for what was being started
        send(SIGKILL, self._ours())

    def _is_one_left(self) -> bool:
        if self._killed_at and time.monotonic() > self._killed_at + _GIVE_UP:
            return False
        return bool(self._ours())
