"""What someone may see of a job: all of it, or what a bounded grant covers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from pushrelay.board_rows import BoardRow, JobRuns, place_of, row_of
from pushrelay.expectations import JobExpectation
from pushrelay.group_list import groups_of_job
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.relay import Relay
from pushrelay.rights import Grant, Identity
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_states import instance_of
from pushrelay.schedule import Expectation
from pushrelay.shown import shown
from pushrelay.web.authorisation import covered
from pushrelay.web.errors import HTTPError


@dataclass(frozen=True, slots=True)
class SeenJob:
    """A job, or one instance of it, as someone sees it at the moment `now`.

    instance: None for all of them. rows: in the order of attention. is_all: whether
    the job has no others. is_whole: whether nothing of the job is hidden. expected:
    without what is not theirs to know.
    """

    job: str
    instance: str | None
    rows: list[BoardRow]
    evidences: list[RunEvidence]
    groups: list[Group]
    expected: JobExpectation
    is_all: bool
    is_whole: bool
    now: int

    def has(self, key: GroupingKey, grant: Grant) -> bool:
        """Whether a run with this key is among what `grant` may see here."""
        if self.instance is not None and instance_of(key) != self.instance:
            return False
        return self.is_whole or grant.covers(key)


def see_job(
    relay: Relay, identity: Identity, job: str, instance: str | None
) -> SeenJob:
    """Return what `identity` may see of a job; all is from the last refresh. Raises
    HTTPError where there is nothing."""
    grant, now = identity.grant, relay.now()
    known, expected = relay.runs.known_now(job)
    groups = covered(identity, list(groups_of_job(relay.groups(), job)))
    evidences = [each for each in known if grant.covers(each.key)]
    is_whole = grant.covers_job(job)
    if is_whole:
        rows = relay.overview.rows_of(job)
    else:
        expected = _covered_expectation(grant, job, expected, evidences)
        rows = _rows(job, evidences, expected, groups, now)
    rows_of_job = len(rows)
    if instance is not None:
        rows = [row for row in rows if row.instance == instance]
        groups = [each for each in groups if instance_of(each.key) == instance]
        evidences = [each for each in evidences if instance_of(each.key) == instance]
    if not rows:
        raise _unknown(job, instance)
    is_all = len(rows) == rows_of_job
    return SeenJob(
        job, instance, rows, evidences, groups, expected, is_all, is_whole, now
    )


def _rows(
    job: str,
    evidences: Sequence[RunEvidence],
    expected: JobExpectation,
    groups: Sequence[Group],
    now: int,
) -> list[BoardRow]:
    """Return the rows that are made of no more than these."""
    by_instance = defaultdict[str, list[Group]](list)
    for group in groups:
        by_instance[instance_of(group.key)].append(group)
    runs = JobRuns(job, evidences, expected, now)
    with_runs = {instance_of(each.key) for each in evidences}.union(expected.instances)
    found = [
        row_of(
            job,
            instance,
            runs.state(instance) if instance in with_runs else None,
            by_instance[instance],
            now,
        )
        for instance in {*by_instance, *with_runs}
    ]
    return sorted([row for row in found if row is not None], key=place_of)


def _covered_expectation(
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


def _unknown(job: str, instance: str | None) -> HTTPError:
    which = "" if instance is None else f" with the instance {shown(instance)}"
    return HTTPError(
        HTTPStatus.NOT_FOUND,
        f"nothing is known of a job {shown(job)}{which}; it is once it has pushed or "
        "reported a run, or once someone has said when it should run",
    )
