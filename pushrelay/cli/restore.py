"""`pushrelay restore`: a database as it was backed up."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import click

from pushrelay.cli.backup import shown
from pushrelay.cli.databases import database_at
from pushrelay.cli.options import database_url, plain_option
from pushrelay.store.backup_reader import Backup, open_backup, read_backup
from pushrelay.store.restore import restore as restore_database


@click.command()
@database_url
@plain_option(
    "--replace", is_flag=True, help="Lose what the database has; else it must be empty."
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
def restore(file: str, database_url: str, replace: bool) -> None:
    """Restore the backup in FILE. "-" means standard input.

    All of it is restored, or nothing. Relays may keep running, and show what was
    restored from then on. Missing tables are created, and so is a missing file.
    """
    with database_at(database_url) as database, _opened(file) as backup:
        restored = restore_database(database, backup, replace=replace)
        made_at = datetime.fromtimestamp(backup.made_at // 10**9, UTC)
        click.echo(
            f"restored {database.name} at revision {restored.revision} from "
            f"{backup.name}, made {made_at:%Y-%m-%d %H:%M:%S} UTC by pushrelay "
            f"{backup.made_by} at revision {restored.of}: {shown(restored.rows)}",
            err=True,
        )


def _opened(file: str) -> AbstractContextManager[Backup]:
    if file == "-":
        return read_backup(sys.stdin.buffer)
    return open_backup(Path(file), file)
