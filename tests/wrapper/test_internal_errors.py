"""Whatever is wrong with us, the command runs and its exit status is kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from canned_server import CannedServer
from executed import Executor, taking
from relay_process import REPOSITORY

from pushrelay.wrapper.spool import Spool

# Calls the program with a function in it that fails.
PROGRAM = """
import importlib, sys

module, _, path = sys.argv.pop(1).partition(":")
owner = importlib.import_module(module)
*classes, name = path.split(".")
for each in classes:
    owner = getattr(owner, each)

def fail(*_, **__):
    raise RuntimeError("an\\nerror")

setattr(owner, name, fail)
from pushrelay.__main__ import main
main()
"""

RUN_REPORTS = "pushrelay.wrapper.run_reports:RunReports"
OF_THE_REPORTS = [
    f"{RUN_REPORTS}.__init__",
    f"{RUN_REPORTS}.started",
    f"{RUN_REPORTS}.ended",
    f"{RUN_REPORTS}.close",
    "pushrelay.wrapper.run_reports:usage_document",
    "pushrelay.wrapper.run_reports:host_name",
    "pushrelay.wrapper.run_reports:state_directories",
    "pushrelay.wrapper.reporter:Reporter.__init__",
    "pushrelay.wrapper.reporter:Reporter.report",
    "pushrelay.wrapper.documents:Run.finish",
    "pushrelay.wrapper.metrics_file:MetricsFile.take",
]
OF_THE_DELIVERY = [
    "pushrelay.wrapper.delivery:Delivery.__init__",
    "pushrelay.wrapper.delivery:Delivery.deliver",
    "pushrelay.wrapper.flush:flush",
    "pushrelay.client:RelayClient.data",
    "http.client:HTTPConnection.connect",
    "socket:getaddrinfo",
    "json:dumps",
]


def run_broken(
    function: str, tmp_path: Path, *arguments: str, url: str = "http://127.0.0.1:9"
) -> subprocess.CompletedProcess[str]:
    """Call `pushrelay exec` with a function of ours that fails."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, function, "exec", *arguments],
        env={
            "PYTHONPATH": str(REPOSITORY),
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(tmp_path),
            "PUSHRELAY_STATE_DIR": str(tmp_path / "state"),
            "PUSHRELAY_URL": url,
        },
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("function", OF_THE_REPORTS + OF_THE_DELIVERY)
def test_an_error_of_ours_keeps_the_exit_status(function: str, tmp_path: Path) -> None:
    command = ("--job=a", "--", "sh", "-c", "echo out; exit 7")
    with CannedServer(taking(tmp_path / "began")) as server:
        done = run_broken(function, tmp_path, *command, url=server.url)
    assert (done.returncode, done.stdout) == (7, "out\n")
    assert done.stderr.startswith("pushrelay exec: ")
    assert "internal error: RuntimeError: an error" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("function", [OF_THE_REPORTS[0], OF_THE_DELIVERY[0]])
def test_an_error_of_ours_is_not_told_where_it_should_be_quiet(
    function: str, tmp_path: Path
) -> None:
    done = run_broken(function, tmp_path, "--quiet", "--", "sh", "-c", "exit 7")
    assert (done.returncode, done.stderr) == (7, "")


@pytest.mark.parametrize("function", [*OF_THE_DELIVERY[:-1], "threading:Thread.start"])
def test_what_an_error_of_ours_keeps_from_delivery_is_kept(
    function: str, tmp_path: Path
) -> None:
    done = run_broken(function, tmp_path, "--", "sh", "-c", "exit 7")
    assert done.returncode == 7
    assert done.stderr.startswith("pushrelay exec: sh: the report is kept for later: ")
    assert done.stderr.count("\n") == 1
    [entry] = Spool([str(tmp_path / "state")]).waiting()
    assert entry.report.document["exit_code"] == 7


def test_an_error_of_ours_is_no_delivery(tmp_path: Path) -> None:
    done = run_broken(RUN_REPORTS, tmp_path, "--quiet", "--require-report", "true")
    assert done.returncode == 75


def test_a_directory_in_place_of_the_metrics_is_told(tmp_path: Path) -> None:
    script = 'rm "$PUSHRELAY_METRICS"; mkdir "$PUSHRELAY_METRICS"; exit 7'
    with CannedServer(taking(tmp_path / "began")) as server:
        done = Executor(tmp_path, server.url).run("--", "sh", "-c", script)
    assert done.returncode == 7
    told = "its metrics cannot be read: it is no regular file"
    assert done.stderr == f"pushrelay exec: sh: {told}\n"


@pytest.mark.parametrize(
    "function",
    ["pushrelay.wrapper.textfile:write_textfile", f"{RUN_REPORTS}.started"],
)
def test_an_error_of_ours_loses_no_report(function: str, tmp_path: Path) -> None:
    options = ("--job=a", f"--textfile={tmp_path}", "--require-report")
    with CannedServer(taking(tmp_path / "began")) as server:
        url = f"--url={server.url}"
        done = run_broken(function, tmp_path, *options, url, "--", "true")
    assert done.returncode == 75
    assert "internal error: RuntimeError: an error" in done.stderr
    ends = [asked for asked in server.asked if b'"finished"' in asked.body]
    assert len(ends) == 1
