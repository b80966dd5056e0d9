"""contrib/cron/ping.sh tells a relay of runs, and never stands in their way."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from canned_server import Asked, Canned, CannedServer
from relay_process import HTTPClient, free_port

SCRIPT = Path(__file__).parents[2] / "contrib/cron/ping.sh"
SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]


def source(
    url: str, script: str, shell: str = "sh", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run `script` with the functions, in a shell that is easily upset."""
    return subprocess.run(
        [shell, "-c", f". {SCRIPT}\nset -eu\n{script}"],
        env={"PATH": "/usr/bin:/bin", "PUSHRELAY_URL": url, **variables},
        capture_output=True,
        text=True,
        timeout=60,
    )


def runs_of(relay: HTTPClient, job: str) -> list[tuple[str, str, int | None]]:
    """Return state, outcome and exit code of the runs of `job`."""
    runs = json.loads(relay.get(f"/api/v1/runs?job={job}").body)["data"]["runs"]
    return [(run["state"], run["outcome"], run["exit_code"]) for run in runs]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_is_on_the_record_and_keeps_its_status(
    relay: HTTPClient, shell: str
) -> None:
    url = f"http://{relay.address}/"
    script = "pushrelay_run a sh -c 'cat; echo \"$1\"; exit 7' - 'b  c' <<END\nin\nEND"
    done = source(url, script, shell)
    assert (done.returncode, done.stdout, done.stderr) == (7, "in\nb  c\n", "")
    assert runs_of(relay, "a") == [("finished", "failure", 7)]


@pytest.mark.parametrize("shell", SHELLS)
def test_pings_tell_of_a_start_and_an_end(relay: HTTPClient, shell: str) -> None:
    url = f"http://{relay.address}"
    start = "pushrelay_ping 'b + %&' start 'schedule=0 3 * * *' tz=Etc/GMT+1"
    done = source(url, f"{start}; pushrelay_ping 'b + %&' 0", shell)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert runs_of(relay, "b%20%2B%20%25%26") == [("finished", "success", 0)]
    job = json.loads(relay.get("/api/v1/jobs/b%20%2B%20%25%26").body)["data"]
    assert job["expectation"]["tz"] == "Etc/GMT+1"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "pushrelay_ping a start tz=Nowhere 'schedule=0 3 * * *'",
            'warning: tz: "Nowhere" is not',
        ),
        ("pushrelay_ping a 7x", "not reported: exit_code: must be a whole number"),
        ("pushrelay_ping a start nonsense=1", "not reported: run: there is no"),
        ("pushrelay_ping a", "give a job, and start, success, fail or an exit code"),
    ],
)
def test_what_is_wrong_is_one_line(relay: HTTPClient, script: str, said: str) -> None:
    done = source(f"http://{relay.address}", f"{script}; echo on")
    assert (done.returncode, done.stdout) == (0, "on\n")
    [line] = done.stderr.splitlines()
    assert line.startswith("pushrelay_ping: ")
    assert said in line


def test_a_relay_that_is_down_does_not_harm_the_job() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = source(url, "pushrelay_run a sh -c 'echo done; exit 3'")
    assert (done.returncode, done.stdout) == (3, "done\n")
    assert len(done.stderr.splitlines()) == 2
    assert "not reported: curl: (7)" in done.stderr


def test_a_page_that_is_not_of_a_relay_is_no_success() -> None:
    def answer(asked: Asked) -> Canned:
        return Canned(502, b"*\n")

    with CannedServer(answer) as server:
        done = source(server.url, "pushrelay_ping a success")
    assert done.returncode == 0
    assert done.stderr == "pushrelay_ping: a: not reported: * 502\n"


def test_a_relay_that_asks_for_a_token_gets_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("prt_of_the_file\n")
    seen: list[str | None] = []

    def answer(asked: Asked) -> Canned:
        seen.append(asked.headers.get("authorization"))
        return Canned(200, b"OK\n")

    script = "set -x; pushrelay_ping a 0"
    with CannedServer(answer) as server:
        source(server.url, script)
        source(server.url, script, PUSHRELAY_TOKEN="prt_of_it")
        both = {"PUSHRELAY_TOKEN": "prt_of_it", "PUSHRELAY_TOKEN_FILE": str(file)}
        done = source(server.url, script, **both)
        assert "prt_" not in done.stderr
        file.unlink()
        done = source(server.url, "pushrelay_run a false", **both)
    assert seen == [None, "Bearer prt_of_it", "Bearer prt_of_the_file"]
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2
    assert f"not reported: cat: {file}: No such file" in done.stderr


def test_a_run_without_a_command_is_an_error() -> None:
    done = source("http://127.0.0.1:9", "pushrelay_run a")
    assert done.returncode == 2
    assert "give a job and a command" in done.stderr
