"""The pages that say what will be lost, before anything is deleted, retired or paused.

They change nothing. Their forms go to `web.page_actions`.
"""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, request

from pushrelay.errors import InvalidRequest
from pushrelay.expectations import JobExpectation
from pushrelay.groups import Group
from pushrelay.rights import Right
from pushrelay.run_states import last_start_of, unknown_job
from pushrelay.web.authorisation import (
    require_all_groups,
    require_group,
    require_job,
    require_right,
)
from pushrelay.web.pages.addresses import job_address
from pushrelay.web.pages.expected_words import expected_words
from pushrelay.web.pages.fitting import fitting
from pushrelay.web.pages.groups import Wanted, key_size, row_of
from pushrelay.web.pages.keys import group_in, read_key
from pushrelay.web.pages.layout import (
    moment,
    pages,
    refresh,
    show,
    the_relay,
    who_asks,
)
from pushrelay.web.parameters import Parameters

GROUPS_SHOWN = 100
"""How many groups of a job are named."""

JOBS_SHOWN = 10
"""How many jobs are offered to be retired instead."""

PAUSES = {"1h": "1 hour", "8h": "8 hours", "1d": "1 day", "1w": "1 week"}
"""What a job is paused for by one click, and how that is called."""


@pages.route("/delete", methods=["GET"], provide_automatic_options=False)
def delete() -> Response:
    """Show the groups that are to be deleted, and what is lost with them."""
    identity, parameters = who_asks(), _parameters()
    require_right(identity, Right.PUSH)
    wanted = Wanted.of(parameters)
    keys = list(dict.fromkeys(map(read_key, parameters.all("key"))))
    for key in keys:
        require_group(identity, key)
    refresh()
    there = the_relay().groups()
    found = [group for key in keys if (group := group_in(there, key)) is not None]
    return show(
        "confirm_delete.html",
        now=moment(the_relay().now()),
        rows=[row_of(group) for group in found],
        gone=len(keys) - len(found),
        families=sum([len(group.payload.layout.families) for group in found]),
        series=sum([group.payload.layout.size for group in found]),
        revision=max([group.revision for group in found], default=0),
        jobs=_jobs_of(found),
        fields=wanted.fields,
        back=wanted.address(),
    )


@pages.route("/retire", methods=["GET"], provide_automatic_options=False)
def retire() -> Response:
    """Show what is known of a job and is to be forgotten."""
    job = _job()
    refresh()
    relay = the_relay()
    groups, rows = relay.endings.groups_of(job), relay.overview.rows_of(job)
    shown = fitting(groups[:GROUPS_SHOWN], key_size)
    evidences, expected = relay.runs.known_now(job)
    if not (groups or evidences or expected.effective or relay.endings.remembers(job)):
        raise unknown_job(job)
    return show(
        "confirm_retire.html",
        now=moment(relay.now()),
        job=job,
        address=job_address(job),
        rows=[row_of(group) for group in shown],
        groups=len(groups),
        series=sum([group.payload.layout.size for group in groups]),
        runs=sum([sum(each.runs.values()) for each in evidences]),
        running=sum([row.running for row in rows]),
        last_start=moment(last_start_of(evidences, expected)),
        expected=_in_words(expected),
        is_named=job in relay.policies.named_jobs(),
    )


@pages.route("/pause", methods=["GET"], provide_automatic_options=False)
def pause() -> Response:
    """Show what a pause of a job means, and ask until when."""
    job = _job()
    refresh()
    relay = the_relay()
    evidences, expected = relay.runs.known_now(job)
    if not (evidences or expected.effective):
        raise unknown_job(job)
    paused_until = expected.paused_until
    return show(
        "confirm_pause.html",
        now=moment(relay.now()),
        job=job,
        address=job_address(job),
        expected=_in_words(expected),
        paused_until=moment(paused_until) if paused_until > relay.now() else None,
        pauses=PAUSES,
        is_bad=_parameters().one("problem") == "until",
    )


@pages.route("/wipe", methods=["GET"], provide_automatic_options=False)
def wipe() -> Response:
    """Show how much there is, before all of it is deleted."""
    require_all_groups(who_asks())
    refresh()
    groups = the_relay().groups()
    return show(
        "confirm_wipe.html",
        groups=len(groups),
        series=sum([group.payload.layout.size for group in groups]),
        is_bad=_parameters().one("problem") == "confirm",
    )


def _in_words(expected: JobExpectation) -> str:
    """Return what is expected of a job; empty if nothing is."""
    words = expected_words(expected)
    facts = [] if words is None else words.facts
    return ", ".join([f"{name[0].lower()}{name[1:]} {told}" for name, told in facts])


def _parameters() -> Parameters:
    return Parameters(request.query_string.decode("latin-1"))


def _job() -> str:
    """Return the job that is asked about, which must be for who asks as a whole."""
    job = _parameters().one("job")
    if not job:
        raise InvalidRequest("the address names no job; follow a link from its page")
    require_job(who_asks(), job)
    return job


def _jobs_of(groups: Sequence[Group]) -> list[str]:
    """Return the jobs of `groups` that who asks may retire, if they are few."""
    grant = who_asks().grant
    if not grant.allows(Right.ADMIN):
        return []
    jobs = list(dict.fromkeys([group.key.job for group in groups]))
    return [job for job in jobs if grant.covers_job(job)][:JOBS_SHOWN]
