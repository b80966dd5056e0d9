from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import click
import pytest
from canned_server import Asked, Canned, CannedServer, data, problem
from command import call, run

from pushrelay.cli.expect import _told, expect
from pushrelay.schedule import Expectation

NOW = 1_700_000_000


def job(**more: Any) -> dict[str, Any]:
    unknown = dict.fromkeys(["expectation", "expectation_from", "next_expected"])
    return {"job": "a", **unknown, "warnings": [], **more}


def expects(asked: Asked) -> Canned:
    said = json.loads(asked.body) if asked.method == "PUT" else None
    return data(job(expectation=said, expectation_from="api" if said else None))


@pytest.mark.parametrize(
    ("options", "document"),
    [
        (
            ["--schedule=0 3 * * *", "--tz=Europe/Berlin", "--grace=30m"],
            {"schedule": "0 3 * * *", "tz": "Europe/Berlin", "grace": "30m"},
        ),
        (["--on-calendar=Mon 03:00"], {"on_calendar": "Mon 03:00"}),
        (
            ["--every=1h", "--max-runtime=2h", "--min-interval=5m", "--per-instance"],
            {
                "every": "1h",
                "max_runtime": "2h",
                "min_interval": "5m",
                "per_instance": True,
            },
        ),
        # What it means is for the relay to say.
        (["--schedule="], {"schedule": ""}),
    ],
)
def test_what_is_expected_is_sent(
    options: list[str], document: dict[str, object]
) -> None:
    with CannedServer(expects) as server:
        done = call("expect", "a/b", *options, "--url", server.url)
    assert done.returncode == 0, done.stderr
    [asked] = server.asked
    assert (asked.method, asked.target) == ("PUT", "/api/v1/jobs/a%2Fb/expectation")
    assert asked.headers["content-type"] == "application/json"
    assert json.loads(asked.body) == document


def test_there_is_an_option_for_each_field() -> None:
    named = {
        option.name for option in expect.params if isinstance(option, click.Option)
    }
    assert named - {"url", "token_file", "clear"} == {
        field.name for field in fields(Expectation)
    }


def test_it_is_cleared() -> None:
    with CannedServer(expects) as server:
        done = call("expect", "a", "--clear", "--url", server.url)
    assert done.stdout == "nothing is expected of a\n"
    [asked] = server.asked
    assert (asked.method, asked.target) == ("DELETE", "/api/v1/jobs/a/expectation")


def test_what_is_expected_now_is_told() -> None:
    expectation = {"schedule": "0 3 * * *", "tz": "UTC", "per_instance": True}
    known = job(expectation=expectation, next_expected=NOW + 7200)
    whose = {
        "api": "",
        "report": ", as its reports say",
        "rule": ", as the job rules say",
    }
    for source, told in whose.items():
        assert list(_told({**known, "expectation_from": source}, NOW * 10**9)) == [
            f"expected of a{told}: schedule 0 3 * * *, tz UTC, per instance",
            "its next run: in 2h",
        ]


def test_what_the_relay_says_has_the_terminal_do_nothing() -> None:
    bad = "\x1b]0;x\a"
    known = job(job=bad, expectation={bad: bad}, warnings=[f"expectation.tz: {bad}"])
    with CannedServer(lambda _: data(known)) as server:
        done = run("expect", "a", "--every=1h", "--url", server.url)
    assert done.returncode == 0
    assert done.stderr == "warning: --tz: ?]0;x?\n"
    assert done.stdout.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    ("detail", "told"),
    [
        ("expectation.schedule: no", "--schedule: no"),
        ("expectation.on_calendar: no", "--on-calendar: no"),
        ('expectation.tz: "expectation.tz: "', '--tz: "expectation.tz: "'),
        ("expectation: says nothing", "expectation: says nothing"),
    ],
)
def test_what_is_refused_is_told_of_the_option(detail: str, told: str) -> None:
    answer = problem(400, reason="invalid_request", detail=detail)
    with CannedServer(lambda _: answer) as server:
        done = call("expect", "a", "--schedule=x", "--url", server.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"400 Bad Request: {told}\n")


@pytest.mark.parametrize(
    "arguments",
    [["a"], ["a", "--clear", "--every=1h"], ["", "--every=1h"], ["--every=1h"]],
)
def test_a_wrong_call_asks_no_relay(arguments: list[str]) -> None:
    with CannedServer(expects) as server:
        done = call("expect", *arguments, "--url", server.url)
    assert done.returncode == 2
    assert server.asked == []
