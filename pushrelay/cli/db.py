"""`pushrelay db`: the schema of the database."""

from __future__ import annotations

import click

from pushrelay.cli.databases import counted, database_at, existing_database
from pushrelay.cli.options import database_url
from pushrelay.store import migrate
from pushrelay.store.check import Check


@click.group()
def db() -> None:
    """Upgrade and check the database."""


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
    """Print the schema version; `none` for a database without tables."""
    with existing_database(database_url) as database:
        click.echo(migrate.current_schema(database) or "none")


@db.command()
@database_url
@click.pass_context
def check(context: click.Context, database_url: str) -> None:
    """Check the database. Exits with 1 if anything is wrong.

    Relays may go on serving it. Nothing is changed: each line says what is wrong where,
    and what to do.
    """
    with existing_database(database_url) as database:
        look, found = Check(database), 0
        for fault in look.faults():
            click.echo(fault)
            found += 1
        rows = ", ".join(f"{name} {number}" for name, number in look.rows.items())
        at = f"schema {migrate.HEAD} and revision {look.revision}"
        verdict = counted(found, "fault") if found else "nothing is wrong"
        click.echo(f"{database.name} is at {at} ({rows or 'empty'}): {verdict}")
        context.exit(1 if found else 0)
