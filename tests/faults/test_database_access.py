"""What is said of a database that cannot be reached, read or written at the start."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import new_database
from command import call
from mounting import needs_mounts, remount, small_disk
from sqlalchemy import text
from user_commands import UserCommands, commands_of_nobody

from pushrelay.cli import serve as serve_module
from pushrelay.store.engine import open_database
from pushrelay.store.migrate import HEAD, current_schema

pytestmark = [pytest.mark.system, pytest.mark.sqlite]

WRITING = ("serve", "db upgrade")
ALL = (*WRITING, "db current", "db check")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another")


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What would have been served, instead of serving it."""
    served: list[object] = []
    monkeypatch.setattr(serve_module, "_run", lambda *given: served.append(given))
    return served


Call = Callable[..., subprocess.CompletedProcess[str]]


def refusals(file: Path, commands: tuple[str, ...], call: Call = call) -> set[str]:
    """Return what is said by `commands` of the database in `file`: one line each."""
    said = set()
    for command in commands:
        done = call(*command.split(), f"--database.url=sqlite:///{file}")
        assert done.returncode == 1, (command, done)
        [line] = done.stderr.splitlines()
        assert line.startswith("Error: "), line
        assert str(file) in line
        said.add(line.replace(str(file.parent), "DIR"))
    return said


def make(directory: Path) -> Path:
    """Make a database, and return its file."""
    new_database(directory).close()
    return directory / "relay.db"


# --- as nobody ---


@pytest.fixture(scope="module")
def nobody() -> Iterator[UserCommands]:
    with commands_of_nobody() as commands:
        yield commands


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that anybody reaches."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o777)
    yield directory
    directory.chmod(0o700)
    shutil.rmtree(directory)


def nothing(_: Path) -> None:
    """Leave the database as it is."""


def directory_of_root(file: Path) -> None:
    file.parent.chmod(0o755)


def closed_directory(file: Path) -> None:
    file.parent.chmod(0o700)


def read_only_file(file: Path) -> None:
    file.chmod(0o644)


def secret_file(file: Path) -> None:
    file.chmod(0o600)


def log_of_root(file: Path) -> None:
    log = file.with_name("relay.db-wal")
    log.touch()
    log.chmod(0o600)


def index_of_root(file: Path) -> None:
    index = file.with_name("relay.db-shm")
    index.touch()
    index.chmod(0o600)


def lock_of_root(file: Path) -> None:
    file.with_name("relay.db.lock").chmod(0o600)


def give_to_nobody(file: Path) -> None:
    for each in (file, file.with_name("relay.db.lock")):
        os.chown(each, 65534, 65534)


DENIED = (
    "Error: the database DIR/relay.db cannot be used: nobody may not {what}, which "
    "belongs to root ({mode}); let nobody do so with chown or chmod, or run pushrelay "
    "as another user; it was left as it is"
)


@needs_root
@pytest.mark.parametrize(
    ("do", "commands", "what", "mode"),
    [
        (directory_of_root, ALL, "make files in DIR", "drwxr-xr-x"),
        (closed_directory, ALL, "enter DIR", "drwx------"),
        (read_only_file, WRITING, "read and write DIR/relay.db", "-rw-r--r--"),
        (secret_file, ALL, "read and write DIR/relay.db", "-rw-------"),
        (log_of_root, ALL, "read and write DIR/relay.db-wal", "-rw-------"),
        (index_of_root, ALL, "read and write DIR/relay.db-shm", "-rw-------"),
        (lock_of_root, WRITING, "read and write DIR/relay.db.lock", "-rw-------"),
    ],
)
def test_what_a_user_may_not_do_is_said(
    directory: Path,
    nobody: UserCommands,
    do: Callable[[Path], None],
    commands: tuple[str, ...],
    what: str,
    mode: str,
) -> None:
    file = make(directory)
    if do not in (read_only_file, secret_file):
        give_to_nobody(file)
    os.chown(file.with_name("relay.db.lock"), 65534, -1)
    if do is lock_of_root:
        os.chown(file.with_name("relay.db.lock"), 0, -1)
    do(file)
    content = file.read_bytes()
    assert refusals(file, commands, nobody.call) == {
        DENIED.format(what=what, mode=mode)
    }
    assert file.read_bytes() == content


