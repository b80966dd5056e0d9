"""The jobs board: what is known of runs, and what is expected.

What a report changes is noted, and made into families when someone looks, like what
changes as time goes by. So a report costs the same however many jobs there are, and
looking costs nothing as long as nothing was reported and nothing is due.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from math import inf

from pushrelay.changes import Emptied, EvidenceChange, ExpectationRecord
from pushrelay.expectations import JobExpectation
from pushrelay.exposition.run_families import evidence_payload, expectation_payload
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import RunPage
from pushrelay.policies import Policies
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_states import JobState, job_state, last_starts, open_runs, outlook_of
from pushrelay.schedule import Expectation
from pushrelay.view.dues import Dues
from pushrelay.view.run_pages import RunPages

_NOTHING_SAID = JobExpectation()


class Board:
    """The evidence of runs by key, and what is expected by job.

    pages: what is shown of them.
    """

    def __init__(self, policies: Policies) -> None:
        self.pages = RunPages()
        self._policies = policies
        self._evidences: dict[bytes, RunEvidence] = {}
        self._expected: dict[str, ExpectationRecord] = {}
        # The ids of the keys of each job that has runs.
        self._keys: defaultdict[str, set[bytes]] = defaultdict(set)
        # Of whom the pages are to be made anew: keys that have runs, and jobs.
        self._changed_keys: set[bytes] = set()
        self._changed_jobs: set[str] = set()
        self._key_dues: Dues[bytes] = Dues()
        self._job_dues: Dues[str] = Dues()
        # The names of the pages of each job of which runs are expected.
        self._pages_of: dict[str, set[str]] = {}

    def evidence(self, key: GroupingKey) -> RunEvidence | None:
        """Return the evidence of the runs with `key`, if there were any."""
        return self._evidences.get(key.id)

    def expected(self, job: str) -> JobExpectation:
        """Return what was said of what is expected of `job`."""
        record = self._expected.get(job)
        return (record.expected if record else None) or _NOTHING_SAID

    def records(self) -> tuple[list[EvidenceChange], list[ExpectationRecord]]:
        """Return all that the store has."""
        return list(self._evidences.values()), list(self._expected.values())

    def keys_of(self, job: str) -> list[GroupingKey]:
        """Return the keys of the runs of `job`."""
        return [evidence.key for evidence in self.evidences_of(job)]

    def jobs(self) -> list[str]:
        """Return the names of all jobs that have runs or should have. May be called on
        any thread."""
        return sorted({*self._keys.copy(), *self._expected.copy()})

    def is_known(self, job: str) -> bool:
        """Whether `job` has runs or should have."""
        return job in self._expected or job in self._keys

    def state(self, job: str, now: int) -> JobState:
        """Return what `job` is like at `now`. May be called on any thread."""
        return job_state(job, self.evidences_of(job), self.expected(job), now)

    def evidences_of(self, job: str) -> list[RunEvidence]:
        """Return the evidence of all keys of `job`. May be called on any thread."""
        found = map(self._evidences.get, self._keys.get(job, set()).copy())
        return [evidence for evidence in found if evidence is not None]

    @property
    def work(self) -> int:
        """How many pages `settle` has to make for what was noted."""
        return len(self._changed_keys) + len(self._changed_jobs)

    @property
    def next_due(self) -> float:
        """Before it, `settle` would change nothing; Unix nanoseconds."""
        if self.work:
            return -inf
        return min(self._key_dues.next, self._job_dues.next)

    def note(
        self, runs: Iterable[EvidenceChange], records: Iterable[ExpectationRecord]
    ) -> None:
        """Take over what the store has of runs and expectations."""
        for change in runs:
            if isinstance(change, Emptied):
                self._forget(change.id)
            else:
                self._know(change)
        for record in records:
            if record.expected is None:
                self._expected.pop(record.job, None)
            else:
                self._expected[record.job] = record
            self._changed_jobs.add(record.job)
            self._changed_keys |= self._keys.get(record.job, set())

    def settle(self, now: int) -> set[str]:
        """Show what was noted, and what is so at `now`; return the names of the
        families that look different."""
        for id_ in self._changed_keys.union(self._key_dues.take(now)):
            self._show_runs(id_, now)
        for job in self._changed_jobs.union(self._job_dues.take(now)):
            self._show_expectation(job, now)
        self._changed_keys, self._changed_jobs = set(), set()
        return self.pages.update()

    def _know(self, evidence: RunEvidence) -> None:
        id_, job = evidence.key.id, evidence.key.job
        before = self._evidences.get(id_)
        self._evidences[id_] = evidence
        self._keys[job].add(id_)
        self._changed_keys.add(id_)
        if before is None or before.last_start != evidence.last_start:
            self._changed_jobs.add(job)

    def _forget(self, id_: bytes) -> None:
        evidence = self._evidences.pop(id_, None)
        if evidence is None:
            return
        job = evidence.key.job
        self._keys[job].discard(id_)
        if not self._keys[job]:
            del self._keys[job]
        self._changed_keys.add(id_)
        self._changed_jobs.add(job)

    def _show_runs(self, id_: bytes, now: int) -> None:
        """Make anew what is shown of the runs of the key `id_`."""
        evidence, name = self._evidences.get(id_), id_.hex()
        if evidence is None:
            self._key_dues.drop(id_)
            self.pages.remove(name)
            return
        key = evidence.key
        expectation = self.expected(key.job).effective
        limit = expectation.max_runtime if expectation else None
        opened = open_runs(evidence, limit, now)
        if opened.due is not None:
            self._key_dues.enter(id_, opened.due)
        bounds = self._policies.buckets_of(key)
        self.pages.put(name, RunPage(key, evidence_payload(evidence, opened, bounds)))

    def _show_expectation(self, job: str, now: int) -> None:
        """Make anew what is shown of what is expected of `job`."""
        expectation = self.expected(job).effective
        said = set()
        if expectation is not None:
            for page in self._expectations(job, expectation, now):
                name = f"expected {page.key.id.hex()}"
                self.pages.put(name, page)
                said.add(name)
        for name in self._pages_of.pop(job, set()) - said:
            self.pages.remove(name)
        if said:
            self._pages_of[job] = said

    def _expectations(
        self, job: str, expectation: Expectation, now: int
    ) -> Iterator[RunPage]:
        """Yield what is shown of what is expected of `job` or each of its instances."""
        expected = self.expected(job)
        starts = last_starts(self.evidences_of(job), expected)
        for instance, last_start in starts.items():
            ahead = outlook_of(expected, last_start, now)
            if ahead.due is not None:
                self._job_dues.enter(job, ahead.due)
            key = _key_of(job, instance)
            payload = expectation_payload(key, expected, expectation, ahead, now)
            yield RunPage(key, payload)


def _key_of(job: str, instance: str) -> GroupingKey:
    labels = {"job": job, "instance": instance} if instance else {"job": job}
    return GroupingKey.of(labels)
