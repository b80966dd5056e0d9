"""`pushrelay db`: the schema of the database."""

from __future__ import annotations

import click

from pushrelay.cli.databases import database_at, existing_database
from pushrelay.cli.options import database_url
from pushrelay.store import migrate


@click.group()
def db() -> None:
    """Look after the schema of the database."""


@db.command()
@database_url
def upgrade(database_url: str) -> None:
    """Bring the schema up to date. Creates the database if there is none."""
    with database_at(database_url) as database:
        database.create()
        changed = migrate.upgrade(database)
        state = "upgraded to" if changed else "is already at"
        click.echo(f"{database.name} {state} schema {migrate.HEAD}")


@db.command()
@database_url
def current(database_url: str) -> None:
    """Print the schema version; nothing for a database without tables."""
    with existing_database(database_url) as database:
        schema = migrate.current_schema(database)
        if schema is not None:
            click.echo(schema)


@db.command()
@database_url
def check(database_url: str) -> None:
    """Exit with 1 unless the schema is what this version works with."""
    with existing_database(database_url) as database:
        migrate.require_head(database)
        click.echo(f"{database.name} is at schema {migrate.HEAD}")
