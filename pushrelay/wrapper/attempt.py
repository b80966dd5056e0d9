"""One attempt to run the command: what is around it, its start and its end.

What is imported here is imported before the command runs, so that it is little.
"""

from __future__ import annotations

import os
import time

from pushrelay.errors import internal
from pushrelay.wrapper.environment import Environment, own_environment
from pushrelay.wrapper.host import new_run_id, trace_parent
from pushrelay.wrapper.metrics_file import MetricsFile
from pushrelay.wrapper.spawning import CommandNotStarted, spawn
from pushrelay.wrapper.supervisor import Supervisor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pushrelay.wrapper.capture import Capture
    from pushrelay.wrapper.held_back import HeldBack
    from pushrelay.wrapper.options import Options
    from pushrelay.wrapper.signals import Signals
    from pushrelay.wrapper.supervisor import Ended

_TOKEN = b"PUSHRELAY_TOKEN"
_LOOK_AGAIN = 0.2
_STUCK_SECONDS = 5.0
_SECOND = 1e9


class Attempt:
    """The attempt `number` (from 1) to run the command of `options`.

    held: takes its output until it is known whether to show it; None to let it through.
    strangers: children that we had before.

    started_at: Unix seconds; started, finished: on the monotonic clock. trace_parent:
    its TRACEPARENT. not_started: why it never ran.

    After `wait`: ended, how it ended, None if it never ran; output_tail, the last of
    its output, by stream; metrics, what it left in its file, as text; problems, what
    went wrong around it, as sentences.
    """

    def __init__(
        self,
        options: Options,
        signals: Signals,
        held: HeldBack | None,
        number: int,
        strangers: frozenset[int],
    ) -> None:
        self.number = number
        self.run_id = new_run_id()
        self.trace_parent = trace_parent(os.environ.get("TRACEPARENT", ""))
        self.not_started: CommandNotStarted | None = None
        self.ended: Ended | None = None
        self.output_tail: dict[str, str] = {}
        self.metrics = ""
        self.problems: list[str] = []
        self._options = options
        self._signals = signals
        self._strangers = strangers
        self._capture = self._opened_capture(held)
        self._metrics_file = MetricsFile(self.run_id, os.environ)
        self.started_at = time.time()
        self.started = self.finished = time.monotonic()
        self._supervisor = self._started()

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it has none, or if a signal ended it."""
        if self.not_started is not None:
            return self.not_started.exit_code
        return None if self.ended is None else self.ended.exit_code

    @property
    def outcome(self) -> str:
        """How it ended, in the words of run documents."""
        ended = self.ended
        if ended is not None and ended.timed_out:
            return "timeout"
        if ended is not None and ended.signal is not None:
            return "signal"
        codes = self._options.success_codes
        return "success" if self.exit_code in codes else "failure"

    def wait(self) -> None:
        """Wait for the end of the command."""
        if self._supervisor is not None:
            self.ended = self._supervisor.wait()
        self.finished = time.monotonic()
        if self.ended is not None and self.ended.timed_out:
            by = "SIGKILL" if self.ended.killed else "SIGTERM"
            seconds = (self._options.timeout or 0) / _SECOND
            self.problems.append(f"--timeout ended it by {by} after {seconds:g}s")
        try:
            self._take_what_is_left()
        except Exception as error:  # noqa: BLE001  # the exit status must not be lost
            self.problems.append(internal(error))

    def _take_what_is_left(self) -> None:
        if self._capture is not None:
            self._take_output(self._capture)
        self.metrics, problem = self._metrics_file.take()
        if problem:
            self.problems.append(problem)

    def _take_output(self, capture: Capture) -> None:
        """Let all through that the command has written, unless someone wants us to end
        while nobody reads it, or it is over time already."""
        has_timed_out = self.ended is not None and self.ended.timed_out
        until = self.finished + _STUCK_SECONDS if has_timed_out else float("inf")
        while not capture.finish(_LOOK_AGAIN) and time.monotonic() < until:
            if self._signals.want_an_end():
                break
        self.output_tail = capture.tails()
        for stream, error in capture.failures().items():
            self.problems.append(f"{stream} could not be written: {error.strerror}")

    def _started(self) -> Supervisor | None:
        options = self._options
        actions = [] if self._capture is None else self._capture.file_actions
        try:
            pid = spawn(options.command, self._environment(), self._signals, actions)
        except CommandNotStarted as error:
            self.not_started = error
            return None
        finally:
            if self._capture is not None:
                self._capture.start()
        return Supervisor(
            pid,
            self._signals,
            options.timeout,
            options.kill_after,
            options.reap,
            self._strangers,
        )

    def _environment(self) -> Environment:
        environment = own_environment()
        if self._options.hide_token:
            environment.remove(_TOKEN)
        trace_parent = self.trace_parent.encode(errors="surrogateescape")
        environment.set(b"PUSHRELAY_RUN_ID", self.run_id.encode())
        environment.set(b"PUSHRELAY_METRICS", os.fsencode(self._metrics_file.path))
        environment.set(b"TRACEPARENT", trace_parent)
        return environment

    def _opened_capture(self, held: HeldBack | None) -> Capture | None:
        """Return what takes its output, if anything should and can."""
        if held is None and not self._options.output_tail:
            return None
        from pushrelay.wrapper.capture import Capture, capture_refusal

        if refusal := capture_refusal():
            self.problems.append(refusal)
            return None
        try:
            return Capture(self._options.output_tail, held)
        except OSError as error:
            self.problems.append(f"its output is not captured: {error.strerror}")
            return None
