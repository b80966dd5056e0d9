"""The commands that docs/runs.md shows, as a shell runs them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from typing import Any

import pytest
from doc_examples import ROOT
from relay_process import HTTPClient, StartRelay

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl"),
]

PLAIN, CAREFUL, EXPECTED, NAMED, DOCUMENT = re.findall(
    r"```sh\n(.*?)```", (ROOT / "docs/runs.md").read_text(), re.DOTALL
)
EXIT_CODE = 3


@pytest.fixture(scope="module")
def relay(start_relay: StartRelay) -> HTTPClient:
    return start_relay()


def run(example: str, relay: HTTPClient, code: int = 0) -> None:
    """Run what an example shows, with jobs that fail; it must end with `code`."""
    commands = example.replace("localhost:9091", relay.address)
    commands = re.sub(
        r"^/usr/local/bin/\S+", f"(exit {EXIT_CODE})", commands, flags=re.M
    )
    done = subprocess.run(
        ["sh", "-c", commands], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == code, done.stderr


def job(relay: HTTPClient, name: str) -> dict[str, Any]:
    response = relay.get(f"/api/v1/jobs/{name}")
    assert response.status == 200, response.text
    data: dict[str, Any] = json.loads(response.body)["data"]
    return data


@pytest.mark.parametrize(
    ("example", "name"), [(PLAIN, "nightly-report"), (NAMED, "import")]
)
def test_the_lines_around_a_job_report_its_run(
    relay: HTTPClient, example: str, name: str
) -> None:
    run(example, relay)
    found = job(relay, name)
    assert found["state"] == "failed"
    assert found["last_run"]["exit_code"] == EXIT_CODE
    assert found["last_run"]["duration_seconds"] is not None


def test_the_lines_for_careful_scripts_end_as_the_job_does(relay: HTTPClient) -> None:
    example = CAREFUL.replace("nightly-report", "careful")
    run(f"set -e\n{example}", relay, EXIT_CODE)
    assert job(relay, "careful")["last_run"]["exit_code"] == EXIT_CODE


def test_the_start_with_a_schedule_says_what_is_expected(relay: HTTPClient) -> None:
    run(EXPECTED, relay)
    assert job(relay, "nightly-report")["expectation"] == {
        "schedule": "0 3 * * *",
        "tz": "Europe/Berlin",
        "grace": "30m",
        "max_runtime": "2h",
    }


def test_the_document_of_a_run_is_taken(relay: HTTPClient) -> None:
    # It may not be older than a month.
    times = {"1795378800.25": time.time() - 60, "1795378841.5": time.time() - 20}
    example = DOCUMENT
    for written, moment in times.items():
        assert written in example
        example = example.replace(written, str(moment))
    run(example, relay)
    page = relay.page()
    assert 'rows_imported{instance="db1",job="nightly-report"} 3141\n' in page
    succeeded = r'runs_total\{instance="db1",.*,outcome="success"\} 1'
    assert re.search(succeeded, page)
