"""A database that was damaged is not started with, nor written to, nor made anew."""

from __future__ import annotations

import os
import random
import re
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from builders import commit, group_of, key_of, new_database
from command import call
from relay_process import RelayProcess

from pushrelay.cli import serve as serve_module
from pushrelay.store import sqlite_check
from pushrelay.store.migrate import HEAD

pytestmark = pytest.mark.system

PAGE = 4096
GARBAGE = random.Random(1).randbytes(1_000_000)
GROUPS = 60


def body_of(value: int) -> str:
    """A push of 3 kB."""
    return f"# HELP x {'h' * 3000}\nx {value}\n"


def overwrite(file: Path, begin: int, end: int) -> None:
    """Put garbage into `file`, from one place to another."""
    with file.open("r+b") as opened:
        opened.seek(begin)
        opened.write(GARBAGE[: end - begin])


def overwrite_pages(file: Path) -> None:
    pages = file.stat().st_size // PAGE
    # Behind those of the tables themselves.
    overwrite(file, pages * 3 // 4 * PAGE, pages * 7 // 8 * PAGE)


def overwrite_begin(file: Path) -> None:
    overwrite(file, 0, 2 * PAGE)


def cut_off(file: Path) -> None:
    os.truncate(file, file.stat().st_size // PAGE // 2 * PAGE)


def cut_off_within_a_page(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 100)


def replace_by_text(file: Path) -> None:
    file.write_text("precious notes, no database\n" * 100)


def empty(file: Path) -> None:
    os.truncate(file, 0)


def overwrite_log(file: Path) -> None:
    overwrite(log_of(file), 0, PAGE)


def overwrite_middle_of_log(file: Path) -> None:
    size = log_of(file).stat().st_size
    overwrite(log_of(file), size // 2, size // 2 + PAGE)


def cut_off_log(file: Path) -> None:
    os.truncate(log_of(file), 20)


def cut_off_end_of_log(file: Path) -> None:
    os.truncate(log_of(file), log_of(file).stat().st_size - 100)


def remove_file_only(file: Path) -> None:
    file.unlink()


def log_of(file: Path) -> Path:
    return file.with_name(file.name + "-wal")


Damage = Callable[[Path], None]

RESTORE = "restore a backup with `pushrelay restore`"
OF_THE_FILE: list[tuple[Damage, str]] = [
    (overwrite_pages, f"is damaged: .*{RESTORE}"),
    (overwrite_begin, f"is damaged: file is not a database; .*{RESTORE}"),
    (cut_off, f"is damaged: database disk image is malformed; .*{RESTORE}"),
    (cut_off_within_a_page, f"is damaged: its last page is cut off; .*{RESTORE}"),
    (replace_by_text, "is damaged: file is not a database"),
    (empty, r"is empty, and no database ever is: .*restore a backup"),
]
OF_THE_LOG: list[tuple[Damage, str]] = [
    (
        overwrite_log,
        f"-wal is damaged, .*move it away to go on without them.*{RESTORE}",
    ),
    (overwrite_middle_of_log, r"-wal is damaged, and \d+ commits are behind that; "),
    (cut_off_log, "-wal is damaged"),
    (empty, "is empty, and no database ever is: .*restore a backup"),
    (remove_file_only, "there is no database .*, but its write-ahead log .*put the"),
]


def make(directory: Path, *, has_log: bool) -> Path:
    """Make a database, with its groups in the log or the file; return the file."""
    (source := directory / "source").mkdir()
    database = new_database(source)
    groups = [group_of(body_of(n), key_of(f"j{n:02}")) for n in range(GROUPS)]
    for begin in range(0, GROUPS, 5):
        commit(database, *groups[begin : begin + 5])
    if not has_log:
        database.close()
    for file in source.glob("relay.db*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, directory)
    database.close()
    shutil.rmtree(source)
    return directory / "relay.db"


def contents(file: Path) -> dict[str, bytes]:
    """Return what is in `file` and its log."""
    return {f.name: f.read_bytes() for f in (file, log_of(file)) if f.exists()}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What would have been served, instead of serving it."""
    served: list[object] = []
    monkeypatch.setattr(serve_module, "_run", lambda *given: served.append(given))
    return served


@pytest.mark.parametrize(
    ("has_log", "damage", "told"),
    [
        *((False, *each) for each in OF_THE_FILE),
        *((True, *each) for each in OF_THE_LOG),
    ],
)
def test_a_damaged_database_is_refused_and_left_as_it_is(
    tmp_path: Path, served: list[object], has_log: bool, damage: Damage, told: str
) -> None:
    file = make(tmp_path, has_log=has_log)
    damage(file)
    before = contents(file)
    for command in ("serve", "db upgrade", "db current", "db check"):
        done = call(*command.split(), f"--database.url=sqlite:///{file}")
        if command in ("serve", "db upgrade"):
            assert done.returncode == 1
            [line] = done.stderr.splitlines()
            assert re.match(rf"Error: .*{file}", line)
            assert re.search(told, line), line
        assert contents(file) == before
    assert served == []


@pytest.mark.parametrize("command", ["db current", "db check"])
def test_who_only_looks_leaves_nothing_behind(tmp_path: Path, command: str) -> None:
    file = make(tmp_path, has_log=False)
    files = sorted(tmp_path.iterdir())
    done = call(*command.split(), f"--database.url=sqlite:///{file}")
    assert HEAD in done.stdout
    assert sorted(tmp_path.iterdir()) == files


@pytest.mark.parametrize("has_log", [False, True])
def test_a_whole_database_is_not_refused(
    tmp_path: Path, served: list[object], has_log: bool
) -> None:
    file = make(tmp_path, has_log=has_log)
    assert call("serve", f"--database.url=sqlite:///{file}").returncode == 0
    assert len(served) == 1


def test_a_log_of_which_nothing_reached_the_disk_is_no_damage(
    tmp_path: Path, served: list[object]
) -> None:
    file = make(tmp_path, has_log=False)
    log_of(file).write_bytes(bytes(10 * PAGE))
    assert call("serve", f"--database.url=sqlite:///{file}").returncode == 0
    assert len(served) == 1


@pytest.mark.parametrize(
    ("damage", "flag", "left"),
    [
        # What a power cut amid a commit may leave behind.
        (cut_off_end_of_log, "full", range(GROUPS - 5, GROUPS - 4)),
        # As many as had not reached the disk.
        (overwrite_middle_of_log, "normal", range(5, GROUPS - 10)),
    ],
)
def test_a_log_that_a_power_cut_may_have_left_is_taken_as_far_as_it_goes(
    tmp_path: Path, served: list[object], damage: Damage, flag: str, left: range
) -> None:
    file = make(tmp_path, has_log=True)
    damage(file)
    url = f"--database.url=sqlite:///{file}"
    assert call("serve", url, f"--database.sync={flag}").returncode == 0
    assert len(served) == 1
    with closing(sqlite3.connect(file)) as connection:
        [[groups]] = connection.execute("SELECT count(*) FROM groups")
    assert groups in left


def test_a_file_that_would_take_long_is_not_checked(
    tmp_path: Path, served: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = make(tmp_path, has_log=False)
    monkeypatch.setattr(sqlite_check, "CHECKED_BYTES", file.stat().st_size - 1)
    done = call("serve", f"--database.url=sqlite:///{file}")
    assert "is too large to be checked at the start" in done.stderr
    assert len(served) == 1


def test_a_relay_ends_at_once_instead_of_starting_with_damage(tmp_path: Path) -> None:
    file = make(tmp_path, has_log=False)
    overwrite_pages(file)
    before = contents(file)
    command = RelayProcess(tmp_path).command()
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert re.match(rf"Error: the database {file} cannot be used: .* is damaged", line)
    assert contents(file) == before


def test_damage_that_is_met_stops_pushes_until_a_restart(tmp_path: Path) -> None:
    file = make(tmp_path, has_log=False)
    backup = file.read_bytes()
    with RelayProcess(tmp_path) as relay:
        page = samples(relay)
        overwrite_pages(file)
        _push_until_it_is_met(relay)
        assert len(samples(relay)) == len(page) == GROUPS
        relay.stop()
        file.write_bytes(backup)
        relay.start()
        assert samples(relay) == page
        assert relay.put("/metrics/job/j00", "x 8\n").status == 200


def _push_until_it_is_met(relay: RelayProcess) -> None:
    targets = [f"/metrics/job/j{n:02}" for n in range(GROUPS)]
    statuses = [relay.put(target, "x 7\n").status for target in targets]
    taken = statuses.index(503)
    # From the first one on that met it.
    assert statuses == [200] * taken + [503] * (GROUPS - taken)
    before = contents(relay.database)
    refused = relay.put(targets[0], "x 8\n")
    assert refused.header("Retry-After") == "5"
    assert re.search(
        rf"{relay.database} is damaged: .*{RESTORE}.*any more", refused.text
    )
    assert relay.get("/-/ready").status == 503
    assert relay.get("/-/healthy").status == 200
    assert "pushrelay_store_up 0\n" in relay.page()
    assert contents(relay.database) == before
    assert "raceback" not in relay.log


def samples(relay: RelayProcess) -> list[str]:
    return re.findall(r"^x\{.*", relay.page(), re.M)


def test_a_row_that_is_damaged_is_told_at_the_start(tmp_path: Path) -> None:
    file = make(tmp_path, has_log=False)
    content = file.read_bytes()
    # Of which SQLite knows nothing.
    file.write_bytes(content.replace(b"[1000000000,", b"{1000000000,", 1))
    assert file.read_bytes() != content
    command = RelayProcess(tmp_path).command()
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode != 0
    assert time.monotonic() - began < 30
    assert (
        "cannot start: the database is unavailable: a row of table groups cannot "
        in (done.stderr)
    )
    assert "raceback" not in done.stderr
