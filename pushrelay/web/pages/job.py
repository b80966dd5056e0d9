"""The page of a job: what it is like and why, what it did, and what it pushed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flask import Response, request

from pushrelay.board_rows import BoardRow
from pushrelay.errors import StoreUnavailable
from pushrelay.expectations import JobExpectation
from pushrelay.relay import Relay
from pushrelay.rights import Grant, Right
from pushrelay.store.run_list import RunFilter
from pushrelay.web.pages.addresses import job_address, run_address
from pushrelay.web.pages.expected_words import ExpectedWords, expected_words
from pushrelay.web.pages.families import NAME_CHARACTERS
from pushrelay.web.pages.group import GroupStatus, group_status
from pushrelay.web.pages.history import DAYS, History, history_of
from pushrelay.web.pages.layout import (
    cut,
    moment,
    pages,
    refresh,
    show,
    the_relay,
    who_asks,
)
from pushrelay.web.pages.run import RunEntry, run_entry
from pushrelay.web.pages.run_words import exit_words
from pushrelay.web.pages.seen_job import SeenJob, see_job
from pushrelay.web.run_places import cursor_at, place_of_run, read_run_cursor

RUNS_PER_PAGE = 50
MOST_LOOKS = 10
LOOKED_AT = 500
"""So many times, so many runs are looked at for those that belong on the page."""

MOST_ROWS = 50
GROUPS_LISTED = 20
GROUPS_READ = 3
"""So many groups are listed, and of so many of them it is shown what was pushed."""

FAMILIES_READ = 20


@dataclass(frozen=True, slots=True)
class RunsPage:
    """Some runs, the last to start first; older: address of those before them, empty if
    there are none."""

    entries: list[RunEntry]
    older: str


@pages.route("/job", methods=["GET"], provide_automatic_options=False)
def job() -> Response:
    """Show a job, or one instance of it."""
    name, instance = request.args.get("job", ""), request.args.get("instance")
    cursor, days = request.args.get("runs", ""), _days(request.args.get("days", ""))
    refresh()
    relay, identity = the_relay(), who_asks()
    seen = see_job(relay, identity, name, instance)
    grant = identity.grant
    return show(
        "job.html",
        now=moment(seen.now),
        job=cut(name, NAME_CHARACTERS),
        instance=None if instance is None else cut(instance, NAME_CHARACTERS),
        rows=seen.rows[:MOST_ROWS],
        row_count=len(seen.rows),
        expected=expected_words(seen.expected),
        history=_history(relay, seen, days),
        days=[(each, _address(seen, days=each)) for each in DAYS],
        runs=_runs(relay, seen, grant, cursor, days),
        is_first=not cursor,
        groups=_groups(seen),
        group_count=len(seen.groups),
        may_manage=grant.allows(Right.ADMIN) and grant.covers_job(name),
        is_paused=seen.is_whole and seen.expected.paused_until > seen.now,
        addresses={
            "job": job_address(name),
            "newest": _address(seen, days=days),
            **_actions(name),
        },
        moment=moment,
        cut=cut,
        exit_words=exit_words,
        job_address=job_address,
        run_address=run_address,
    )
