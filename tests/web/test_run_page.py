"""The page of a run: how it ended, what it said, what came before and after."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from pages_use import HOUR, MARKUP, MINUTE, Told, links_on, reader, words_of

from pushrelay.errors import StoreUnavailable
from pushrelay.listed_runs import ListedRun
from pushrelay.web.pages import run as run_page


def page_of(told: Told, id_: str) -> str:
    return told.page("run", id=id_)


@pytest.mark.parametrize(
    ("outcome", "fields", "said"),
    [
        ("success", {"exit_code": 0}, "succeeded 1 min ago, after 1 min 30 s"),
        ("failure", {"exit_code": 3}, "exited with 3 1 min ago"),
        ("failure", {}, "failed 1 min ago"),
        ("timeout", {"signal": 15}, "timed out 1 min ago"),
        ("signal", {"signal": 9}, "killed by signal 9 (SIGKILL) 1 min ago"),
        ("signal", {"signal": 99}, "killed by signal 99 1 min ago"),
        ("signal", {}, "killed by a signal 1 min ago"),
        ("skipped", {}, "skipped: another run had the lock 1 min ago"),
    ],
)
def test_how_it_ended_is_told_in_words(
    told: Told, job: str, outcome: str, fields: dict[str, Any], said: str
) -> None:
    id_ = told.ended(job, MINUTE, outcome, 90, **fields)
    assert said in words_of(page_of(told, id_))


def test_a_run_that_goes_on_tells_for_how_long(told: Told, job: str) -> None:
    id_ = told.began(job, 5 * MINUTE)
    said = words_of(page_of(told, id_))
    assert "still running for 5 min" in said
    assert "No output" not in said


def test_a_run_nobody_waits_for_is_abandoned(told: Told, job: str) -> None:
    told.expect(job, max_runtime="1h")
    id_ = told.began(job, 2 * HOUR)
    assert "abandoned: no end was reported" in words_of(page_of(told, id_))


def test_all_that_is_known_of_it_is_told(told: Told, job: str) -> None:
    usage = {
        **{"user_seconds": 12.25, "system_seconds": 0.5, "max_rss_bytes": 2**27},
        **{"block_reads": 12, "block_writes": 4000, "voluntary_switches": 9},
    }
    id_ = told.ended(
        job,
        usage=usage,
        labels={"instance": "db1", "env": "prod"},
        host="db1.example",
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )
    html = page_of(told, id_)
    said = words_of(html)
    for fact in (
        "Host db1.example",
        "env prod",
        "CPU time 12 s user, 500 ms system",
        "Memory 128 MiB at most",
        "Blocks 12 read, 4,000 written",
        "Context switches 9 voluntary",
        "Trace 0af7651916cd43dd8448eb211c80319c",
        f"Run {id_}",
    ):
        assert fact in said
    assert links_on(html, "job") == [f"./job?job={job}&instance=db1"]


def test_what_it_wrote_is_told_stream_by_stream(told: Told, job: str) -> None:
    tail = {"stdout": "rows: 5\n", "stderr": "\n  disk <full>\n"}
    html = page_of(told, told.ended(job, 0, "failure", output_tail=tail))
    # The first line end behind a pre is none.
    assert ">\n\n  disk &lt;full&gt;\n</pre>" in html
    assert html.index("disk") < html.index("rows: 5")
    assert "stderr, the last 15 bytes" in words_of(html)
    assert "stdout, the last 8 bytes" in words_of(html)


def test_without_output_it_is_told_how_to_have_it(told: Told, job: str) -> None:
    said = words_of(page_of(told, told.ended(job, 0, "failure")))
    assert "No output was reported. pushrelay exec --output-tail 10kB" in said


def test_what_was_wrong_with_its_metrics_is_told(told: Told, job: str) -> None:
    said = words_of(page_of(told, told.ended(job, metrics="rows{ 5\n")))
    assert "Its metrics were refused" in said
    assert "rows" in said


def test_the_runs_before_and_after_it_are_links(told: Told, job: str) -> None:
    ids = [told.ended(job, HOUR * (3 - number)) for number in range(3)]
    told.ended(job, 90 * MINUTE, labels={"instance": "other"})
    beside = [
        re.findall(r'rel="(prev|next)" href="\./run\?id=([^"]*)"', page_of(told, id_))
        for id_ in ids
    ]
    assert beside == [
        [("next", ids[1])],
        [("prev", ids[0]), ("next", ids[2])],
        [("prev", ids[1])],
    ]


def test_beside_a_run_of_long_ago_nothing_is_looked_for(
    told: Told, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_page, "NEIGHBOURS", 1)
    id_ = told.ended(job, HOUR)
    told.ended(job)
    assert 'rel="' not in page_of(told, id_).partition("<main")[2]


def test_an_attempt_whose_others_are_not_known_stands_alone(
    told: Told, job: str
) -> None:
    told.ended(job, HOUR)
    said = words_of(page_of(told, told.ended(job, attempt=3)))
    assert "Attempt 3" in said
    assert "Attempts" not in said


def test_attempts_are_shown_together(told: Told, job: str) -> None:
    told.ended(job, 2 * HOUR)
    ids = [
        told.ended(job, (4 - number) * MINUTE, outcome, attempt=number)
        for number, outcome in enumerate(("failure", "timeout", "success"), 1)
    ]
    told.ended(job, 0)
    for id_ in ids:
        table = page_of(told, id_).partition("Attempts</h2>")[2]
        assert re.findall(r"\./run\?id=([0-9a-f-]{36})", table) == ids
        assert re.findall(r'\?id=([0-9a-f-]{36})" aria-current="page"', table) == [id_]


def test_a_run_that_was_tried_once_has_no_attempts(told: Told, job: str) -> None:
    told.ended(job, HOUR)
    assert "Attempt" not in page_of(told, told.ended(job))


def test_a_run_is_shown_though_what_is_beside_it_takes_too_long(
    told: Told, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.ended(job, HOUR, "failure")
    id_ = told.ended(job, attempt=2)

    def hang(*_: object) -> None:
        raise StoreUnavailable("the database did not answer")

    monkeypatch.setattr(told.relay.relay.runs, "find_all_blocking", hang)
    said = words_of(page_of(told, id_))
    assert "the runs beside this one are not known" in said
    assert "succeeded" in said


def test_all_attempts_are_asked_for_at_once(
    told: Told, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [told.ended(job, 60 - n, "failure", attempt=n) for n in range(1, 16)]
    runs, asked = told.relay.relay.runs, []

    def find_all(ids: list[bytes]) -> dict[bytes, ListedRun]:
        asked.append(ids)
        return found_by(ids)

    found_by = runs.find_all_blocking
    monkeypatch.setattr(runs, "find_all_blocking", find_all)
    table = page_of(told, ids[12]).partition("Attempts</h2>")[2]
    assert re.findall(r"\./run\?id=([0-9a-f-]{36})", table) == ids[2:]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "id_", ["", "x", "0190b5a4-7e12-7c4e-9a51-3f1f2a6d8c00", MARKUP]
)
def test_what_is_no_run_that_is_known_is_not_found(told: Told, id_: str) -> None:
    html = told.page("run", 404, id=id_)
    assert "is no id of a run" in html or "it was not reported" in html
    assert html.count("<script") == 1


def test_what_is_not_theirs_is_not_found_either(told: Told, job: str) -> None:
    id_, unknown = told.ended(job), str(uuid.uuid4())
    mine = reader('{job="other"}')
    theirs = told.page_for(mine, "run", 404, id=id_)
    assert theirs.replace(id_, unknown) == told.page_for(mine, "run", 404, id=unknown)
    told.page_for(reader(f'{{job="{job}"}}'), "run", id=id_)


def test_nothing_from_outside_is_markup(told: Told) -> None:
    tail = {"stdout": MARKUP, "stderr": MARKUP}
    id_ = told.ended(MARKUP, 0, "failure", output_tail=tail, host=MARKUP)
    html = page_of(told, id_)
    assert html.count("<script") == html.count("</script>") == 1
