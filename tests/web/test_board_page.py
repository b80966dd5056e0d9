"""The jobs board."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import urlencode

import pytest
from board_markup import board_of, link_in, read_board
from board_reports import DAY, HOUR, Reporter
from in_process import InProcessRelay
from relay_process import HTTPClient
from relay_use import Clock

from pushrelay.board_rows import RowState


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessRelay]:
    """A relay with a job in each state."""
    clock = Clock()
    with InProcessRelay(tmp_path_factory.mktemp("relay"), clock) as relay:
        fill(relay, Reporter(relay, clock))
        clock.go(1)
        other_type = "# TYPE x counter\nx 1\n"
        assert relay.put("/metrics/job/refused", other_type).status == 400
        clock.go(1)
        yield relay


def fill(relay: HTTPClient, report: Reporter) -> None:
    report.push("cache/instance/fra", X_Pushrelay_Stale_After="1s")
    daily = {"every": "1d", "grace": "30m"}
    report.finish("report", ago=3 * DAY, seconds=42, expectation=daily)
    for ago in (50, 26, 2):
        report.finish(
            "backup",
            "failure",
            ago=ago * HOUR,
            instance="db1",
            seconds=930,
            exit_code=3,
        )
    report.finish("backup", ago=HOUR, instance="db2", seconds=0.41)
    report.start("thumbs", ago=5 * HOUR, expectation={"max_runtime": "1h"})
    report.push("refused")
    report.push("scores/instance/ml1", X_Pushrelay_Stale_After="26h")
    invoices = '{"schedule": "0 6 1 1 *", "tz": "UTC"}'
    target = "/api/v1/jobs/invoices/expectation"
    assert relay.put(target, invoices).status == 200
    report.finish("etl", "timeout", ago=7 * HOUR, seconds=5400)
    report.start("etl", ago=1800)
    report.finish("vacuum", ago=HOUR, expectation=daily)
    assert relay.post("/api/v1/jobs/vacuum/pause?until=2d").status == 200


STATES = {
    "report": "overdue",
    "backup db1": "failed",
    "refused": "failed",
    "thumbs": "abandoned",
    "cache fra": "stale",
    "invoices": "never ran",
    "etl": "running",
    "backup db2": "ok",
    "scores ml1": "ok",
    "vacuum": "paused",
}
"""Of the rows, in the order in which they need attention."""

CELLS = {
    "report": ("succeeded 2 d ago", "42 s", "2 d ago, 2 missed", ""),
    "backup db1": ("exited with 3 1 h ago", "15 min 30 s", "", "3 for 2 d"),
    "backup db2": ("succeeded 1 h ago", "410 ms", "", ""),
    "refused": ("push refused 1 s ago pushed 2 s ago", "", "", ""),
    "thumbs": ("1 run without an end", "", "", ""),
    "cache fra": ("pushed 2 s ago", "", "stale for 1 s", ""),
    "scores ml1": ("pushed 2 s ago", "", "goes stale in 25 h", ""),
    "etl": ("running for 30 min timed out 5 h ago", "1 h 30 min", "", "1 for 5 h"),
    "vacuum": ("succeeded 59 min ago", "1 min", "paused, ends in 47 h", ""),
}
"""Last run, duration, what is next, and failures."""


def test_what_needs_attention_comes_first(relay: InProcessRelay) -> None:
    rows = board_of(relay).rows
    assert {row.name: row.state for row in rows} == STATES
    assert [row.name for row in rows] == list(STATES)


@pytest.mark.parametrize("name", CELLS)
def test_a_row_says_what_its_job_is_like(relay: InProcessRelay, name: str) -> None:
    row = board_of(relay).row(name)
    assert (row.last_run, row.duration, row.next, row.failures) == CELLS[name]


def test_a_state_is_a_word_and_a_shape_and_a_colour(relay: InProcessRelay) -> None:
    page = board_of(relay)
    shapes = set()
    for row in page.rows:
        icon = re.search(r'<use href="#(.*?)"', row.markup)
        assert icon is not None
        assert f'<symbol id="{icon[1]}"' in page.html
        assert f"is-{row.state.replace(' ', '-')}" in row.markup
        shapes.add((row.state, icon[1]))
    assert len(shapes) == len({shape for _, shape in shapes}) == len(RowState)


def test_a_row_leads_to_its_job_and_its_last_run(relay: InProcessRelay) -> None:
    markup = board_of(relay).row("backup db1").markup
    assert link_in(markup, "<a ") == "/job?job=backup&instance=db1"
    assert link_in(board_of(relay).row("etl").markup, "<a ") == "/job?job=etl&instance="
    run = re.search(r'href="\./run\?id=(.*?)"', markup)
    assert run is not None
    found = relay.get(f"/api/v1/runs/{run[1]}").text
    assert '"exit_code": 3' in found.replace('":', '": ').replace(":  ", ": ")


def test_times_are_there_without_a_script(relay: InProcessRelay) -> None:
    markup = board_of(relay).row("scores ml1").markup
    assert (
        '<time datetime="2026-11-18T11:06:40Z" title="2026-11-18 11:06:40 UTC"'
    ) in markup


def test_a_row_has_its_last_runs_as_a_sparkline(relay: InProcessRelay) -> None:
    page = board_of(relay)
    with_one = {row.name for row in page.rows if 'class="sparkline"' in row.markup}
    assert with_one == {
        *("report", "backup db1", "backup db2", "thumbs", "etl", "vacuum")
    }
    markup = page.row("backup db1").markup
    assert 'aria-label="last 3 runs: 3 failure' in markup


# --- counts, filters, search ---


def test_all_states_are_counted_and_lead_to_their_rows(relay: InProcessRelay) -> None:
    page = board_of(relay)
    expected = {state.value: 0 for state in RowState}
    for state in STATES.values():
        expected[state] += 1
    assert page.counts == {"all": len(STATES), **expected}
    for state in RowState:
        query = urlencode({"state": state.value})
        assert f'href="./?{query}"' in page.html
        rows = read_board(relay.get(f"/?{query}")).rows
        assert [row.name for row in rows] == [
            name for name, word in STATES.items() if word == state.value
        ]


def test_the_title_says_how_many_need_attention(relay: InProcessRelay) -> None:
    assert "<title>(5) Jobs · pushrelay</title>" in board_of(relay).html
    assert "<title>Jobs · pushrelay</title>" in board_of(relay, search="scores").html


def test_a_state_without_rows_is_named_and_muted(relay: InProcessRelay) -> None:
    page = board_of(relay, search="backup")
    assert page.counts["paused"] == 0
    assert '<li class="is-paused none">' in page.html
    assert "state=paused" not in page.html
    assert "state=failed&amp;search=backup" in page.html.replace(
        "search=backup&amp;state=failed", "state=failed&amp;search=backup"
    )


SEARCHES = {
    "backup": ["backup db1", "backup db2"],
    " BACKUP ": ["backup db1", "backup db2"],
    "ml1": ["scores ml1"],
    '{job=~"back.*",instance!="db1"}': ["backup db2"],
    '{instance=""}': ["report", "refused", "thumbs", "invoices", "etl", "vacuum"],
    "{}": list(STATES),
    "nothing": [],
}


@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_is_a_text_or_a_selector(relay: InProcessRelay, search: str) -> None:
    page = board_of(relay, search=search)
    assert page.names == SEARCHES[search]
    assert page.counts["all"] == len(SEARCHES[search])
    field = re.search(r'name="search" type="search" value="(.*?)"', page.html)
    assert field is not None
    assert unescape(field[1]) == search


def test_a_filter_is_kept_by_a_search(relay: InProcessRelay) -> None:
    page = board_of(relay, search="b", state="failed")
    assert page.names == ["backup db1"]
    assert '<input type="hidden" name="state" value="failed">' in page.html
    assert 'aria-current="true"><svg' in page.html
    assert "is ok and matches “zz”" in board_of(relay, search="zz", state="ok").html


REFUSED = {
    "{job=": "column 6: expected a value in quotes",
    '{job=~"("}': "the regular expression cannot be used",
    '{env="prod"}': 'the label "env" is none of a row',
    "{x}": "expected =, !=, =~ or !~",
}


@pytest.mark.parametrize("search", REFUSED)
def test_a_bad_selector_is_told_and_kept(relay: InProcessRelay, search: str) -> None:
    answer = relay.get(f"/?{urlencode({'search': search})}")
    assert answer.status == 400
    page = unescape(answer.text)
    assert REFUSED[search] in page
    assert f'value="{search}"' in page
    assert 'role="alert"' in page
    assert "data-live" not in page
    assert "All jobs</a>" in page


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("state=broken", 'there is no state "broken": the states are overdue, failed'),
        ("cursor=zzz", "the cursor is none"),
    ],
)
def test_other_nonsense_is_told_too(
    relay: InProcessRelay, query: str, told: str
) -> None:
    answer = relay.get(f"/?{query}")
    assert answer.status == 400
    assert told in unescape(answer.text)


# --- frame ---


def test_what_is_live_has_a_name(relay: InProcessRelay) -> None:
    page = board_of(relay).html
    live = re.findall(r"<\w+ [^>]*data-live[^>]*>", page)
    assert [re.findall(r'id="(\w+)"', tag) for tag in live] == [["notices"], ["board"]]
    assert page.count("aria-live") == 0
    assert '<p class="quiet" id="currency" role="status"></p>' in page


def test_the_board_keeps_to_its_policy(relay: InProcessRelay) -> None:
    page = board_of(relay).html
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    links = re.findall(r'(?:href|src|action)="(.*?)"', page)
    assert all(link.startswith(("./", "#")) for link in links)
    assert 'href="./" aria-current="page">Jobs</a>' in page
    assert '<a class="skip" href="#main">' in page
