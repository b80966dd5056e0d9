"""The command comes first: before the network, and before what is imported for it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from canned_server import CannedServer
from executed import Executor, taking, until
from relay_process import REPOSITORY, free_port

# As an installed command starts: without what -m and a venv import.
PROGRAM = """
import os, sys

moment, found = sys.argv[1:3]
sys.argv[1:3] = []
before = set(sys.modules)

def noting(function):
    def note(*arguments, **more):
        with open(found, "w") as file:
            print(*sorted(set(sys.modules) - before), file=file)
        return function(*arguments, **more)
    return note

setattr(os, moment, noting(getattr(os, moment)))
from pushrelay.__main__ import main
main()
"""
START, EXIT = "posix_spawnp", "_exit"

BEFORE_THE_COMMAND = {
    "__future__",
    "pushrelay",
    "pushrelay.__main__",
    "pushrelay.errors",
    "pushrelay.wrapper",
    "pushrelay.wrapper.attempt",
    "pushrelay.wrapper.command_line",
    "pushrelay.wrapper.environment",
    "pushrelay.wrapper.execution",
    "pushrelay.wrapper.host",
    "pushrelay.wrapper.main",
    "pushrelay.wrapper.metrics_file",
    "pushrelay.wrapper.option_values",
    "pushrelay.wrapper.options",
    "pushrelay.wrapper.process_tree",
    "pushrelay.wrapper.signals",
    "pushrelay.wrapper.spawning",
    "pushrelay.wrapper.supervisor",
}
HEAVY = {
    "alembic",
    "asyncio",
    "click",
    "concurrent.futures",
    "flask",
    "gunicorn",
    "logging",
    "requests",
    "sqlalchemy",
    "subprocess",
    "urllib.request",
    "pushrelay.exposition.text_parser",
    "pushrelay.relay",
    "pushrelay.schedule",
}
"""What no run may import at any time."""


def modules(moment: str, tmp_path: Path, *arguments: str) -> set[str]:
    """Return what a run has imported at the moment at which it calls this function of
    `os`."""
    found = tmp_path / "modules"
    done = subprocess.run(
        [sys.executable, "-S", "-c", PROGRAM, moment, found, "exec", *arguments],
        cwd=tmp_path,
        env={
            "PYTHONPATH": str(REPOSITORY),
            "PATH": "/usr/bin:/bin",
            "PUSHRELAY_STATE_DIR": str(tmp_path / "state"),
        },
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return set(found.read_text().split())


def test_little_is_imported_before_the_command_starts(tmp_path: Path) -> None:
    url = f"--url=http://127.0.0.1:{free_port()}"
    found = modules(START, tmp_path, url, "--quiet", "--", "true")
    assert found == BEFORE_THE_COMMAND


@pytest.mark.parametrize(
    "option",
    [
        "--every=1h",
        "--schedule=0 3 * * *",
        "--retries=2",
        "--success-codes=0-3",
        "--job=a",
        "--label=a=b",
        "--report-timeout=1s",
    ],
)
def test_options_import_little_more(option: str, tmp_path: Path) -> None:
    url = f"--url=http://127.0.0.1:{free_port()}"
    found = modules(START, tmp_path, url, "--quiet", option, "--", "true")
    assert found - BEFORE_THE_COMMAND <= {"pushrelay.durations", "pushrelay.quoting"}


def test_a_delivered_run_imports_nothing_heavy(tmp_path: Path) -> None:
    began = tmp_path / "began"
    with CannedServer(taking(began)) as server:
        found = modules(EXIT, tmp_path, f"--url={server.url}", "--", *until(began))
    assert [asked.method for asked in server.asked] == ["PUT", "PUT"]
    assert "http.client" in found
    assert found & HEAVY == set()


# exec.md: 9
@pytest.mark.system
@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")
def test_the_command_is_started_before_the_first_connection(tmp_path: Path) -> None:
    began, traced = tmp_path / "began", tmp_path / "trace"
    calls = ["-f", "-qq", "-e", "trace=execve,socket,connect,sendto"]
    tracing = ["strace", *calls, "-o", str(traced)]
    with CannedServer(taking(began)) as server:
        executor = Executor(tmp_path, server.url)
        done = executor.run("--", *until(began), around=tracing)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(server.asked) == 2
    seen = re.findall(r"^\d+ +(\w+)\((.*)", traced.read_text(), re.MULTILINE)
    starts = [at for at, (_, of) in enumerate(seen) if of.startswith('"/bin/sh"')]
    network = [at for at, (call, _) in enumerate(seen) if call != "execve"]
    assert starts[0] < network[0]
