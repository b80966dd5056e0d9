"""The commands for jobs and runs, and a real relay."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from command import call
from relay_process import RelayProcess, StartRelay


@pytest.fixture(scope="module")
def relay(start_relay: StartRelay) -> RelayProcess:
    relay: RelayProcess = start_relay()
    return relay


def report(relay: RelayProcess, job: str, ago: float, **more: Any) -> str:
    """Report a run of `job` that began so many seconds ago; return its id."""
    id_, start = str(uuid.uuid4()), time.time() - ago
    document = {
        "job": job,
        "state": "finished",
        "started_at": start,
        "finished_at": start + 5,
        "outcome": "success",
        **more,
    }
    response = relay.put(f"/api/v1/runs/{id_}", json.dumps(document))
    assert response.status == 200, response.text
    return id_


def asked(relay: RelayProcess, *arguments: str, code: int = 0) -> str:
    """Return what a command says that ends with `code`."""
    done = call(*arguments, PUSHRELAY_URL=f"http://{relay.address}")
    assert done.returncode == code, done.stderr
    return done.stdout


def state(relay: RelayProcess, job: str) -> str:
    [found] = json.loads(asked(relay, "jobs", job, "--output=json"))
    return str(found["state"])


def test_jobs_are_listed_with_their_states(relay: RelayProcess) -> None:
    report(relay, "fine", 60)
    report(relay, "broken/one", 60, outcome="failure", exit_code=3)
    everything = asked(relay, "jobs")
    assert {line.split()[0] for line in everything.splitlines()} >= {"ok", "failed"}
    assert asked(relay, "jobs", "--check", "fine") == ""
    wrong = asked(relay, "jobs", "--check", code=1)
    assert wrong.splitlines()[1].endswith("broken/one")
    failed = json.loads(asked(relay, "jobs", "--state=failed", "--output=json"))
    assert [job["job"] for job in failed] == ["broken/one"]
    assert asked(relay, "jobs", "--check", "fine", "gone", code=1) == ""


@pytest.mark.parametrize("job", ["many", "show"])
def test_the_runs_of_a_job_are_listed(relay: RelayProcess, job: str) -> None:
    ids = [report(relay, job, 3600 * (number + 1)) for number in range(3)]
    report(relay, job, 40 * 3600)

    def listed(*options: str) -> list[str]:
        shown = asked(relay, "runs", "list", job, "--output=json", *options)
        return [run["id"] for run in json.loads(shown)]

    assert listed("--since=1d") == ids
    assert listed("--limit=2") == ids[:2]
    assert listed("--state=failure") == []
    assert len(listed("--all")) == 4
    assert len(asked(relay, "runs", "--", job).splitlines()) == 7


def test_one_run_is_shown(relay: RelayProcess) -> None:
    id_ = report(
        relay,
        "told",
        60,
        outcome="signal",
        signal=9,
        host="db1",
        usage={"max_rss_bytes": 5 * 2**20},
        output_tail={"stderr": "out of memory\n\x1b[2J"},
        metrics="rows{ 5\n",
    )
    shown = asked(relay, "runs", "show", id_)
    for told in ("SIGKILL", "db1", "5 MiB", "problems of its metrics:", "  out of mem"):
        assert told in shown
    assert "\x1b" not in shown
    assert json.loads(asked(relay, "runs", "show", id_, "--output=json"))["id"] == id_
    asked(relay, "runs", "show", str(uuid.uuid4()), code=1)
    asked(relay, "runs", "show", "no id", code=2)


def test_a_job_is_expected_paused_and_resumed(relay: RelayProcess) -> None:
    asked(relay, "pause", "nightly", "--for=2h", code=1)  # nobody knows it yet
    told = asked(relay, "expect", "nightly", "--schedule=0 3 * * *", "--tz=Asia/Tokyo")
    assert told.startswith("expected of nightly: schedule 0 3 * * *, tz Asia/Tokyo, ")
    assert state(relay, "nightly") == "never ran"
    assert asked(relay, "jobs", "--check", "nightly") == ""
    assert asked(relay, "pause", "nightly", "--for=2h").endswith(", in 2h\n")
    assert state(relay, "nightly") == "paused"
    asked(relay, "pause", "nightly", "--until=2020-01-01", code=1)
    assert "next run: in " in asked(relay, "resume", "nightly")
    assert state(relay, "nightly") == "never ran"
    assert asked(relay, "expect", "nightly", "--clear").startswith(
        "nothing is expected"
    )
    asked(relay, "expect", "nightly", "--schedule=0 3", code=1)


def test_what_a_job_says_itself_holds_again_without_ours(relay: RelayProcess) -> None:
    report(relay, "own", 60, expectation={"every": "5h"})
    asked(relay, "expect", "own", "--on-calendar=Mon 03:00", "--max-runtime=1h")
    told = asked(relay, "expect", "own", "--clear").splitlines()[0]
    assert told.startswith("expected of own, as its reports say: every 5h")
