"""What is wrong in a database that a test made, whatever the test did."""

from __future__ import annotations

from pathlib import Path

from databases import database_url

from pushrelay.store.check import Check
from pushrelay.store.engine import Database, open_database


def faults_of(database: Database, now: int | None = None) -> list[str]:
    """Return what is wrong in `database`; now: by a clock of the test's own."""
    look = Check(database, None if now is None else lambda: now)
    return [str(fault) for fault in look.faults()]


def fault_of(database: Database, now: int | None = None) -> str:
    """Return the only thing that is wrong in `database`."""
    [fault] = faults_of(database, now)
    return fault


def check_sound(directory: Path, now: int | None = None) -> None:
    """Check that nothing is wrong in the database that belongs to `directory`; by a
    clock of the test's own, which may have leapt."""
    check_sound_at(database_url(directory), now)


def check_sound_at(url: str, now: int | None = None) -> None:
    """Do so for the database at `url`."""
    database = open_database(url)
    faults = faults_of(database, now)
    database.close()
    if now is not None:
        faults = [fault for fault in faults if "was made" not in fault]
    assert faults == []
