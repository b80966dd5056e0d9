"""The spool on disks that are full or read-only, and when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounting import needs_mounts
from relay_process import REPOSITORY
from spooled import NOW, URL, files, finished
from waiting import DEADLINE

from pushrelay.wrapper.spool import Spool

WRITER = """
import os, sys, time, uuid
from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.spool import Spool

spool = Spool([sys.argv[1]])
text = "x" * 200_000
while True:
    at = time.time()
    document = {"job": "a", "state": "finished", "started_at": at, "finished_at": at}
    document["metrics"] = text
    spool.keep(Report(str(uuid.uuid4()), document), "http://a", time.time())
    os.write(1, b".")
"""


pytestmark = pytest.mark.system


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory with a file system of 64 KiB."""
    directory = tmp_path / "disk"
    directory.mkdir()
    options = ["-o", "size=64k,mode=0700"]
    subprocess.run(["mount", "-t", "tmpfs", *options, "none", directory], check=True)
    yield directory
    subprocess.run(["umount", directory], check=True)


@needs_mounts
def test_on_a_full_disk_nothing_is_kept_by_half(small_disk: Path) -> None:
    spool = Spool([str(small_disk / "state")])
    first, second = finished(metrics="x" * 40_000), finished(metrics="x" * 40_000)
    spool.keep(first, URL, NOW)
    before = files(small_disk)
    with pytest.raises(OSError, match="No space left"):
        spool.keep(second, URL, NOW)
    assert files(small_disk) == before
    assert [entry.report for entry in spool.waiting()] == [first]


@needs_mounts
def test_on_a_full_disk_refused_reports_still_leave_the_queue(
    small_disk: Path,
) -> None:
    spool = Spool([str(small_disk / "state")])
    spool.keep(finished(metrics="x" * 40_000), URL, NOW)
    [entry] = spool.waiting()
    spool.set_aside(entry, "never")
    assert spool.waiting() == []
    [refused] = spool.refused()
    assert "no space for its reason" in refused.reason
    assert refused.report == entry.report


@needs_mounts
def test_what_the_first_disk_has_no_space_for_goes_to_the_next(
    small_disk: Path, tmp_path: Path
) -> None:
    spool = Spool([str(small_disk / "state"), str(tmp_path / "fallback")])
    reports = [finished(NOW + number, metrics="x" * 40_000) for number in range(2)]
    for report in reports:
        spool.keep(report, URL, NOW)
    assert [entry.report for entry in spool.waiting()] == reports
    assert len(files(tmp_path / "fallback")) == 1


@needs_mounts
def test_a_read_only_spool_can_be_read(small_disk: Path) -> None:
    spool = Spool([str(small_disk / "state")])
    report = finished()
    spool.keep(report, URL, NOW)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(OSError, match=r"Read-only|Permission denied"):
        spool.keep(finished(), URL, NOW)
    [entry] = spool.waiting()
    with spool.locked() as is_ours:
        assert is_ours
    spool.delivered(entry)
    spool.set_aside(entry, "never")
    spool.drop(report.run_id)
    assert spool.waiting() == [entry]


def test_files_are_whole_when_their_writer_is_killed(tmp_path: Path) -> None:
    spool = Spool([str(tmp_path)])
    tmp_path.chmod(0o700)
    kept = 0
    for after in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        kept += len(process.stdout.read(3))
        time.sleep(after / 1000)
        process.send_signal(signal.SIGKILL)
        kept += len(process.stdout.read())
        process.stdout.close()
        process.wait(DEADLINE)
    entries = spool.waiting()
    # The last of each may have been there before it was told.
    assert kept <= len(entries) <= kept + 5
    assert all(len(entry.report.document["metrics"]) == 200_000 for entry in entries)
    assert spool.refused() == []
