"""The jobs board: what is known of runs, and what is expected.

What a report changes is noted, and made into families when someone looks, like what
changes as time goes by. So a report costs the same however many jobs there are, and
looking costs nothing as long as nothing was reported and nothing is due.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from math import inf
from typing import TypeVar

from pushrelay.changes import Emptied, EvidenceChange, ExpectationRecord
from pushrelay.expectations import JobExpectation
from pushrelay.exposition.run_families import evidence_payload
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import RunPage
from pushrelay.policies import Policies
from pushrelay.run_evidence import OpenRun, RunEvidence
from pushrelay.run_states import (
    JobState,
    instance_of,
    job_state,
    open_runs,
    running_runs,
)
from pushrelay.view.dues import Dues
from pushrelay.view.evidences import Evidences
from pushrelay.view.expected_pages import ExpectedPages, Instance
from pushrelay.view.run_pages import RunPages

_NOTHING_SAID = JobExpectation()
_Token = TypeVar("_Token")


class Board:
    """The evidence of runs by key, and what is expected by job.

    pages: what is shown of them. evidences: forgotten ones included.
    """

    def __init__(self, policies: Policies) -> None:
        self.pages = RunPages()
        self.evidences = Evidences(policies)
        self._policies = policies
        self._expected: dict[str, ExpectationRecord] = {}
        self._expected_pages = ExpectedPages(self.pages, self.evidences)
        # Of whom the pages are to be made anew: keys that have runs, jobs as a whole,
        # and what is expected of instances.
        self._changed_keys: set[bytes] = set()
        self._changed_jobs: set[str] = set()
        self._changed_instances: set[Instance] = set()
        self._key_dues: Dues[bytes] = Dues()
        self._forgotten: set[bytes] = set()

    def evidence(self, key: GroupingKey, now: int) -> RunEvidence | None:
        """Return the evidence of the runs with `key`, unless it is forgotten."""
        held = self.evidences.get(key.id)
        return held if held and self.evidences.lives(held, now) else None

    def expected(self, job: str) -> JobExpectation:
        """Return what was said of what is expected of `job`."""
        record = self._expected.get(job)
        return (record.expected if record else None) or _NOTHING_SAID

    @property
    def expected_jobs(self) -> int:
        """Of how many jobs the store has something that is expected."""
        return len(self._expected)

    def records(self) -> tuple[list[EvidenceChange], list[ExpectationRecord]]:
        """Return all that the store has."""
        return list(self.evidences.all()), list(self._expected.values())

    def stored_jobs(self) -> list[str]:
        """Return the names of all jobs of which the store has anything, in order."""
        return sorted(self.job_names())

    def job_names(self) -> set[str]:
        """Return the same, in no order. May be called on any thread."""
        return {*self.evidences.jobs(), *self._expected.copy()}

    def jobs(self, now: int) -> list[str]:
        """Return the names of all jobs that are known. May be called on any thread."""
        return [job for job in self.stored_jobs() if self.is_known(job, now)]

    def is_known(self, job: str, now: int) -> bool:
        """Whether `job` has runs or should have. May be called on any thread."""
        return self.expected(job).effective is not None or self.has_runs(job, now)

    def has_runs(self, job: str, now: int) -> bool:
        """Whether runs of `job` are known. May be called on any thread."""
        held = self.evidences.of_job(job)
        return any(self.evidences.lives(each, now) for each in held)

    def state(self, job: str, now: int) -> JobState:
        """Return what `job` is like at `now`. May be called on any thread."""
        return job_state(job, *self.runs_of(job, now), now)

    def runs_of(self, job: str, now: int) -> tuple[list[RunEvidence], JobExpectation]:
        """Return the evidence of `job` that is not forgotten, and what is expected of
        it, with the last start of runs that are. May be called on any thread."""
        expected, living = self.expected(job), []
        for each in self.evidences.of_job(job):
            if self.evidences.lives(each, now):
                living.append(each)
            else:
                expected = expected.having_run(each.last_start)
        return living, expected

    def running(self, key: GroupingKey, now: int) -> list[OpenRun]:
        """Return the runs with `key` that may be at work at `now`. May be called on any
        thread."""
        evidence = self.evidence(key, now)
        if evidence is None:
            return []
        return running_runs(evidence, _max_runtime(self.expected(key.job)), now)

    def forgotten(self) -> list[RunEvidence]:
        """Return what was forgotten by the last `settle`, and is still stored."""
        found = map(self.evidences.get, self._forgotten)
        return [evidence for evidence in found if evidence is not None]

    @property
    def work(self) -> int:
        """How many pages `settle` has to make for what was noted."""
        changed = len(self._changed_keys) + len(self._changed_jobs)
        return changed + len(self._changed_instances)

    @property
    def next_due(self) -> float:
        """Before it, `settle` would change nothing; Unix nanoseconds."""
        if self.work:
            return -inf
        return min(self._key_dues.next, self._expected_pages.dues.next)

    def note(
        self, runs: Iterable[EvidenceChange], records: Iterable[ExpectationRecord]
    ) -> None:
        """Take over what the store has of runs and expectations."""
        for change in runs:
            if isinstance(change, Emptied):
                before = self.evidences.remove(change.id)
            else:
                before = self.evidences.get(change.key.id)
                self.evidences.put(change)
            self._note_evidence(before, change)
        for record in records:
            before_it = self.expected(record.job)
            if record.expected is None:
                self._expected.pop(record.job, None)
            else:
                self._expected[record.job] = record
            self._note_expected(record.job, before_it)

    def settle(self, now: int) -> set[str]:
        """Show what was noted, and what is so at `now`; return the names of the
        families that look different."""
        self.prepare(now)
        return self.show()

    def show(self) -> set[str]:
        """Show the pages that were prepared; return the names of the families that look
        different."""
        return self.pages.update()

    def prepare(self, now: int, most: int | None = None) -> bool:
        """Make the pages of what was noted, and of what is so at `now`, to be shown;
        return whether that is all.

        most: about so many are made at a time.
        """
        self._changed_keys.update(self._key_dues.take(now))
        self._changed_instances.update(self._expected_pages.dues.take(now))
        left = self.work if most is None else most
        for id_ in _taken(self._changed_keys, left):
            self._show_runs(id_, now)
            left -= 1
        jobs = set(_taken(self._changed_jobs, left))
        for job in jobs:
            self._expected_pages.show_job(job, self.expected(job), now)
        # Who was forgotten just now is among them.
        left = len(self._changed_instances) if most is None else left - len(jobs)
        for at in _taken(self._changed_instances, left):
            job, _ = at
            if job not in jobs:
                self._expected_pages.show_instance(at, self.expected(job), now)
        return not self.work

    def _note_evidence(
        self, before: RunEvidence | None, change: EvidenceChange
    ) -> None:
        after = None if isinstance(change, Emptied) else change
        known = after or before
        if known is None:
            return
        self._changed_keys.add(known.key.id)
        if not (before and after and before.last_start == after.last_start):
            self._note_start(known.key)

    def _note_start(self, key: GroupingKey) -> None:
        self._changed_instances.add((key.job, instance_of(key)))

    def _note_expected(self, job: str, before: JobExpectation) -> None:
        after = self.expected(job)
        # With each report, it is said by a later run.
        if replace(before, reported_at=after.reported_at) != after:
            self._changed_jobs.add(job)
        if _max_runtime(before) != _max_runtime(after):
            keys = [each.key.id for each in self.evidences.of_job(job)]
            self._changed_keys.update(keys)

    def _show_runs(self, id_: bytes, now: int) -> None:
        """Make anew what is shown of the runs of the key `id_`."""
        evidence, name = self.evidences.get(id_), id_.hex()
        if evidence is None or not self.evidences.lives(evidence, now):
            self._key_dues.drop(id_)
            self.pages.remove(name)
            self._note_forgotten(id_, evidence)
            return
        self._forgotten.discard(id_)
        key = evidence.key
        opened = open_runs(evidence, _max_runtime(self.expected(key.job)), now)
        due = min(opened.due or inf, self.evidences.forget_at(id_))
        if due < inf:
            self._key_dues.enter(id_, int(due))
        bounds = self._policies.buckets_of(key)
        self.pages.put(name, RunPage(key, evidence_payload(evidence, opened, bounds)))

    def _note_forgotten(self, id_: bytes, evidence: RunEvidence | None) -> None:
        if evidence is None:
            self._forgotten.discard(id_)
        elif id_ not in self._forgotten:
            self._forgotten.add(id_)
            self._note_start(evidence.key)


def _taken(tokens: set[_Token], most: int) -> list[_Token]:
    """Remove so many of `tokens`; return them."""
    return [tokens.pop() for _ in range(min(most, len(tokens)))]


def _max_runtime(expected: JobExpectation) -> int | None:
    expectation = expected.effective
    return expectation.max_runtime if expectation else None
