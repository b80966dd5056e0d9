from __future__ import annotations

from typing import Any

import pytest
from canned_server import Asked, Canned, CannedServer, data
from command import call, run, run_on_terminal

KNOWN = {
    "job": "a",
    "known": True,
    "instances": 0,
    "expected": False,
    "named_by_rule": False,
}
ONE_GROUP = {"count": 1, "groups": [{"job": "a"}]}
NO_GROUPS: dict[str, Any] = {"count": 0, "groups": []}


def retires(asked: Asked) -> Canned:
    """Answer as a relay with one group of the job."""
    dry_run = "dry_run" in asked.parameters
    return data({**KNOWN, "dry_run": dry_run, **ONE_GROUP})


@pytest.mark.parametrize(
    ("job", "path"),
    [
        ("a", "/api/v1/jobs/a"),
        ("a/b c", "/api/v1/jobs/a%2Fb%20c"),
        ("..", "/api/v1/jobs/%2E%2E"),
        ("ü?#", "/api/v1/jobs/%C3%BC%3F%23"),
    ],
)
def test_a_job_is_retired(job: str, path: str) -> None:
    with CannedServer(retires) as server:
        done = call("retire", job, "--yes", "--url", server.url)
    assert (done.returncode, done.stdout) == (0, "retired the job with 1 group\n")
    [asked] = server.asked
    assert (asked.method, asked.target) == ("DELETE", path)


def test_a_dry_run_shows_the_groups() -> None:
    with CannedServer(retires) as server:
        done = run("retire", "a", "--dry-run", "--url", server.url)
    assert done.stdout == '1 group of the job would be forgotten\n  {job="a"}\n'
    assert [asked.target for asked in server.asked] == ["/api/v1/jobs/a?dry_run=1"]


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"instances": 2}, "what is known of its runs would be forgotten; "),
        ({"expected": True}, "what is expected of it would be forgotten; "),
        (
            {"instances": 2, "expected": True},
            "what is known of its runs and what is expected of it would be forgotten; ",
        ),
        ({}, "when it pushed last would be forgotten; "),
    ],
)
def test_a_dry_run_tells_what_is_known_beside_groups(
    known: dict[str, Any], told: str
) -> None:
    answer = data({**KNOWN, "dry_run": True, **NO_GROUPS, **known})
    with CannedServer(lambda _: answer) as server:
        done = run("retire", "a", "--dry-run", "--url", server.url)
    assert done.stdout == told + "the job has no groups\n"


def test_a_dry_run_tells_of_groups_and_runs() -> None:
    answer = data({**KNOWN, "dry_run": True, **ONE_GROUP, "instances": 1})
    with CannedServer(lambda _: answer) as server:
        done = call("retire", "a", "--dry-run", "--url", server.url)
    assert done.stdout.endswith('  {job="a"}\nand what is known of its runs\n')


def test_a_job_without_groups_is_told() -> None:
    nothing = data({**KNOWN, "dry_run": False, **NO_GROUPS})
    with CannedServer(lambda _: nothing) as server:
        done = run("retire", "a", "--yes", "--url", server.url)
    assert done.returncode == 0
    assert done.stdout == "retired the job; it had no groups\n"


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--yes", "nothing was known of the job\n"),
        ("--dry-run", "nothing is known of the job\n"),
    ],
)
def test_a_job_that_is_not_known_is_told(option: str, told: str) -> None:
    nothing = data({**KNOWN, "dry_run": False, **NO_GROUPS, "known": False})
    with CannedServer(lambda _: nothing) as server:
        done = call("retire", "a", option, "--url", server.url)
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")


def test_nobody_is_asked_about_a_job_that_is_not_known() -> None:
    nothing = data({**KNOWN, "dry_run": True, **NO_GROUPS, "known": False})
    with CannedServer(lambda _: nothing) as server:
        code, shown = run_on_terminal("", "retire", "a", "--url", server.url)
    assert (code, shown.split()[0], len(server.asked)) == (0, "nothing", 1)


@pytest.mark.parametrize("option", ["--yes", "--dry-run"])
def test_a_job_that_a_rule_names_comes_back(option: str) -> None:
    named = data({**KNOWN, "dry_run": False, **ONE_GROUP, "named_by_rule": True})
    with CannedServer(lambda _: named) as server:
        done = call("retire", "a", option, "--url", server.url)
    assert done.returncode == 0
    assert done.stderr.startswith("a job rule names the job: it is expected again ")


def test_on_a_terminal_one_is_asked() -> None:
    with CannedServer(retires) as server:
        code, shown = run_on_terminal("y\n", "retire", "a", "--url", server.url)
        assert code == 0
        assert "Retire the job? [y/N]" in shown
        code, _ = run_on_terminal("n\n", "retire", "a", "--url", server.url)
        assert code == 1
    trials = ["dry_run" in asked.parameters for asked in server.asked]
    assert trials == [True, False, True]


@pytest.mark.parametrize("arguments", [["a"], ["", "--yes"], []])
def test_a_wrong_call_asks_no_relay(arguments: list[str]) -> None:
    with CannedServer(retires) as server:
        done = call("retire", *arguments, "--url", server.url)
    assert done.returncode == 2
    assert server.asked == []
