"""All that happens between the call and the exit: lock, attempts and reports.

What is imported here is imported before the command runs, so that it is little.
"""

from __future__ import annotations

import os
import time

from pushrelay.errors import Misuse, internal
from pushrelay.wrapper.attempt import Attempt
from pushrelay.wrapper.process_tree import adopt_orphans, descendants
from pushrelay.wrapper.signals import ENDING, TERMINAL_STOPS, Signals, stop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pushrelay.wrapper.held_back import HeldBack
    from pushrelay.wrapper.lock import Lock
    from pushrelay.wrapper.options import Options
    from pushrelay.wrapper.run_reports import RunReports

_SECOND = 1e9
_TIMED_OUT = 124
_KILLED = 137
_LOOK_AGAIN = 0.1
TRY_LATER = 75
"""The exit status of what did not work now, but may later: EX_TEMPFAIL."""


class Exit:
    """How to end: by the signal, or with the status; `message` is said before."""

    __slots__ = ("message", "signal", "status")

    def __init__(
        self, status: int, message: str = "", signal: int | None = None
    ) -> None:
        self.status = status
        self.message = message
        self.signal = signal


class Execution:
    """What `options` ask for."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._held: HeldBack | None = None
        # Children of ours, where a shell has put us in its own place.
        self._strangers: frozenset[int] = frozenset()
        self._reports: RunReports | None = None
        self._failure = ""

    def run(self) -> Exit:
        """Run the command, report it, and return how to end. Raises Misuse."""
        options = self._options
        if options.jitter:
            time.sleep(options.jitter / _SECOND * _random())
        lock = self._lock() if options.lock else None
        if lock is not None and not lock.is_ours:
            return self._locked_out()
        signals = Signals()
        if options.timeout is not None or options.reap:
            self._strangers = frozenset(descendants())
            adopt_orphans()
        if options.quiet_unless_failed:
            from pushrelay.wrapper.held_back import HeldBack

            self._held = HeldBack()
        attempt, interrupt = self._attempts(signals)
        if lock is not None:
            lock.free()
        succeeded = attempt.outcome == "success"
        if self._held is not None and succeeded:
            self._held.discard()
        elif self._held is not None:
            _reveal(self._held, signals)
        message, delivered = self._closed(succeeded, signals.want_an_end)
        if attempt.not_started is not None:
            message = "; ".join(filter(None, [str(attempt.not_started), message]))
        if interrupt is not None:
            return Exit(0, message, interrupt)
        return self._exit(attempt, message, delivered)

    def _report(self, report: Callable[[RunReports], None]) -> None:
        """Do what `report` does with the reports of runs."""
        try:
            if self._reports is None:
                # Not before the command runs, for it takes longer than its start.
                from pushrelay.wrapper.run_reports import RunReports

                self._reports = RunReports(self._options, os.environ)
            report(self._reports)
        except Exception as error:  # noqa: BLE001  # whatever it is, the command goes on
            self._failure = " ".join(internal(error).split())

    def _closed(
        self, succeeded: bool, is_enough: Callable[[], bool] = lambda: False
    ) -> tuple[str, bool]:
        """Return what `RunReports.close` returns, with what went wrong before: what
        was reported before that is delivered, or kept, all the same."""
        closed = ("", False)

        def close(reports: RunReports) -> None:
            nonlocal closed
            closed = reports.close(succeeded=succeeded, is_enough=is_enough)

        self._report(close)
        message, delivered = closed
        if not self._failure:
            return message, delivered
        if self._options.quiet:
            return "", False
        return "; ".join(filter(None, [message, self._failure])), False

    def _attempts(self, signals: Signals) -> tuple[Attempt, int | None]:
        """Run the command until it succeeds or should not be tried again; return the
        last attempt, and the signal that came between two, if one did."""
        for number in range(1, self._options.retries + 2):
            attempt = self._attempt(signals, number)
            if number > self._options.retries or not self._is_worth_retrying(attempt):
                break
            if interrupt := _pause(signals, self._options.retry_delay / _SECOND):
                return attempt, interrupt
        return attempt, None

    def _attempt(self, signals: Signals, number: int) -> Attempt:
        attempt = Attempt(self._options, signals, self._held, number, self._strangers)
        self._report(lambda reports: reports.started(attempt))
        attempt.wait()
        self._report(lambda reports: reports.ended(attempt))
        return attempt

    def _is_worth_retrying(self, attempt: Attempt) -> bool:
        interrupted = attempt.ended is not None and attempt.ended.interrupted
        return not interrupted and attempt.outcome != "success"

    def _lock(self) -> Lock:
        from pushrelay.wrapper.lock import Lock, lock_path
        from pushrelay.wrapper.state import state_directories

        options = self._options
        try:
            path = options.lock_file or lock_path(
                state_directories(os.environ), options
            )
            return Lock(path, wait=options.lock == "wait")
        except OSError as error:
            # Without it two might run at once, which must not be.
            raise Misuse(f"cannot lock {error.filename}: {error.strerror}") from None

    def _locked_out(self) -> Exit:
        """Return how to end where another run has the lock."""
        skips = self._options.lock == "skip"
        code = None if skips else TRY_LATER
        self._report(lambda reports: reports.locked_out(code))
        message, _ = self._closed(skips)
        return Exit(code or 0, message)

    def _exit(self, attempt: Attempt, message: str, delivered: bool) -> Exit:
        ended = attempt.ended
        if ended is not None and ended.timed_out:
            return Exit(_KILLED if ended.killed else _TIMED_OUT, message)
        if ended is not None and ended.signal is not None:
            return Exit(0, message, ended.signal)
        is_missing = self._options.require_report and not delivered
        if is_missing and attempt.outcome == "success":
            return Exit(TRY_LATER, message)
        return Exit(attempt.exit_code or 0, message)


def _reveal(held: HeldBack, signals: Signals) -> None:
    """Show what was held back, unless someone wants us to end while nobody reads it."""
    import threading

    showing = threading.Thread(target=held.reveal, daemon=True)
    showing.start()
    while showing.is_alive() and not signals.want_an_end():
        showing.join(_LOOK_AGAIN)


def _pause(signals: Signals, seconds: float) -> int | None:
    """Wait; return the signal that should end us meanwhile, if one comes."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        signal = signals.wait(left)
        if signal is None:
            break
        if signal.si_signo in ENDING:
            return signal.si_signo
        if signal.si_signo in TERMINAL_STOPS:
            stop(signal.si_signo)
    return None


def _random() -> float:
    # `random` imports a library of cryptography.
    return int.from_bytes(os.urandom(4), "big") / 2**32
