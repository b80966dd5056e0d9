"""Text files where others write, too, and where nothing can be written."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from compat.exposition_page import value
from relay_process import REPOSITORY
from run_reports import FINISH, FULL
from textfiles import FINISHED, page, write
from waiting import DEADLINE

from pushrelay.wrapper import textfile
from pushrelay.wrapper.gauges import LAST_FINISH, LAST_SUCCESS

# One process tells of successes, the others of failures of the same jobs.
WRITER = """
import sys

from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.textfile import write_textfile

directory, number, jobs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print("!", end="", flush=True)
sys.stdin.read()
times = {"started_at": 10.0 + number, "finished_at": 10.0 + number}
outcome = "failure" if number else "success"
for job in range(jobs):
    document = {"job": f"job{job}", "state": "finished", "outcome": outcome, **times}
    write_textfile(directory, Report("", document), 1e9)
"""


def test_of_many_that_end_at_once_no_success_is_lost(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number), "30"],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for number in range(4)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.read(1) == b"!"  # it has imported all
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    assert [process.wait(DEADLINE) for process in processes] == [0] * 4
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()
    said = [file.read_text() for file in tmp_path.iterdir()]
    assert [value(each, LAST_SUCCESS) for each in said] == [10.0] * 30
    assert [value(each, LAST_FINISH) for each in said] == [13.0] * 30


def test_who_holds_the_directory_does_not_hold_up_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(textfile, "_LONGEST_WAIT", 0.05)
    write(tmp_path, FINISH)
    holding = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(holding, fcntl.LOCK_EX)
        write(tmp_path, FINISH, finished_at=FINISHED + 5)
    finally:
        os.close(holding)
    assert value(page(tmp_path), LAST_FINISH) == FINISHED + 5


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become nobody")
@pytest.mark.parametrize("mode", [0o755, 0o711])
def test_a_directory_that_others_own_is_an_error_that_tells_the_file(mode: int) -> None:
    with TemporaryDirectory() as directory:
        os.chmod(directory, mode)
        os.seteuid(65534)
        try:
            with pytest.raises(PermissionError) as failed:
                write(Path(directory), FINISH)
        finally:
            os.seteuid(0)
    assert failed.value.filename == f"{directory}/pushrelay_nightly.prom"


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "missing", FULL)


def test_what_cannot_be_replaced_is_left_and_so_is_nothing_beside_it(
    tmp_path: Path,
) -> None:
    (tmp_path / "pushrelay_nightly.prom").mkdir()
    with pytest.raises(IsADirectoryError) as failed:
        write(tmp_path, FINISH)
    assert failed.value.filename == str(tmp_path / "pushrelay_nightly.prom")
    assert len(list(tmp_path.iterdir())) == 1


def test_a_full_disk_is_an_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    write(tmp_path, FINISH)
    before = page(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(OSError, match="File too large") as failed:
            write(tmp_path, FINISH, finished_at=FINISHED + 5)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert failed.value.filename == str(tmp_path / "pushrelay_nightly.prom")
    assert page(tmp_path) == before


def put_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_sparse_file(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("put", [os.mkfifo, put_link, put_sparse_file])
def test_something_that_never_ends_is_not_read(
    put: Callable[[Path], object], tmp_path: Path
) -> None:
    put(tmp_path / "pushrelay_nightly.prom")
    write(tmp_path, FINISH)
    assert value(page(tmp_path), LAST_FINISH) == FINISHED
