"""`pushrelay exec` runs the command wherever it can be run, with next to nothing."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from canned_server import Asked, Canned, CannedServer, data
from mounting import fill, needs_mounts, remount, small_disk
from relay_process import REPOSITORY
from wrapped import PYTHON, environment, needs, needs_root, run, wrapped

from pushrelay.wrapper import documents
from pushrelay.wrapper.documents import Run

EXIT_SEVEN = ["sh", "-c", "echo it runs; exit 7"]
IT_RUNS = (7, b"it runs\n")
BARE = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"}
# In it there is no state that tests might find or leave behind.
NO_STATE = [
    "unshare",
    "--mount",
    "sh",
    "-c",
    'mount -t tmpfs -o mode=1777 none /var/tmp && exec "$@"',
    "sh",
]
AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"LANG": "C", "LC_ALL": "POSIX"},
        {"HOME": ""},
        {"HOME": "/nonexistent"},
        {"HOME": "/proc", "XDG_STATE_HOME": "/proc", "TMPDIR": "/proc"},
        {"TZ": "nonsense", "TRACEPARENT": "nonsense", "PYTHONWARNINGS": "error"},
        {"PUSHRELAY_STATE_DIR": "/proc/nowhere"},
        {"PUSHRELAY_URL": "nonsense://", "PUSHRELAY_STATE_DIR": "/proc/nowhere"},
    ],
)
def test_with_a_poor_environment(tmp_path: Path, more: dict[str, str]) -> None:
    # Without a relay nothing is kept in the directories of whoever runs the tests.
    options = [] if "PUSHRELAY_URL" in more else ["--textfile", str(tmp_path)]
    done = run(wrapped(*EXIT_SEVEN, options=options), {**BARE, **more})
    assert (done.returncode, done.stdout) == IT_RUNS
    assert len(done.stderr.splitlines()) <= 1


def test_with_a_narrow_umask_and_few_files(tmp_path: Path) -> None:
    limit = ["sh", "-c", 'umask 0777; ulimit -n 12; exec "$@"', "sh"]
    done = run([*limit, *wrapped(*EXIT_SEVEN)], environment(tmp_path / "state"))
    assert (done.returncode, done.stdout) == IT_RUNS


def test_in_a_directory_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    start = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *wrapped(*EXIT_SEVEN)]
    done = run(start, environment(tmp_path / "state"), cwd=gone)
    assert (done.returncode, done.stdout) == IT_RUNS


@pytest.mark.system
@needs("setpriv")
@needs_root
@needs_mounts
@pytest.mark.parametrize("home", [{}, {"HOME": "/"}, {"HOME": "/nonexistent"}])
def test_as_a_user_who_owns_nothing(home: dict[str, str]) -> None:
    command = [*NO_STATE, *AS_NOBODY, *wrapped(*EXIT_SEVEN, options=[])]
    env = {**BARE, **home, "PUSHRELAY_URL": "http://127.0.0.1:1"}
    done = run(command, env, cwd="/")
    assert (done.returncode, done.stdout) == IT_RUNS
    [line] = done.stderr.splitlines()
    assert b"the report is kept for later" in line


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory with a file system that is full."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        fill(disk)
        yield disk


@pytest.mark.system
@needs_mounts
@pytest.mark.parametrize("options", [[], ["--textfile", "."], ["--lock", "skip"]])
def test_on_a_full_disk(full_disk: Path, options: list[str]) -> None:
    env = environment(full_disk / "state", TMPDIR=str(full_disk))
    command = wrapped(*EXIT_SEVEN, options=options)
    done = run(command, env, cwd=full_disk)
    assert (done.returncode, done.stdout) == IT_RUNS
    [line] = done.stderr.splitlines()
    assert line.startswith(b"pushrelay exec: sh: ")


@pytest.mark.system
@needs_mounts
def test_on_a_disk_that_is_read_only(full_disk: Path) -> None:
    remount(full_disk, "ro")
    env = environment(full_disk / "state", TMPDIR=str(full_disk))
    done = run(wrapped(*EXIT_SEVEN, options=[]), env, cwd=full_disk)
    assert (done.returncode, done.stdout) == IT_RUNS
    [line] = done.stderr.splitlines()
    assert b"the report is lost" in line


def test_what_the_command_used_is_reported(tmp_path: Path) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    with CannedServer(_taking) as relay:
        env = environment(tmp_path / "state", PUSHRELAY_URL=relay.url)
        assert run(wrapped(PYTHON, "-c", burn), env).returncode == 0
    [usage] = [
        json.loads(asked.body)["usage"]
        for asked in relay.asked
        if asked.method == "PUT" and json.loads(asked.body)["state"] == "finished"
    ]
    # Our own is not in it: we import about as much as that takes.
    assert 0.3 <= usage["user_seconds"] + usage["system_seconds"] < 30
    assert usage["max_rss_bytes"] > 1_000_000
    assert usage["block_reads"] >= 0 <= usage["block_writes"]


@pytest.mark.parametrize("step", [-3600.0, -0.001, 0.0, 3600.0])
def test_no_duration_is_negative_whatever_the_clock_does(
    monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    began = time.time()
    run_ = Run("id", {"job": "nightly"}, began, 100.0)
    monkeypatch.setattr(documents.time, "time", lambda: began + 2.5 + step)
    monkeypatch.setattr(documents.time, "monotonic", lambda: 102.5)
    document = run_.finish("success", 102.0).document
    assert document["duration_seconds"] == 2.0
    assert document["finished_at"] >= document["started_at"] == began


def test_an_end_that_is_reported_twice_is_the_same() -> None:
    run_ = Run("id", {"job": "nightly"}, time.time(), time.monotonic())
    finished = time.monotonic()
    first = run_.finish("success", finished)
    assert run_.finish("success", finished) == first


def _taking(asked: Asked) -> Canned:
    return data({"created": True})
