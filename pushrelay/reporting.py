"""Decides what a report of a run changes.

What is known already changes nothing, and neither does what comes too late. Whatever is
wrong with the metrics that a run left, its end is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from pushrelay.catalog import Catalog
from pushrelay.errors import (
    InconsistentPush,
    PushrelayError,
    RunConflict,
    TooLargeToMerge,
)
from pushrelay.expectations import Source
from pushrelay.findings import told_to
from pushrelay.late_metrics import still_to_add
from pushrelay.policies import Policies
from pushrelay.room import Room
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_staging import RunStaging
from pushrelay.runs import End, Run
from pushrelay.store.engine import DatabaseErrors
from pushrelay.writes import Push, Reported, ReportRun

log = logging.getLogger(__name__)

_NEWER = "metrics: left out, because newer ones were pushed since the run finished"


class Reporter:
    """Decides the reports of one batch.

    push: stores a push, or raises a PushrelayError; what is inconsistent is booked
    then. book: notes that a push failed.
    """

    def __init__(
        self,
        staging: RunStaging,
        catalog: Catalog,
        policies: Policies,
        room: Room,
        push: Callable[[Push], object],
        book: Callable[[Push], None],
    ) -> None:
        self._staging = staging
        self._catalog = catalog
        self._policies = policies
        self._room = room
        self._push = push
        self._book = book

    def report(self, write: ReportRun) -> Reported:
        """Take over what `write` says; return what became of it. Raises RunConflict if
        the id is that of another run, or of one that ended otherwise, and LimitExceeded
        if there is no room for it."""
        run, is_ping = self._joined(write), write.report.is_ping
        known = self._staging.rows.get(run.id)
        warnings = write.report.warnings
        if known is not None and _is_replay(run, known, is_ping=is_ping):
            self._expect_by_late_start(write, run)
            return Reported(known, warnings, is_replay=True)
        self._require_room(write, run, known)
        evidence = self._staging.evidence(run.key)
        refusal = None
        if run.end is None:
            is_anonymous = write.report.is_anonymous
            self._staging.keep(evidence.started(run, is_anonymous=is_anonymous))
        else:
            run = _with_start(run, run.end, write, known)
            if (push := self._to_push(write)) is not None:
                refusal = self._take_metrics(push, write)
            elif write.push is not None:
                warnings += (_NEWER,)
            if refusal is not None:
                run = _with_problem(run, _shown(refusal, write))
            self._finish(evidence, run)
        self._staging.rows.put(run)
        self._expect(write, run)
        return Reported(run, warnings, refusal=refusal)

    def _require_room(self, write: ReportRun, run: Run, known: Run | None) -> None:
        staging, room, job = self._staging, self._room, run.key.job
        if known is None:
            room.require_for_row()
        if not staging.has_key(run.key):
            room.require_for_runs(run.key, staging.stock)
        if write.report.expectation is not None and not staging.has_expectation(job):
            room.require_for_expectation(staging.expected_jobs)

    def _joined(self, write: ReportRun) -> Run:
        """Return the run that is reported, an anonymous end with its start."""
        run = write.report.run
        run = replace(run, min_interval=self._min_interval(run))
        if run.end is None or not write.report.is_anonymous:
            return run
        opened = [
            each
            for each in self._staging.evidence(run.key).open
            if each.is_anonymous and each.started_at <= run.end.finished_at
        ]
        if not opened:
            return run
        return replace(run, id=opened[-1].id, started_at=opened[-1].started_at)

    def _min_interval(self, run: Run) -> int | None:
        """Return what the run says of it, or else what does not depend on runs."""
        if run.min_interval is not None:
            return run.min_interval
        expected = self._staging.expected(run.key.job)
        for said in (expected.api, self._staging.rule_of(run.key)):
            if said is not None and said.min_interval is not None:
                return said.min_interval
        return None

    def _to_push(self, write: ReportRun) -> Push | None:
        """Return what is to be pushed of the metrics that a run left, if anything."""
        push = write.push
        if push is None or push.refusal is not None or write.problem is not None:
            return push
        held = self._catalog.group(push.key)
        if held is None or held.pushed_at <= push.at:
            return push
        return still_to_add(push, held)

    def _take_metrics(self, push: Push, write: ReportRun) -> Exception | None:
        """Store the metrics that a run left, or book that they are refused and return
        why. Raises TooLargeToMerge if they can be merged beside the writer."""
        problem: Exception | None = write.problem
        try:
            if problem is None:
                self._push(push)
                return None
        except InconsistentPush as error:
            return error
        except TooLargeToMerge as error:
            if push is write.push:
                raise
            problem = error
        except DatabaseErrors:
            raise
        except PushrelayError as error:
            problem = error
        except Exception as error:
            # Whatever is wrong with them, the run has ended.
            log.exception("the metrics of a run could not be taken")
            problem = error
        self._book(push)
        return problem

    def _finish(self, evidence: RunEvidence, run: Run) -> None:
        if run.end is not None:
            history = self._staging.rows.of(run.key)
            bounds = self._policies.buckets_of(run.key)
            self._staging.keep(evidence.finished(run, run.end, history, bounds))

    def _expect(self, write: ReportRun, run: Run) -> None:
        """Take over what is expected of the job from now on."""
        job = run.key.job
        before = self._staging.expected(job)
        after = before
        if before.rule is None:
            # All else about rules is found out when they are read.
            rule = self._staging.rule_of(run.key)
            after = before.told(Source.RULE, rule, run.started_at)
        said = write.report.expectation
        if said is not None:
            after = after.reported(said, run.started_at)
        self._staging.expect(job, after)

    def _expect_by_late_start(self, write: ReportRun, run: Run) -> None:
        """Take over what a start says that comes after its end, unless a run that is as
        new said something."""
        said = write.report.expectation
        expected = self._staging.expected(run.key.job)
        if run.end is None and said and run.started_at > expected.reported_at:
            self._staging.expect(run.key.job, expected.reported(said, run.started_at))


def _is_replay(run: Run, known: Run, *, is_ping: bool) -> bool:
    """Whether `run` says nothing new about the run that is known by its id.

    is_ping: whether its end is merely when somebody said so, perhaps again.
    """
    if run.key.id != known.key.id:
        raise RunConflict(
            "the run id belongs to a run with other labels; give each run its own"
        )
    if run.end is None or known.end is None:
        return run.end is None
    is_same_time = is_ping or run.end.finished_at == known.end.finished_at
    if not is_same_time or run.end.outcome is not known.end.outcome:
        raise RunConflict(
            f"the run has ended already, otherwise: {known.end.outcome.value}; give "
            "each run an id of its own"
        )
    return True


def _with_start(run: Run, end: End, write: ReportRun, known: Run | None) -> Run:
    """Return `run`, which is at its `end`, with what only its start said, if that is
    known.

    A document of an end is final about all that is counted: its start may come after
    it.
    """
    if known is None:
        return run
    run = replace(
        run, host=run.host or known.host, trace_id=run.trace_id or known.trace_id
    )
    knows_start = end.duration is not None and not write.report.is_anonymous
    if knows_start:
        return run
    started_at = min(known.started_at, end.finished_at)
    took = end.finished_at - started_at
    said = write.report.run.min_interval
    return replace(
        run,
        started_at=started_at,
        min_interval=known.min_interval if said is None else said,
        end=replace(end, duration=took),
    )


def _shown(refusal: Exception, write: ReportRun) -> str:
    if isinstance(refusal, InconsistentPush) and write.may_see is not None:
        refusal = told_to(refusal, write.may_see)
    return str(refusal) if isinstance(refusal, PushrelayError) else "internal error"


def _with_problem(run: Run, problem: str) -> Run:
    end = run.end
    return run if end is None else replace(run, end=replace(end, problems=(problem,)))
