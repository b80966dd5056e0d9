"""Whether a database in a file is whole and takes writes: a look before its use."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path

from pushrelay.store.sqlite_faults import Damaged, damage
from pushrelay.store.sqlite_log import require_all_commits, require_last_page

log = logging.getLogger(__name__)

CHECKED_BYTES = 512 * 2**20
"""A file larger than this is not checked when the relay starts.

To check 400 MB, 100,000 groups of 4 kB, takes 0.4 s. Where it has to come from the
disk first, that takes 1 s, which loading it then does not; 10 s, if SQLite were left to
read it page by page.
"""


def require_whole(driver: sqlite3.Connection, path: Path, sync: str) -> None:
    """Raise sqlite3.Error unless the file at `path`, which `driver` has open, is whole,
    as far as a quick look tells.

    sync: how much those who wrote it waited for the disk, as far as is known.
    """
    driver.execute("PRAGMA schema_version").fetchone()
    if sync == "full":
        require_all_commits(path)
    if path.stat().st_size > CHECKED_BYTES:
        log.info("%s is too large to be checked at the start", path)
        return
    _read_ahead(path)
    [found] = driver.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise Damaged(damage(path, found))
    require_last_page(path)


def require_writable(driver: sqlite3.Connection) -> None:
    """Raise sqlite3.Error unless writes may begin; none does."""
    try:
        driver.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        # Somebody else writes, so that we may as well.
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise


def _read_ahead(path: Path) -> None:
    """Have the file at `path` in memory: SQLite reads its pages one by one."""
    with path.open("rb", buffering=0) as file:
        while file.read(2**20):
            pass
