"""What a batch of writes has changed so far of runs and of what is expected."""

from __future__ import annotations

from dataclasses import replace

from pushrelay.changes import Emptied, ExpectationRecord
from pushrelay.expectations import JobExpectation, Source
from pushrelay.grouping_key import GroupingKey
from pushrelay.policies import Policies
from pushrelay.run_evidence import RunEvidence
from pushrelay.schedule import Expectation
from pushrelay.store.run_rows import RunRows
from pushrelay.store.writer import Decision
from pushrelay.view.board import Board


class RunStaging:
    """The evidence and the expectations of `board` with what a batch changes in them.

    rows: the runs themselves, where changes are seen at once. decision: what else is to
    be stored.
    """

    def __init__(
        self,
        board: Board,
        policies: Policies,
        rows: RunRows,
        decision: Decision,
        revision: int,
    ) -> None:
        self.rows = rows
        self._board = board
        self._policies = policies
        self._decision = decision
        self._revision = revision
        self._evidences: dict[bytes, RunEvidence] = {}
        self._expected: dict[str, JobExpectation] = {}
        # Jobs of which this batch has dropped what the board knows.
        self._ended: set[str] = set()

    def evidence(self, key: GroupingKey) -> RunEvidence:
        """Return the evidence of the runs with `key`, of which there may be none."""
        staged = self._evidences.get(key.id)
        if staged is not None:
            return staged
        known = None if key.job in self._ended else self._board.evidence(key)
        return known or RunEvidence(key)

    def keep(self, evidence: RunEvidence) -> None:
        """Let `evidence` be what is stored of its key."""
        kept = replace(evidence, revision=self._revision)
        self._evidences[kept.key.id] = kept
        self._decision.runs.append(kept)

    def expected(self, job: str) -> JobExpectation:
        """Return what was said of what is expected of `job`."""
        staged = self._expected.get(job)
        if staged is not None:
            return staged
        return _NOTHING_SAID if job in self._ended else self._board.expected(job)

    def expect(self, job: str, expected: JobExpectation) -> None:
        """Let `expected` be what is stored of `job`, if that is something new. Of a job
        without runs that nobody speaks of, nothing is."""
        if expected.effective is None and not self._has_runs(job):
            expected = _NOTHING_SAID
        if expected != self.expected(job):
            self._expected[job] = expected
            stored = None if expected == _NOTHING_SAID else expected
            record = ExpectationRecord(job, self._revision, stored)
            self._decision.expectations.append(record)

    def is_known(self, job: str) -> bool:
        """Whether `job` has runs or is expected to."""
        return self.expected(job) != _NOTHING_SAID or self._has_runs(job)

    def follow_rules(self, now: int) -> None:
        """Let each job be expected to run as the job rules say; slots that are new are
        expected from `now` (Unix nanoseconds) on."""
        named = self._policies.named_jobs()
        for job in {*self._board.jobs(), *named}:
            before = self.expected(job)
            after = before.told(Source.RULE, self._rule_of_all(job, before.rule), now)
            instances = tuple(named[job].instances) if job in named else ()
            self.expect(job, replace(after, instances=instances))

    def rule_of(self, key: GroupingKey) -> Expectation | None:
        """Return what the job rules expect of the job of `key`: of the job alone, or
        else of this key of its runs."""
        named = self._policies.named_jobs().get(key.job)
        if named is not None:
            return named.expectation
        alone = GroupingKey.of({"job": key.job})
        return self._policies.expectation_of(alone) or self._policies.expectation_of(
            key
        )

    def _rule_of_all(self, job: str, before: Expectation | None) -> Expectation | None:
        """Return what the job rules expect of `job`: of the job alone, or else of a key
        of its runs. If they say different things of these, what was said `before`
        stays, lest the slots change with every report."""
        alone = self.rule_of(GroupingKey.of({"job": job}))
        if alone is not None:
            return alone
        keys = sorted(self._board.keys_of(job), key=_canonical)
        said = list(filter(None, map(self._policies.expectation_of, keys)))
        if before in said:
            return before
        return said[0] if said else None

    def end_job(self, job: str) -> None:
        """Keep nothing of `job`: no run, no evidence, and nothing that is expected."""
        if not self.is_known(job):
            return
        self.rows.end_job(job)
        for key in self._board.keys_of(job):
            self._decision.runs.append(Emptied(key.id, self._revision))
        for id_ in [i for i, each in self._evidences.items() if each.key.job == job]:
            del self._evidences[id_]
            self._decision.runs.append(Emptied(id_, self._revision))
        self._expected.pop(job, None)
        self._ended.add(job)
        self._decision.expectations.append(ExpectationRecord(job, self._revision, None))

    def _has_runs(self, job: str) -> bool:
        if any(each.key.job == job for each in self._evidences.values()):
            return True
        return job not in self._ended and bool(self._board.keys_of(job))


_NOTHING_SAID = JobExpectation()


def _canonical(key: GroupingKey) -> bytes:
    return key.canonical
