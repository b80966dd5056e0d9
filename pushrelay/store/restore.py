"""Makes a database what a backup says it was, in one transaction.

For relays that serve it, this is a commit like any other. But none of the commits
before is there any more, nor is the one of the backup: every view reloads whole, and
whatever somebody found before counts as changed since. Tokens that are revoked stay so,
and those that were rotated since the backup keep their secrets.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Table, delete, func, insert, select
from sqlalchemy.engine import Connection

from pushrelay.errors import BackupError
from pushrelay.store.backup_reader import Backup
from pushrelay.store.engine import Database, DatabaseErrors
from pushrelay.store.kept_rows import KEPT, portions
from pushrelay.store.migrate import prepare
from pushrelay.store.reader import learn_time
from pushrelay.store.schema import commits
from pushrelay.store.token_rows import keep_standing, standing_of


@dataclass(frozen=True, slots=True)
class Restored:
    """What a database has now. rows: how many, by table; of: the revision that was
    backed up."""

    revision: int
    of: int
    rows: dict[str, int]


def restore(database: Database, backup: Backup, *, replace: bool = False) -> Restored:
    """Let `database` have what `backup` has; tables are made where there are none.

    replace: whether it may have anything before, which goes.

    All of it is done, or nothing. Raises BackupError and StartupError.
    """
    database.create()
    try:
        with database.reading() as session:
            learn_time(session)
        with database.migrating() as connection:
            prepare(connection)
            if not replace:
                _require_empty(connection, database)
            return _restore(connection, backup, database.now())
    except (*DatabaseErrors, OSError) as error:
        reason = database.explain(error)
        told = "was left as it was" if database.was_reached(error) else "cannot be used"
        raise BackupError(f"the database {database.name} {told}: {reason}") from error


def _restore(connection: Connection, backup: Backup, now: int) -> Restored:
    of = max([revision for revision, *_ in backup.rows(commits)], default=0)
    newest = connection.execute(select(func.max(commits.c.revision))).scalar()
    revision = max(of, newest or 0) + 1
    standing = standing_of(connection)
    for table in KEPT:
        connection.execute(delete(table))
    rows = {
        table.name: _fill(connection, table, backup, revision)
        for table in KEPT
        if table is not commits
    }
    keep_standing(connection, standing, is_newer=(newest or 0) >= of)
    commit = {"revision": revision, "nonce": secrets.token_bytes(16), "at": now}
    connection.execute(insert(commits), commit)
    return Restored(revision, of, rows)


def _fill(connection: Connection, table: Table, backup: Backup, revision: int) -> int:
    count = 0
    for portion in portions(backup.rows(table)):
        values = [dict(zip(table.c.keys(), row, strict=True)) for row in portion]
        if "revision" in table.c:
            for each in values:
                each["revision"] = revision
        connection.execute(insert(table), values)
        count += len(values)
    return count


def _require_empty(connection: Connection, database: Database) -> None:
    held = {name: number for name, number in _held(connection) if number}
    if held:
        shown = ", ".join(f"{name} {number}" for name, number in held.items())
        raise BackupError(
            f"the database {database.name} is not empty ({shown}); --replace lets the "
            "backup take the place of what it has"
        )


def _held(connection: Connection) -> Iterator[tuple[str, int]]:
    for table, kept in KEPT.items():
        if table is not commits:
            count = select(func.count()).select_from(table).where(kept)
            yield table.name, connection.execute(count).scalar_one()
