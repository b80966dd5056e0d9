"""The page of a job: what it is like and why, what it did, what it pushed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from pages_use import (
    DAY,
    HOUR,
    MARKUP,
    MINUTE,
    Told,
    links_on,
    reader,
    told_relay,
    words_of,
)

from pushrelay.errors import StoreUnavailable
from pushrelay.rights import Right
from pushrelay.web.pages import history
from pushrelay.web.pages import job as job_page

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    with told_relay(tmp_path_factory.mktemp("relay")) as relay:
        yield relay


@pytest.fixture
def job() -> str:
    """A name that no other test has."""
    return f"job-{next(_NUMBERS)}"


def page_of(told: Told, job: str, **asked: str) -> str:
    return told.page("job", job=job, **asked)


# --- what it is like, and why ---


def _failed(told: Told, job: str) -> None:
    told.ended(job, 3 * HOUR)
    told.ended(job, 2 * HOUR, "failure", exit_code=1)
    told.ended(job, HOUR, "failure", exit_code=3)


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
            "The last run exited with 3 1 h ago. See what it said. 2 runs in a row did "
            "not succeed, the first of them 2 h ago.",
        ),
        (_overdue, "overdue", "and none has come; 2 runs are missed by now."),
        (
            _abandoned,
            "abandoned",
            "1 run began and has reported no end in the time that a run may take. "
            "The last one to end succeeded 3 h ago.",
        ),
        (_running, "running", "A run is at work for 5 min. The run before succeeded"),
        (_paused, "paused", "in 2 h. The last run succeeded 1 min ago."),
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
            "The last run succeeded 1 min ago.",
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
            "Cron schedule 0 3 * * * Time zone Europe/Berlin Grace 30m Said at the API",
        ),
        (
            {"every": "1h30m", "per_instance": True},
            "Every 1h30m Grace 5m Must run each",
        ),
        ({"on_calendar": "Mon *-*-* 03:00"}, "On calendar Mon *-*-* 03:00"),
        (
            {"max_runtime": "2h", "min_interval": "1m"},
            "Longest run 2h Least time between",
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
    assert "The last run timed out 1 h ago" in words_of(html)


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


# --- history ---


def test_runs_that_did_not_come_are_told(told: Told, job: str) -> None:
    told.expect(job, every="1h", grace="5m")
    told.clock.go(HOUR)
    told.ended(job)
    told.clock.go(4 * HOUR)
    told.ended(job)
    html = page_of(told, job, days="1")
    assert "3 expected runs did not come" in words_of(html)
    assert "; 3 missed" in words_of(html)


def test_before_something_was_expected_nothing_is_missed(told: Told, job: str) -> None:
    told.ended(job, 3 * HOUR)
    told.expect(job, schedule="* * * * *")
    assert "did not come" not in words_of(page_of(told, job))


def test_each_instance_is_missed_where_each_must_run(told: Told, job: str) -> None:
    told.expect(job, every="1h", grace="5m", per_instance=True)
    for instance in ("x", "y"):
        told.ended(job, labels={"instance": instance})
    told.clock.go(HOUR + 10 * MINUTE)
    told.ended(job, labels={"instance": "x"})
    said = words_of(page_of(told, job))
    missed = re.search(r"(\d) expected runs? did not come (.*?) How long", said)
    assert missed is not None
    assert missed[1] == "2"
    assert missed[2].count("UTC x") == missed[2].count("UTC y") == 1


def test_where_any_instance_may_run_none_is_missed_alone(told: Told, job: str) -> None:
    told.expect(job, every="1h", grace="5m")
    told.ended(job, labels={"instance": "x"})
    told.clock.go(HOUR)
    told.ended(job, took=1, labels={"instance": "y"})
    told.clock.go(HOUR)
    assert "did not come" not in words_of(page_of(told, job))
    assert "did not come" not in words_of(page_of(told, job, instance="x"))
    told.clock.go(HOUR)
    assert "expected run" in words_of(page_of(told, job))


def test_a_skipped_run_is_no_start(told: Told, job: str) -> None:
    told.expect(job, every="1h", grace="5m")
    told.ended(job, took=1)
    told.clock.go(HOUR)
    told.ended(job, 0, "skipped", 0)
    told.clock.go(10 * MINUTE)
    assert "1 expected run did not come" in words_of(page_of(told, job))


@pytest.mark.parametrize(("days", "runs"), [("1", 1), ("7", 2), ("30", 3)])
def test_the_reader_says_over_how_many_days(
    told: Told, job: str, days: str, runs: int
) -> None:
    for ago in (HOUR, 3 * DAY, 20 * DAY):
        told.ended(job, ago)
    html = page_of(told, job, days=days)
    [chart] = re.findall(r'class="chart timeline".*?aria-label="(.*?)"', html)
    assert f"{runs} run" in chart
    assert html.count('aria-current="true"') == 2  # with that of the navigation


def test_other_days_are_refused(told: Told, job: str) -> None:
    told.ended(job)
    said = words_of(told.page("job", 400, job=job, days="2"))
    assert "write 1 or 7 or 30" in said


def test_durations_have_a_median_and_a_95th_percentile(told: Told, job: str) -> None:
    for number in range(20):
        told.ended(job, HOUR * number, took=100 + number)
    said = words_of(page_of(told, job))
    assert "median 1m49s" in said.replace("1m 49s", "1m49s")
    assert "95th percentile" in said


# --- runs ---


def ids_on(html: str) -> list[str]:
    table = html.partition('<table class="runs')[2].partition("</table>")[0]
    return re.findall(r"\./run\?id=([0-9a-f-]{36})", table)


def test_all_runs_are_found_page_by_page_the_newest_first(told: Told, job: str) -> None:
    ids = [told.ended(job, MINUTE * number) for number in range(120)]
    html, found = page_of(told, job), list[str]()
    while True:
        found += ids_on(html)
        assert len(ids_on(html)) <= 50
        older = re.search(r'rel="next" href="(.*?)"', html)
        if older is None:
            break
        html = told.follow(older[1].replace("&amp;", "&"))
    assert found == ids
    assert "Newest runs" in html


def test_the_runs_of_an_instance_are_found_among_others(told: Told, job: str) -> None:
    mine = [told.ended(job, HOUR * n, labels={"instance": "x"}) for n in range(3)]
    for number in range(60):
        told.ended(job, MINUTE * number, labels={"instance": "y"})
    html = page_of(told, job, instance="x")
    assert ids_on(html) == mine
    assert "Older runs" not in html


def test_a_cursor_that_no_page_gave_is_refused(told: Told, job: str) -> None:
    told.ended(job)
    assert "begin again without" in told.page("job", 400, job=job, runs="x")


def test_a_run_says_how_it_ended_where_and_at_which_attempt(
    told: Told, job: str
) -> None:
    told.ended(job, 0, "signal", signal=9, host="db1", attempt=2, took=90)
    assert (
        "killed by signal 9 (SIGKILL) 1 min 30 s signal 9 (SIGKILL) 2 db1"
        in words_of(page_of(told, job))
    )


def test_without_the_database_the_rest_is_shown(
    told: Told, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.ended(job, HOUR, "failure", exit_code=4)

    def silent(*_: object) -> None:
        raise StoreUnavailable("no answer")

    for name in ("marks_of_keys", "listed_blocking"):
        monkeypatch.setattr(told.relay.relay.runs, name, silent)
    said = words_of(page_of(told, job))
    assert "The last run exited with 4" in said
    assert said.count("The database does not answer") == 2


def test_what_is_not_current_is_shown_without_asking_for_runs(
    told: Told, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.ended(job, HOUR)
    monkeypatch.setattr(told.relay.relay, "refresh_blocking", lambda: False)
    said = words_of(page_of(told, job))
    assert "This is what was known last." in said
    assert said.count("so that the runs are not known") == 2


def test_runs_far_behind_others_are_found_all_the_same(
    told: Told, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_page, "LOOKED_AT", 4)
    monkeypatch.setattr(job_page, "MOST_LOOKS", 2)
    mine = told.ended(job, HOUR, labels={"instance": "x"})
    for number in range(10):
        told.ended(job, MINUTE * number, labels={"instance": "y"})
    html = page_of(told, job, instance="x")
    assert ids_on(html) == []
    older = re.search(r'rel="next" href="(.*?)"', html)
    assert older is not None
    assert ids_on(told.follow(older[1].replace("&amp;", "&"))) == [mine]


def test_of_very_many_runs_the_last_ones_are_drawn(
    told: Told, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST_MARKS", 4)
    monkeypatch.setattr(history, "LEAST_MARKS", 2)
    told.expect(job, every="1h", grace="1m", per_instance=True)
    told.clock.go(4 * HOUR)
    for instance in ("x", "y", "z"):
        for ago in (0, 2 * HOUR, 3 * HOUR):
            told.ended(job, ago, took=1, labels={"instance": instance})
    said = words_of(page_of(told, job))
    assert "the oldest of these days are left out" in said
    # Of x and y, that between the last two; of z, nothing is known.
    assert "2 expected runs did not come" in said


# --- what was pushed ---


def test_what_was_pushed_is_shown_with_its_freshness(told: Told, job: str) -> None:
    told.push(f"job/{job}/zone/b?stale_after=2h", "# HELP rows Written.\nrows 5\n")
    told.clock.go(HOUR)
    said = words_of(page_of(told, job))
    assert 'zone="b"' in said
    assert "Pushed 1 h ago, goes stale in 1 h, 1 family with 1 series" in said
    assert "rows 5 untyped Written." in said


def test_a_job_of_very_many_groups_has_a_small_page(told: Told, job: str) -> None:
    lines = "".join(f'x{{job="{job}",shard="{n}"}} 1\n' for n in range(5000))
    assert told.relay.post("/api/v1/groups?by=job,shard", lines).status == 200
    html = page_of(told, job)
    assert len(html) < 50_000
    assert "All 5,000 groups" in words_of(html)
    assert "5,000" in told.follow(links_on(html, "groups")[0])


def test_nothing_from_outside_is_markup(told: Told, job: str) -> None:
    told.ended(MARKUP, 0, "failure", labels={"instance": MARKUP, "x": MARKUP})
    html = page_of(told, MARKUP)
    assert html.count("<script") == html.count("</script>") == 1
    assert "&lt;script&gt;" in html
    assert links_on(html, "run")


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
    told.expect(job, every="1h", max_runtime="2h")
    told.ended(job, HOUR, labels={"instance": "x", "env": "prod"}, host="host-mine")
    told.ended(job, 60, "failure", labels={"instance": "x"}, host="host-other")
    told.ended(job, 60, "failure", labels={"instance": "y"}, host="host-other")
    told.push(f"job/{job}/env/prod", "mine 1\n")
    told.push(f"job/{job}/env/test", "theirs 1\n")
    html = told.page_for(reader('{env="prod"}'), "job", job=job)
    said = words_of(html)
    assert "mine 1" in said
    assert "host-mine" in said
    for secret in ("theirs", "host-other", "exited", "failed", "every", "1h", '="y"'):
        assert secret not in said, secret
    assert "2h" in said
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
    assert "Every 1h" in said
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
