from __future__ import annotations

import time

import pytest
from canned_server import Asked, Canned, CannedServer, data, problem
from command import call, run


def pauses(asked: Asked) -> Canned:
    """Answer as a relay that pauses or resumes a job, and expects it in three hours."""
    now = time.time()
    until = now + 7200.5 if asked.method == "POST" else None
    return data({"paused_until": until, "next_expected": now + 3 * 3600 + 0.5})


@pytest.mark.parametrize(
    ("options", "until"),
    [
        (["--for=2h"], "2h"),
        (["--until=1700000000"], "1700000000"),
        (["--until=2023-11-14T23:13:20+01:00"], "1700000000.000000"),
        (["--until=2h"], "2h"),
    ],
)
def test_a_job_is_paused(options: list[str], until: str) -> None:
    with CannedServer(pauses) as server:
        done = call("pause", "a/b", *options, "--url", server.url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("a/b is paused until 20")
    assert done.stdout.endswith(", in 2h\n")
    [asked] = server.asked
    assert (asked.method, asked.path) == ("POST", "/api/v1/jobs/a%2Fb/pause")
    assert asked.parameters == {"until": [until]}


def test_a_job_is_resumed() -> None:
    with CannedServer(pauses) as server:
        done = run("resume", "a\x1b[2J", "--url", server.url)
    assert done.stdout == '"a\\x1b[2J" is not paused; next run: in 3h\n'
    [asked] = server.asked
    assert (asked.method, asked.target) == ("DELETE", "/api/v1/jobs/a%1B%5B2J/pause")


def test_nothing_is_said_of_a_next_run_that_nobody_expects() -> None:
    with CannedServer(lambda _: data({"next_expected": None})) as server:
        done = call("resume", "a", "--url", server.url)
    assert done.stdout == "a is not paused\n"


@pytest.mark.parametrize("command", [["pause", "a", "--for=2h"], ["resume", "a"]])
@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (problem(404, reason="unknown_job", detail="no job a"), 1, "no job a\n"),
        (problem(503, reason="x", detail="busy"), 3, "try again later\n"),
    ],
)
def test_what_is_refused_is_told(
    command: list[str], answer: Canned, code: int, told: str
) -> None:
    with CannedServer(lambda _: answer) as server:
        done = call(*command, "--url", server.url)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.endswith(told)


def test_a_pause_that_is_over_is_ended_by_another_command() -> None:
    detail = "the parameter until is in the past; to end a pause, use DELETE"
    answer = problem(400, reason="invalid_request", detail=detail)
    with CannedServer(lambda _: answer) as server:
        done = call("pause", "a", "--until=2020-01-01", "--url", server.url)
    assert done.returncode == 1
    assert done.stderr.endswith("to end a pause, use `pushrelay resume`\n")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "how long is missing: give --for or --until"),
        (["--for=2h", "--until=2030-01-01"], "give --for or --until, not both"),
    ],
)
def test_one_end_of_a_pause_is_given(options: list[str], told: str) -> None:
    assert call("pause", "a", *options).stderr.endswith(f"Error: {told}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["pause", "a"],
        ["pause", "a", "--for=2h", "--until=2030-01-01"],
        ["pause", "a", "--for=2030-01-01"],
        ["pause", "a", "--until=tomorrow"],
        ["pause", "--for=2h"],
        ["pause", "", "--for=2h"],
        ["resume", ""],
    ],
)
def test_a_wrong_call_asks_no_relay(arguments: list[str]) -> None:
    with CannedServer(pauses) as server:
        done = call(*arguments, "--url", server.url)
    assert done.returncode == 2
    assert server.asked == []
