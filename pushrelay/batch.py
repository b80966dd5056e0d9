"""What writes mean: a batch of them is decided, each in view of those before it."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property, partial
from typing import Any

from pushrelay.config import Limits
from pushrelay.consistency import check_against, require_unambiguous
from pushrelay.contents import contents_of
from pushrelay.errors import (
    InconsistentPush,
    InvalidRequest,
    LimitExceeded,
    PushrelayError,
)
from pushrelay.expectations import JobExpectation
from pushrelay.exposition.stored import stored_metrics
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.policies import Policies
from pushrelay.pushing import Pushing
from pushrelay.reporting import Reporter
from pushrelay.room import Room
from pushrelay.run_states import unknown_job
from pushrelay.staging import Staging
from pushrelay.store.engine import DatabaseErrors
from pushrelay.view.jobs import job_of
from pushrelay.writes import (
    NOT_OLDER,
    ChangeExpectation,
    Delete,
    DeleteSeries,
    FollowRules,
    ForgetRuns,
    Import,
    Look,
    Push,
    PushAll,
    ReportRun,
    RunWrite,
    Write,
)

log = logging.getLogger(__name__)


class Batch:
    """The writes of one commit, whose outcome is put into `staging`.

    database_bytes: how large the database is.
    """

    def __init__(
        self,
        staging: Staging,
        policies: Policies,
        limits: Limits,
        database_bytes: int,
    ) -> None:
        self._staging = staging
        self._catalog = staging.catalog
        self._policies = policies
        self._room = Room(
            staging.catalog, staging.jobs, policies, limits, database_bytes
        )
        self._pushing = Pushing(staging, policies, limits, self._room)

    @cached_property
    def _reporter(self) -> Reporter:
        return Reporter(
            self._staging.runs,
            self._catalog,
            self._policies,
            self._room,
            self._pushing.push,
            self._pushing.book_if_possible,
        )

    def add(self, write: Write) -> None:
        """Decide `write`: note its answer and what it changes."""
        try:
            answer: Any = self._decide(write)
        except PushrelayError as error:
            # With its frames, it would keep what the batch knows.
            answer = error.with_traceback(None)
        except DatabaseErrors:
            # What it could not do may be half done, and only goes with the commit.
            raise
        except Exception as error:
            # Whatever is wrong with one push must not fail the rest of its batch.
            log.exception("a write could not be decided")
            answer = error.with_traceback(None)
        self._staging.decision.answers.append(answer)

    def _decide(self, write: Write) -> Any:
        match write:
            case Push():
                return self._pushing.push(write)
            case PushAll():
                return self._pushing.push_all(write)
            case Delete():
                return self._delete(write)
            case DeleteSeries():
                return self._delete_series(write)
            case Import():
                return self._import_all(write)
            case Look():
                return self._staging.all_groups()
            case _:
                return self._decide_of_runs(write)

    def _decide_of_runs(self, write: RunWrite) -> Any:
        match write:
            case ReportRun():
                return self._reporter.report(write)
            case ChangeExpectation():
                return self._change_expectation(write)
            case FollowRules():
                return self._staging.runs.follow_rules()
            case ForgetRuns():
                return self._staging.runs.forget(write.ids)

    # --- deletions ---

    def _delete(self, write: Delete) -> list[GroupingKey]:
        """Empty the groups that are wanted; return their keys."""
        ended = []
        for key in write.keys:
            group = self._staging.group(key)
            if group is None or not write.wanted(group):
                continue
            if not (write.ended_jobs and job_of(group) in write.ended_jobs):
                self._staging.keep_of_job(group)
            self._staging.remove(group)
            ended.append(group.key)
        for job in write.ended_jobs:
            self._staging.end_job(job)
        if write.ends_runs:
            self._staging.runs.end_all()
        return ended

    def _delete_series(self, write: DeleteSeries) -> bool:
        """Put what is left in place, if the group still has what it is left of."""
        held = self._catalog.group(write.key)
        if held is None or contents_of(held) != write.held:
            return False
        left, revision = write.left, self._staging.revision
        self._staging.replace(replace(held, revision=revision, **left._asdict()))
        return True

    # --- what is expected ---

    def _change_expectation(self, write: ChangeExpectation) -> JobExpectation:
        runs, job = self._staging.runs, write.job
        if not (write.makes_known or runs.is_known(job)):
            raise unknown_job(job)
        if not runs.has_expectation(job):
            self._room.require_for_expectation(runs.expected_jobs)
        runs.expect(job, write.change(runs.expected(job)))
        return runs.expected(job)

    # --- imports ---

    def _import_all(self, write: Import) -> list[str | None]:
        """Take over what is acceptable of `write`, each group beside those before."""
        with ExitStack() as undo:
            if write.dry_run:
                keys = [group.key for group in write.groups]
                undo.callback(self._staging.savepoint(keys))
            return [self._import(group) for group in write.groups]

    def _import(self, group: Group) -> str | None:
        """Take over `group` unless what is here is as new; return why not."""
        try:
            require_unambiguous(group.key, self._catalog)
            held = self._catalog.group(group.key)
            times = (group.pushed_at, group.failed_at)
            if held is not None and (held.pushed_at, held.failed_at) >= times:
                return NOT_OLDER
            payload = group.payload
            metrics = partial(stored_metrics, payload)
            check_against(self._catalog, group.key, payload, payload, metrics)
            self._room.require_for_group(group)
        except (InvalidRequest, InconsistentPush, LimitExceeded) as error:
            return str(error)
        self._staging.replace(replace(group, revision=self._staging.revision))
        return None
