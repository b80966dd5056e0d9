"""Jobs that job rules name, so that one is missed that never ran.

A rule names a job if its selector has a matcher `job="x"`, and beside that at most one
such as `instance="db1"`. What is expected is the word of the first rule that matches
the job, as always, which may be another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import merge

from pushrelay.job_rules import JobRule, JobRules
from pushrelay.matchers import MatchType, Selector
from pushrelay.schedule import Expectation

_NAMING = {"job", "instance"}


@dataclass(frozen=True, slots=True)
class NamedJob:
    """When a job is expected to run that may never have run.

    expectation: of the job as a whole, always with slots: what holds for the key with
        `job` alone, or else for the first of its instances that the rules name.
        Where it is `per_instance` and no instance is named, none is known yet.
    instances: those that the rules name and expect to run each, with what is expected
        of them; all with slots and `per_instance`.
    """

    expectation: Expectation
    instances: Mapping[str, Expectation] = field(default_factory=dict)


def find_named_jobs(rules: JobRules) -> dict[str, NamedJob]:
    """Return the jobs that `rules` name and expect to run at certain times."""
    index = _Index(rules)
    found = {}
    for job, instances in _names(rules).items():
        # The key with `job` alone is the first, and an empty label is none.
        said = {each: index.slots_of(job, each) for each in ["", *instances]}
        expected = {each: slots for each, slots in said.items() if slots is not None}
        if expected:
            whole = next(iter(expected.values()))
            single = {
                each: slots
                for each, slots in expected.items()
                if each and slots.per_instance
            }
            found[job] = NamedJob(whole, single)
    return found


def _names(rules: JobRules) -> dict[str, list[str]]:
    """Return the jobs that rules name, each with its instances that they name."""
    names: dict[str, list[str]] = {}
    for rule in rules.rules:
        labels = _named_labels(rule.selector)
        if labels is not None:
            instances = names.setdefault(labels["job"], [])
            if labels.get("instance"):
                instances.append(labels["instance"])
    return names


def _named_labels(selector: Selector) -> dict[str, str] | None:
    labels = {matcher.name: matcher.value for matcher in selector.matchers}
    are_equalities = all(
        matcher.type is MatchType.EQUAL for matcher in selector.matchers
    )
    # What does not match itself asks for two values of one label.
    is_name = are_equalities and labels.keys() <= _NAMING and selector.matches(labels)
    return labels if is_name and labels.get("job") else None


class _Index:
    """The rules by the job that they are for, if it is one. To try all rules for all
    jobs that they name would take minutes for the largest files."""

    def __init__(self, rules: JobRules) -> None:
        self._by_job: dict[str | None, list[tuple[int, JobRule]]] = {}
        for numbered in enumerate(rules.rules):
            job = numbered[1].selector.value_of("job")
            self._by_job.setdefault(job, []).append(numbered)

    def slots_of(self, job: str, instance: str) -> Expectation | None:
        """Return what is expected where these are all labels, if that has slots."""
        labels = {"job": job, "instance": instance}
        candidates = merge(self._by_job.get(job, []), self._by_job.get(None, []))
        for _, rule in candidates:
            if rule.selector.matches(labels):
                expectation = rule.expectation
                return expectation if expectation and expectation.has_slots else None
        return None
