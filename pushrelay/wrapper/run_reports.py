"""Reports of the attempts to run a command: to a relay, to a text file, to both."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from pushrelay.errors import internal
from pushrelay.wrapper.attempt import Attempt
from pushrelay.wrapper.documents import Run, expectation, usage_document
from pushrelay.wrapper.host import host_name, new_run_id, trace_id
from pushrelay.wrapper.naming import as_options, job_and_labels
from pushrelay.wrapper.options import Options
from pushrelay.wrapper.reporter import Reporter
from pushrelay.wrapper.reports import DEFAULT_URL, Report
from pushrelay.wrapper.state import state_directories
from pushrelay.wrapper.tokens import read_token

_SECOND = 1e9
_LOCKED = "another run has the lock"


def run_fields(options: Options, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of run documents that all attempts have in common."""
    job, labels = job_and_labels(options)
    return {
        "job": job,
        "labels": labels,
        "host": host_name(),
        "expectation": expectation(vars(options), environ),
    }


class RunReports:
    """Reports of the command of `options`."""

    def __init__(self, options: Options, environ: Mapping[str, str]) -> None:
        self._options = options
        self._fields = run_fields(options, environ)
        self._remarks: list[str] = []
        self._delivered = True
        self._reporter = self._opened_reporter(environ)

    def started(self, attempt: Attempt) -> None:
        """Report that `attempt` began."""
        if self._reporter is not None and attempt.not_started is None:
            self._reporter.report(self._run_of(attempt).start())

    def ended(self, attempt: Attempt) -> None:
        """Report how `attempt` ended."""
        ended = attempt.ended
        more = {
            "exit_code": attempt.exit_code,
            "signal": ended and ended.signal,
            "usage": ended and usage_document(ended.usage),
            "output_tail": attempt.output_tail or _said(attempt.not_started),
            "metrics": attempt.metrics or None,
        }
        self._remarks += attempt.problems
        run = self._run_of(attempt)
        self._report(run.finish(attempt.outcome, attempt.finished, **more))

    def locked_out(self, exit_code: int | None) -> None:
        """Report a run that did not begin as another one has the lock: skipped, or with
        an exit code failed."""
        run = Run(new_run_id(), self._fields, time.time(), time.monotonic())
        outcome = "skipped" if exit_code is None else "failure"
        more = {"exit_code": exit_code, "output_tail": _said(_LOCKED)}
        self._report(run.finish(outcome, time.monotonic(), **more))
        if exit_code is not None:
            self._remarks.append(_LOCKED)

    def close(
        self, *, succeeded: bool, is_enough: Callable[[], bool]
    ) -> tuple[str, bool]:
        """Wait until all is delivered, as long as the options allow and until that
        `is_enough`; return what a person should know, in one line, and whether all was
        delivered.

        succeeded: whether nobody wants to read that reports come later, if the options
        say so.
        """
        options, remarks = self._options, [*self._remarks]
        if self._reporter is not None:
            self._reporter.close(options.report_timeout / _SECOND, is_enough)
            self._delivered &= self._reporter.delivered
            remarks += self._reporter.remarks
            if self._reporter.kept and not (succeeded and options.quiet_unless_failed):
                remarks.append(self._reporter.kept)
        if options.quiet or not remarks:
            return "", self._delivered
        line = f"{self._fields['job']}: {as_options('; '.join(remarks))}"
        return " ".join(line.split()), self._delivered

    def _run_of(self, attempt: Attempt) -> Run:
        fields = {
            **self._fields,
            "attempt": attempt.number,
            "trace_id": trace_id(attempt.trace_parent),
        }
        return Run(attempt.run_id, fields, attempt.started_at, attempt.started)

    def _report(self, report: Report) -> None:
        if self._reporter is not None:
            self._reporter.report(report)
        if self._options.textfile is not None:
            from pushrelay.wrapper.textfile import write_textfile

            try:
                self._remarks += write_textfile(self._options.textfile, report)
            except Exception as error:  # noqa: BLE001  # the relay may have it yet
                self._delivered = False
                self._remarks.append(_not_written(error))

    def _opened_reporter(self, environ: Mapping[str, str]) -> Reporter | None:
        """Return what reports to the relay, if there should be one."""
        options = self._options
        if options.url is None and options.textfile is not None:
            return None
        token = None
        try:
            token = read_token(options.token_file, environ)
        except OSError as error:
            self._remarks.append(f"cannot read {error.filename}: {error.strerror}")
        return Reporter(options.url or DEFAULT_URL, token, state_directories(environ))


def _not_written(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot write {error.filename}: {error.strerror}"
    return internal(error)


def _said(of_a_run: object) -> dict[str, str] | None:
    """Return what we say of a run that never began as its output, so that it is found
    where people look for reasons."""
    return None if of_a_run is None else {"stderr": f"{of_a_run}"}
