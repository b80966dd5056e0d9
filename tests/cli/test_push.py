from __future__ import annotations

from pathlib import Path

import pytest
from canned_server import Asked, Canned, CannedServer, problem, text
from command import call, run
from compat.exposition_page import value
from relay_process import HTTPClient, free_port

LINE = b"x 1\n"


def taken(_: Asked) -> Canned:
    return Canned()


def url(relay: HTTPClient) -> str:
    return f"http://{relay.address}"


def test_a_file_is_pushed(relay: HTTPClient, tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    file.write_bytes(LINE)
    done = run(
        "push", str(file), "--job", "a b/c", "--label=l=v=w", "--url", url(relay)
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert relay.grouping_keys() == [{"job": "a b/c", "l": "v=w"}]


def test_standard_input_is_pushed_to_the_relay_of_the_environment(
    relay: HTTPClient,
) -> None:
    for arguments in ([], ["-"]):
        done = run("push", *arguments, "--job=a", stdin=LINE, PUSHRELAY_URL=url(relay))
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert value(relay.page(), "x", job="a") == 1
        relay.wipe()


def test_a_push_replaces_the_group_unless_it_is_told_otherwise(
    relay: HTTPClient,
) -> None:
    relay.put("/metrics/job/a", "y 2\n")
    run("push", "--job=a", "--mode=update", "--url", url(relay), stdin=LINE)
    assert value(relay.page(), "y", job="a") == 2
    run("push", "--job=a", "--url", url(relay), stdin=LINE)
    assert "\ny{" not in relay.page()


def test_a_large_push_is_compressed(relay: HTTPClient) -> None:
    body = b"".join(b'x{l="%d"} 1\n' % number for number in range(20_000))
    done = run("push", "--job=a", "--url", url(relay), stdin=body)
    assert done.returncode == 0, done.stderr
    assert value(relay.page(), "x", l="19999") == 1


@pytest.mark.parametrize(
    ("options", "method", "target"),
    [
        ([], "PUT", "/metrics/job/a"),
        (["--mode=replace"], "PUT", "/metrics/job/a"),
        (["--mode=update"], "POST", "/metrics/job/a?mode=update"),
        (["--mode=merge"], "POST", "/metrics/job/a?mode=merge"),
        (["--mode", "add"], "POST", "/metrics/job/a?mode=add"),
        (["--mode=accumulate"], "POST", "/metrics/job/a?mode=accumulate"),
        (["--stale-after=1h 30m&"], "PUT", "/metrics/job/a?stale_after=1h+30m%26"),
        (["--dry-run"], "PUT", "/metrics/job/a?dry_run=1"),
        (
            ["--label=b=c/d", "--label", "e="],
            "PUT",
            "/metrics/job/a/b@base64/Yy9k/e@base64/=",
        ),
    ],
)
def test_options_become_what_the_api_understands(
    options: list[str], method: str, target: str
) -> None:
    with CannedServer(taken) as server:
        done = call("push", "--job=a", "--url", server.url, *options, stdin=LINE)
    assert done.returncode == 0, done.stderr
    [asked] = server.asked
    assert (asked.method, asked.target, asked.body) == (method, target, LINE)


def test_an_idempotency_key_is_passed_on_and_a_replay_is_told() -> None:
    replayed = Canned(headers={"Idempotency-Replayed": "true"})
    with CannedServer(lambda _: replayed) as server:
        options = ["--mode=add", "--idempotency-key=run 7"]
        done = run("push", "--job=a", "--url", server.url, *options, stdin=LINE)
    assert server.asked[0].headers["idempotency-key"] == "run 7"
    assert (done.returncode, done.stdout) == (
        0,
        "this push was done before; nothing changed\n",
    )


def test_a_dry_run_says_that_the_push_would_be_accepted() -> None:
    with CannedServer(taken) as server:
        done = run("push", "--job=a", "--dry-run", "--url", server.url, stdin=LINE)
    assert done.stdout == "this push would be accepted; nothing changed\n"


def test_a_refusal_is_told_as_the_relay_tells_it(relay: HTTPClient) -> None:
    done = run("push", "--job=a", "--url", url(relay), stdin=b"x 1\nx{ 2\n")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "line 2" in done.stderr
    assert url(relay) in done.stderr


def test_each_problem_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    file.write_bytes(LINE)
    problems = [
        {"detail": "x is not a GAUGE", "line": 3},
        {"detail": "y was collected before"},
    ]
    answer = problem(400, detail="2 error(s)", problems=problems)
    with CannedServer(lambda _: answer) as server:
        done = run("push", str(file), "--job=a", "--url", server.url)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: the relay refuses the push with status 400:\n"
        f"{file}:3: x is not a GAUGE\n{file}: y was collected before\n"
    )


def test_a_conflict_of_idempotency_keys_is_a_refusal() -> None:
    answer = text(409, "another body was pushed\n")
    with CannedServer(lambda _: answer) as server:
        done = run("push", "--job=a", "--url", server.url, stdin=LINE)
    assert done.returncode == 1
    assert "another body was pushed" in done.stderr


def test_a_relay_that_cannot_take_it_now_is_another_exit_code() -> None:
    with CannedServer(lambda _: text(503, "the database is down\n")) as server:
        done = run("push", "--job=a", "--url", server.url, stdin=LINE)
    assert done.returncode == 3
    assert "the database is down; try again later" in done.stderr
    done = run("push", "--job=a", "--url", f"127.0.0.1:{free_port()}", stdin=LINE)
    assert done.returncode == 3
    assert "Connection refused" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "Missing option '--job'"),
        (["--job=a", "--job=b"], "cannot be repeated"),
        (["--job=a", "--label=b"], "--label b is not NAME=VALUE"),
        (["--job=a", "--label==b"], "--label =b is not NAME=VALUE"),
        (["--job=a", "--label=b=1", "--label=b=2"], "b is given more than once"),
        (["--job=a", "--label=job=b"], "job is given more than once"),
        (["--job=a", "--label=b=\udcff"], "must be UTF-8"),
        (["--job=a", "--mode=replacing"], "'replacing' is not one of"),
        (["--job=a", "--idempotency-key=ü"], "printable ASCII"),
        (["--job=a", "--idempotency-key=a\nb"], "printable ASCII"),
        (["--job=a", "/no/such/file"], "No such file"),
        (["--job=a", "--url=ftp://u:s3cret@h"], "the URL is no URL of a relay"),
    ],
)
def test_a_wrong_call_asks_no_relay(arguments: list[str], problem: str) -> None:
    with CannedServer(taken) as server:
        done = call("push", *arguments, stdin=LINE, PUSHRELAY_URL=server.url)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "s3cret" not in done.stderr
    assert server.asked == []


def test_credentials_are_never_shown() -> None:
    for answer in (text(401, "Unauthorized\n"), text(503, "down\n")):
        with CannedServer(lambda _, answer=answer: answer) as server:
            address = f"http://user:s3cret@{server.address}"
            done = run("push", "--job=a", stdin=LINE, PUSHRELAY_URL=address)
        assert done.returncode != 0
        assert "s3cret" not in done.stdout + done.stderr
    assert "s3cret" not in run("push", "--help", PUSHRELAY_URL=address).stdout
