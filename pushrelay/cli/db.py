"""`pushrelay db`: the schema of the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from pushrelay.cli.options import database_url
from pushrelay.errors import PushrelayError
from pushrelay.store import migrate
from pushrelay.store.engine import Database, open_database


@click.group()
def db() -> None:
    """Look after the schema of the database."""


@db.command()
@database_url
def upgrade(database_url: str) -> None:
    """Bring the schema up to date. Creates the database if there is none."""
    with _database(database_url) as database:
        database.create()
        changed = migrate.upgrade(database)
        state = "upgraded to" if changed else "is already at"
        click.echo(f"{database.name} {state} schema {migrate.HEAD}")


@db.command()
@database_url
def current(database_url: str) -> None:
    """Print the schema version; nothing for a database without tables."""
    with _existing(database_url) as database:
        schema = migrate.current_schema(database)
        if schema is not None:
            click.echo(schema)


@db.command()
@database_url
def check(database_url: str) -> None:
    """Exit with 1 unless the schema is what this version works with."""
    with _existing(database_url) as database:
        migrate.require_head(database)
        click.echo(f"{database.name} is at schema {migrate.HEAD}")


@contextmanager
def _existing(url: str) -> Iterator[Database]:
    with _database(url) as database:
        if not database.exists():
            raise click.ClickException(f"there is no database {database.name}")
        yield database


@contextmanager
def _database(url: str) -> Iterator[Database]:
    try:
        database = open_database(url)
        yield database
        database.close()
    except PushrelayError as error:
        raise click.ClickException(str(error)) from error
