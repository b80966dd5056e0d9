"""The page of one group: what was pushed under its key, when, and until when it is
fresh."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlencode

from flask import Response, request

from pushrelay.freshness import Policy
from pushrelay.groups import Group
from pushrelay.rights import Right
from pushrelay.web.errors import HTTPError
from pushrelay.web.pages.addresses import group_address, job_address
from pushrelay.web.pages.families import (
    FAMILIES_PER_GROUP,
    NAME_CHARACTERS,
    FamilyEntry,
    Room,
    family_entries,
    other_labels,
)
from pushrelay.web.pages.keys import group_in, read_key, written_key
from pushrelay.web.pages.layout import (
    cut,
    moment,
    pages,
    refresh,
    show,
    the_relay,
    who_asks,
)


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """A group as its own page and the page of its job show it.

    labels: all but the job, values cut. Times are None for never. policy: None if it
    never goes stale. families: of the first ones, by name; family_count and
    series_count count all. refusal: why the last push was refused, empty if it was not
    or if nobody remembers.
    """

    labels: list[tuple[str, str]]
    address: str
    pushed_at: datetime | None
    failed_at: datetime | None
    last_push_successful: bool
    policy: Policy | None
    stale_at: datetime | None
    forget_at: datetime | None
    is_stale: bool
    withheld: int
    families: list[FamilyEntry]
    family_count: int
    series_count: int
    refusal: str


@pages.route("/group", methods=["GET"], provide_automatic_options=False)
def group() -> Response:
    """Show a group."""
    refresh()
    relay = the_relay()
    found = _found(request.args.get("key", ""))
    labels, job, grant = dict(found.key.labels), found.key.job, who_asks().grant
    evidences, expected = relay.runs.known_now(job)
    return show(
        "group.html",
        now=moment(relay.now()),
        group=group_status(found, FAMILIES_PER_GROUP, Room()),
        key=written_key(found.key),
        path=found.key.path,
        job=cut(job, NAME_CHARACTERS),
        job_address=job_address(job, labels.get("instance", "")),
        job_query=urlencode({"job": job}),
        # What only pushes has nothing to pause.
        has_runs=bool(evidences) or expected.effective is not None,
        may_manage_job=grant.allows(Right.ADMIN) and grant.covers_job(job),
    )


def group_status(group: Group, most: int, room: Room) -> GroupStatus:
    """Return what is to be said of `group`, and of `most` of its families as long as
    there is `room` on the page."""
    standing = group.standing
    families = []
    if most:
        is_timestamp = the_relay().policies.is_timestamp
        families = family_entries(group, is_timestamp, most, room)
    return GroupStatus(
        labels=other_labels(group.key),
        address=group_address(group.key),
        pushed_at=moment(group.pushed_at),
        failed_at=moment(group.failed_at),
        last_push_successful=group.last_push_successful,
        policy=standing.policy if standing else None,
        stale_at=moment(standing.stale_at) if standing else None,
        forget_at=moment(standing.forget_at) if standing else None,
        is_stale=group.is_stale,
        withheld=len(group.withheld),
        families=families,
        family_count=len(group.payload.layout.families),
        series_count=group.payload.layout.size,
        refusal="" if group.last_push_successful else _refusal(group),
    )


def _refusal(group: Group) -> str:
    """Return why the last push was refused, as far as who asks may know it."""
    for rejection in the_relay().rejections.all():
        if rejection.key == group.key and rejection.at > group.pushed_at:
            is_bounded = who_asks().grant.is_bounded
            return rejection.safe_text if is_bounded else rejection.text
    return ""


def _found(written: str) -> Group:
    """Return the group with the key that is `written` so, if who asks may see it."""
    key = read_key(written)
    group = group_in(the_relay().groups(), key)
    # Whether there is one that is none of their business is none, either.
    if group is None or not who_asks().grant.covers(key):
        raise _unknown()
    return group


def _unknown() -> HTTPError:
    return HTTPError(
        HTTPStatus.NOT_FOUND,
        "no such group is known; nothing was pushed under its key, or it was deleted, "
        "retired or forgotten since",
    )
