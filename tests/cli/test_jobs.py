from __future__ import annotations

import json
from typing import Any

import click
import pytest
from canned_server import Asked, Canned, CannedServer, data, problem
from command import call, run, run_on_terminal
from relay_process import REPOSITORY

from pushrelay.cli.jobs import _COLOURS, _WRONG, _table
from pushrelay.run_states import State

NOW = 1_700_000_000
STATES = ["ok", "running", "failed", "overdue", "abandoned", "paused", "never ran"]


def job(name: str, state: str = "ok", **more: Any) -> dict[str, Any]:
    last_run = {
        "id": "0189f0a4-0000-7000-8000-000000000000",
        "outcome": "success",
        "finished_at": NOW - 7200.5,
        "duration_seconds": 41.25,
        "exit_code": 0,
    }
    return {
        "job": name,
        "state": state,
        "last_start": NOW - 7300,
        "last_run": last_run,
        "last_success": NOW - 7200.5,
        "running": 0,
        "running_since": None,
        "abandoned": 0,
        "abandoned_since": None,
        "consecutive_failures": 0,
        "failing_since": None,
        "next_expected": NOW + 3 * 3600,
        "overdue": False,
        "missed_slots": 0,
        "paused_until": None,
        "expectation": {"every": "5h"},
        "expectation_from": "report",
        "instances": 1,
        **more,
    }


class Jobs:
    """Answers as a relay with these jobs does."""

    def __init__(self, *jobs: dict[str, Any]) -> None:
        self.jobs = {each["job"]: each for each in jobs}

    def __call__(self, asked: Asked) -> Canned:
        if asked.path == "/api/v1/jobs":
            return self.page(asked)
        name = asked.path.removeprefix("/api/v1/jobs/")
        if name in self.jobs:
            return data(self.jobs[name])
        return problem(404, reason="unknown_job", detail="there is no such job")

    def page(self, asked: Asked) -> Canned:
        first = int(asked.parameters.get("cursor", ["0"])[0])
        behind = first + int(asked.parameters["limit"][0])
        more = behind < len(self.jobs)
        entries = list(self.jobs.values())[first:behind]
        return data({"jobs": entries, "next": str(behind) if more else None})


ALL = Jobs(*[job(f"job-{state[:2]}", state) for state in STATES])
WRONG = ["job-fa", "job-ov", "job-ab"]


def names(document: str) -> list[str]:
    return [each["job"] for each in json.loads(document)]


def test_all_states_are_known() -> None:
    assert {*_COLOURS} == {*STATES} == {state.value for state in State}
    assert {*_COLOURS} > _WRONG


@pytest.mark.parametrize("page", ["docs/getting-started.md", "docs/cli.md"])
def test_the_example_in_the_docs_is_such_a_table(page: str) -> None:
    day = 86400
    failure = {"finished_at": NOW - 60, "outcome": "failure"}
    success = {"finished_at": NOW - 26 * 3600, "outcome": "success"}
    jobs = [
        job(
            *("backup", "failed"),
            last_run=failure,
            next_expected=NOW + 23 * 3600,
            failing_since=NOW - 2 * day,
        ),
        job("nightly-report", next_expected=NOW + 22 * 3600),
        job("sync", "overdue", last_run=success, next_expected=NOW - 7200),
        job("new-report", "never ran", last_run=None, next_expected=NOW + 60),
    ]
    shown = {"docs/getting-started.md": jobs[:3], "docs/cli.md": jobs}[page]
    lines = [click.unstyle(line) for line in _table(shown, NOW * 10**9, None)]
    assert "```text\n" + "\n".join(lines) + "\n```" in (REPOSITORY / page).read_text()


