"""What someone may know of a job: all of it, or the part that a bounded grant covers.

A part is shown as if it were all: nothing of it tells of the rest. Unix nanoseconds
throughout.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pushrelay.board_rows import BoardRow, JobRuns, place_of, row_of
from pushrelay.expectations import JobExpectation
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.rights import Grant
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_states import instance_of
from pushrelay.schedule import Expectation


@dataclass(frozen=True, slots=True)
class JobPart:
    """What is known of a job, or a part of that.

    evidences: of its keys, without forgotten ones. expected: what was said, with the
    last start of those that are forgotten.
    """

    job: str
    evidences: Sequence[RunEvidence]
    groups: Sequence[Group]
    expected: JobExpectation

    def rows(self, now: int, forget_at: Callable[[bytes], float]) -> list[BoardRow]:
        """Return the rows at `now` that are made of no more than this part, in the
        order of attention; none stands for the job as a whole. forget_at: as in
        JobRuns."""
        if not (self.evidences or self.groups or self.expected.instances):
            return []  # mostly it is so, and all else takes longer
        by_instance = defaultdict[str, list[Group]](list)
        for group in self.groups:
            by_instance[instance_of(group.key)].append(group)
        runs = JobRuns(self.job, self.evidences, self.expected, now, forget_at)
        with_runs = {instance_of(each.key) for each in self.evidences}
        with_runs.update(self.expected.instances)
        found = [
            row_of(
                self.job,
                instance,
                runs.state(instance) if instance in with_runs else None,
                by_instance[instance],
                now,
            )
            for instance in {*by_instance, *with_runs}
        ]
        return sorted([row for row in found if row is not None], key=place_of)


def part_for(grant: Grant, known: JobPart) -> JobPart:
    """Return what `grant` covers of what is `known` of a job."""
    job = known.job
    if grant.covers_job(job):
        return known
    evidences = [each for each in known.evidences if grant.covers(each.key)]
    groups = [each for each in known.groups if grant.covers(each.key)]
    expected = _expected_for(grant, job, known.expected, evidences)
    return JobPart(job, evidences, groups, expected)


def _expected_for(
    grant: Grant, job: str, expected: JobExpectation, evidences: Sequence[RunEvidence]
) -> JobExpectation:
    """Return what may be known of what is expected by who does not see all of a job.

    Whether a run came that was expected of any instance would tell of the others.
    """
    effective = expected.effective
    if effective is None:
        return JobExpectation()
    instances = {instance_of(each.key) for each in evidences}
    if effective.per_instance and all(
        _covers_instance(grant, job, each) for each in instances
    ):
        named = [
            each for each in expected.instances if _covers_instance(grant, job, each)
        ]
        return replace(expected, instances=tuple(named), last_start=0)
    if effective.max_runtime is None:
        return JobExpectation()
    return JobExpectation(api=Expectation(max_runtime=effective.max_runtime))


def _covers_instance(grant: Grant, job: str, instance: str) -> bool:
    return grant.covers_all_series(GroupingKey.of({"job": job, "instance": instance}))
