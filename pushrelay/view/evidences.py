"""The evidence of runs as the store has it, by key, by job and by instance."""

from __future__ import annotations

from collections import defaultdict
from math import inf

from pushrelay.policies import Policies
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_states import instance_of
from pushrelay.stock import Stock, amount_of_runs


class Evidences:
    """The evidence of all keys that have runs, forgotten ones among them.

    What is forgotten is as good as nothing, whether or not the store still has it; but
    in the `stock` it is counted.
    """

    def __init__(self, policies: Policies) -> None:
        self.stock = Stock()
        self._policies = policies
        self._held: dict[bytes, RunEvidence] = {}
        # The ids of the keys of each job that has some, by instance.
        self._ids: dict[str, dict[str, set[bytes]]] = {}
        self._forget_at: dict[bytes, int] = {}
        # Of some jobs: of the others it is to be found out.
        self._last_starts: dict[str, int] = {}

    def get(self, id_: bytes) -> RunEvidence | None:
        """Return the evidence of the key `id_`, also if it is forgotten."""
        return self._held.get(id_)

    def all(self) -> list[RunEvidence]:
        """Return all evidence."""
        return list(self._held.values())

    def jobs(self) -> list[str]:
        """Return the jobs of all evidence. May be called on any thread."""
        return list(self._ids.copy())

    def of_job(self, job: str) -> list[RunEvidence]:
        """Return the evidence of all keys of `job`. May be called on any thread."""
        instances = self._ids.get(job, {}).copy().values()
        ids = [id_ for of_instance in instances for id_ in of_instance.copy()]
        return [each for each in map(self._held.get, ids) if each is not None]

    def of_instance(self, job: str, instance: str) -> list[RunEvidence]:
        """Return the evidence of the keys of `job` that have this `instance`."""
        ids = self._ids.get(job, {}).get(instance, set())
        return [self._held[id_] for id_ in ids]

    def forget_at(self, id_: bytes) -> float:
        """Return from when on the evidence of the key `id_` is forgotten."""
        return self._forget_at.get(id_, inf)

    def lives(self, evidence: RunEvidence, now: int) -> bool:
        """Whether `evidence` is not forgotten. May be called on any thread."""
        return now < self.forget_at(evidence.key.id)

    def last_start(self, job: str) -> int:
        """Return when the last run of `job` began, 0 for never."""
        last = self._last_starts.get(job)
        if last is None:
            last = max([each.last_start for each in self.of_job(job)], default=0)
            # Of jobs that come and go without a run, nothing must be left.
            if job in self._ids:
                self._last_starts[job] = last
        return last

    def put(self, evidence: RunEvidence) -> None:
        """Let `evidence` be that of its key."""
        key = evidence.key
        before = self._held.get(key.id)
        self._held[key.id] = evidence
        if before is None:
            instances = self._ids.setdefault(key.job, defaultdict(set))
            instances[instance_of(key)].add(key.id)
            self.stock.add(key.job, amount_of_runs(key))
        policy = self._policies.policy_of(key, None)
        after = None if policy is None else policy.forgets_runs_after
        if after is not None:
            self._forget_at[key.id] = evidence.last_sign_of_life + after
        if before is not None and evidence.last_start < before.last_start:
            self._last_starts.pop(key.job, None)
        elif (last := self._last_starts.get(key.job)) is not None:
            self._last_starts[key.job] = max(last, evidence.last_start)

    def remove(self, id_: bytes) -> RunEvidence | None:
        """Let nothing be known of the key `id_`; return what was."""
        evidence = self._held.pop(id_, None)
        if evidence is None:
            return None
        job, instance = evidence.key.job, instance_of(evidence.key)
        instances = self._ids[job]
        instances[instance].discard(id_)
        if not instances[instance]:
            del instances[instance]
        if not instances:
            del self._ids[job]
        self._forget_at.pop(id_, None)
        self._last_starts.pop(job, None)
        self.stock.remove(job, amount_of_runs(evidence.key))
        return evidence
