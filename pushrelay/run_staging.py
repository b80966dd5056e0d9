"""What a batch of writes has changed so far of runs and of what is expected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pushrelay.changes import Emptied, ExpectationRecord
from pushrelay.expectations import JobExpectation, Source
from pushrelay.grouping_key import GroupingKey
from pushrelay.policies import Policies
from pushrelay.run_evidence import RunEvidence
from pushrelay.schedule import Expectation
from pushrelay.stock import Stock, amount_of_runs
from pushrelay.store.decisions import Decision
from pushrelay.store.run_rows import RunRows
from pushrelay.view.board import Board


class RunStaging:
    """The evidence and the expectations of `board` with what a batch changes in them.

    rows: the runs themselves, where changes are seen at once. decision: what else is to
    be stored. now: what is forgotten by then is as good as nothing; Unix nanoseconds.
    stock: how much is stored of keys with runs; what this batch removes, included.
    """

    def __init__(
        self,
        board: Board,
        policies: Policies,
        rows: RunRows,
        decision: Decision,
        revision: int,
        now: int,
    ) -> None:
        self.rows = rows
        self._board = board
        self._policies = policies
        self._decision = decision
        self._revision = revision
        self._now = now
        # What this batch has changed, by job and by id of the key.
        self._evidences: dict[str, dict[bytes, RunEvidence]] = {}
        self._expected: dict[str, JobExpectation] = {}
        # Jobs of which this batch has dropped what the board knows.
        self._ended: set[str] = set()
        # Ids of keys whose evidence was forgotten and is removed by this batch.
        self._removed: set[bytes] = set()
        self.stock = Stock(base=board.evidences.stock)

    def evidence(self, key: GroupingKey) -> RunEvidence:
        """Return the evidence of the runs with `key`, of which there may be none."""
        job = key.job
        staged = self._evidences.get(job, {}).get(key.id)
        if staged is not None:
            return staged
        known = None if job in self._ended else self._board.evidence(key, self._now)
        return known or RunEvidence(key)

    def has_key(self, key: GroupingKey) -> bool:
        """Whether `key` is counted among those with runs."""
        staged = self._evidences.get(key.job, {})
        return key.id in staged or self._board.evidences.get(key.id) is not None

    def keep(self, evidence: RunEvidence) -> None:
        """Let `evidence` be what is stored of its key."""
        self._keep_of_job(evidence.key.id)
        if not self.has_key(evidence.key):
            self.stock.add(evidence.key.job, amount_of_runs(evidence.key))
        kept = replace(evidence, revision=self._revision)
        self._evidences.setdefault(kept.key.job, {})[kept.key.id] = kept
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

    def has_expectation(self, job: str) -> bool:
        """Whether anything is stored of what is expected of `job`."""
        return self.expected(job) != _NOTHING_SAID

    @property
    def expected_jobs(self) -> int:
        """Of how many jobs something is stored that is expected, at most."""
        return self._board.expected_jobs + len(self._expected)

    def is_known(self, job: str) -> bool:
        """Whether `job` has runs or is expected to."""
        return self.expected(job).effective is not None or self._has_runs(job)

    def forget(self, ids: Iterable[bytes]) -> int:
        """Remove the evidence of the keys `ids` that is forgotten, and jobs of which
        nothing is left; return of how many keys."""
        found = [each for each in map(self._forgotten, ids) if each is not None]
        for evidence in found:
            self._keep_of_job(evidence.key.id)
            self._removed.add(evidence.key.id)
            gone = Emptied(evidence.key.id, self._revision)
            self._decision.runs.append(gone)
        for job in {evidence.key.job for evidence in found}:
            self.expect(job, self.expected(job))
        return len(found)

    def follow_rules(self) -> None:
        """Let each job be expected to run as the job rules say; slots that are new are
        expected from now on."""
        named = self._policies.named_jobs()
        for job in {*self._board.stored_jobs(), *named}:
            before = self.expected(job)
            rule = self._rule_of_all(job, before.rule)
            after = before.told(Source.RULE, rule, self._now)
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
        evidences = self._board.evidences.of_job(job)
        keys = sorted([evidence.key for evidence in evidences], key=_canonical)
        said = list(filter(None, map(self._policies.expectation_of, keys)))
        # There may have been keys, and all of them are forgotten.
        if before in said or (not keys and self._policies.has_rule_with(before)):
            return before
        return said[0] if said else None

    def end_job(self, job: str) -> None:
        """Keep nothing of `job`: no run, no evidence, and nothing that is expected."""
        self.rows.end_job(job)
        self._end(job)

    def end_all(self) -> None:
        """Keep nothing of any job."""
        self.rows.end_all()
        for job in {*self._board.stored_jobs(), *self._evidences, *self._expected}:
            self._end(job)

    def _end(self, job: str) -> None:
        stored = self._board.evidences.of_job(job)
        is_kept = self.expected(job) != _NOTHING_SAID or self._has_runs(job)
        if not (stored or is_kept):
            return
        for evidence in stored:
            self._decision.runs.append(Emptied(evidence.key.id, self._revision))
        for id_ in self._evidences.pop(job, {}):
            self._decision.runs.append(Emptied(id_, self._revision))
        self._expected.pop(job, None)
        self._ended.add(job)
        self._decision.expectations.append(ExpectationRecord(job, self._revision, None))

    def _has_runs(self, job: str) -> bool:
        if job in self._evidences:
            return True
        return job not in self._ended and self._board.has_runs(job, self._now)

    def _forgotten(self, id_: bytes) -> RunEvidence | None:
        """Return the evidence of the key `id_` if it is still stored and forgotten."""
        held = self._board.evidences.get(id_)
        if held is None or id_ in self._removed:
            return None
        job = held.key.job
        if id_ in self._evidences.get(job, {}) or job in self._ended:
            return None
        return None if self._board.evidences.lives(held, self._now) else held

    def _keep_of_job(self, id_: bytes) -> None:
        """Let the last start be known beyond the evidence of the key `id_` if that is
        forgotten: its job may be expected to run."""
        held = self._forgotten(id_)
        if held is None:
            return
        expected = self.expected(held.key.job)
        if expected.effective is not None:
            self.expect(held.key.job, expected.having_run(held.last_start))


_NOTHING_SAID = JobExpectation()


def _canonical(key: GroupingKey) -> bytes:
    return key.canonical
