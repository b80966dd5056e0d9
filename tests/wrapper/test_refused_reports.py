"""What the relay refuses of a run: nothing is tried for ever, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from canned_server import Asked, Canned, CannedServer, data, problem
from executed import Executor, counted, runs_of_job, until
from noting_relay import TAKEN
from relay_process import HTTPClient

FOR_GOOD = [400, 409, 410, 413, 422]


def refusing(status: int, state: str) -> Callable[[Asked], Canned]:
    """Return what refuses the reports of this state."""

    def answer(asked: Asked) -> Canned:
        if json.loads(asked.body)["state"] == state:
            return problem(status, reason="x", detail="not this one")
        return data(TAKEN)

    return answer


# exec.md: 16
@pytest.mark.parametrize("status", FOR_GOOD)
def test_a_finish_that_is_refused_for_good_is_set_aside(
    status: int, tmp_path: Path
) -> None:
    with CannedServer(refusing(status, "finished")) as server:
        executor = Executor(tmp_path, server.url)
        done = executor.run("--job", "a", "--", "sh", "-c", "exit 7")
        assert done.returncode == 7
        assert done.stderr.startswith(
            "pushrelay exec: a: the report is set aside, see pushrelay spool list: "
        )
        assert f"answered {status}" in done.stderr
        assert "not this one" in done.stderr
        assert done.stderr.count("\n") == 1

        asked = len(server.asked)
        executor.run("--quiet", "--job", "b", "--", "true")
        later = {json.loads(each.body)["job"] for each in server.asked[asked:]}
    assert later == {"b"}
    assert executor.spool.waiting() == []
    [refused, _] = executor.spool.refused()
    assert refused.report.document["exit_code"] == 7
    assert refused.reason == f"not this one (status {status})"


def test_a_start_that_is_refused_is_made_up_for_by_the_finish(tmp_path: Path) -> None:
    began = tmp_path / "began"
    refuse = refusing(409, "started")

    def answer(asked: Asked) -> Canned:
        began.touch()
        return refuse(asked)

    with CannedServer(answer) as server:
        executor = Executor(tmp_path, server.url)
        done = executor.run("--require-report", "--", *until(began))
    states = [json.loads(asked.body)["state"] for asked in server.asked]
    assert states == ["started", "finished"]
    assert done.returncode == 0
    assert "answered 409" in done.stderr
    assert done.stderr.count("\n") == 1
    assert executor.spool.refused() == executor.spool.waiting() == []


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        (["--schedule", "61 * * * *"], "what is expected of the job was refused: "),
        (["--on-calendar", "x"], "what is expected of the job was refused: "),
        (["--schedule", "0 3 * * *", "--tz", "Europe/Brelin"], "--tz: "),
    ],
)
def test_what_is_misspelt_keeps_no_run_from_being_recorded(
    expected: list[str], told: str, relay: HTTPClient, tmp_path: Path
) -> None:
    executor = Executor(tmp_path, f"http://{relay.address}")
    done = executor.run(*expected, "--job", "misspelt", "--", "sh", "-c", "exit 3")
    assert done.returncode == 3
    assert done.stderr.startswith(f"pushrelay exec: misspelt: {told}")
    assert done.stderr.count("\n") == 1
    assert [run["exit_code"] for run in runs_of_job(relay, "misspelt")] == [3]
    assert counted(relay, "misspelt") == {"failure": 1}
    assert executor.spool.waiting() == executor.spool.refused() == []


def test_metrics_that_are_refused_are_named_and_the_run_counts(
    relay: HTTPClient, tmp_path: Path
) -> None:
    executor = Executor(tmp_path, f"http://{relay.address}")
    script = 'printf "rows 5\\nb a d\\n" >> "$PUSHRELAY_METRICS"'
    done = executor.run("--job", "malformed", "--", "sh", "-c", script)
    assert done.returncode == 0
    assert done.stderr.startswith(
        "pushrelay exec: malformed: metrics of the run were refused: "
    )
    assert "line 2" in done.stderr
    assert done.stderr.count("\n") == 1
    assert counted(relay, "malformed") == {"success": 1}
    assert "rows" not in relay.page()


def test_metrics_of_the_command_come_with_its_finish(
    relay: HTTPClient, tmp_path: Path
) -> None:
    executor = Executor(tmp_path, f"http://{relay.address}")
    script = 'printf "rows 5\\ncolumns 2" >> "$PUSHRELAY_METRICS"'
    done = executor.run("--instance=db1", "--label=db=x", "--", "sh", "-c", script)
    assert (done.returncode, done.stderr) == (0, "")
    page = relay.page()
    assert 'rows{db="x",instance="db1",job="sh"} 5\n' in page
    assert 'columns{db="x",instance="db1",job="sh"} 2\n' in page
