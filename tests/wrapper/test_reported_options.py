"""What the options of `pushrelay exec` say of a run, and what the relay makes of it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import run
from executed import Executor, runs_of_job
from noting_relay import NotingRelay
from relay_process import HTTPClient, free_port
from run_http import job_of

HOST = os.uname().nodename
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def server() -> Iterator[NotingRelay]:
    """A relay that takes all reports."""
    with NotingRelay() as server:
        yield server


Reported = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def reported(server: NotingRelay, tmp_path: Path) -> Reported:
    """Runs `pushrelay exec`, and returns the documents that were reported of ends."""

    def report(*arguments: str, **environment: str) -> list[dict[str, Any]]:
        del server.asked[:]
        done = Executor(tmp_path, server.url).run(*arguments, **environment)
        assert done.stderr == ""
        return server.ends()

    return report


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], {"job": "true", "labels": {"instance": HOST}, "expectation": None}),
        (["--job", "a b"], {"job": "a b"}),
        (["--instance", "db1"], {"labels": {"instance": "db1"}}),
        (["--instance", ""], {"labels": {}}),
        (["--instance="], {"labels": {}}),
        (
            ["--label", "db=x", "--label=e=f=g"],
            {"labels": {"instance": HOST, "db": "x", "e": "f=g"}},
        ),
        (["--label", "instance=db2"], {"labels": {"instance": "db2"}}),
        (["--every", "1h"], {"expectation": {"every": "1h"}}),
        (
            ["--every=1d", "--grace=2h", "--min-interval=1h", "--max-runtime=30m"],
            {
                "expectation": {
                    "every": "1d",
                    "grace": "2h",
                    "min_interval": "1h",
                    "max_runtime": "30m",
                }
            },
        ),
        (
            ["--schedule", "0 3 * * *", "--tz", "Asia/Tokyo"],
            {"expectation": {"schedule": "0 3 * * *", "tz": "Asia/Tokyo"}},
        ),
        (
            ["--on-calendar", "daily", "--tz", "UTC"],
            {"expectation": {"on_calendar": "daily", "tz": "UTC"}},
        ),
        (["--max-runtime", "1h"], {"expectation": {"max_runtime": "1h"}}),
        (["--success-codes", "3"], {"outcome": "failure", "exit_code": 0}),
    ],
)
def test_the_document_says_what_the_options_say(
    options: list[str], expected: dict[str, Any], reported: Reported
) -> None:
    [document] = reported(*options, "--", "/bin/true")
    assert {name: document[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(0, "success"), (3, "success"), (5, "success"), (6, "failure")],
)
def test_codes_of_success_change_the_outcome_and_not_the_status(
    code: int, outcome: str, server: NotingRelay, tmp_path: Path
) -> None:
    executor = Executor(tmp_path, server.url)
    done = executor.run("--success-codes=0,3-5", "--", "sh", "-c", f"exit {code}")
    assert done.returncode == code
    document = json.loads(server.asked[-1].body)
    assert (document["outcome"], document["exit_code"]) == (outcome, code)


@pytest.mark.parametrize(
    ("zone", "reported_zone"),
    [("Europe/Berlin", "Europe/Berlin"), (":Asia/Tokyo", "Asia/Tokyo")],
)
def test_schedules_are_in_the_zone_of_the_environment(
    zone: str, reported_zone: str, reported: Reported
) -> None:
    [document] = reported("--schedule", "0 3 * * *", "--", "true", TZ=zone)
    assert document["expectation"]["tz"] == reported_zone


def test_schedules_are_in_the_zone_of_the_host(reported: Reported) -> None:
    localtime = os.path.realpath("/etc/localtime")
    zone = localtime.partition("/zoneinfo/")[2] or None
    [document] = reported("--on-calendar", "daily", "--", "true", TZ="")
    assert document["expectation"].get("tz", zone) == zone


def test_a_job_and_labels_of_any_bytes_are_reported(
    server: NotingRelay, tmp_path: Path
) -> None:
    executor = Executor(tmp_path, server.url)
    done = executor.run("--job", "b\udcff", "--label", "a=\udcfe", "--", "true")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(server.asked[-1].body)
    assert document["job"] == "b\ufffd"
    assert document["labels"]["a"] == "\ufffd"


@pytest.mark.parametrize(
    ("arguments", "variables", "sent"),
    [
        ([], {}, None),
        ([], {"PUSHRELAY_TOKEN": "t0ken"}, "Bearer t0ken"),
        (["--token-file", "{file}"], {}, "Bearer filed"),
        (["--token-file", "{file}"], {"PUSHRELAY_TOKEN": "t0ken"}, "Bearer filed"),
        ([], {"PUSHRELAY_TOKEN_FILE": "{file}"}, "Bearer filed"),
    ],
)
def test_the_token_is_sent(
    arguments: list[str],
    variables: dict[str, str],
    sent: str | None,
    reported: Reported,
    server: NotingRelay,
    tmp_path: Path,
) -> None:
    file = tmp_path / "token"
    file.write_text("filed\n")
    given = [argument.replace("{file}", str(file)) for argument in arguments]
    environment = {k: v.replace("{file}", str(file)) for k, v in variables.items()}
    reported(*given, "--", "true", **environment)
    assert server.asked[-1].headers.get("authorization") == sent


@pytest.mark.parametrize(("hiding", "seen"), [([], "t0ken"), (["--hide-token"], "")])
def test_the_command_sees_the_token_unless_it_is_hidden(
    hiding: list[str], seen: str, server: NotingRelay, tmp_path: Path
) -> None:
    show = ["--", "sh", "-c", "echo $PUSHRELAY_TOKEN"]
    executor = Executor(tmp_path, server.url)
    done = executor.run(*hiding, *show, PUSHRELAY_TOKEN="t0ken")
    assert done.stdout == f"{seen}\n"
    assert server.asked[-1].headers["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("given", ["", "nonsense", TRACE, TRACE.replace("00-", "ff-")])
def test_the_command_knows_its_run_and_its_trace(
    given: str, server: NotingRelay, tmp_path: Path
) -> None:
    show = ["--", "sh", "-c", "echo $PUSHRELAY_RUN_ID $TRACEPARENT"]
    done = Executor(tmp_path, server.url).run(*show, TRACEPARENT=given)
    run_id, trace_parent = done.stdout.split()
    assert server.asked[-1].path == f"/api/v1/runs/{run_id}"
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-01", trace_parent)
    assert (trace_parent == given) == (given == TRACE)
    assert json.loads(server.asked[-1].body)["trace_id"] == trace_parent.split("-")[1]


def test_the_url_of_the_command_line_is_taken_before_that_of_the_environment(
    reported: Reported, server: NotingRelay
) -> None:
    elsewhere = f"http://127.0.0.1:{free_port()}"
    assert reported("--url", server.url, "--", "true", PUSHRELAY_URL=elsewhere)


def test_the_relay_shows_what_was_expected(relay: HTTPClient, tmp_path: Path) -> None:
    executor = Executor(tmp_path, f"http://{relay.address}")
    options = ["--every=1h", "--grace=10m", "--max-runtime=30m", "--instance="]
    done = executor.run(*options, "--job", "hourly", "--", "sh", "-c", "exit 3")
    assert (done.returncode, done.stderr) == (3, "")
    job = job_of(relay, "hourly")
    assert job["expectation"]["every"] == "1h"
    [found] = runs_of_job(relay, "hourly")
    assert found["labels"] == {}
    assert found["host"] == HOST
    shown = run("jobs", "--url", f"http://{relay.address}").stdout.splitlines()
    [line] = [line for line in shown if "hourly" in line]
    assert "failed" in line
