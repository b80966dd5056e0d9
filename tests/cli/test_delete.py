from __future__ import annotations

import pytest
from canned_server import Asked, Canned, CannedServer, data
from command import call, run, run_on_terminal
from relay_process import HTTPClient

GROUPS = [{"job": "a", "instance": f"i{number}"} for number in range(25)]


def deletes(asked: Asked) -> Canned:
    """Answer as a relay with 25 groups that match."""
    dry_run = "dry_run" in asked.parameters
    return data({"dry_run": dry_run, "count": len(GROUPS), "groups": GROUPS})


def finds_nothing(_: Asked) -> Canned:
    return data({"dry_run": True, "count": 0, "groups": []})


def test_one_group_is_deleted_and_no_other(relay: HTTPClient) -> None:
    relay.put("/metrics/job/a")
    relay.put("/metrics/job/a/b/c")
    url = f"http://{relay.address}"
    done = run("delete", "--job=a", "--url", url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert relay.grouping_keys() == [{"job": "a", "b": "c"}]
    assert run("delete", "--job=a", "--label=b=c", "--url", url).returncode == 0
    assert relay.groups() == []


def test_many_are_deleted_without_a_question_where_that_is_told() -> None:
    with CannedServer(deletes) as server:
        options = ['--match={job="a"}', "--match", "{b=~'c.*'}", "--older-than=7d"]
        done = run("delete", *options, "--yes", "--url", server.url)
    assert (done.returncode, done.stdout) == (0, "deleted 25 groups\n"), done.stderr
    [asked] = server.asked
    assert (asked.method, asked.path) == ("DELETE", "/api/v1/groups")
    assert asked.parameters == {
        "match[]": ['{job="a"}', "{b=~'c.*'}"],
        "older_than": ["7d"],
    }


def test_a_dry_run_shows_what_would_be_deleted() -> None:
    with CannedServer(deletes) as server:
        done = run("delete", "--older-than=7d", "--dry-run", "--url", server.url)
    lines = done.stdout.splitlines()
    assert lines[0] == "25 groups would be deleted"
    assert lines[1] == '  {job="a",instance="i0"}'
    assert lines[-1] == "  and 5 more"
    assert len(lines) == 22
    [asked] = server.asked
    assert asked.parameters == {"older_than": ["7d"], "dry_run": ["1"]}


def test_nobody_to_ask_is_an_error_before_anything_is_done() -> None:
    with CannedServer(deletes) as server:
        done = run("delete", "--older-than=7d", "--url", server.url)
    assert done.returncode == 2
    assert "--dry-run, then give --yes" in done.stderr
    assert server.asked == []


@pytest.mark.parametrize(("typed", "agreed"), [("y\n", True), ("n\n", False)])
def test_on_a_terminal_one_is_asked(typed: str, agreed: bool) -> None:
    with CannedServer(deletes) as server:
        code, shown = run_on_terminal(
            typed, "delete", "--match={job='a'}", "--url", server.url
        )
    assert "25 groups would be deleted" in shown
    assert "Delete them? [y/N]" in shown
    trials = ["dry_run" in asked.parameters for asked in server.asked]
    if agreed:
        assert (code, trials) == (0, [True, False])
        assert shown.endswith("deleted 25 groups\n")
    else:
        assert (code, trials) == (1, [True])


def test_nothing_is_asked_where_nothing_matches() -> None:
    with CannedServer(finds_nothing) as server:
        code, shown = run_on_terminal(
            "", "delete", "--older-than=7d", "--url", server.url
        )
    assert (code, shown) == (0, "0 groups would be deleted\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--yes"],
        ["--label=a=b"],
        ["--label=a=b", "--match={job='a'}"],
        ["--job=a", "--match={job='a'}"],
        ["--job=a", "--older-than=7d"],
        ["--job=a", "--dry-run"],
    ],
)
def test_what_is_meant_must_be_clear(arguments: list[str]) -> None:
    with CannedServer(deletes) as server:
        done = call("delete", *arguments, "--url", server.url)
    assert done.returncode == 2
    assert "give either --job" in done.stderr
    assert server.asked == []
