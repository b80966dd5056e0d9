"""A disk that gets full under the database, and has room again later."""

from __future__ import annotations

import random
import re
import string
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import group_of, key_of
from desks import Desk, x
from mounting import fill, needs_mounts, remount, small_disk
from relay_process import RelayProcess, Response

from pushrelay.errors import StartupError, StoreUnavailable
from pushrelay.groups import Group
from pushrelay.store import sqlite
from pushrelay.store.engine import Database, open_database
from pushrelay.store.migrate import upgrade

pytestmark = [pytest.mark.system, needs_mounts]

PUSHERS = 6
LINES = 25
FULL = "the database is unavailable: the disk of the database is full: "


def body_of(value: int) -> str:
    """A push of 20 kB that says `value` in each of its lines."""
    return "".join(f'x{{l="{n:0800}"}} {value}\n' for n in range(LINES))


class Pusher:
    """Makes groups until the relay has refused it often enough."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.acknowledged: dict[str, int] = {}
        self.refusals: list[Response] = []

    def run(self, relay: RelayProcess) -> None:
        """Push again and again; who is refused waits for a moment."""
        for value in range(10_000):
            job = f"pusher-{self.number}-{value}"
            answer = relay.put(f"/metrics/job/{job}", body_of(value))
            if answer.status == 200:
                self.acknowledged[job] = value
                continue
            self.refusals.append(answer)
            if len(self.refusals) == 5:
                return
            time.sleep(0.02)


def check(page: str, acknowledged: dict[str, int]) -> None:
    """Check that `page` has all that was acknowledged, and nothing in half."""
    found: dict[str, list[int]] = {}
    for job, value in re.findall(r'^x\{.*job="(pusher[^"]*)".*\} (\S+)$', page, re.M):
        found.setdefault(job, []).append(int(value))
    for job, values in found.items():
        assert values == [int(job.rpartition("-")[2])] * LINES, f"{job} is torn"
    assert acknowledged.items() <= {job: v[0] for job, v in found.items()}.items()


def store_up(relay: RelayProcess) -> str:
    found = re.search(r"^pushrelay_store_up (\d)$", relay.page(), re.M)
    assert found is not None
    return found[1]


def test_a_full_disk_stops_pushes_and_nothing_else(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "5m") as disk:
        relay = RelayProcess(tmp_path)
        relay.database = disk / "relay.db"
        try:
            _fill_under_load(relay.start(), disk)
        finally:
            relay.kill()


def _fill_under_load(relay: RelayProcess, disk: Path) -> None:
    pushers = [Pusher(number) for number in range(PUSHERS)]
    threads = [threading.Thread(target=p.run, args=(relay,)) for p in pushers]
    for thread in threads:
        thread.start()
    scrapes = 0
    while any(thread.is_alive() for thread in threads):
        relay.page()
        scrapes += 1
        time.sleep(0.1)
    acknowledged = {j: v for p in pushers for j, v in p.acknowledged.items()}
    assert scrapes
    assert len(acknowledged) > 50

    for answer in [answer for p in pushers for answer in p.refusals]:
        assert (answer.status, answer.header("Retry-After")) == (503, "5")
        assert re.search(rf"{FULL}{disk} has 0\.\d MiB of 5\.0 MiB left", answer.text)
    not_ready = relay.get("/-/ready")
    assert (not_ready.status, FULL in not_ready.text) == (503, True)
    assert store_up(relay) == "0"
    # That something was asked of the database since does not make it seem well.
    assert store_up(relay) == "0"
    check(relay.page(), acknowledged)

    relay.kill()
    relay.start(ready="/-/healthy")
    check(relay.page(), acknowledged)
    assert relay.get("/-/ready").status == 503
    assert store_up(relay) == "0"

    remount(disk, "size=50m")
    assert relay.get("/-/ready").status == 200
    assert store_up(relay) == "1"
    assert relay.put("/metrics/job/pusher-9-1", body_of(1)).status == 200
    acknowledged["pusher-9-1"] = 1
    check(relay.page(), acknowledged)
    assert relay.stop() == 0
    assert "raceback" not in relay.log


# --- a writer by itself ---


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "2m") as disk:
        yield disk


@pytest.fixture
def desk(disk: Path) -> Iterator[Desk]:
    """A writer of a database on `disk`."""
    database = _opened(disk)
    database.create()
    upgrade(database)
    # So the tables are in the file, and not in its log.
    database.close()
    desk = Desk(database)
    desk.write(x("first"))
    yield desk
    desk.writer.stop()
    database.close()


def _opened(disk: Path) -> Database:
    return open_database(f"sqlite:///{disk}/relay.db")


def large(job: str) -> Group:
    """A group of 40 kB that cannot be compressed."""
    letters = random.Random(job).choices(string.ascii_letters, k=40_000)
    return group_of(f"# HELP x {''.join(letters)}\nx 1", key_of(job))


def is_full(answers: list[Any]) -> bool:
    [answer] = answers
    return isinstance(answer, StoreUnavailable) and str(answer).startswith(FULL)


def test_a_probe_says_so_until_there_is_room(desk: Desk, disk: Path) -> None:
    fill(disk)
    # It is written in fact, though nobody sees it.
    with pytest.raises(StoreUnavailable, match=FULL):
        desk.writer.probe(100_000)
    remount(disk, "size=4m")
    desk.writer.probe(100_000)
    assert desk.write(x("second")) == [None]
    assert desk.decider.position is not None
    assert desk.decider.position.revision == 2


def test_a_log_that_cannot_be_copied_is_kept_until_it_can(
    disk: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setattr(sqlite, "LOG_PAGES", 300)
    desk: Desk = request.getfixturevalue("desk")
    written = []
    for number in range(1000):
        if is_full(desk.write(large(f"j{number}"))):
            break
        written.append(f"j{number}")
    log = disk / "relay.db-wal"
    # It would have been begun anew if there were room for what is in it.
    assert log.stat().st_size > 300 * 4096
    assert is_full(desk.write(large("more")))
    assert desk.stored().keys() == desk.decider.jobs.keys() == {"first", *written}

    remount(disk, "size=20m")
    size = log.stat().st_size
    for number in range(50):
        assert desk.write(large(f"k{number}")) == [None]
    # It was copied, and is used again.
    assert log.stat().st_size < size + 100_000
    assert len(desk.stored()) == 1 + len(written) + 50


def test_what_needs_no_more_room_is_taken_on_a_full_disk(
    desk: Desk, disk: Path
) -> None:
    for number in range(100):
        assert desk.write(x("same", number)) == [None]
    # Whoever has the database open keeps SQLite from copying the log when the writer
    # connects anew.
    desk.stored()
    fill(disk)
    # Then the log is copied to the file, and there is all of it to write to.
    answers = [desk.write(x("same", number)) for number in range(100)]
    assert sum(map(is_full, answers)) == 1
    assert answers[-1] == [None]


def test_a_database_whose_log_has_no_room_is_not_started_with(disk: Path) -> None:
    database = _opened(disk)
    database.create()
    upgrade(database)
    database.close()
    fill(disk)
    with pytest.raises(StartupError, match=r"cannot be used: the disk .* make room"):
        database.create()
    remount(disk, "size=4m")
    assert not database.create()
    database.close()


def test_no_database_is_made_on_a_full_disk(disk: Path) -> None:
    fill(disk)
    with pytest.raises(StartupError, match=r"cannot make the .* the disk .* is full"):
        _opened(disk).create()
    assert {file.name for file in disk.iterdir()} == {"all", "relay.db.lock"}
    remount(disk, "size=4m")
    assert _opened(disk).create()
