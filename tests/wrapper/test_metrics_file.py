"""The file in which a command leaves its metrics."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pushrelay.wrapper import metrics_file
from pushrelay.wrapper.metrics_file import MetricsFile

RUN = "0190b5a4-7e12-4c4e-9a51-3f1f2a6d8c00"


def made(tmp_path: Path) -> MetricsFile:
    return MetricsFile(RUN, {"TMPDIR": str(tmp_path)})


def put_link(path: str) -> None:
    os.symlink("/etc/hostname", path)


def put_socket(path: str) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def test_it_is_empty_and_of_this_user_alone(tmp_path: Path) -> None:
    file = made(tmp_path)
    found = os.stat(file.path)
    assert Path(file.path).parent == tmp_path
    assert (found.st_size, found.st_mode & 0o777) == (0, 0o600)


@pytest.mark.parametrize(
    ("written", "metrics"),
    [
        (b"", ""),
        (b"rows 5\n", "rows 5\n"),
        (b"rows 5", "rows 5\n"),
        (b'rows{name="\xff"} 5\n', 'rows{name="\ufffd"} 5\n'),
    ],
)
def test_what_was_appended_is_taken_and_the_file_is_gone(
    tmp_path: Path, written: bytes, metrics: str
) -> None:
    file = made(tmp_path)
    with open(file.path, "ab") as appended:
        appended.write(written)
    assert file.take() == (metrics, "")
    assert list(tmp_path.iterdir()) == []


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_file, "LARGEST_METRICS", 10)
    file = made(tmp_path)
    Path(file.path).write_text("x" * 11)
    assert file.take() == ("", "its metrics are more than 10 bytes")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_command_removed_is_told(tmp_path: Path) -> None:
    file = made(tmp_path)
    os.unlink(file.path)
    assert file.take() == ("", "its metrics cannot be read: No such file or directory")


def test_a_file_is_made_elsewhere_if_need_be(tmp_path: Path) -> None:
    file = MetricsFile(RUN, {"TMPDIR": str(tmp_path / "missing")})
    assert file.path == f"/tmp/pushrelay-{RUN}.prom"
    assert file.take() == ("", "")


def test_its_path_is_one_for_any_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = MetricsFile(RUN, {"TMPDIR": "."})
    assert file.path == str(tmp_path / f"pushrelay-{RUN}.prom")
    monkeypatch.chdir("/")
    assert file.take() == ("", "")


@pytest.mark.parametrize("put", [os.mkfifo, os.mkdir, put_link, put_socket])
def test_what_is_no_file_is_not_read_and_goes_as_well(
    put: Callable[[str], object], tmp_path: Path
) -> None:
    file = made(tmp_path)
    os.unlink(file.path)
    put(file.path)
    assert file.take() == ("", "its metrics cannot be read: it is no regular file")
    assert [path for path in tmp_path.iterdir() if not path.is_dir()] == []


def test_a_large_file_without_content_takes_no_memory(tmp_path: Path) -> None:
    file = made(tmp_path)
    os.truncate(file.path, 1 << 40)
    assert file.take() == ("", "its metrics are more than 8388608 bytes")
    assert list(tmp_path.iterdir()) == []


def test_where_none_can_be_made_what_is_appended_goes_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", _full)
    file = made(tmp_path)
    monkeypatch.undo()
    with open(file.path, "a") as appended:
        appended.write("rows 5\n")
    assert file.take() == ("", "no file for its metrics could be made")


def _full(*_: object) -> int:
    raise OSError(28, "No space left on device")