def test_the_table() -> None:
    failed = job(
        "backup",
        "failed",
        last_run={"finished_at": NOW - 60, "outcome": "failure"},
        next_expected=None,
        failing_since=NOW - 86400 * 2,
    )
    jobs = [
        job("nightly report"),
        failed,
        job("late", "overdue", next_expected=NOW - 7200),
        job("new", "never ran", last_run=None, next_expected=NOW + 60),
    ]
    shown = [click.unstyle(each) for each in _table(jobs, NOW * 10**9, None)]
    assert shown == [
        "STATE      LAST RUN         NEXT     FAILING SINCE  JOB",
        "ok         2h ago, success  in 3h    -              nightly report",
        "failed     1m ago, failure  -        2d ago         backup",
        "overdue    2h ago, success  2h late  -              late",
        "never ran  never            in 1m    -              new",
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [([], "once it has reported a run"), (["--state=ok"], "no such jobs are known")],
)
def test_that_there_are_no_jobs_is_told(options: list[str], told: str) -> None:
    with CannedServer(Jobs()) as server:
        done = call("jobs", *options, "--url", server.url)
    assert (done.returncode, done.stdout) == (0, "")
    assert told in done.stderr


def test_the_table_tells_since_when_runs_have_not_ended() -> None:
    jobs = [
        job("a", "running", running_since=NOW - 180),
        job("b", "abandoned", abandoned_since=NOW - 7200, last_run=None),
        job("c", "overdue", running_since=NOW - 180),
    ]
    shown = [click.unstyle(each) for each in _table(jobs, NOW * 10**9, None)]
    assert [each[11:].split("  ")[0] for each in shown[1:]] == [
        *("running for 3m", "began 2h ago", "2h ago, success")
    ]


def test_names_are_cut_last() -> None:
    jobs = [job("x" * 38, failing_since=NOW - 60), job("y")]
    late = _table(jobs, NOW * 10**9, 76)
    headings, first, second = [click.unstyle(each) for each in late]
    assert first.endswith("  " + "x" * 38)
    assert first.startswith("ok     2h ago, ")
    assert headings.endswith("JOB")
    assert len(first) == 76
    assert second.endswith("  y")


def test_the_table_is_plain_when_it_is_piped() -> None:
    with CannedServer(ALL) as server:
        done = run("jobs", "--url", server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == len(STATES) + 1
    assert "\x1b" not in done.stdout


def test_states_have_colours_on_a_terminal() -> None:
    with CannedServer(ALL) as server:
        code, shown = run_on_terminal("", "jobs", "--url", server.url)
        _, plain = run_on_terminal("", "jobs", "--url", server.url, NO_COLOR="1")
    assert code == 0
    assert "\x1b[31mfailed   \x1b[0m" in shown
    assert "\x1b[32mok       \x1b[0m" in shown
    assert "\x1b" not in plain
    assert click.unstyle(shown) == plain


def test_nothing_that_is_listed_has_the_terminal_do_anything() -> None:
    bad = "\x1b]0;x\a\n\u202e"
    last_run = {"finished_at": NOW, "outcome": bad}
    with CannedServer(Jobs(job(bad, bad, last_run=last_run))) as server:
        done = run("jobs", "--url", server.url)
        missing = run("jobs", "a\x1b[2J", "--url", server.url)
    assert done.returncode == 0
    assert done.stdout.replace("\n", "").isprintable()
    assert '"\\x1b]0;x\\a\\n\\u202e"' in done.stdout
    assert missing.stderr == 'Error: the relay knows nothing of "a\\x1b[2J"\n'


def test_what_the_output_has_no_characters_for_is_escaped() -> None:
    with CannedServer(Jobs(job("überschüsse"))) as server:
        done = run("jobs", "--url", server.url, PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.endswith("\\xfcbersch\\xfcsse\n")


def test_all_pages_are_fetched() -> None:
    many = Jobs(*[job(f"job-{number:04}") for number in range(2345)])
    with CannedServer(many) as server:
        done = call("jobs", "--output=json", "--url", server.url)
    assert names(done.stdout) == list(many.jobs)
    assert len(server.asked) == 3


def test_json_is_an_array_of_what_the_relay_says() -> None:
    with CannedServer(ALL) as server:
        done = call("jobs", "--output=json", "--url", server.url)
    assert json.loads(done.stdout) == list(ALL.jobs.values())


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--state=failed"], ["job-fa"]),
        (["--state=never-ran", "--state=ok"], ["job-ok", "job-ne"]),
        (["job-pa", "job-ok", "job-pa"], ["job-pa", "job-ok"]),
        (["job-pa", "job-ok", "--state=paused"], ["job-pa"]),
    ],
)
def test_jobs_are_chosen(arguments: list[str], shown: list[str]) -> None:
    with CannedServer(ALL) as server:
        done = call("jobs", *arguments, "--output=json", "--url", server.url)
    assert (done.returncode, names(done.stdout)) == (0, shown)


