"""The database that a command works on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from pushrelay.errors import PushrelayError
from pushrelay.store.engine import Database, open_database


@contextmanager
def database_at(url: str) -> Iterator[Database]:
    """Open the database at `url`, which need not be there. Whatever stands in the way
    of the block ends the command."""
    try:
        with closing(open_database(url)) as database:
            yield database
    except PushrelayError as error:
        raise click.ClickException(str(error)) from error


@contextmanager
def existing_database(url: str) -> Iterator[Database]:
    """Do so with one that must be there."""
    with database_at(url) as database:
        if not database.exists():
            raise click.ClickException(
                f"there is no database {database.name}; name that of the relay by "
                "--database.url or PUSHRELAY_DATABASE_URL, or make a new one by "
                "`pushrelay db upgrade`"
            )
        yield database


def counted(number: int, word: str) -> str:
    """Return so many of what `word` is one of."""
    return f"{number:,} {word}" + "s" * (number != 1)
