"""One run of a job that is written in Python, and what is reported of it."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from signal import SIGINT
from typing import Any, SupportsFloat

from pushrelay.errors import internal
from pushrelay.runs import LARGEST_TAIL
from pushrelay.wrapper.documents import Run, expectation, usage_document
from pushrelay.wrapper.host import host_name, new_run_id, trace_id
from pushrelay.wrapper.job_metrics import JobMetrics
from pushrelay.wrapper.job_settings import JobSettings
from pushrelay.wrapper.metrics_file import LARGEST_METRICS
from pushrelay.wrapper.reporter import Reporter
from pushrelay.wrapper.reports import DEFAULT_URL, Report
from pushrelay.wrapper.state import state_directories
from pushrelay.wrapper.tokens import read_token

_LOGGER = logging.getLogger("pushrelay")

_LONG = 2**63
"""From this on, numbers are none for C, and Python ends with -1."""

_MOST_RSS = "max_rss_bytes"


class JobRun:
    """A run of a job, from when this is made to `end`; any threads may use it.

    run_id: a UUID. trace_id: that of TRACEPARENT; None if there is none.
    """

    def __init__(self, settings: JobSettings) -> None:
        self.run_id = new_run_id()
        self.trace_id = trace_id(os.environ.get("TRACEPARENT", ""))
        self._settings = settings
        self._process = os.getpid()
        self._metrics = JobMetrics(settings.key)
        self._failure: str | None = None
        self._has_ended = False
        self._remarks: list[str] = []
        self._token: str | None = None
        self._reporter: Reporter | None = None
        self._used = _used()
        self._run = Run(self.run_id, self._fields(), time.time(), time.monotonic())
        try:
            self._token = self._given_token()
            self._try(lambda: self._report(self._run.start()))
        except BaseException as error:
            # Raised by a signal: there will be no block that ends.
            self.end(error)
            raise

    def gauge(
        self, name: str, value: SupportsFloat, /, help: str = "", **labels: str
    ) -> None:
        """Report `value` as the gauge `name` with these labels; of several values, the
        last. Raises ValueError for what no relay takes."""
        if self._takes_metrics():
            self._metrics.set(name, value, help, labels)

    def counter(
        self, name: str, value: SupportsFloat = 1, /, help: str = "", **labels: str
    ) -> None:
        """Add `value` to the counter `name` with these labels, which is 0 when the run
        begins. Raises ValueError for what no relay takes."""
        if self._takes_metrics():
            self._metrics.add(name, value, help, labels)

    def metrics(self, text: str) -> None:
        """Report all metrics of `text`, which has the text format. Raises ValueError
        for what no relay takes."""
        if self._takes_metrics():
            self._metrics.append(text)

    def fail(self, reason: object = "") -> None:
        """Let this run be a failure, also if no exception ends it.

        reason: for people; as text it is shown as the end of what the run wrote to
        stderr.
        """
        self._failure = ""
        self._failure = "" if reason is None else str(reason)

    def end(self, error: BaseException | None) -> None:
        """Report how the run ended: by the exception `error`, or well.

        Waits until that is delivered, or `report_timeout` is over. A process that was
        forked from that of the run has none to report. What a signal raises meanwhile
        ends the waiting, and is raised when the report is in the spool.
        """
        finished = time.monotonic()
        if self._has_ended or os.getpid() != self._process:
            return
        self._has_ended = True
        try:
            self._report_end(error, finished)
        except BaseException:
            self._close(0)
            raise
        else:
            self._close(self._settings.report_timeout)
        finally:
            self._tell()

    def _report_end(self, error: BaseException | None, finished: float) -> None:
        if not self._try(lambda: self._report(self._finish(error, finished))):
            self._try(lambda: self._report(self._short_finish(error, finished)))

    def _try(
        self, work: Callable[[], object], again: Callable[[], object] | None = None
    ) -> bool:
        """Do `work`, and return whether nothing went wrong with it; that is nothing
        that should end the job.

        What a signal raises meanwhile is for the job, whatever it is. It does not come
        a second time, so that it is raised after `again`, by default `work`.
        """
        try:
            work()
        except BaseException as first:
            try:
                (again or work)()
            except Exception as second:  # noqa: BLE001  # whatever it is
                self._remarks.append(internal(second))
                if type(first) is type(second):
                    return False
            raise
        return True

    def _takes_metrics(self) -> bool:
        if self._has_ended:
            job = self._settings.job
            _LOGGER.warning(
                "%s: a metric came after the end of the run; it is lost", job
            )
        # In a process that was forked, a thread that is not there may hold a lock.
        return not self._has_ended and os.getpid() == self._process

    def _fields(self) -> dict[str, Any]:
        """Return the fields of run documents that do not change."""
        settings = self._settings
        labels = dict(settings.key.labels)
        return {
            "job": labels.pop("job"),
            "labels": labels,
            "host": host_name(),
            "expectation": expectation(settings.expected, os.environ),
            "attempt": settings.attempt,
            "trace_id": self.trace_id,
        }

    def _report(self, report: Report) -> None:
        if self._reporter is None:
            url = self._settings.url or os.environ.get("PUSHRELAY_URL") or DEFAULT_URL
            directories = state_directories(os.environ)
            self._reporter = Reporter(url, self._token, directories)
        self._reporter.report(report)

    def _given_token(self) -> str | None:
        settings, environ = self._settings, os.environ
        if settings.token is not None:
            return settings.token
        file = settings.token_file or environ.get("PUSHRELAY_TOKEN_FILE") or None
        try:
            return read_token(file, environ)
        except OSError as error:
            if error.errno is None:
                raise  # not the system's: a signal's handler may raise TimeoutError
            self._remarks.append(f"cannot read {file}: {error.strerror}")
            return None

    def _short_finish(self, error: BaseException | None, finished: float) -> Report:
        outcome, exit_code, signal = _ending(error, self._failure is not None)
        return self._run.finish(outcome, finished, exit_code=exit_code, signal=signal)

    def _finish(self, error: BaseException | None, finished: float) -> Report:
        outcome, exit_code, signal = _ending(error, self._failure is not None)
        tail = self._tail(error)
        return self._run.finish(
            outcome,
            finished,
            exit_code=exit_code,
            signal=signal,
            usage=_used_since(self._used),
            output_tail={"stderr": tail} if tail else None,
            metrics=self._rendered_metrics(),
        )

    def _tail(self, error: BaseException | None) -> str:
        told = [] if not self._failure else [self._failure + "\n"]
        if error is not None and self._settings.report_traceback:
            told += traceback.format_exception(error)
        encoded = "".join(told).encode(errors="replace")
        return encoded[-LARGEST_TAIL:].decode(errors="ignore")

    def _rendered_metrics(self) -> str | None:
        rendered = self._metrics.rendered()
        if len(rendered.encode()) > LARGEST_METRICS:
            self._remarks.append(f"its metrics are more than {LARGEST_METRICS} bytes")
            return None
        return rendered or None

    def _close(self, seconds: float) -> None:
        if (reporter := self._reporter) is not None:
            self._try(lambda: reporter.close(seconds), lambda: reporter.close(0))

    def _tell(self) -> None:
        """Warn of what a person should know, in one line."""
        remarks = list(self._remarks)
        if self._reporter is not None:
            remarks += [*self._reporter.remarks, self._reporter.kept]
        if told := "; ".join(filter(None, dict.fromkeys(remarks))):
            line = " ".join(f"{self._settings.job}: {told}".split())
            with suppress(Exception):  # of a handler, which is the job's own
                _LOGGER.warning("%s", line)


def _ending(
    error: BaseException | None, has_failed: bool
) -> tuple[str, int | None, int | None]:
    """Return outcome, exit code and signal of a run."""
    if isinstance(error, KeyboardInterrupt):
        return "signal", None, SIGINT
    code = _exit_code(error) or int(has_failed)
    return "failure" if code else "success", code, None


def _exit_code(error: BaseException | None) -> int:
    """Return the exit code that Python ends with if `error` ends it."""
    if not isinstance(error, SystemExit):
        return 0 if error is None else 1
    if error.code is None or isinstance(error.code, int):
        code = error.code or 0
        return code & 0xFF if -_LONG <= code < _LONG else 0xFF
    return 1


def _used() -> dict[str, float]:
    """Return what this process and those it waited for have used so far."""
    own = usage_document(getrusage(RUSAGE_SELF))
    children = usage_document(getrusage(RUSAGE_CHILDREN))
    used = {name: own[name] + children[name] for name in own}
    return {**used, _MOST_RSS: own[_MOST_RSS]}


def _used_since(before: dict[str, float]) -> dict[str, float]:
    now = _used()
    used = {name: max(0, now[name] - before[name]) for name in now}
    return {**used, _MOST_RSS: now[_MOST_RSS]}
