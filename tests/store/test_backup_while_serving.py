"""Backups and restores while relays serve the database and are pushed to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from command import call
from databases import database_url
from relay_process import RelayProcess
from replica_process import Replica
from sound import check_sound_at
from waiting import wait_until

from pushrelay.groups import Group
from pushrelay.store.engine import open_database
from pushrelay.store.reader import read_snapshot

pytestmark = pytest.mark.system

PUSHERS = 4
BACKUPS = 2


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, database_kind: str) -> str:
    return database_url(tmp_path_factory.mktemp(database_kind))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, url: str) -> Iterator[list[Replica]]:
    """Two relays of one database."""
    with ExitStack() as running:
        relays = []
        for name in ("one", "two"):
            directory = tmp_path_factory.mktemp(name)
            relays.append(Replica(directory, url, "--web.enable-admin-api"))
            running.callback(relays[-1].kill)
            relays[-1].start()
        yield relays


@pytest.fixture
def relays(both: list[Replica]) -> list[Replica]:
    """These relays, without groups."""
    both[0].wipe()
    return both


class Pusher:
    """Pushes to two groups at a time, and then to a third one, until it is told to
    stop; all values of a push are its number."""

    def __init__(self, relay: RelayProcess, number: int) -> None:
        self._relay = relay
        self._jobs = [f"{number}-{name}" for name in ("a", "b", "c")]
        self.pushed = 0

    def push_until(self, stop: threading.Event) -> None:
        for value in count(1):
            lines = [
                f'{n}{{job="{job}"}} {value}' for job in self._jobs[:2] for n in "xy"
            ]
            self._put("/api/v1/groups?by=job", "\n".join(sorted(lines)))
            self._put(f"/metrics/job/{self._jobs[2]}", f"x {value}\ny {value}")
            self.pushed = value
            if stop.is_set():
                return

    def _put(self, target: str, body: str) -> None:
        response = self._relay.put(target, f"{body}\n")
        assert response.status == 200, response.text

    def check(self, values: dict[str, set[int]]) -> int:
        """Check that `values`, by job, are of one moment; return how far it was."""
        one, other, later = [values.get(job, {0}) for job in self._jobs]
        assert one == other
        [value], [after] = one, later
        assert value - 1 <= after <= value
        return value


def values_in(file: Path, directory: Path) -> dict[str, set[int]]:
    """Restore `file`, and return all values of each job."""
    target = f"sqlite:///{directory}/restored.db"
    done = call("restore", str(file), "--replace", f"--database.url={target}")
    assert done.returncode == 0, done.stderr
    check_sound_at(target)
    database = open_database(target)
    changes = read_snapshot(database, None)
    database.close()
    assert changes is not None
    return {
        group.key.job: {
            int(line.split()[-1]) for line in group.payload.text.splitlines()
        }
        for group in changes.groups
        if isinstance(group, Group)
    }


def test_a_backup_has_one_moment_of_a_store_that_is_pushed_to(
    relays: list[Replica], url: str, tmp_path: Path
) -> None:
    pushers = [Pusher(relays[number % 2], number) for number in range(PUSHERS)]
    stop = threading.Event()
    files = [tmp_path / f"{number}.db" for number in range(BACKUPS)]
    with ThreadPoolExecutor(PUSHERS) as threads:
        pushing = [threads.submit(each.push_until, stop) for each in pushers]
        try:
            wait_until(lambda: all(each.pushed for each in pushers), "a push")
            pushed = []
            for file in files:
                pushed.append([each.pushed for each in pushers])
                done = call("backup", str(file), f"--database.url={url}")
                assert done.returncode == 0, done.stderr
        finally:
            stop.set()
        for future in pushing:
            future.result()
    for file, before in zip(files, pushed, strict=True):
        values = values_in(file, tmp_path)
        found = [pusher.check(values) for pusher in pushers]
        # What was acknowledged before it began is in it.
        assert all(map(int.__ge__, found, before)), (found, before)


def test_relays_go_on_with_what_is_restored(
    relays: list[Replica], url: str, tmp_path: Path
) -> None:
    one, two = relays
    file = str(tmp_path / "it.db")
    assert one.put("/metrics/job/a", "# TYPE x gauge\nx 1\n").status == 200
    call("backup", file, f"--database.url={url}")
    assert two.put("/metrics/job/a", "# TYPE y gauge\ny 2\n").status == 200
    assert one.put("/metrics/job/b", "# TYPE x counter\nx 3\n").status == 200
    done = call("restore", file, f"--database.url={url}")
    assert (done.returncode, "--replace" in done.stderr) == (1, True)
    done = call("restore", file, "--replace", f"--database.url={url}")
    assert done.returncode == 0, done.stderr
    for relay in relays:
        assert [group["labels"]["job"] for group in relay.groups()] == ["a"]
        assert 'x{instance="",job="a"} 1\n' in relay.page()
    # It has the type of what was restored again.
    assert one.put("/metrics/job/b", "# TYPE x counter\nx 3\n").status == 400
    assert two.put("/metrics/job/c", "# TYPE x gauge\nx 4\n").status == 200
    assert 'x{instance="",job="c"} 4\n' in one.page()
    done = call("db", "check", f"--database.url={url}")
    assert done.returncode == 0, done.stdout
