"""`pushrelay backup` and `pushrelay restore` as a person calls them."""

from __future__ import annotations

import os
import re
import resource
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from builders import commit, group_of, key_of, new_database
from command import call, run, run_on_terminal
from databases import database_in, database_url
from relay_process import REPOSITORY
from sqlalchemy import make_url

from pushrelay import __version__


@pytest.fixture
def source(tmp_path: Path) -> str:
    """The flag for a database with a group."""
    directory = tmp_path / "source"
    directory.mkdir()
    database = new_database(directory)
    commit(database, group_of("x 1", key_of("a")))
    database.close()
    return f"--database.url={database_url(directory)}"


@pytest.fixture
def target(tmp_path: Path) -> str:
    """The flag for a database that is not there."""
    return f"--database.url=sqlite:///{tmp_path}/target/relay.db"


def test_both_commands_say_what_they_did(
    source: str, target: str, tmp_path: Path
) -> None:
    file = tmp_path / "it.db"
    made = call("backup", str(file), source)
    assert (made.returncode, made.stdout) == (0, "")
    assert made.stderr == (
        f"backed up {tmp_path}/source/relay.db at revision 1 into {file}: 1 group, "
        f"0 runs, {file.stat().st_size:,} bytes\n"
    )
    restored = call("restore", str(file), target)
    assert (restored.returncode, restored.stdout) == (0, "")
    assert re.fullmatch(
        rf"restored {tmp_path}/target/relay\.db at revision 2 from {file}, made "
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC by pushrelay "
        rf"{re.escape(__version__)} at revision 1: 1 group, 0 runs\n",
        restored.stderr,
    )


def test_backups_go_through_pipes(source: str, target: str, tmp_path: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "pushrelay", "backup", "-", source],
        capture_output=True,
        cwd=REPOSITORY,
    )
    assert made.returncode == 0
    said = (
        rf"backed up \S+ at revision 1: 1 group, 0 runs, {len(made.stdout):,} bytes\n"
    )
    assert re.fullmatch(said, made.stderr.decode())
    restored = run("restore", "-", target, stdin=made.stdout)
    assert restored.returncode == 0
    assert "from standard input, made" in restored.stderr
    again = call("restore", "-", "--replace", target, stdin=made.stdout[:5000])
    assert (again.returncode, again.stdout) == (1, "")
    assert re.match(r"Error: standard input is damaged: .*; use another", again.stderr)


def test_a_pipe_that_nobody_reads_is_an_error(source: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "pushrelay", "backup", "-", source],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPOSITORY,
        )
    assert (done.returncode, done.stderr) == (
        1,
        "Error: the backup to standard output cannot be written: Broken pipe\n",
    )


def test_a_terminal_gets_no_backup(source: str) -> None:
    assert run_on_terminal("", "backup", "-", source) == (
        2,
        "Usage: pushrelay backup [OPTIONS] FILE\n"
        "Try 'pushrelay backup --help' for help.\n\n"
        "Error: a terminal shows no backup; write it to a file or a pipe\n",
    )


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (["backup"], 2, "Missing argument 'FILE'"),
        (["backup", "/"], 2, "File '/' is a directory"),
        (["backup", "/dev/null"], 1, "/dev/null is no file; write - for standard"),
        (["restore", "missing.db"], 2, "File 'missing.db' does not exist"),
        (["restore", "/dev/null"], 1, "/dev/null is empty"),
    ],
)
def test_wrong_calls_are_explained(
    arguments: list[str], code: int, problem: str, source: str
) -> None:
    done = call(*arguments, source)
    assert (done.returncode, done.stdout) == (code, "")
    assert problem in done.stderr


def test_a_database_that_is_not_there_has_no_backup(
    target: str, tmp_path: Path
) -> None:
    file = tmp_path / "it.db"
    done = call("backup", str(file), target)
    assert done.returncode == 1
    missing = f"Error: there is no database {tmp_path}/target/relay.db; name that of "
    assert done.stderr.startswith(missing)
    assert not file.exists()
    # A file that cannot be restored makes none either.
    file.write_bytes(b"x")
    assert call("restore", str(file), target).returncode == 1
    assert not (tmp_path / "target").exists()


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond so many bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("room", [40_000, 300_000])
def test_a_disk_that_is_full_leaves_the_backup_before(
    room: int, source: str, tmp_path: Path
) -> None:
    database = database_in(tmp_path / "source")
    noise = [f'x{{noise="{secrets.token_hex(10_000)}"}} 1' for _ in range(50)]
    commit(database, group_of("\n".join(noise), key_of("large")))
    database.close()
    file = tmp_path / "backups" / "it.db"
    file.parent.mkdir()
    call("backup", str(file), source)
    before = file.read_bytes()
    with files_limited_to(room):
        done = call("backup", str(file), source)
    assert (done.returncode, done.stderr) == (
        1,
        f"Error: the backup {file} cannot be written: disk I/O error\n",
    )
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.postgres
def test_no_password_is_shown(tmp_path: Path) -> None:
    url = database_url(tmp_path)
    file = str(tmp_path / "it.db")
    made = call("backup", file, PUSHRELAY_DATABASE_URL=url)
    restored = call("restore", file, PUSHRELAY_DATABASE_URL=url)
    parsed = make_url(url)
    name = f"postgresql://postgres@127.0.0.1:{parsed.port}/{parsed.database}"
    assert made.stderr.startswith(f"backed up {name} at revision 0 into {file}: ")
    assert restored.stderr.startswith(f"restored {name} at revision 1 from {file}")
