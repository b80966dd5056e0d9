"""Brings the schema of a database up to date, and says where it stands."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import Inspector, insert, inspect, select, text
from sqlalchemy.engine import Connection

from pushrelay.errors import StartupError
from pushrelay.store.engine import NO_LOCK_ROW, Database, DatabaseErrors, one_line
from pushrelay.store.schema import write_lock

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0007"
"""The schema that this version works with; importing Alembic to find out is slow."""


def current_schema(database: Database) -> str | None:
    """Return the schema version of `database`, None where it has no tables yet.

    Raises StartupError where the file is not a database or belongs to something else.
    """
    return _state(database)[0]


def upgrade(database: Database) -> bool:
    """Bring `database` to the schema `HEAD`; return whether anything had to be done.
    The row that writers lock is put back if it has gone.

    Safe to run by several processes at once. Raises StartupError for a schema that
    this version does not know and for a database that cannot be read or written.
    """
    if _state(database) == (HEAD, True):
        return False
    try:
        with database.migrating() as connection:
            current = _current(connection)
            if current == HEAD:
                return _put_back_lock_row(connection)
            _refuse_unknown(current)
            _run_migrations(connection)
    except (*DatabaseErrors, OSError) as error:
        raise _unusable(database, error) from error
    return True


def require_head(database: Database) -> None:
    """Raise StartupError unless `database` has exactly the schema `HEAD`."""
    current, has_lock_row = _state(database)
    if current != HEAD:
        _refuse_unknown(current)
        raise StartupError(
            f"the database has schema {current or 'none'}, this version needs {HEAD}; "
            "run `pushrelay db upgrade --database.url=...`"
        )
    if not has_lock_row:
        raise StartupError(NO_LOCK_ROW)


def _state(database: Database) -> tuple[str | None, bool]:
    """Return the schema version of `database`, and whether it is ours and has the row
    that writers lock."""
    try:
        with database.snapshot() as connection:
            current = _current(connection)
            return current, current == HEAD and _has_lock_row(connection)
    except DatabaseErrors as error:
        raise _unusable(database, error) from error


def _has_lock_row(connection: Connection) -> bool:
    return connection.execute(select(write_lock)).first() is not None


def _put_back_lock_row(connection: Connection) -> bool:
    """Return whether it had gone."""
    if _has_lock_row(connection):
        return False
    connection.execute(insert(write_lock), {"id": 1})
    return True


def _current(connection: Connection) -> str | None:
    inspector = inspect(connection)
    # Tables of others may lie in schemas that are looked through after our own.
    tables = set(inspector.get_table_names(_own_schema(inspector)))
    if "alembic_version" in tables:
        query = text("SELECT version_num FROM alembic_version")
        version: str | None = connection.execute(query).scalar()
        return version
    if tables:
        raise StartupError(
            f"the database holds other tables: {', '.join(sorted(tables))}; "
            "give pushrelay a database of its own with --database.url"
        )
    return None


def _own_schema(inspector: Inspector) -> str:
    """Return the schema in which tables are made."""
    schema = inspector.default_schema_name
    if schema is None:
        raise StartupError(
            "no schema in the search_path of --database.url's user exists; make one"
        )
    return schema


def _refuse_unknown(current: str | None) -> None:
    from alembic.script import ScriptDirectory

    known = {
        script.revision
        for script in ScriptDirectory.from_config(_config()).walk_revisions()
    }
    if current is not None and current not in known:
        raise StartupError(
            f"the database has schema {current}, which is newer than this version of "
            f"pushrelay knows ({HEAD}); start the version that wrote it, or a newer one"
        )


def _run_migrations(connection: Connection) -> None:
    from alembic import command

    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("pushrelay.migrations")))
    return config


def _unusable(database: Database, error: Exception) -> StartupError:
    reason = one_line(error)
    return StartupError(
        f"the database {database.name} cannot be used: {reason}; it was left as it is"
    )