@needs_root
def test_a_user_who_may_is_served(directory: Path, nobody: UserCommands) -> None:
    file = make(directory)
    give_to_nobody(file)
    for command in ALL:
        done = nobody.call(*command.split(), f"--database.url=sqlite:///{file}")
        assert done.returncode == 0, done
    (directory / "new").mkdir(mode=0o777)
    (directory / "new").chmod(0o777)
    done = nobody.call("serve", f"--database.url=sqlite:///{directory}/new/b/relay.db")
    assert done.returncode == 0, done


@needs_root
@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (0o755, "cannot make the database {file}: nobody may not make files in {dir}"),
        (0o700, "the database {file} cannot be used: nobody may not enter {dir}"),
    ],
)
def test_a_directory_in_which_no_database_can_be_made_is_said(
    directory: Path, nobody: UserCommands, mode: int, told: str
) -> None:
    directory.chmod(mode)
    file = directory / "data" / "relay.db"
    [line] = refusals(file, WRITING, nobody.call)
    begin = told.format(file="DIR/relay.db", dir=directory)
    assert line.startswith(f"Error: {begin}, which belongs to root (d")
    assert list(directory.iterdir()) == []


# --- as anybody ---


def test_a_directory_in_its_place_is_said(tmp_path: Path) -> None:
    file = tmp_path / "relay.db"
    file.mkdir()
    [line] = refusals(file, ALL)
    assert "DIR/relay.db is a directory; choose another file with --database" in line
    assert list(tmp_path.iterdir()) == [file]


def test_a_pipe_in_its_place_is_said(tmp_path: Path) -> None:
    file = tmp_path / "relay.db"
    os.mkfifo(file)
    [line] = refusals(file, ALL)
    assert "DIR/relay.db is no regular file; choose another file" in line


def test_a_file_in_the_place_of_its_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    file = tmp_path / "data" / "relay.db"
    [line] = refusals(file, WRITING)
    assert f"{tmp_path}/data is no directory; choose another place with --data" in (
        line.replace("DIR", str(file.parent))
    )


@needs_mounts
def test_a_file_system_that_is_read_only_is_said(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        file = make(disk)
        remount(disk, "ro")
        [line] = refusals(file, ALL)
        assert "the file system of DIR/relay.db is read-only; have it mounted" in line
        [line] = refusals(disk / "data" / "relay.db", WRITING)
        assert f"the file system of {disk} is read-only; have it mounted" in line


# --- schemas of other versions ---


def test_an_older_schema_is_brought_up_to_date_by_serve(
    tmp_path: Path, served: list[object]
) -> None:
    file = make(tmp_path)
    database = open_database(f"sqlite:///{file}")
    with database.migrating() as connection:
        # What was made since.
        for table in ("write_lock", "tokens"):
            connection.execute(text(f"DROP TABLE {table}"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0005'"))
    checked = call("db", "check", f"--database.url=sqlite:///{file}")
    assert "has schema 0005, this version needs" in checked.stderr
    assert call("serve", f"--database.url=sqlite:///{file}").returncode == 0
    assert len(served) == 1
    assert current_schema(database) == HEAD
    database.close()


def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = make(tmp_path)
    database = open_database(f"sqlite:///{file}")
    with database.migrating() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    content = file.read_bytes()
    for command in (*WRITING, "db check"):
        done = call(*command.split(), f"--database.url=sqlite:///{file}")
        assert done.returncode == 1
        assert done.stderr == (
            "Error: the database has schema 9999, which is newer than this version of "
            f"pushrelay knows ({HEAD}); start the version that wrote it, or a newer one"
            "\n"
        )
    assert file.read_bytes() == content
