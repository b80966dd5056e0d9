from __future__ import annotations

from typing import Any

import pytest
from canned_server import Asked, Canned, CannedServer, data
from command import call, run, run_on_terminal

KNOWN = {"job": "a", "instances": 0, "expected": False}
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


@pytest.mark.parametrize("known", [{"instances": 2}, {"expected": True}])
def test_a_dry_run_tells_of_runs(known: dict[str, Any]) -> None:
    answer = data({**KNOWN, "dry_run": True, **NO_GROUPS, **known})
    with CannedServer(lambda _: answer) as server:
        done = run("retire", "a", "--dry-run", "--url", server.url)
    assert done.stdout == (
        "0 groups of the job would be forgotten\n"
        "and what is known of its runs, or expected of them\n"
    )


def test_a_job_without_groups_is_told() -> None:
    nothing = data({**KNOWN, "dry_run": False, **NO_GROUPS})
    with CannedServer(lambda _: nothing) as server:
        done = run("retire", "a", "--yes", "--url", server.url)
    assert (done.returncode, done.stdout.split(";")[0]) == (0, "the job had no groups")


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
