"""What someone may see of a job: all of it, or what a bounded grant covers."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from pushrelay.board_rows import BoardRow
from pushrelay.expectations import JobExpectation
from pushrelay.group_list import groups_of_job
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.relay import Relay
from pushrelay.rights import Grant, Identity
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_states import instance_of
from pushrelay.seen_jobs import JobPart, part_for
from pushrelay.shown import shown
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
    evidences, expected = relay.runs.known_now(job)
    known = JobPart(job, evidences, groups_of_job(relay.groups(), job), expected)
    part, all_rows = part_for(grant, known), relay.overview.rows_of(job, grant)
    rows = [row for row in all_rows if instance in (None, row.instance)]
    if not rows:
        raise _unknown(job, instance)
    return SeenJob(
        job,
        instance,
        rows,
        [each for each in part.evidences if instance in (None, instance_of(each.key))],
        [each for each in part.groups if instance in (None, instance_of(each.key))],
        part.expected,
        len(rows) == len(all_rows),
        grant.covers_job(job),
        now,
    )


def _unknown(job: str, instance: str | None) -> HTTPError:
    which = "" if instance is None else f" with the instance {shown(instance)}"
    return HTTPError(
        HTTPStatus.NOT_FOUND,
        f"nothing is known of a job {shown(job)}{which}; it is once it has pushed or "
        "reported a run, or once someone has said when it should run",
    )