def test_the_relay_chooses_by_one_state() -> None:
    with CannedServer(ALL) as server:
        call("jobs", "--state=never-ran", "--url", server.url)
        call("jobs", "--state=ok", "--state=failed", "--url", server.url)
    asked = [asked.parameters.get("state") for asked in server.asked]
    assert asked == [["never ran"], None]


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        ([], 1, WRONG),
        (["--state=overdue", "--state=running"], 1, ["job-ov"]),
        (["--state=running"], 0, []),
        (["job-ok", "job-fa"], 1, ["job-fa"]),
        (["job-ok", "job-pa", "job-ne", "job-ru"], 0, []),
    ],
)
def test_a_check_shows_what_is_wrong_and_says_so_in_its_exit_code(
    arguments: list[str], code: int, shown: list[str]
) -> None:
    with CannedServer(ALL) as server:
        done = call("jobs", "--check", *arguments, "--output=json", "--url", server.url)
        table = call("jobs", "--check", *arguments, "--url", server.url)
    assert (done.returncode, names(done.stdout)) == (code, shown)
    assert (table.returncode, done.stderr) == (code, "")
    rows = [line.split()[-1] for line in table.stdout.splitlines()[1:]]
    assert rows == shown
    assert bool(table.stdout) == bool(shown)


def test_a_job_that_runs_again_has_still_failed() -> None:
    again = job("again", "running", failing_since=NOW - 60)
    paused = job("paused", "paused", failing_since=NOW - 60)
    with CannedServer(Jobs(again, paused)) as server:
        done = call("jobs", "--check", "--output=json", "--url", server.url)
    assert (done.returncode, names(done.stdout)) == (1, ["again"])


@pytest.mark.parametrize("options", [[], ["--check"]])
def test_a_job_that_is_not_known_is_told_after_the_others(options: list[str]) -> None:
    with CannedServer(ALL) as server:
        done = call("jobs", "gone", "job-fa", "lost", *options, "--url", server.url)
    assert done.returncode == 1
    assert done.stdout.splitlines()[1].endswith("job-fa")
    assert done.stderr == "Error: the relay knows nothing of gone, lost\n"


def test_names_are_sent_as_a_path_has_them() -> None:
    with CannedServer(ALL) as server:
        call("jobs", "a/b c", "..", "--url", server.url)
    targets = [asked.target for asked in server.asked]
    assert targets == ["/api/v1/jobs/a%2Fb%20c", "/api/v1/jobs/%2E%2E"]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem(503, reason="unavailable", detail="busy"), 3),
        (problem(403, reason="forbidden", detail="no"), 1),
        (problem(404, reason="not_found", detail="no such path"), 1),
        (Canned(200, b"<html>"), 3),
    ],
)
def test_a_relay_that_does_not_say_is_no_check_that_went_well(
    answer: Canned, code: int
) -> None:
    with CannedServer(lambda _: answer) as server:
        for arguments in (["--check"], ["--check", "a"]):
            done = call("jobs", *arguments, "--url", server.url)
            assert (done.returncode, done.stdout) == (code, "")


@pytest.mark.parametrize(
    "arguments",
    [
        [""],
        ["--state=gone"],
        ["--output=xml"],
        ["--check", "--state=ok"],
        ["--check", "--state=failed", "--state=never-ran"],
        ["--check", "--state=paused"],
    ],
)
def test_a_wrong_call_asks_no_relay(arguments: list[str]) -> None:
    with CannedServer(ALL) as server:
        done = call("jobs", *arguments, "--url", server.url)
    assert done.returncode == 2
    assert server.asked == []
