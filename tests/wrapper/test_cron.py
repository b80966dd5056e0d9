"""Debian's cron runs a line with `pushrelay exec` before it, and the run shows up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from executed import counted, runs_of_job
from mounting import needs_mounts
from relay_process import REPOSITORY, HTTPClient
from run_http import job_of
from waiting import wait_until

CRON = shutil.which("cron", path=os.defpath + ":/usr/sbin")
# The tables of this machine stay out of sight, and so does the mark that cron leaves
# when it has run the lines for @reboot.
PRIVATE = """
set -e
for directory in /run /etc/cron.d /var/spool/cron/crontabs; do
    mount -t tmpfs none "$directory"
done
cp "$1" /etc/cron.d/pushrelay
if [ -e /etc/crontab ]; then mount --bind /dev/null /etc/crontab; fi
exec "$2" -f
"""


pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(CRON is None, reason="there is no cron"),
    needs_mounts,
]


@contextmanager
def cron(directory: Path, *lines: str) -> Iterator[None]:
    """Let cron run with these lines of /etc/cron.d, and no others."""
    table = directory / "table"
    table.write_text("".join([f"{line}\n" for line in lines]))
    table.chmod(0o600)
    command = ["unshare", "--mount", "sh", "-c", PRIVATE, "sh", table, CRON or ""]
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def variables(file: Path) -> dict[str, str]:
    """Return the environment that `env -0` wrote to `file`."""
    pairs = file.read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


def test_a_line_of_a_crontab_shows_up(relay: HTTPClient, tmp_path: Path) -> None:
    wrapped = f"{sys.executable} -m pushrelay exec --schedule '30 2 * * *' --"
    report = tmp_path / "report"
    report.write_text('#!/bin/sh\nenv -0 > "$1.new"; mv "$1.new" "$1"; exit "$2"\n')
    report.chmod(0o755)
    with cron(
        tmp_path,
        f"PYTHONPATH={REPOSITORY}",
        f"PUSHRELAY_STATE_DIR={tmp_path}/state",
        f"PUSHRELAY_URL=http://{relay.address}",
        "TZ=Asia/Tokyo",
        f"@reboot root {report} {tmp_path}/bare 0",
        f"@reboot root {wrapped} {report} {tmp_path}/wrapped 3",
    ):
        wait_until((tmp_path / "bare").exists)
        wait_until(lambda: counted(relay, "report"))
    assert counted(relay, "report") == {"failure": 1}
    [run] = runs_of_job(relay, "report")
    host = os.uname().nodename
    assert (run["host"], run["labels"]) == (host, {"instance": host})
    assert (run["outcome"], run["exit_code"]) == ("failure", 3)
    expectation = job_of(relay, "report")["expectation"]
    assert (expectation["schedule"], expectation["tz"]) == ("30 2 * * *", "Asia/Tokyo")

    found, bare = variables(tmp_path / "wrapped"), variables(tmp_path / "bare")
    assert found["PUSHRELAY_RUN_ID"] == run["id"]
    added = {"PUSHRELAY_METRICS", "PUSHRELAY_RUN_ID", "TRACEPARENT"}
    assert found.keys() - bare.keys() == added
    assert {name: found[name] for name in bare} == bare
    assert (bare["PATH"], bare["HOME"]) == ("/usr/bin:/bin", "/root")
