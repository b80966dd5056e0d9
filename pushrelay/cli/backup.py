"""`pushrelay backup`: what a database has, in one file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from pushrelay.cli.databases import counted, existing_database
from pushrelay.cli.options import database_url
from pushrelay.store.backup import back_up, write_backup


@click.command()
@database_url
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
def backup(file: str, database_url: str) -> None:
    """Back up the database into FILE. "-" means standard output.

    Relays may keep running: the backup is a snapshot. It replaces an earlier backup in
    FILE once it is complete, and `pushrelay restore` can restore it into any kind of
    database.
    """
    with existing_database(database_url) as database:
        if file == "-":
            stream = sys.stdout.buffer
            if stream.isatty():
                raise click.UsageError(
                    "a terminal shows no backup; write it to a file or a pipe"
                )
            made = write_backup(database, stream)
        else:
            made = back_up(database, Path(file))
        into = "" if file == "-" else f" into {file}"
        click.echo(
            f"backed up {database.name} at revision {made.revision}{into}: "
            f"{shown(made.rows)}, {made.size:,} bytes",
            err=True,
        )


def shown(rows: dict[str, int]) -> str:
    """Return how many groups and runs there are among the `rows` of a backup."""
    return f"{counted(rows['groups'], 'group')}, {counted(rows['runs'], 'run')}"
