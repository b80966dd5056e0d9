"""The page of a job: what it is like and why, its instances, and who may see what."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from pages_use import (
    HOUR,
    MINUTE,
    Told,
    links_on,
    reader,
    words_of,
)

from pushrelay.rights import Right


def page_of(told: Told, job: str, **asked: str) -> str:
    return told.page("job", job=job, **asked)


# --- what it is like, and why ---


def _failed(told: Told, job: str) -> None:
    told.ended(job, 3 * HOUR)
    told.ended(job, 2 * HOUR, "failure", exit_code=1)
    told.ended(job, HOUR, "failure", exit_code=3)


def _failed_with_other_labels(told: Told, job: str) -> None:
    told.ended(job, 3 * HOUR, "failure", labels={"table": "users"})
    told.ended(job, 2 * HOUR, "failure", labels={"table": "users"})
    told.ended(job, HOUR, labels={"table": "orders"})


def _overdue(told: Told, job: str) -> None:
    told.expect(job, every="1h", grace="5m")
    told.ended(job)
    told.clock.go(3 * HOUR)


def _abandoned(told: Told, job: str) -> None:
    told.expect(job, max_runtime="1h")
    told.ended(job, 3 * HOUR)
    told.began(job, 2 * HOUR)


def _running(told: Told, job: str) -> None:
    told.ended(job, HOUR)
    told.began(job, 5 * MINUTE)


def _paused(told: Told, job: str) -> None:
    told.expect(job, every="1h")
    told.ended(job, MINUTE)
    assert told.relay.post(f"/api/v1/jobs/{job}/pause?until=2h").status == 200


def _stale(told: Told, job: str) -> None:
    told.push(f"job/{job}?stale_after=1h")
    told.clock.go(2 * HOUR)


def _refused(told: Told, job: str) -> None:
    told.push(f"job/{job}")
    told.clock.go(MINUTE)
    told.push(f"job/{job}", "x{ 1\n", 400)
    told.push(f"job/{job}", "# TYPE x gauge\nx 1 1000\n", 400)


@pytest.mark.parametrize(
    ("happen", "state", "said"),
    [
        (
            _failed,
            "failed",
            "The last run exited with 3, 1 h ago. See that run. 2 runs in a row did "
            "not succeed, the first of them 2 h ago.",
        ),
        (
            _failed_with_other_labels,
            "failed",
            "2 runs with other labels did not succeed, the first of them 3 h ago. The "
            "last run of all succeeded, 1 h ago.",
        ),
        (_overdue, "overdue", "and none has come; 2 runs are missed by now."),
        (
            _abandoned,
            "abandoned",
            "1 run began and has reported no end in the time that a run may take. "
            "The last one to end succeeded, 3 h ago.",
        ),
        (_running, "running", "A run is at work for 5 min. The run before succeeded"),
        (_paused, "paused", "in 2 h. The last run succeeded, 1 min ago."),
        (_stale, "stale", "and scrapes do not show them. The last push was 2 h ago."),
        (_refused, "failed", "must not have timestamps"),
        (
            lambda told, job: told.expect(job, every="1h"),
            "never ran",
            "No run has ended yet.",
        ),
        (
            lambda told, job: told.ended(job, 90),
            "ok",
            "The last run succeeded, 1 min ago.",
        ),
        (lambda told, job: told.push(f"job/{job}"), "ok", "The last push was 0 s ago."),
    ],
)
def test_its_state_is_told_with_the_reason(
    told: Told, job: str, happen: Callable[[Told, str], None], state: str, said: str
) -> None:
    happen(told, job)
    html = page_of(told, job)
    assert f'class="state is-{state.replace(" ", "-")}' in html
    assert said in words_of(html)


def test_of_a_job_that_failed_two_clicks_lead_to_what_the_run_said(
    told: Told, job: str
) -> None:
    tail = {"stdout": "", "stderr": "disk full"}
    id_ = told.ended(job, 60, "failure", exit_code=1, output_tail=tail)
    [address, *_] = links_on(page_of(told, job), "run")
    assert address == f"./run?id={id_}"
    assert "disk full" in told.follow(address)


@pytest.mark.parametrize(
    ("expectation", "said"),
    [
        (
            {"schedule": "0 3 * * *", "tz": "Europe/Berlin", "grace": "30m"},
            "Cron schedule 0 3 * * * Time zone Europe/Berlin Grace 30 min Said at the "
            "API",
        ),
        (
            {"every": "1h30m", "per_instance": True},
            "Every 1 h 30 min Grace 5 min Must run each",
        ),
        ({"on_calendar": "Mon *-*-* 03:00"}, "On calendar Mon *-*-* 03:00"),
        (
            {"max_runtime": "2h", "min_interval": "1m"},
            "Longest run 2 h Least time between",
        ),
    ],
)
def test_what_is_expected_is_told_as_it_was_said(
    told: Told, job: str, expectation: dict[str, Any], said: str
) -> None:
    told.expect(job, **expectation)
    assert said in words_of(page_of(told, job))


def test_what_a_report_expects_is_told_to_be_from_there(told: Told, job: str) -> None:
    told.ended(job, expectation={"every": "1h"})
    assert "Said by the job with its reports" in words_of(page_of(told, job))


# --- instances ---


def _two_instances(told: Told, job: str) -> None:
    told.ended(job, HOUR, labels={"instance": "good"})
    told.ended(job, HOUR, "timeout", labels={"instance": "bad"})
    told.push(f"job/{job}/instance/good", "rows 1\n")
    told.push(f"job/{job}", "other 1\n")


def test_all_instances_are_links_the_worst_first(told: Told, job: str) -> None:
    _two_instances(told, job)
    html = page_of(told, job)
    assert "3 instances" in words_of(html)
    assert links_on(html, "job")[:3] == [
        f"./job?job={job}&instance=bad",
        f"./job?job={job}&instance=",
        f"./job?job={job}&instance=good",
    ]
    assert "The last run timed out, 1 h ago" in words_of(html)


def test_the_page_of_an_instance_is_about_nothing_else(told: Told, job: str) -> None:
    _two_instances(told, job)
    said = words_of(page_of(told, job, instance="good"))
    assert "rows 1" in said
    assert "timed out" not in said
    assert "other" not in said
    assert f"All of {job}" in said


def test_an_empty_instance_stands_for_what_has_none(told: Told, job: str) -> None:
    _two_instances(told, job)
    said = words_of(page_of(told, job, instance=""))
    assert "other 1" in said
    assert "rows" not in said


def test_of_very_many_instances_some_are_shown(told: Told, job: str) -> None:
    lines = "".join(f'x{{job="{job}",instance="{n}"}} 1\n' for n in range(300))
    assert told.relay.post("/api/v1/groups?by=job,instance", lines).status == 200
    html = page_of(told, job)
    assert "250 more instances are on the board" in words_of(html)
    assert len(html) < 100_000


# --- who may see what ---


def test_what_is_not_known_and_what_is_not_theirs_look_alike(
    told: Told, job: str
) -> None:
    told.ended(job, labels={"instance": "x"})
    mine = reader('{job="b"}')
    unknown = told.page_for(mine, "job", 404, job="c")
    theirs = told.page_for(mine, "job", 404, job=job)
    assert theirs.replace(job, "c") == unknown
    assert "nothing is known" in told.page("job", 404, job="c")
    assert "nothing is known" in told.page("job", 404, job=job, instance="y")
    assert "nothing is known" in told.page("job", 404)


def test_of_a_job_only_what_is_theirs_is_shown(told: Told, job: str) -> None:
    told.expect(job, every="7h", max_runtime="2h")
    told.ended(job, HOUR, labels={"instance": "x", "env": "prod"}, host="host-mine")
    told.ended(job, 60, "failure", labels={"instance": "x"}, host="host-other")
    told.ended(job, 60, "failure", labels={"instance": "y"}, host="host-other")
    told.push(f"job/{job}/env/prod", "mine 1\n")
    told.push(f"job/{job}/env/test", "theirs 1\n")
    html = told.page_for(reader('{env="prod"}'), "job", job=job)
    said = words_of(html)
    assert "mine 1" in said
    assert "host-mine" in said
    for secret in ("theirs", "host-other", "exited", "failed", "every", "7 h", '="y"'):
        assert secret not in said, secret
    assert "2 h" in said
    assert '"timeline"' in html or "timeline" in html


def test_an_instance_that_is_theirs_has_its_own_expectation(
    told: Told, job: str
) -> None:
    told.expect(job, every="1h", grace="5m", per_instance=True)
    for instance in ("x", "y"):
        told.ended(job, labels={"instance": instance})
    told.clock.go(2 * HOUR)
    told.ended(job, labels={"instance": "y"})
    said = words_of(told.page_for(reader('{instance="x"}'), "job", job=job))
    assert "A run was expected" in said
    assert "Every 1 h" in said
    assert "y" not in re.findall(r"instance (\w)", said)


@pytest.mark.parametrize(
    ("match", "rights", "offered"),
    [
        ("", (Right.ADMIN,), True),
        ("", (Right.READ, Right.PUSH), False),
        (',instance="x"', (Right.ADMIN,), False),
    ],
)
def test_only_who_may_is_offered_to_end_it(
    told: Told, job: str, match: str, rights: tuple[Right, ...], offered: bool
) -> None:
    told.ended(job, labels={"instance": "x"})
    html = told.page_for(reader(f'{{job="{job}"{match}}}', *rights), "job", job=job)
    assert bool(links_on(html, "retire")) is bool(links_on(html, "pause")) is offered


def test_what_never_ran_is_not_offered_to_be_paused(told: Told, job: str) -> None:
    told.push(f"job/{job}")
    html = page_of(told, job)
    assert links_on(html, "retire")
    assert not links_on(html, "pause")
