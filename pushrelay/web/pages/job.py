"""The page of a job: what it is like and why, what it did, and what it pushed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import monotonic
from urllib.parse import urlencode

from flask import Response, g, request

from pushrelay.errors import InvalidRequest, StoreUnavailable
from pushrelay.quoting import quote
from pushrelay.relay import Relay
from pushrelay.rights import Grant, Right
from pushrelay.store.run_list import RunFilter
from pushrelay.web.pages.addresses import job_address, row_size, run_address
from pushrelay.web.pages.expected_words import expected_words
from pushrelay.web.pages.families import NAME_CHARACTERS, Room, row_labels
from pushrelay.web.pages.fitting import fitting
from pushrelay.web.pages.group import GroupStatus, group_status
from pushrelay.web.pages.groups import key_size
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
from pushrelay.web.pages.run_words import last_words
from pushrelay.web.pages.seen_job import SeenJob, see_job
from pushrelay.web.run_places import cursor_at, place_of_run, read_run_cursor

RUNS_PER_PAGE = 50
MOST_LOOKS = 10
LOOKED_AT = 500
LOOK_SECONDS = 2.0
"""So many times, so many runs are looked at for those that belong on the page, as long
as that has not taken so long."""

MOST_ROWS = 50
GROUPS_LISTED = 20
GROUPS_READ = 3
"""So many groups are listed, and of so many it is shown what was pushed."""

FAMILIES_READ = 20
USUAL_DAYS = 7


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
    cursor, days = request.args.get("cursor", ""), _days(request.args.get("days", ""))
    refresh()
    relay, identity = the_relay(), who_asks()
    seen, grant = see_job(relay, identity, name, instance), identity.grant
    return show(
        "job.html",
        now=moment(seen.now),
        job=cut(name, NAME_CHARACTERS),
        instance=None if instance is None else cut(instance, NAME_CHARACTERS),
        is_all=seen.is_all,
        rows=fitting(seen.rows[:MOST_ROWS], row_size),
        row_count=len(seen.rows),
        expected=expected_words(seen.expected),
        history=_history(relay, seen, days),
        days=[(each, each == days, _address(seen, each)) for each in DAYS],
        runs=_runs(relay, seen, grant, cursor, days),
        is_first=not cursor,
        newest=_address(seen, days),
        groups=_groups(seen),
        group_count=len(seen.groups),
        all_groups="./groups?" + urlencode({"search": _selector_of(seen)}),
        has_runs=bool(seen.evidences) or seen.expected.effective is not None,
        board="./?" + urlencode({"search": "{job=" + quote(name) + "}"}),
        may_manage=grant.allows(Right.ADMIN) and grant.covers_job(name),
        is_paused=seen.expected.paused_until > seen.now,
        whole=job_address(name),
        query=urlencode({"job": name}),
        moment=moment,
        cut=cut,
        last_words=last_words,
        job_address=job_address,
        run_address=run_address,
    )


def _days(written: str) -> int:
    """Return over how many days to look back."""
    known = {str(days): days for days in DAYS}
    if written and written not in known:
        raise InvalidRequest(
            f"the parameter days is none that a link gave; write {' or '.join(known)}"
        )
    return known.get(written, USUAL_DAYS)


def _address(seen: SeenJob, days: int, cursor: str = "") -> str:
    """Return that of the page of what is `seen`, over so many days and with the runs
    behind `cursor`."""
    more = {} if days == USUAL_DAYS else {"days": str(days)}
    if cursor:
        more["cursor"] = cursor
    return job_address(seen.job, seen.instance, **more)


def _history(relay: Relay, seen: SeenJob, days: int) -> History | None:
    """Return what became of the runs; None if the database does not answer."""
    if not g.is_current:
        return None
    try:
        return history_of(relay, seen, days)
    except StoreUnavailable:
        return None


def _runs(
    relay: Relay, seen: SeenJob, grant: Grant, cursor: str, days: int
) -> RunsPage | None:
    """Return the runs that begin behind `cursor`; None if the database does not
    answer."""
    after = read_run_cursor(cursor) if cursor else None
    if not g.is_current:
        return None
    wanted = RunFilter(job=seen.job, after=after, limit=LOOKED_AT)
    if seen.is_whole and seen.instance is None:
        wanted = replace(wanted, limit=RUNS_PER_PAGE + 1)
    found, end, until = [], None, monotonic() + LOOK_SECONDS
    try:
        for _ in range(MOST_LOOKS):
            runs = relay.runs.listed_blocking(wanted)
            found += [each for each in runs if seen.has(each.run.key, grant)]
            if len(found) > RUNS_PER_PAGE:
                end = place_of_run(found[RUNS_PER_PAGE - 1])
                break
            if len(runs) < wanted.limit:
                end = None
                break
            # Seldom there are so many of others before the next one.
            end = place_of_run(runs[-1])
            wanted = replace(wanted, after=end)
            if monotonic() > until:
                break
    except StoreUnavailable:
        return None
    entries = [run_entry(each) for each in found[:RUNS_PER_PAGE]]
    return RunsPage(entries, _address(seen, days, cursor_at(end)) if end else "")


def _groups(seen: SeenJob) -> list[GroupStatus]:
    room = Room()
    listed = fitting(seen.groups[:GROUPS_LISTED], key_size)
    statuses = [
        group_status(group, FAMILIES_READ if at < GROUPS_READ else 0, room)
        for at, group in enumerate(listed)
    ]
    return [
        replace(status, labels=row_labels(group.key))
        for status, group in zip(statuses, listed, strict=True)
    ]


def _selector_of(seen: SeenJob) -> str:
    """Return what the search of the groups finds those of what is `seen` with."""
    matchers = [f"job={quote(seen.job)}"]
    if seen.instance is not None:
        matchers.append(f"instance={quote(seen.instance)}")
    return "{" + ",".join(matchers) + "}"
