"""Decides the writes of runs and of what is expected."""

from __future__ import annotations

from typing import Any

from pushrelay.expectations import JobExpectation
from pushrelay.reporting import Reporter
from pushrelay.run_staging import RunStaging
from pushrelay.run_states import unknown_job
from pushrelay.writes import (
    ChangeExpectation,
    FollowRules,
    ForgetRuns,
    ReportRun,
    RunWrite,
)


class RunDecider:
    """Puts the outcome of the writes of one batch into `staging`."""

    def __init__(self, staging: RunStaging, reporter: Reporter) -> None:
        self._staging = staging
        self._reporter = reporter

    def decide(self, write: RunWrite) -> Any:
        """Return the answer to `write`, which is noted. Raises PushrelayErrors."""
        match write:
            case ReportRun():
                return self._reporter.report(write)
            case ChangeExpectation():
                return self._change_expectation(write)
            case FollowRules():
                return self._staging.follow_rules()
            case ForgetRuns():
                return self._staging.forget(write.ids)

    def _change_expectation(self, write: ChangeExpectation) -> JobExpectation:
        staging, job = self._staging, write.job
        if not (write.makes_known or staging.is_known(job)):
            raise unknown_job(job)
        staging.expect(job, write.change(staging.expected(job)))
        return staging.expected(job)
