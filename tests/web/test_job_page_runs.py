"""The page of a job: its history, its runs, and what was pushed."""

from __future__ import annotations

import re

import pytest
from pages_use import (
    DAY,
    HOUR,
    MARKUP,
    MINUTE,
    Told,
    links_on,
    words_of,
)

from pushrelay.errors import StoreUnavailable
from pushrelay.web.pages import history
from pushrelay.web.pages import job as job_page


def page_of(told: Told, job: str, **asked: str) -> str:
    return told.page("job", job=job, **asked)


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
    assert "median 1 min 49 s" in said
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
    assert "begin again without" in told.page("job", 400, job=job, cursor="x")


def test_a_run_says_how_it_ended_where_and_at_which_attempt(
    told: Told, job: str
) -> None:
    told.ended(job, 0, "signal", signal=9, host="db1", attempt=2, took=90)
    assert (
        "killed by signal 9 (SIGKILL) 1 min 30 s signal 9 (SIGKILL) 2 db1"
        in words_of(page_of(told, job))
    )


def test_runs_without_an_end_go_on_or_are_abandoned(told: Told, job: str) -> None:
    told.expect(job, max_runtime="1h")
    told.began(job, 2 * HOUR)
    told.began(job, 5 * MINUTE)
    said = words_of(page_of(told, job)).partition(" Runs Runs,")[2]
    assert "still running 5 min so far" in said
    assert "abandoned: no end was reported" in said


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
    page_of(told, job)
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


def test_runs_are_looked_for_no_longer_than_a_page_takes(
    told: Told, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_page, "LOOKED_AT", 4)
    monkeypatch.setattr(job_page, "LOOK_SECONDS", -1.0)
    mine = told.ended(job, HOUR, labels={"instance": "x"})
    for number in range(6):
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
    assert (
        "Pushed 1 h ago, goes stale in 1 h (2 h after a push), 1 family with 1 series"
        in said
    )
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
